//! Care plans: reading and changing them.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use homeward_alerts::plans::{Change, PlanError, TakingOut, adjust, take_out};
use homeward_record::{Clock, PatientId};
use homeward_store::PgPool;
use homeward_store::history::patient_exists;
use homeward_store::plans::load_versions;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{AUTHOR, text};

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Show the rules that are in force
    Show {
        #[arg(long, value_name = "ID")]
        patient: PatientId,
        /// All versions of all rules that the plan has had
        #[arg(long)]
        history: bool,
    },
    /// Adjust a rule, or add one: what arrives from now on is judged by it
    Adjust(AdjustOptions),
    /// Take a rule out of the plan; its open alert is over with it
    Remove(RemoveOptions),
}

#[derive(Debug, Args)]
pub(crate) struct AdjustOptions {
    /// Names the rule: lower-case words joined by dashes
    #[arg(value_name = "RULE")]
    code: String,
    #[arg(long, value_name = "ID")]
    patient: PatientId,
    /// The version that is adjusted, which must be the one in force; without it the rule is added
    #[arg(long, value_name = "NUMBER")]
    version: Option<i32>,
    /// What the rule says: a file of JSON, or - for the standard input
    #[arg(long, value_name = "FILE")]
    definition: PathBuf,
    #[command(flatten)]
    by: By,
    /// Until when, as 2026-03-01T09:00:00Z. Then the rule says again what it said before, or is over if it is added
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveOptions {
    /// Names the rule
    #[arg(value_name = "RULE")]
    code: String,
    #[arg(long, value_name = "ID")]
    patient: PatientId,
    /// The version in force
    #[arg(long, value_name = "NUMBER")]
    version: i32,
    #[command(flatten)]
    by: By,
}

/// Who changes a plan, and why.
#[derive(Debug, Args)]
struct By {
    #[arg(long, value_parser = text)]
    reason: String,
    /// Who wants it
    #[arg(long, value_name = "NAME", default_value = AUTHOR, value_parser = text)]
    author: String,
}

/// Does what the command says, in a transaction of its own.
pub(super) async fn run(pool: &PgPool, command: PlanCommand, clock: &Clock) -> Result<Value> {
    let mut connection = pool.acquire().await.context("could not reach the database")?;
    match command {
        PlanCommand::Show { patient, history } => show(&mut connection, patient, history, clock.now()).await,
        PlanCommand::Adjust(options) => {
            let definition = read(&options.definition)?;
            let change = Change {
                patient: options.patient,
                code: &options.code,
                version: options.version,
                definition: &definition,
                until: options.until,
                author: &options.by.author,
                reason: &options.by.reason,
            };
            Ok(json!(adjust(&mut connection, &change, clock).await?))
        }
        PlanCommand::Remove(options) => {
            let taking_out = TakingOut {
                patient: options.patient,
                code: &options.code,
                version: options.version,
                author: &options.by.author,
                reason: &options.by.reason,
            };
            Ok(json!(take_out(&mut connection, &taking_out, clock).await?))
        }
    }
}

async fn show(
    connection: &mut PgConnection,
    patient: PatientId,
    history: bool,
    now: DateTime<Utc>,
) -> Result<Value> {
    if !patient_exists(connection, patient).await? {
        return Err(PlanError::UnknownPatient(patient).into());
    }
    let mut rules = load_versions(connection, patient, None).await?;
    rules.retain(|version| history || version.is_in_force(now));
    Ok(json!({"patient": patient, "rules": rules}))
}

fn read(file: &Path) -> Result<Value> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.context("could not read the standard input")?;
        text
    } else {
        std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}
