//! To whom alerts and tasks are assigned: to the people of the caller's team who may work on them.
//!
//! Programs name one by the number of an account, or by a name that one person of the team alone has; a program may take
//! something over itself, under the name of its token. Pages let people choose among them.

use homeward_store::access::{Role, Somebody};
use homeward_store::accounts::{Colleague, colleagues};
use homeward_store::assigned::Assigned;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::{Action, Exchange, does};
use crate::alerts::act::{NAME_LENGTH, text};
use crate::error::ApiError;

/// To whom something is assigned: somebody of the caller's team who works on alerts and tasks, by the number of an account, or
/// by a name that one person of the team alone has (else the answer is 422, and says which accounts have it).
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected the number of an account, or a name")]
pub(crate) enum Assignee {
    Account(i64),
    Name(String),
}

impl Assignee {
    /// The same, where it makes sense: what is wrong is said of this field.
    pub(crate) fn checked(self, field: &str) -> Result<Assignee, ApiError> {
        match self {
            Assignee::Account(_) => Ok(self),
            Assignee::Name(name) => text(field, &name, NAME_LENGTH).map(Assignee::Name),
        }
    }

    /// Who that is.
    pub(crate) async fn find(&self, exchange: &Exchange) -> Result<Somebody, ApiError> {
        let team = colleagues_of(exchange).await?;
        match self {
            Assignee::Account(account) => {
                let found = team.into_iter().find(|colleague| colleague.account == *account);
                found.map(assigned).ok_or_else(|| {
                    let detail = format!("account {account} is of nobody in your team who works on this");
                    ApiError::Unprocessable(detail)
                })
            }
            Assignee::Name(name) => {
                let caller = exchange.principal();
                if caller.acts_as.account.is_none() && caller.name == *name {
                    return Ok(caller.somebody());
                }
                one_called(name, team)
            }
        }
    }
}

/// The one person of a team who has a name.
fn one_called(name: &str, team: Vec<Colleague>) -> Result<Somebody, ApiError> {
    let mut called: Vec<Colleague> = team.into_iter().filter(|person| person.name == name).collect();
    match (called.pop(), called.len()) {
        (Some(one), 0) => Ok(assigned(one)),
        (None, _) => Err(ApiError::Unprocessable(format!(
            "nobody in your team who works on this is called {name:?}"
        ))),
        (Some(last), _) => {
            called.push(last);
            let accounts: Vec<String> = called
                .iter()
                .map(|person| format!("{} ({})", person.account, person.sign_in_name))
                .collect();
            Err(ApiError::Unprocessable(format!(
                "{} people of your team are called {name:?}; name one by account: {}",
                called.len(),
                accounts.join(", ")
            )))
        }
    }
}

fn assigned(colleague: Colleague) -> Somebody {
    Somebody {
        name: colleague.name,
        held_role: Some(colleague.held_role),
        account: Some(colleague.account),
    }
}

/// Those of the caller's team who may work on alerts, by name.
pub(crate) async fn colleagues_of(exchange: &Exchange) -> Result<Vec<Colleague>, ApiError> {
    let Some(organisation) = exchange.principal().acts_as.organisation else {
        return Ok(Vec::new());
    };
    let roles = Role::ALL
        .into_iter()
        .filter(|role| does(*role, Action::WorkOnAlerts));
    let roles: Vec<Role> = roles.collect();
    let mut connection = exchange.connection().await;
    Ok(colleagues(&mut connection, organisation, &roles, exchange.now()).await?)
}

/// Whose business it is that a parameter asks for: that of an account, by its number, or of whoever has a name, as it was
/// written down.
pub(crate) fn assigned_to(asked: &str) -> Assigned {
    match asked.parse() {
        Ok(account) => Assigned::ToAccount(account),
        Err(_) => Assigned::ToName(asked.to_owned()),
    }
}
