use std::io;

use chrono::{DateTime, Utc};
use homeward_record::EpisodeId;
use serde_json::Value;
use sqlx::postgres::PgListener;
use sqlx::{Acquire, PgConnection, PgPool};

use super::{Episode, load_episodes};
use crate::Error;
use crate::access::Somebody;

/// The channel on which every commit of transitions is announced.
const CHANNEL: &str = "homeward_alert";

/// Something that happened to an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Its number. Numbers become visible in their order, so what follows one is never missed.
    pub id: i64,
    /// `raised`, `became_current`, `amended`, `reopened`, `withdrawn`, `acknowledged`, `assigned`, `commented`,
    /// `snoozed`, `snooze_ended`, `escalated`, `cleared` or `closed`.
    pub kind: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Who did it; `None`: the rule itself, or time.
    pub actor: Option<Somebody>,
    /// What it says beside its kind; an object whose members depend on that.
    pub detail: Option<Value>,
}

/// The number of the latest transition; 0 when there is none.
pub async fn latest_transition(connection: &mut PgConnection) -> Result<i64, Error> {
    sqlx::query_scalar!(r#"SELECT COALESCE(max(transition_id), 0) AS "id!" FROM episode_transition"#)
        .fetch_one(connection)
        .await
        .map_err(|source| Error::new("read the latest transition", source))
}

/// A transition, and whose.
struct TransitionRow {
    transition_id: i64,
    episode_id: i64,
    kind: String,
    at: DateTime<Utc>,
    actor: Option<String>,
    held_role: Option<i64>,
    account: Option<i64>,
    detail: Option<Value>,
}

impl From<TransitionRow> for (EpisodeId, Transition) {
    fn from(row: TransitionRow) -> (EpisodeId, Transition) {
        let transition = Transition {
            id: row.transition_id,
            kind: row.kind,
            at: row.at,
            actor: Somebody::of(row.actor, row.held_role, row.account),
            detail: row.detail,
        };
        (EpisodeId(row.episode_id), transition)
    }
}

/// Everything that happened to an episode, in order.
pub async fn transitions_of(
    connection: &mut PgConnection,
    episode: EpisodeId,
) -> Result<Vec<Transition>, Error> {
    let transitions = transitions_of_each(connection, &[episode]).await?;
    Ok(transitions
        .into_iter()
        .map(|(_, transition)| transition)
        .collect())
}

/// Everything that happened to each of some episodes, in order.
pub async fn transitions_of_each(
    connection: &mut PgConnection,
    episodes: &[EpisodeId],
) -> Result<Vec<(EpisodeId, Transition)>, Error> {
    let rows = sqlx::query_as!(
        TransitionRow,
        r#"SELECT transition_id, episode_id, kind, at, actor, held_role_id AS held_role, account_id AS "account?", detail
           FROM episode_transition LEFT JOIN held_role USING (held_role_id)
           WHERE episode_id = ANY ($1) ORDER BY transition_id"#,
        &episodes.iter().map(|episode| episode.0).collect::<Vec<_>>()
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read the transitions of episodes", source))?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// The transitions after a number, in their order, at most `limit` of them. Each comes with its episode as that
/// stands now, which may be later than the transition.
pub async fn transitions_after(
    connection: &mut PgConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<(Transition, Episode)>, Error> {
    let rows = sqlx::query_as!(
        TransitionRow,
        r#"SELECT transition_id, episode_id, kind, at, actor, held_role_id AS held_role, account_id AS "account?", detail
           FROM episode_transition LEFT JOIN held_role USING (held_role_id)
           WHERE transition_id > $1 ORDER BY transition_id LIMIT $2"#,
        after,
        limit
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|source| Error::new("read transitions", source))?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut ids: Vec<i64> = rows.iter().map(|row| row.episode_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let episodes = load_episodes(connection, &ids).await?;
    let transitions = rows.into_iter().filter_map(|row| {
        let (id, transition) = row.into();
        let episode = episodes.iter().find(|episode| episode.id == id)?;
        Some((transition, episode.clone()))
    });
    Ok(transitions.collect())
}

/// Wakes whoever waits for transitions, and has a connection of its own to read them with: alerts do not wait
/// in a queue behind other queries.
#[derive(Debug)]
pub struct TransitionListener {
    listener: PgListener,
}

impl TransitionListener {
    /// Begins to listen, on a connection that it keeps. A commit of transitions after this wakes it.
    pub async fn listen(pool: &PgPool) -> Result<TransitionListener, Error> {
        let failed = |source| Error::new("listen for transitions", source);
        let mut listener = PgListener::connect_with(pool).await.map_err(failed)?;
        // A lost connection is an error, see `woken`: to connect again within it could be cut off half-way.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(failed)?;
        Ok(TransitionListener { listener })
    }

    /// The connection that it listens on.
    pub async fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.listener
            .acquire()
            .await
            .map_err(|source| Error::new("connect to the record", source))
    }

    /// Waits until transitions may have been committed.
    ///
    /// # Errors
    ///
    /// When the connection is lost. Another listener has to take over, and to look for what was not heard in
    /// between.
    pub async fn woken(&mut self) -> Result<(), Error> {
        let lost = || sqlx::Error::Io(io::ErrorKind::ConnectionAborted.into());
        let heard = self.listener.try_recv().await;
        heard
            .and_then(|notification| notification.ok_or_else(lost))
            .map_err(|source| Error::new("listen for transitions", source))?;
        // One look into the record answers all that wait in the buffer.
        while self.listener.next_buffered().is_some() {}
        Ok(())
    }
}
