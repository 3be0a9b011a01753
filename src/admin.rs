//! Administration: one change of the record, and one JSON object that says what became of it.

mod account;
mod import;
mod opt_out;
mod plan;
mod research;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};
use homeward_alerts::plans::copy_programme;
use homeward_alerts::{Programme, notify, outgoing};
use homeward_record::{Clock, DeviceId, NhsNumber, PatientId};
use homeward_store::access;
use homeward_store::admin::{self, NewDevice, NewPatient, NewReceiver, NewToken};
use homeward_store::audit::{self, AuditEntry};
use homeward_store::patients::find_device;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::config::Settings;
use crate::database::Database;
use crate::lifecycle::Lifecycle;
use crate::print::print;
use account::{AccountCommand, ProxyCommand, RoleCommand};
use import::ImportOptions;
use opt_out::OptOutCommand;
use plan::PlanCommand;
use research::ResearchCommand;

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
    /// Those who are told of alerts, by webhook or e-mail
    #[command(subcommand)]
    Receiver(ReceiverCommand),
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

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no row was edited, taken out or put in; prints the head, which is worth noting somewhere else
    Verify {
        /// A head that was noted earlier: that row has to be there still
        #[arg(long, value_name = "NUMBER:HASH", value_parser = head)]
        head: Option<(i64, String)>,
    },
}

fn head(text: &str) -> Result<(i64, String), &'static str> {
    const EXPECTED: &str = "expected what the command printed as the head";
    let (sequence, hash) = text.split_once(':').ok_or(EXPECTED)?;
    Ok((sequence.parse().map_err(|_| EXPECTED)?, hash.to_owned()))
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum PatientCommand {
    /// Add a patient
    Add {
        /// Ten digits; spaces and dashes may stand between them
        #[arg(long, value_name = "NUMBER")]
        nhs_number: NhsNumber,
        #[arg(long, value_parser = text)]
        name: String,
        /// Date of birth, as 1948-07-05
        #[arg(long, value_name = "DATE")]
        born: NaiveDate,
        /// A programme whose rules the care plan begins with; may be given several times
        #[arg(long, value_name = "PROGRAMME", value_parser = programme)]
        plan: Vec<&'static Programme>,
        /// The GP practice where the patient is registered
        #[arg(long, value_name = "ID")]
        organisation: Option<i64>,
        /// The care team with which the patient is enrolled [default: the default care team]
        #[arg(long, value_name = "ID")]
        team: Option<i64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Add a device; prints its secret, which is not kept and not shown again
    Add {
        /// What it is: cuff, watch, cgm, meter, …
        #[arg(long, value_parser = text)]
        kind: String,
        #[arg(long, value_name = "ID")]
        patient: PatientId,
        /// From when on it measures this patient, as 2026-03-01T09:00:00Z. By default as far back as the record
        /// takes readings, so that what the device holds in its memory is taken. Give the time at which it was
        /// handed over when somebody else used it before
        #[arg(long, value_name = "TIME")]
        from: Option<DateTime<Utc>>,
        /// How many minutes the device's clock face is ahead of UTC, for formats that carry local times
        #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_negative_numbers = true,
            value_parser = clap::value_parser!(i32).range(-1080..=1080))]
        utc_offset: i32,
    },
    /// Give a device to another patient
    Assign {
        #[arg(value_name = "ID")]
        device: DeviceId,
        #[arg(long, value_name = "ID")]
        patient: PatientId,
        /// From when on it measures this patient; its running assignment ends then [default: now]. Readings that
        /// are stored already stay where they are
        #[arg(long, value_name = "TIME")]
        from: Option<DateTime<Utc>>,
    },
    /// Refuse a device from now on, for ever
    Revoke {
        #[arg(value_name = "ID")]
        device: DeviceId,
    },
    /// List the devices that measure or measured a patient
    List {
        #[arg(long, value_name = "ID")]
        patient: PatientId,
    },
}

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
    role: access::Role,
    /// Where [default: the default care team]
    #[arg(long, value_name = "ID")]
    organisation: Option<i64>,
    /// A SMART on FHIR scope, as user/Observation.read; may be given several times [default: all that the role may]
    #[arg(long, value_name = "SCOPE", value_parser = text)]
    scope: Vec<String>,
    /// For how many days it is good [default: until it is revoked]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    days: Option<u16>,
}

/// A program is no patient: patients sign in.
fn token_role(name: &str) -> Result<access::Role, String> {
    match name.parse()? {
        access::Role::Patient => Err("a program cannot be a patient".to_owned()),
        role => Ok(role),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiverCommand {
    /// Add a receiver; prints the secret that signs what goes to a webhook, which is not shown again
    Add(ReceiverOptions),
    /// List the receivers
    List,
    /// Tell a receiver nothing from now on
    Disable {
        #[arg(value_name = "ID")]
        receiver: i64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReceiverOptions {
    /// Who or what it is
    #[arg(long, value_parser = text)]
    name: String,
    /// When it is told: at once, when the team has not taken an alert up, or when nobody has
    #[arg(long, value_enum)]
    role: Role,
    #[command(flatten)]
    channel: Channel,
    /// It hears of the patients who are registered with this organisation [default: of all]
    #[arg(long, value_name = "ID")]
    organisation: Option<i64>,
    /// It hears of alerts of this severity and of more urgent ones
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "info")]
    lowest_severity: Severity,
    /// The most messages within an hour; what is more is told together
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..))]
    hourly_limit: i32,
}

/// How a receiver is told: one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Channel {
    /// An http or https URL that takes POST requests
    #[arg(long, value_name = "URL", value_parser = webhook)]
    webhook: Option<String>,
    /// An address of e-mail
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    email: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Role {
    Team,
    Lead,
    OnCall,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Severity {
    High,
    Medium,
    Low,
    Info,
}

fn webhook(url: &str) -> Result<String, outgoing::UrlError> {
    outgoing::check_url(url)?;
    Ok(url.to_owned())
}

fn email(address: &str) -> Result<String, notify::AddressError> {
    notify::check_address(address)?;
    Ok(address.to_owned())
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

pub(crate) fn programme(name: &str) -> Result<&'static Programme, String> {
    Programme::named(name).ok_or_else(|| {
        let names: Vec<&str> = Programme::names().collect();
        format!("the programmes are: {}", names.join(", "))
    })
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
        Command::Organisation(OrganisationCommand::Add { kind, name }) => {
            let id = admin::add_organisation(&mut transaction, &name_of(&kind), &name).await?;
            let target = format!("added {name}, organisation {id}");
            note(&mut transaction, "manage_organisations", &target, &[], now).await?;
            json!({"organisation_id": id})
        }
        Command::Patient(command) => add_patient(&mut transaction, command, now).await?,
        Command::Plan(command) => {
            transaction.rollback().await.context("could not begin anew")?;
            return plan::run(&pool, command, &Clock::System).await;
        }
        Command::Import(options) => {
            transaction.rollback().await.context("could not begin anew")?;
            return import::run(&pool, &options, settings.retention(), now).await;
        }
        Command::OptOut(command) => opt_out::run(&mut transaction, command, now).await?,
        Command::Research(command) => {
            transaction.rollback().await.context("could not begin anew")?;
            return research::run(&pool, command, &Clock::System).await;
        }
        Command::Device(command) => device(&mut transaction, command, settings, now).await?,
        Command::Account(command) => account::account(&mut transaction, command, now).await?,
        Command::Role(command) => account::role(&mut transaction, command, now).await?,
        Command::Proxy(command) => account::proxy(&mut transaction, command, now).await?,
        Command::Token(TokenCommand::Add(options)) => {
            let token = format!("hw_{}", random_secret());
            let new = NewToken {
                name: &options.name,
                token: &token,
                role: options.role,
                organisation: options.organisation,
                scopes: (!options.scope.is_empty()).then_some(&options.scope[..]),
                expires_at: options.days.map(|days| now + TimeDelta::days(days.into())),
            };
            let id = admin::add_token_for(&mut transaction, &new).await?;
            let target = format!("made token {id} for {}, acting as {}", options.name, options.role);
            note(&mut transaction, "manage_tokens", &target, &[], now).await?;
            json!({"token_id": id, "token": token, "role": options.role, "expires_at": new.expires_at})
        }
        Command::Audit(AuditCommand::Verify { head }) => {
            let head = head.as_ref().map(|(sequence, hash)| (*sequence, hash.as_str()));
            let verified = audit::verify(&mut transaction, head).await?;
            if let Some(fault) = verified.fault {
                bail!("the log of reads and changes is not as it was written: {fault}");
            }
            let (sequence, hash) = verified.head;
            json!({"rows": verified.rows, "head": format!("{sequence}:{hash}")})
        }
        Command::Token(TokenCommand::Revoke { token }) => {
            let revoked_at = admin::revoke_token(&mut transaction, token, now).await?;
            let target = format!("revoked token {token}");
            note(&mut transaction, "manage_tokens", &target, &[], now).await?;
            json!({"token_id": token, "revoked_at": revoked_at})
        }
        Command::Receiver(command) => receiver(&mut transaction, command, now).await?,
    };
    transaction
        .commit()
        .await
        .context("could not commit the change")?;
    Ok(answer)
}

async fn add_patient(
    connection: &mut PgConnection,
    command: PatientCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    let PatientCommand::Add {
        nhs_number,
        name,
        born,
        plan,
        organisation,
        team,
    } = command;
    if born > now.date_naive() {
        bail!("the date of birth, {born}, has not come yet");
    }
    let new = NewPatient {
        nhs_number: &nhs_number,
        name: &name,
        born,
        organisation,
        team,
    };
    let patient = admin::add_patients(connection, &[new]).await?[0];
    for programme in &plan {
        enrol(connection, &[patient], programme, now).await?;
    }
    let target = format!("patient {patient}");
    note(connection, "manage_patients", &target, &[patient], now).await?;
    let plans: Vec<&str> = plan.iter().map(|programme| programme.name.as_str()).collect();
    Ok(json!({"patient_id": patient, "plans": plans}))
}

/// Puts a programme's rules into the care plans of patients.
pub(crate) async fn enrol(
    connection: &mut PgConnection,
    patients: &[PatientId],
    programme: &Programme,
    now: DateTime<Utc>,
) -> Result<()> {
    Ok(copy_programme(connection, patients, programme, (AUTHOR, "enrolment"), now).await?)
}

async fn device(
    connection: &mut PgConnection,
    command: DeviceCommand,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Value> {
    match command {
        DeviceCommand::Add {
            kind,
            patient,
            from,
            utc_offset,
        } => {
            let secret = random_secret();
            let new = NewDevice {
                kind: &kind,
                secret: &secret,
                utc_offset_minutes: utc_offset,
                patient,
                from: from.unwrap_or(now - settings.retention()),
            };
            let device = admin::add_devices(connection, &[new]).await?[0];
            let target = format!("device {device}");
            note(connection, "manage_devices", &target, &[patient], now).await?;
            Ok(credentials(device, &secret))
        }
        DeviceCommand::Assign {
            device,
            patient,
            from,
        } => {
            let from = from.unwrap_or(now);
            let before = find_device(connection, device, now).await?;
            let before = before
                .filter(|before| before.current)
                .map(|before| before.patient);
            admin::assign_device(connection, device, patient, from).await?;
            let patients: Vec<PatientId> = before.into_iter().chain([patient]).collect();
            let target = format!("device {device}");
            note(connection, "manage_devices", &target, &patients, now).await?;
            Ok(json!({"device_id": device, "patient_id": patient, "from": from}))
        }
        DeviceCommand::Revoke { device } => {
            let revoked_at = admin::revoke_device(connection, device, now).await?;
            let measured = find_device(connection, device, now).await?;
            let patients: Vec<PatientId> = measured.map(|device| device.patient).into_iter().collect();
            let target = format!("device {device}");
            note(connection, "manage_devices", &target, &patients, now).await?;
            Ok(json!({"device_id": device, "revoked_at": revoked_at}))
        }
        DeviceCommand::List { patient } => {
            let devices = admin::list_devices(connection, patient).await?;
            Ok(json!({"devices": devices}))
        }
    }
}

async fn receiver(
    connection: &mut PgConnection,
    command: ReceiverCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    match command {
        ReceiverCommand::Add(options) => {
            let Channel { webhook, email } = options.channel;
            let secret = webhook.is_some().then(|| format!("whsec_{}", random_secret()));
            let new = NewReceiver {
                name: &options.name,
                role: &name_of(&options.role),
                organisation: options.organisation,
                secret: secret.as_deref(),
                address: webhook.as_deref().or(email.as_deref()).unwrap_or_default(),
                lowest_severity: &name_of(&options.lowest_severity),
                hourly_limit: options.hourly_limit,
            };
            let id = admin::add_receiver(connection, &new).await?;
            Ok(json!({"receiver_id": id, "secret": secret}))
        }
        ReceiverCommand::List => {
            let receivers = admin::list_receivers(connection).await?;
            Ok(json!({"receivers": receivers}))
        }
        ReceiverCommand::Disable { receiver } => {
            let disabled_at = admin::disable_receiver(connection, receiver, now).await?;
            Ok(json!({"receiver_id": receiver, "disabled_at": disabled_at}))
        }
    }
}

/// Writes down in the log of reads and changes what was done, and to whose record.
async fn note(
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
    Ok(audit::append_for_many(connection, &entry, now).await?)
}

/// What has to be typed into a device.
fn credentials(device: DeviceId, secret: &str) -> Value {
    let topic = |rest: &str| format!("v1/devices/{device}/{rest}");
    json!({
        "device_id": device,
        "secret": secret,
        "username": device.to_string(),
        "client_id": device.to_string(),
        "topics": {
            "readings": topic("readings"),
            "gatt": topic("gatt/{uuid16}"),
            "errors": topic("errors"),
        },
    })
}

/// 256 random bits, in hexadecimal digits.
pub(crate) fn random_secret() -> String {
    let bits: [u8; 32] = rand::random();
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}
