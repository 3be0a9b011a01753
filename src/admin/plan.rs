//! Care plans: reading and changing them.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use homeward_alerts::plans::{Change, PlanError, TakingOut, adjust, take_out};
use homeward_record::{Clock, PatientId};
use homeward_store::history::patient_exists;
use homeward_store::plans::load_versions;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{AUTHOR, note, text};

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

pub(super) async fn run(connection: &mut PgConnection, command: PlanCommand, clock: &Clock) -> Result<Value> {
    let (patient, action, target, answer) = match command {
        PlanCommand::Show { patient, history } => {
            let shown = show(connection, patient, history, clock.now()).await?;
            (patient, "read_care_plan", "care plan".to_owned(), shown)
        }
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
            let adjusted = json!(adjust(connection, &change, clock).await?);
            (options.patient, "change_care_plan", rule(&options.code), adjusted)
        }
        PlanCommand::Remove(options) => {
            let taking_out = TakingOut {
                patient: options.patient,
                code: &options.code,
                version: options.version,
                author: &options.by.author,
                reason: &options.by.reason,
            };
            let taken_out = json!(take_out(connection, &taking_out, clock).await?);
            (
                options.patient,
                "change_care_plan",
                rule(&options.code),
                taken_out,
            )
        }
    };
    note(connection, action, &target, &[patient], clock.now()).await?;
    Ok(answer)
}

fn rule(code: &str) -> String {
    format!("rule {code}")
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
