//! What time does: rules that were put into a plan for a time are over, snoozes end, what nobody takes up is told to
//! others, an end is told to those who heard of the beginning, and who measures nothing any more is found silent.
//!
//! All of it is in the record, and [`run_once`] does what is due there: doing it twice changes nothing, several
//! processes may do it at once, and after an outage it does what is due *now*, once, rather than all that would
//! have been done meanwhile.

mod ladder;
mod silence;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use homeward_store::episodes::{announce_ends, end_snoozes, escalate};
use homeward_store::plans::end_lapsed;
use homeward_store::{Error, PgPool};

/// The most episodes, or series, that one transaction sees to: it takes milliseconds, and keeps lanes waiting
/// for no longer.
const BATCH: i64 = 200;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Episodes that ended because their rules' time was over.
    pub lapsed: u64,
    /// Snoozes that ended.
    pub snoozes_ended: u64,
    /// Episodes whose escalation was looked at.
    pub escalations: u64,
    /// Episodes whose end was told, or did not have to be.
    pub ends: u64,
    /// Episodes of silence that were raised.
    pub silences: u64,
}

/// Does all that is due at `now`. To be called every few seconds.
pub async fn run_once(pool: &PgPool, now: DateTime<Utc>) -> Result<Done, Error> {
    let mut done = Done {
        lapsed: end_lapsed(pool, now).await?,
        ..Done::default()
    };
    // A snooze that ends lets an escalation go on, so it comes first.
    loop {
        let ended = end_snoozes(pool, BATCH, now).await?;
        done.snoozes_ended += ended;
        if ended == 0 {
            break;
        }
    }
    loop {
        let seen = escalate(pool, BATCH, now, |episode| ladder::decide(episode, now)).await?;
        done.escalations += seen;
        if seen == 0 {
            break;
        }
    }
    loop {
        let ends = announce_ends(pool, BATCH, now).await?;
        done.ends += ends;
        if ends == 0 {
            break;
        }
    }
    done.silences = silence::run_once(pool, now).await?;
    Ok(done)
}
