//! What can be done about an alert, as forms: on its own page, and under a row of the worklist.

use homeward_record::EpisodeId;
use homeward_store::accounts::Colleague;

use super::super::form::Form;
use super::super::view::Who;
use super::super::worklist::row::Row;
use crate::access::Exchange;
use crate::access_log::capital;
use crate::assignee::colleagues_of;
use crate::error::ApiError;

/// What the forms have in common.
pub(in crate::pages) struct Forms {
    /// Where they are sent to, before the name of the action: `/alerts/12`.
    pub(in crate::pages) path: String,
    pub(in crate::pages) csrf_token: String,
    /// Where the browser is led afterwards.
    pub(in crate::pages) back: String,
    /// Who looks, by name.
    pub(in crate::pages) reader: String,
    account: Option<i64>,
    /// To whom else it can be assigned.
    pub(in crate::pages) colleagues: Vec<Assignable>,
    pub(in crate::pages) refused: Option<Refused>,
}

/// Somebody to whom an alert can be assigned.
pub(in crate::pages) struct Assignable {
    /// The number of their account, as the form sends it.
    pub(in crate::pages) account: String,
    /// The name, and what else tells two of one name apart.
    pub(in crate::pages) text: String,
}

/// What was sent and not done.
pub(in crate::pages) struct Refused {
    /// The action: `comment`.
    action: &'static str,
    /// What was wrong, in a sentence.
    pub(in crate::pages) why: String,
    typed: Form,
}

impl Forms {
    /// Those of an alert; without one, a script says which it is.
    pub(in crate::pages) async fn new(
        exchange: &Exchange,
        alert: Option<EpisodeId>,
        back: String,
    ) -> Result<Forms, ApiError> {
        let account = exchange.principal().acts_as.account;
        Ok(Forms {
            path: format!("/alerts/{}", alert.map_or(0, |alert| alert.0)),
            csrf_token: Who::of(exchange).map_or_else(String::new, |who| who.csrf_token),
            back,
            reader: exchange.actor().to_owned(),
            account,
            colleagues: assignable(&colleagues_of(exchange).await?, account),
            refused: None,
        })
    }

    /// The number of the reader's account; empty for a program.
    pub(in crate::pages) fn reader_account(&self) -> String {
        self.account
            .map_or_else(String::new, |account| account.to_string())
    }

    /// What was wrong with a form.
    pub(in crate::pages) fn wrong(&self, action: &str) -> Option<&str> {
        let refused = self.refused.as_ref().filter(|refused| refused.action == action);
        refused.map(|refused| refused.why.as_str())
    }

    /// What was typed into one of its fields.
    pub(in crate::pages) fn typed(&self, action: &str, field: &str) -> &str {
        let refused = self.refused.as_ref().filter(|refused| refused.action == action);
        refused.map_or("", |refused| refused.typed.text(field))
    }
}

/// The people of a team but for the reader.
fn assignable(team: &[Colleague], reader: Option<i64>) -> Vec<Assignable> {
    let others = team.iter().filter(|person| Some(person.account) != reader);
    let one = |person: &Colleague| {
        let alike = team.iter().filter(|other| other.name == person.name).count();
        Assignable {
            account: person.account.to_string(),
            text: match alike {
                1 => person.name.clone(),
                _ => format!("{} ({})", person.name, person.sign_in_name),
            },
        }
    };
    others.map(one).collect()
}

impl Refused {
    pub(super) fn new(action: &'static str, error: &ApiError, typed: Form) -> Refused {
        Refused {
            action,
            why: capital(&error.to_string()),
            typed,
        }
    }

    /// Where on the page it can be tried again; where it cannot, what happened meanwhile.
    pub(in crate::pages) fn anchor(&self, row: &Row) -> &'static str {
        match self.action {
            "acknowledge" if row.can_take => "acknowledge",
            "assign" if !row.is_closed => "assign-to",
            "snooze" if row.can_snooze => "snooze-reason",
            "close" if row.can_close => "close-reason",
            "comment" => "comment-text",
            _ => "happened",
        }
    }
}
