//! What happened to an alert, in words.

use chrono::{DateTime, Utc};
use homeward_store::alerts::Transition;
use serde_json::Value;

use super::super::moment::Moment;
use super::super::worklist::row::told_in_words;

/// Something that happened.
pub(super) struct Happened {
    pub(super) at: Moment,
    pub(super) what: String,
    /// Until when, where it says so.
    pub(super) until: Option<Moment>,
    /// Who did it; `None`: the rule itself, or time.
    pub(super) by: Option<String>,
    /// What was said or given as the reason.
    pub(super) text: Option<String>,
}

impl From<Transition> for Happened {
    fn from(transition: Transition) -> Happened {
        let detail = transition.detail.as_ref();
        let said = |name: &str| detail.and_then(|detail| detail.get(name)).and_then(Value::as_str);
        let until: Option<DateTime<Utc>> = said("until").and_then(|until| until.parse().ok());
        let what = match transition.kind.as_str() {
            "raised" => "Raised".to_owned(),
            "became_current" => "Became current: a reading arrived in time".to_owned(),
            "amended" => "Amended: other readings count now".to_owned(),
            "reopened" => "Reopened: readings arrived with which it goes on".to_owned(),
            "withdrawn" => "Withdrawn: no reading is left on which it rests".to_owned(),
            "acknowledged" => "Taken up".to_owned(),
            "assigned" => match said("to") {
                Some(to) => format!("Assigned to {to}"),
                None => "Assigned to nobody".to_owned(),
            },
            "commented" => "Comment".to_owned(),
            "snoozed" => "Snoozed until".to_owned(),
            "snooze_ended" => "The snooze ended".to_owned(),
            "escalated" => {
                let level = detail
                    .and_then(|detail| detail.get("level"))
                    .and_then(Value::as_i64);
                let to = told_in_words(said("to").unwrap_or_default());
                match level {
                    Some(level) => format!("Escalated to {to} (level {level})"),
                    None => format!("Escalated to {to}"),
                }
            }
            "cleared" => "Its condition has cleared".to_owned(),
            "closed" => "Closed".to_owned(),
            other => other.replace('_', " "),
        };
        Happened {
            at: Moment::new(transition.at),
            what,
            until: until.map(Moment::new),
            text: said("text").or(said("reason")).map(str::to_owned),
            by: transition.actor.map(|by| by.name),
        }
    }
}
