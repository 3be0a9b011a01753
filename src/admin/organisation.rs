//! Practices, teams and hospitals.

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use homeward_store::admin::add_organisation;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{name_of, note, text};

#[derive(Debug, Subcommand)]
pub(crate) enum OrganisationCommand {
    /// Add an organisation
    Add {
        #[arg(long, value_enum)]
        kind: OrganisationKind,
        #[arg(long, value_parser = text)]
        name: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum OrganisationKind {
    CareTeam,
    GpPractice,
    Hospital,
    Ambulance,
}

pub(super) async fn run(
    connection: &mut PgConnection,
    command: OrganisationCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    let OrganisationCommand::Add { kind, name } = command;
    let id = add_organisation(connection, &name_of(&kind), &name).await?;
    let target = format!("added {name}, organisation {id}");
    note(connection, "manage_organisations", &target, &[], now).await?;
    Ok(json!({"organisation_id": id}))
}
