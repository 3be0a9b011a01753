//! Administration: one change of the record, and one JSON object that says what became of it.

mod account;
mod audit;
mod device;
mod import;
mod key;
mod opt_out;
mod organisation;
mod patient;
mod plan;
mod receiver;
mod rejected;
mod research;
mod token;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use homeward_record::{Clock, PatientId};
use homeward_store::audit::{AuditEntry, append_for_many};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::config::Settings;
use crate::database::Database;
use crate::keys;
use crate::lifecycle::Lifecycle;
use crate::print::print;
use account::{AccountCommand, ProxyCommand, RoleCommand};
use audit::AuditCommand;
use device::DeviceCommand;
use import::ImportOptions;
use key::KeyCommand;
use opt_out::OptOutCommand;
use organisation::OrganisationCommand;
use patient::PatientCommand;
use plan::PlanCommand;
use receiver::ReceiverCommand;
use rejected::RejectedCommand;
use research::ResearchCommand;
use token::TokenCommand;

pub(crate) use patient::programme;

/// Who changes care plans, as the record names them.
const AUTHOR: &str = "homeward command line";

/// Administration commands. All of them work while the service runs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring the database's schema to this version; every other command does this too
    Migrate,
    /// Practices, teams and hospitals
    #[command(subcommand)]
    Organisation(OrganisationCommand),
    /// Patients and the programmes on which they begin
    #[command(subcommand)]
    Patient(PatientCommand),
    /// Care plans: what they say, and changes of rules
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Devices, their credentials, and whose patient they measure
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Accounts of people who sign in
    #[command(subcommand)]
    Account(AccountCommand),
    /// The roles that accounts hold
    #[command(subcommand)]
    Role(RoleCommand),
    /// Those whom patients have named to see their records
    #[command(subcommand)]
    Proxy(ProxyCommand),
    /// Tokens with which programs read the API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Messages of devices that were refused, and having them tried once more
    #[command(subcommand)]
    Rejected(RejectedCommand),
    /// Those who are told of alerts, by webhook or e-mail
    #[command(subcommand)]
    Receiver(ReceiverCommand),
    /// The keys that seal secrets of the record
    #[command(subcommand)]
    Key(KeyCommand),
    /// Take a patient over from another record, by a patient passport (FHIR R4)
    Import(ImportOptions),
    /// The log of reads and changes
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Who has opted out of research: checks against the national data opt-out
    #[command(subcommand)]
    OptOut(OptOutCommand),
    /// What research gets of the record
    #[command(subcommand)]
    Research(ResearchCommand),
}

/// The name of one of several, as the record has it.
fn name_of(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn text(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        Err("it is empty")
    } else {
        Ok(text.to_owned())
    }
}

/// Does what the command says and prints the answer, one JSON object.
pub(crate) async fn run(settings: Settings, command: Command) -> Result<()> {
    let lifecycle = Lifecycle::start(settings.stop_within())?;
    let database = Database::for_command(&settings, &lifecycle).await?;
    let outcome = execute(&settings, &database, command).await;
    // Also after an error; the first error is the one to tell.
    let closed = database.close().await;
    print(&format!("{}\n", outcome?))?;
    closed
}

async fn execute(settings: &Settings, database: &Database, command: Command) -> Result<Value> {
    database.prepare().await?;
    let pool = database.pool(1)?;
    let mut transaction = pool.begin().await.context("could not begin a transaction")?;
    let now = Clock::System.now();
    let answer = match command {
        Command::Migrate => json!({"schema_version": homeward_store::schema_version()}),
        Command::Organisation(command) => organisation::run(&mut transaction, command, now).await?,
        Command::Patient(command) => patient::run(&mut transaction, command, now).await?,
        Command::Plan(command) => plan::run(&mut transaction, command, &Clock::System).await?,
        Command::Import(options) => {
            transaction.rollback().await.context("could not begin anew")?;
            return import::run(&pool, &options, settings.retention(), now).await;
        }
        Command::Key(command) => {
            transaction.rollback().await.context("could not begin anew")?;
            return key::run(&database.pool(2)?, settings, command).await;
        }
        Command::OptOut(command) => opt_out::run(&mut transaction, command, now).await?,
        Command::Rejected(command) => {
            transaction.rollback().await.context("could not begin anew")?;
            return rejected::run(&pool, command, &Clock::System).await;
        }
        Command::Research(command) => {
            transaction.rollback().await.context("could not begin anew")?;
            return research::run(&pool, command, &Clock::System).await;
        }
        Command::Device(command) => device::run(&mut transaction, command, settings, now).await?,
        Command::Account(command) => account::account(&mut transaction, command, now).await?,
        Command::Role(command) => account::role(&mut transaction, command, now).await?,
        Command::Proxy(command) => account::proxy(&mut transaction, command, now).await?,
        Command::Token(command) => token::run(&mut transaction, command, now).await?,
        Command::Receiver(command) => {
            // With a connection of its own: what was sealed stays so, whatever becomes of the command.
            let keys = keys::make_ready(settings, &database.pool(1)?).await?;
            receiver::run(&mut transaction, &keys, command, now).await?
        }
        Command::Audit(command) => audit::run(&mut transaction, command).await?,
    };
    transaction
        .commit()
        .await
        .context("could not commit the change")?;
    Ok(answer)
}

/// Writes down in the log of reads and changes what was done, and to whose record.
pub(crate) async fn note(
    connection: &mut PgConnection,
    action: &str,
    target: &str,
    patients: &[PatientId],
    now: DateTime<Utc>,
) -> Result<()> {
    let entry = AuditEntry {
        held_role: None,
        actor: AUTHOR,
        action,
        done: true,
        target,
        patients,
        reason: None,
        origin: None,
    };
    Ok(append_for_many(connection, &entry, now).await?)
}

/// 256 random bits, in hexadecimal digits.
pub(crate) fn random_secret() -> String {
    let bits: [u8; 32] = rand::random();
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}
