//! Telling receivers of alerts: from the outbox in the record to webhooks and mail servers.
//!
//! A worker takes what is due for one receiver in a transaction of its own, sends it, and marks it. Whoever dies
//! in between leaves a lease that runs out, and then it is sent again: at least once, and after one death at
//! most twice. Nothing that leaves here says more of a patient than the number under which the record has them.

mod backoff;
mod email;
mod message;
mod rate;
mod signature;
#[cfg(test)]
mod tests;
mod webhook;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use homeward_record::Clock;
use homeward_store::outbox::{self, Channel, Message, Receiver};
use homeward_store::secrets::{Keyring, SecretError, Whose};
use homeward_store::{Error, PgPool};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::outgoing::{Caller, SetupError};
use email::Mailer;
use message::Links;
use rate::Turn;

pub use email::{AddressError, MailError, check_address};
pub use message::LinkError;

/// How many receivers are served at a time: one that does not answer holds up one of them for no longer than
/// [`SEND_WITHIN`].
const WORKERS: usize = 4;

/// How often a worker that had nothing to do looks again. An alert is told no later than this after its commit.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait when the database failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long sending one message may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// How long nobody else sends what a worker took: far longer than sending and marking it takes, and not so long
/// that an alert is lost sight of when its worker dies.
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// The most messages to one receiver in a turn: all are on their way at the same time.
const MESSAGES_IN_A_TURN: u32 = 20;

/// The most alerts of which a digest tells; further ones wait for the next.
const ALERTS_IN_A_DIGEST: u32 = 200;

/// Where messages lead to, and through what they go.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the pages of alerts are: the number of an alert follows after `/alerts/`.
    pub link_base: String,
    /// The mail server: `smtp://` or `smtps://`, with user and password where it wants them.
    pub smtp_url: Option<String>,
    /// Who e-mails are from.
    pub from: Option<String>,
}

/// Why notifications cannot be sent as it was configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The address for links is not one.
    #[error("links cannot be made")]
    Links(#[from] LinkError),
    /// The mail server's URL or the sender cannot be used.
    #[error("e-mail cannot be sent")]
    Mail(#[from] MailError),
    /// No TLS connection can be made.
    #[error("webhooks cannot be called")]
    Webhooks(#[from] SetupError),
}

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("there was no answer in time")]
    TimedOut,
    #[error("the webhook could not be called")]
    Webhook(#[from] webhook::CallError),
    #[error("the e-mail could not be sent")]
    Mail(#[from] email::SendMailError),
    #[error("no mail server is configured")]
    NoMailServer,
    #[error("what signs it could not be opened")]
    Secret(#[from] SecretError),
}

/// Sends what is in the outbox.
#[derive(Debug)]
pub struct Notifier {
    pool: PgPool,
    keys: Keyring,
    links: Links,
    caller: Caller,
    mailer: Option<Mailer>,
}

impl Notifier {
    /// Makes ready to send; connects to nobody yet.
    ///
    /// # Errors
    ///
    /// When the configuration makes no sense.
    pub fn new(pool: PgPool, keys: Keyring, config: &Config) -> Result<Notifier, ConfigError> {
        for outcome in ["sent", "retried", "failed"] {
            metrics::counter!("homeward_alerts_notifications_total", "outcome" => outcome).absolute(0);
        }
        Ok(Notifier {
            pool,
            keys,
            links: Links::new(&config.link_base)?,
            caller: Caller::new()?,
            mailer: Mailer::new(config.smtp_url.as_deref(), config.from.as_deref())?,
        })
    }

    /// Sends until `stop`, through failures of the database. What is on its way then is waited for.
    pub async fn run(&self, clock: &Clock, stop: &CancellationToken) {
        join_all((0..WORKERS).map(|_| self.work(clock, stop))).await;
    }

    async fn work(&self, clock: &Clock, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.turn(clock.now()).await {
                Ok(true) => continue,
                Ok(false) => LOOK_EVERY,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "notifications wait for the database");
                    RETRY_AFTER
                }
            };
            stop.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// Sends all that is due at `now`.
    pub async fn run_once(&self, now: DateTime<Utc>) -> Result<(), Error> {
        while self.turn(now).await? {}
        Ok(())
    }

    /// Sees to one receiver; whether there was one.
    async fn turn(&self, now: DateTime<Utc>) -> Result<bool, Error> {
        let Some((receiver, messages)) = self.take(now).await? else {
            return Ok(false);
        };
        let sending = messages
            .iter()
            .map(|message| self.send_and_mark(&receiver, message, now));
        join_all(sending)
            .await
            .into_iter()
            .collect::<Result<(), Error>>()?;
        Ok(true)
    }

    /// Takes what may be sent now to a receiver for whom something is due.
    async fn take(&self, now: DateTime<Utc>) -> Result<Option<(Receiver, Vec<Message>)>, Error> {
        let failed = |source| Error::new("take notifications", source);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let Some(receiver) = outbox::lock_receiver(&mut transaction, now).await? else {
            return Ok(None);
        };
        outbox::cancel_unsettled(&mut transaction, receiver.id, now).await?;
        let usage = outbox::usage(&mut transaction, receiver.id, now).await?;
        let turn = Turn::of(receiver.hourly_limit, &usage, MESSAGES_IN_A_TURN, now);
        let leased_until = now + LEASE;
        let mut messages =
            outbox::claim(&mut transaction, receiver.id, turn.alone, leased_until, now).await?;
        if turn.digest {
            let most = ALERTS_IN_A_DIGEST;
            messages
                .extend(outbox::claim_digest(&mut transaction, receiver.id, most, leased_until, now).await?);
        }
        if let Some(until) = turn.wait_until {
            outbox::postpone(&mut transaction, receiver.id, until, now).await?;
        }
        transaction.commit().await.map_err(failed)?;
        // What was cancelled in this moment is no more in its digest, which is cancelled once its lease is over.
        messages.retain(|message| !message.alerts.is_empty());
        Ok(Some((receiver, messages)))
    }

    async fn send_and_mark(
        &self,
        receiver: &Receiver,
        message: &Message,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let sent = timeout(SEND_WITHIN, self.send(receiver, message, now)).await;
        let failure = sent.unwrap_or(Err(SendError::TimedOut)).err();
        let connected = self.pool.acquire().await;
        let mut connection = connected.map_err(|source| Error::new("mark a notification", source))?;
        let Some(error) = failure else {
            count("sent");
            return outbox::mark_sent(&mut connection, message.id, now).await;
        };
        let again_at = backoff::next_attempt(message.attempts, message.created_at, now, rand::random());
        note_failure(receiver, message, &error, again_at.is_some());
        outbox::mark_failed(&mut connection, message.id, &in_full(&error), again_at).await
    }

    async fn send(
        &self,
        receiver: &Receiver,
        message: &Message,
        now: DateTime<Utc>,
    ) -> Result<(), SendError> {
        match &receiver.channel {
            Channel::Webhook { sealed } => {
                let secret = self.keys.open(Whose::WebhookOf(receiver.id), sealed)?;
                let body = message::json(message, &self.links, now);
                let signature = signature::header(&secret, now, body.as_bytes());
                Ok(webhook::post(&self.caller, &receiver.address, message.id, &signature, body).await?)
            }
            Channel::Email => {
                let mailer = self.mailer.as_ref().ok_or(SendError::NoMailServer)?;
                let text = message::text(message, &self.links);
                Ok(mailer.send(&receiver.address, message.id, &text, now).await?)
            }
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("homeward_alerts_notifications_total", "outcome" => outcome).increment(1);
}

fn note_failure(receiver: &Receiver, message: &Message, error: &SendError, again: bool) {
    let (notification_id, receiver_id, attempts) = (message.id, receiver.id, message.attempts);
    let error = error as &dyn std::error::Error;
    if again {
        count("retried");
        tracing::warn!(
            notification_id,
            receiver_id,
            attempts,
            error,
            "a notification could not be sent; it is tried again"
        );
    } else {
        count("failed");
        tracing::error!(
            notification_id,
            receiver_id,
            attempts,
            error,
            "a notification was given up"
        );
    }
}

/// An error with its causes, for the record.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
