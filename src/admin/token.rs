//! Tokens with which programs read the API.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use homeward_api::is_scope;
use homeward_store::access::Role;
use homeward_store::admin::{NewToken, add_token_for, revoke_token};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{note, random_secret, text};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Add a token; it is printed, not kept, and not shown again
    Add(TokenOptions),
    /// Refuse a token from now on
    Revoke {
        #[arg(value_name = "ID")]
        token: i64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenOptions {
    /// Who or what it is for
    #[arg(long, value_parser = text)]
    name: String,
    /// What it acts as
    #[arg(long, value_name = "ROLE", default_value = "care_team_lead", value_parser = token_role)]
    role: Role,
    /// Where [default: the default care team]
    #[arg(long, value_name = "ID")]
    organisation: Option<i64>,
    /// A SMART on FHIR scope, as user/Observation.read; may be given several times [default: all that the role may]
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    scope: Vec<String>,
    /// For how many days it is good [default: until it is revoked]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    days: Option<u16>,
}

/// A program is no patient: patients sign in.
fn token_role(name: &str) -> Result<Role, String> {
    match name.parse()? {
        Role::Patient => Err("a program cannot be a patient".to_owned()),
        role => Ok(role),
    }
}

/// One that grants nothing, for a slip of the pen, would be found out by the program alone.
fn scope(text: &str) -> Result<String, &'static str> {
    match is_scope(text) {
        true => Ok(text.to_owned()),
        false => Err("expected a scope of resources, as user/Observation.read"),
    }
}

pub(super) async fn run(
    connection: &mut PgConnection,
    command: TokenCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    match command {
        TokenCommand::Add(options) => {
            let token = format!("hw_{}", random_secret());
            let new = NewToken {
                name: &options.name,
                token: &token,
                role: options.role,
                organisation: options.organisation,
                scopes: (!options.scope.is_empty()).then_some(&options.scope[..]),
                expires_at: options.days.map(|days| now + TimeDelta::days(days.into())),
            };
            let id = add_token_for(connection, &new).await?;
            let target = format!("made token {id} for {}, acting as {}", options.name, options.role);
            note(connection, "manage_tokens", &target, &[], now).await?;
            Ok(json!({"token_id": id, "token": token, "role": options.role, "expires_at": new.expires_at}))
        }
        TokenCommand::Revoke { token } => {
            let revoked_at = revoke_token(connection, token, now).await?;
            let target = format!("revoked token {token}");
            note(connection, "manage_tokens", &target, &[], now).await?;
            Ok(json!({"token_id": token, "revoked_at": revoked_at}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_one_of_resources() {
        assert_eq!(
            scope("user/Observation.read").as_deref(),
            Ok("user/Observation.read")
        );
        for wrong in [
            "Observation.read",
            "user/Observation",
            "launch",
            "user/Observation.rs?code=4548-4",
        ] {
            assert!(scope(wrong).is_err(), "{wrong}");
        }
    }
}
