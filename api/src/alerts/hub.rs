//! One listener for all streams of alerts of this process.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homeward_alerts::Severity;
use homeward_record::PatientId;
use homeward_store::PgPool;
use homeward_store::alerts::{Episode, Transition, TransitionListener, latest_transition, transitions_after};
use serde::Serialize;
use sqlx::PgConnection;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{Alert, Happening, SEVERITIES};

/// How many events wait for a stream that is behind. One that is further behind reads the record, where
/// everything is; so this needs to cover no more than a burst.
const EVENTS_IN_WAIT: usize = 256;

/// How many transitions one look into the record brings.
pub(super) const PAGE: i64 = 100;

/// How often the record is looked at without a notification: the longest that an alert is late should one be
/// lost.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long to wait after the database failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One transition, ready to be sent.
#[derive(Debug)]
pub(super) struct AlertEvent {
    pub(super) id: i64,
    pub(super) patient: PatientId,
    pub(super) kind: String,
    pub(super) severity: Option<Severity>,
    /// JSON: what happened, and the episode as it stands.
    pub(super) data: String,
}

#[derive(Serialize)]
struct Data {
    transition: Happening,
    alert: Alert,
}

impl From<(Transition, Episode)> for AlertEvent {
    fn from((transition, episode): (Transition, Episode)) -> AlertEvent {
        let named = SEVERITIES.iter().find(|(name, _)| *name == episode.severity);
        let (id, kind, patient) = (transition.id, transition.kind.clone(), episode.patient);
        let data = Data {
            transition: Happening::from(transition),
            alert: Alert::from(episode),
        };
        AlertEvent {
            id,
            patient,
            kind,
            severity: named.map(|(_, severity)| *severity),
            data: serde_json::to_string(&data).expect("an alert is plain data"),
        }
    }
}

/// Hands every new transition to all streams.
#[derive(Debug)]
pub(crate) struct AlertHub {
    sender: broadcast::Sender<Arc<AlertEvent>>,
    began: AtomicBool,
}

impl AlertHub {
    pub(crate) fn new() -> AlertHub {
        AlertHub {
            sender: broadcast::Sender::new(EVENTS_IN_WAIT),
            began: AtomicBool::new(false),
        }
    }

    /// What comes from now on. It has no gaps once [`AlertHub::began`], but for those that it reports.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<AlertEvent>> {
        self.sender.subscribe()
    }

    /// Whether every transition that is committed from now on will be handed out.
    pub(super) fn began(&self) -> bool {
        self.began.load(Ordering::Acquire)
    }

    /// Listens until `shutdown`, through failures of the database.
    pub(crate) async fn run(&self, pool: &PgPool, shutdown: &CancellationToken) {
        let mut position = None;
        let mut waiting = false;
        let following = async {
            loop {
                let Err(error) = self.follow(pool, &mut position, &mut waiting).await;
                // One word at the beginning of a failure, and one at its end.
                if !std::mem::replace(&mut waiting, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "live alerts wait for the database");
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        };
        shutdown.run_until_cancelled(following).await;
    }

    /// Hands out what comes after `position`, which it moves, until the database fails.
    async fn follow(
        &self,
        pool: &PgPool,
        position: &mut Option<i64>,
        waiting: &mut bool,
    ) -> Result<Infallible, homeward_store::Error> {
        let mut listener = TransitionListener::listen(pool).await?;
        loop {
            self.hand_out(listener.connection().await?, position).await?;
            if std::mem::take(waiting) {
                tracing::info!("live alerts go on");
            }
            if let Ok(woken) = tokio::time::timeout(LOOK_EVERY, listener.woken()).await {
                woken?;
            }
        }
    }

    async fn hand_out(
        &self,
        connection: &mut PgConnection,
        position: &mut Option<i64>,
    ) -> Result<(), homeward_store::Error> {
        let mut after = match *position {
            Some(position) => position,
            None => latest_transition(connection).await?,
        };
        loop {
            *position = Some(after);
            self.began.store(true, Ordering::Release);
            let page = transitions_after(connection, after, PAGE).await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = last.id;
            for transition in page {
                // Nobody may be there to receive it.
                let _ = self.sender.send(Arc::new(AlertEvent::from(transition)));
            }
        }
    }
}
