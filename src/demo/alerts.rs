//! Live alerts, a line each.

use std::collections::HashSet;

use anyhow::{Context, Result};
use homeward_alerts::{About, Definition, Mark, Zone, explain};
use homeward_record::EpisodeId;
use homeward_store::PgPool;
use homeward_store::alerts::{Episode, Transition, TransitionListener, latest_transition, transitions_after};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Transitions to read at once.
const PAGE: i64 = 200;

/// Follows the record and sends a line for each alert that pages somebody, until `stop`.
pub(super) async fn follow(pool: PgPool, lines: mpsc::Sender<String>, stop: CancellationToken) -> Result<()> {
    let follow = async {
        // The listener first: what is committed between the two is then heard of as well.
        let mut listener = TransitionListener::listen(&pool).await?;
        let mut follower = Follower {
            seen: latest_transition(&mut *pool.acquire().await?).await?,
            told: HashSet::new(),
            lines,
        };
        loop {
            listener.woken().await?;
            follower.send_new(&pool).await?;
        }
    };
    tokio::select! {
        ended = follow => ended,
        () = stop.cancelled() => Ok(()),
    }
}

struct Follower {
    /// The number of the last transition that was read.
    seen: i64,
    /// The open episodes that were told. A late one may be current by the time that its raising is read, and
    /// then its becoming so is no news.
    told: HashSet<EpisodeId>,
    lines: mpsc::Sender<String>,
}

impl Follower {
    async fn send_new(&mut self, pool: &PgPool) -> Result<()> {
        let mut connection = pool.acquire().await.context("could not reach the database")?;
        loop {
            let page = transitions_after(&mut connection, self.seen, PAGE).await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            self.seen = last.id;
            for (transition, episode) in &page {
                if self.is_news(transition, episode) {
                    // Nobody reads any more while everything stops.
                    let _ = self.lines.send(line(transition, episode)?).await;
                }
            }
        }
    }

    /// Whether somebody is paged from this transition on.
    fn is_news(&mut self, transition: &Transition, episode: &Episode) -> bool {
        match transition.kind.as_str() {
            "raised" => !episode.late && self.told.insert(episode.id),
            "became_current" | "reopened" => self.told.insert(episode.id),
            "cleared" | "withdrawn" => {
                self.told.remove(&episode.id);
                false
            }
            _ => false,
        }
    }
}

fn line(transition: &Transition, episode: &Episode) -> Result<String> {
    let definition: Definition = serde_json::from_value(episode.definition.clone())?;
    let about = About {
        onset: Mark::of(episode.onset, episode.figures.onset),
        latest: Mark::of(episode.latest, episode.figures.latest),
        worst: Mark::of(episode.worst, episode.figures.worst),
        detail: episode.detail.as_ref(),
        cleared_at: episode.ended_at.or(episode.cleared_at),
    };
    let text = explain(&definition, &about);
    let at = Zone::PATIENTS.local(transition.at).format("%H:%M:%S");
    Ok(format!(
        "{at}  {:6}  patient {}  {text}",
        episode.severity, episode.patient
    ))
}
