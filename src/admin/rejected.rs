//! Messages of devices of which something was refused. What is in them is shown to nobody: they are readings of patients.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use homeward_record::decode::Reason;
use homeward_record::{Clock, DeviceId, PatientId};
use homeward_store::rejected::{
    ListedRejected, RejectedFilter, count_wishes, list_rejected, load_rejected, wish_replays,
};
use homeward_store::{PgPool, devices};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::time::{Instant, sleep};

use super::{AUTHOR, note};

/// How many messages are looked up at once.
const PAGE: i64 = 1_000;

/// How often to see whether the service has tried them.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug, Subcommand)]
pub(crate) enum RejectedCommand {
    /// List messages, the latest first, with what was wrong and where
    List(ListOptions),
    /// Show one message: what was wrong, how long it is, whom its device measured then; not what is in it
    Show {
        #[arg(value_name = "ID")]
        message: i64,
    },
    /// Have messages tried once more, when what was wrong has been set right. The running service does so, and this waits
    /// for it
    Replay(ReplayOptions),
}

/// Which messages.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Those of this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// Those with a fault of this kind, as not_assigned
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Option<Reason>,
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    which: Which,
    /// Also those that are in the record by now
    #[arg(long)]
    all: bool,
    /// Those before this one: the `next` of a list before
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    /// How many
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    most: u16,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("asked").args(["messages", "device", "reason", "all"]).required(true).multiple(true))]
pub(crate) struct ReplayOptions {
    #[arg(value_name = "ID", conflicts_with_all = ["device", "reason", "all"])]
    messages: Vec<i64>,
    #[command(flatten)]
    which: Which,
    /// All of which something is missing in the record
    #[arg(long)]
    all: bool,
    /// For how many seconds to wait; what is not tried by then is tried all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u16,
}

fn reason(name: &str) -> Result<Reason, serde_json::Error> {
    serde_json::from_value(json!(name))
}

pub(super) async fn run(pool: &PgPool, command: RejectedCommand, clock: &Clock) -> Result<Value> {
    let connected = pool.acquire().await;
    let mut connection = connected.context("could not connect to the record")?;
    match command {
        RejectedCommand::List(options) => list(&mut connection, options).await,
        RejectedCommand::Show { message } => show(&mut connection, message).await,
        RejectedCommand::Replay(options) => replay(&mut connection, options, clock.now()).await,
    }
}

fn filter_of(which: &Which) -> RejectedFilter {
    RejectedFilter {
        device: which.device,
        reason: which.reason,
        ..RejectedFilter::default()
    }
}

async fn list(connection: &mut PgConnection, options: ListOptions) -> Result<Value> {
    let most = usize::from(options.most);
    let filter = RejectedFilter {
        still: !options.all,
        before: options.before,
        ..filter_of(&options.which)
    };
    let mut found = list_rejected(connection, &filter, i64::from(options.most) + 1).await?;
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|last| last.id);
    let rejected: Vec<Value> = found.iter().map(told).collect();
    Ok(json!({"rejected": rejected, "next": next}))
}

fn told(message: &ListedRejected) -> Value {
    let replayed = message.replayed.as_ref();
    json!({
        "id": message.id,
        "device_id": message.device,
        "kind": message.kind,
        "received_at": message.received_at,
        "topic": message.topic,
        "faults": message.faults,
        "replayed_at": replayed.map(|(at, _)| at),
        "replayed_by": replayed.map(|(_, by)| by),
    })
}

async fn show(connection: &mut PgConnection, id: i64) -> Result<Value> {
    let filter = RejectedFilter {
        ids: Some(vec![id]),
        ..RejectedFilter::default()
    };
    let found = list_rejected(connection, &filter, 1).await?;
    let (Some(message), Some(kept)) = (found.first(), load_rejected(connection, &[id]).await?.pop()) else {
        bail!("there is no refused message {id}");
    };
    let patient = measured(connection, &found).await?.pop();
    let mut told = told(message);
    told["bytes"] = json!(kept.payload.len());
    told["patient_id"] = json!(patient);
    Ok(told)
}

/// Whom the devices of messages measured when these came.
async fn measured(connection: &mut PgConnection, messages: &[ListedRejected]) -> Result<Vec<PatientId>> {
    let devices: Vec<DeviceId> = messages.iter().map(|message| message.device).collect();
    let known = devices::load(connection, &devices).await?;
    let patient = |message: &ListedRejected| known.get(&message.device)?.patient_at(message.received_at);
    Ok(messages.iter().filter_map(patient).collect())
}

async fn replay(connection: &mut PgConnection, options: ReplayOptions, now: DateTime<Utc>) -> Result<Value> {
    let filter = RejectedFilter {
        still: true,
        ids: (!options.messages.is_empty()).then_some(options.messages),
        ..filter_of(&options.which)
    };
    let asked = ask(connection, filter, now).await?;
    let until = Instant::now() + Duration::from_secs(options.wait.into());
    let mut waiting = count_wishes(connection, &asked).await?;
    while waiting > 0 && Instant::now() < until {
        sleep(LOOK_AGAIN).await;
        waiting = count_wishes(connection, &asked).await?;
    }
    let refused = count_refused(connection, &asked).await?.saturating_sub(waiting);
    let stored = asked.len() - refused - waiting;
    Ok(json!({"asked": asked.len(), "stored": stored, "refused": refused, "waiting": waiting}))
}

/// Asks for all messages of a filter to be tried once more, and answers which they are.
async fn ask(
    connection: &mut PgConnection,
    mut filter: RejectedFilter,
    now: DateTime<Utc>,
) -> Result<Vec<i64>> {
    let failed = "could not ask for messages to be tried once more";
    let mut transaction = sqlx::Connection::begin(connection).await.context(failed)?;
    let mut asked = Vec::new();
    loop {
        let found = list_rejected(&mut transaction, &filter, PAGE).await?;
        let Some(last) = found.last() else { break };
        filter.before = Some(last.id);
        let ids: Vec<i64> = found.iter().map(|message| message.id).collect();
        wish_replays(&mut transaction, &ids, AUTHOR).await?;
        let patients = measured(&mut transaction, &found).await?;
        let target = match ids[..] {
            [one] => format!("had refused message {one} tried once more"),
            _ => format!("had {} refused messages tried once more", ids.len()),
        };
        note(&mut transaction, "replay_rejected", &target, &patients, now).await?;
        asked.extend(ids);
    }
    transaction.commit().await.context(failed)?;
    Ok(asked)
}

/// Of how many messages something is still missing in the record.
async fn count_refused(connection: &mut PgConnection, ids: &[i64]) -> Result<usize> {
    let mut refused = 0;
    for ids in ids.chunks(usize::try_from(PAGE)?) {
        let filter = RejectedFilter {
            still: true,
            ids: Some(ids.to_vec()),
            ..RejectedFilter::default()
        };
        refused += list_rejected(connection, &filter, PAGE).await?.len();
    }
    Ok(refused)
}
