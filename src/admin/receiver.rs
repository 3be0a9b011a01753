//! Those who are told of alerts, by webhook or e-mail.

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use homeward_alerts::{notify, outgoing};
use homeward_store::admin::{NewReceiver, add_receiver, disable_receiver, list_receivers};
use homeward_store::secrets::Keyring;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{name_of, note, random_secret, text};

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

pub(super) async fn run(
    connection: &mut PgConnection,
    keys: &Keyring,
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
            let id = add_receiver(connection, keys, &new).await?;
            let target = format!("added {}, receiver {id}", options.name);
            note(connection, "manage_receivers", &target, &[], now).await?;
            Ok(json!({"receiver_id": id, "secret": secret}))
        }
        ReceiverCommand::List => {
            let receivers = list_receivers(connection).await?;
            Ok(json!({"receivers": receivers}))
        }
        ReceiverCommand::Disable { receiver } => {
            let disabled_at = disable_receiver(connection, receiver, now).await?;
            let target = format!("disabled receiver {receiver}");
            note(connection, "manage_receivers", &target, &[], now).await?;
            Ok(json!({"receiver_id": receiver, "disabled_at": disabled_at}))
        }
    }
}
