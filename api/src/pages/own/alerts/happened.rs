//! What happened to an alert, as one says it to the patient, with what was said of it.

use chrono::{DateTime, Utc};
use homeward_store::alerts::Transition;
use serde_json::Value;

use crate::pages::Moment;
use crate::pages::alert::act::NO_REASON;
use crate::pages::own::voice::Voice;

/// Something that happened.
pub(in crate::pages::own) struct Happened {
    pub(in crate::pages::own) at: Moment,
    pub(in crate::pages::own) text: String,
    /// Until when, at the end of the text.
    pub(in crate::pages::own) until: Option<Moment>,
    /// What somebody wrote, or gave as the reason.
    pub(in crate::pages::own) said: Option<String>,
}

impl Happened {
    /// What a transition of an episode is to the patient; of one that was `late`, nobody was told.
    pub(super) fn of(voice: Voice, transition: &Transition, late: bool) -> Option<Happened> {
        let text = in_words(voice, transition, late)?;
        let until: Option<DateTime<Utc>> = part(transition, "until").and_then(|until| until.parse().ok());
        let said = part(transition, "text").or(part(transition, "reason"));
        Some(Happened {
            at: Moment::short(transition.at),
            text,
            until: until.map(Moment::short),
            said: said.filter(|said| *said != NO_REASON).map(str::to_owned),
        })
    }
}

/// A part of what a transition says.
fn part<'a>(transition: &'a Transition, name: &str) -> Option<&'a str> {
    transition.detail.as_ref()?.get(name).and_then(Value::as_str)
}

fn in_words(voice: Voice, transition: &Transition, late: bool) -> Option<String> {
    let team = format!("{} team", voice.your);
    let first_team = format!("{} team", voice.first_your);
    let actor = transition.actor.as_ref().map(|actor| actor.name.as_str());
    let by = |did: &str, was: &str| match actor {
        Some(actor) => format!("{actor} {did}."),
        None => was.to_owned(),
    };
    let somebody = actor.unwrap_or("Somebody");
    Some(match transition.kind.as_str() {
        "raised" if late => "The readings came in late, so nobody was called.".to_owned(),
        "raised" => format!("{first_team} was told."),
        "became_current" => format!("{first_team} was told, since it went on."),
        "amended" => "Other readings count for it now.".to_owned(),
        "reopened" => format!("It began again, and {team} was told."),
        "escalated" => "Nobody had taken it up yet, so more people were told.".to_owned(),
        "acknowledged" => by("took it up", "Somebody took it up."),
        "assigned" => match part(transition, "to") {
            Some(to) if is_of(transition, to) => format!("{somebody} took it over."),
            Some(to) if somebody == to => format!("{somebody} gave it to another {to}."),
            Some(to) => format!("{somebody} gave it to {to}."),
            None => format!("{somebody} gave it back to {team}."),
        },
        "commented" => format!("{somebody} wrote:"),
        "snoozed" => format!("{somebody} put it off until"),
        "snooze_ended" => "It is not put off any more.".to_owned(),
        "cleared" => "It was over.".to_owned(),
        "closed" => by("put it away", "It was put away."),
        "withdrawn" => "It turned out to rest on a wrong reading, and was taken back.".to_owned(),
        _ => return None,
    })
}

/// Whether it was assigned to whoever did so.
fn is_of(transition: &Transition, to: &str) -> bool {
    let account = transition
        .detail
        .as_ref()
        .and_then(|detail| detail["account"].as_i64());
    transition
        .actor
        .as_ref()
        .is_some_and(|actor| actor.name == to && actor.account == account)
}

#[cfg(test)]
mod tests {
    use homeward_store::access::Somebody;
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;
    use crate::testing::now;

    #[test]
    fn everything_that_happened_is_told() {
        let told = |kind: &str, actor: Option<&str>, detail: Value, late| {
            let transition = Transition {
                id: 1,
                kind: kind.to_owned(),
                at: now(),
                actor: actor.map(|name| Somebody {
                    name: name.to_owned(),
                    held_role: Some(1),
                    account: Some(501),
                }),
                detail: Some(detail),
            };
            let told = Happened::of(Voice::OWN, &transition, late).expect("it is told");
            let until = told.until.map_or_else(String::new, |_| " (then)".to_owned());
            let said = told.said.map_or_else(String::new, |said| format!(" {said:?}"));
            format!("{}{until}{said}", told.text)
        };
        let mei = Some("Mei Ng");
        let reason = json!({"until": now(), "reason": "Eating now"});
        let lines = [
            told("raised", None, Value::Null, false),
            told("raised", None, Value::Null, true),
            told("became_current", None, Value::Null, false),
            told("amended", None, Value::Null, false),
            told("reopened", None, Value::Null, false),
            told("escalated", None, json!({"to": "lead", "level": 2}), false),
            told("acknowledged", None, Value::Null, false),
            told("acknowledged", mei, Value::Null, false),
            told(
                "assigned",
                mei,
                json!({"to": "Sam Okafor", "account": 502}),
                false,
            ),
            told("assigned", mei, json!({"to": "Mei Ng", "account": 502}), false),
            told("assigned", mei, json!({"to": "Mei Ng", "account": 501}), false),
            told("assigned", mei, json!({"to": null}), false),
            told("commented", mei, json!({"text": "Called her daughter"}), false),
            told("snoozed", mei, reason, false),
            told(
                "snoozed",
                mei,
                json!({"until": now(), "reason": NO_REASON}),
                false,
            ),
            told("snooze_ended", None, Value::Null, false),
            told("cleared", None, Value::Null, false),
            told("closed", None, Value::Null, false),
            told("closed", mei, json!({"reason": "The sensor was loose"}), false),
            told("withdrawn", None, Value::Null, false),
        ];
        assert_snapshot!(lines.join("\n"), @r#"
        Your team was told.
        The readings came in late, so nobody was called.
        Your team was told, since it went on.
        Other readings count for it now.
        It began again, and your team was told.
        Nobody had taken it up yet, so more people were told.
        Somebody took it up.
        Mei Ng took it up.
        Mei Ng gave it to Sam Okafor.
        Mei Ng gave it to another Mei Ng.
        Mei Ng took it over.
        Mei Ng gave it back to your team.
        Mei Ng wrote: "Called her daughter"
        Mei Ng put it off until (then) "Eating now"
        Mei Ng put it off until (then)
        It is not put off any more.
        It was over.
        It was put away.
        Mei Ng put it away. "The sensor was loose"
        It turned out to rest on a wrong reading, and was taken back.
        "#);
    }
}
