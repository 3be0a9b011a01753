//! Episodes as teams see them: reading them, acknowledging one, and following what happens to them.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use homeward_record::{EpisodeId, Metric, PatientId, Point, RuleId};
use serde_json::Value;
use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};

use crate::Error;

/// The channel on which every commit of transitions is announced.
const CHANNEL: &str = "homeward_alert";

/// How often, and after which pause, [`acknowledge`] tries to get hold of an episode that a lane is writing:
/// a lane's transaction takes milliseconds.
const ACKNOWLEDGE_ATTEMPTS: u32 = 200;
const ACKNOWLEDGE_PAUSE: Duration = Duration::from_millis(10);

/// Where an episode stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpisodeStatus {
    /// It lasts, and nobody has taken it up.
    Raised,
    /// It lasts, and a team has taken it up.
    Acknowledged,
    /// It is over, and nobody has taken it up.
    Cleared,
    /// It is over, and was taken up.
    Closed,
}

impl EpisodeStatus {
    /// Every status, in the order in which an episode may go through them.
    pub const ALL: [EpisodeStatus; 4] = [
        EpisodeStatus::Raised,
        EpisodeStatus::Acknowledged,
        EpisodeStatus::Cleared,
        EpisodeStatus::Closed,
    ];

    /// The name in the record and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            EpisodeStatus::Raised => "raised",
            EpisodeStatus::Acknowledged => "acknowledged",
            EpisodeStatus::Cleared => "cleared",
            EpisodeStatus::Closed => "closed",
        }
    }

    /// The status after somebody has taken the episode up; `None` when somebody had before.
    fn once_acknowledged(self) -> Option<EpisodeStatus> {
        match self {
            EpisodeStatus::Raised => Some(EpisodeStatus::Acknowledged),
            EpisodeStatus::Cleared => Some(EpisodeStatus::Closed),
            EpisodeStatus::Acknowledged | EpisodeStatus::Closed => None,
        }
    }
}

impl FromStr for EpisodeStatus {
    type Err = ();

    fn from_str(name: &str) -> Result<EpisodeStatus, ()> {
        EpisodeStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == name)
            .ok_or(())
    }
}

/// An episode, with the rule that raised it.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Its number. A later one was raised later.
    pub id: EpisodeId,
    /// Whose it is.
    pub patient: PatientId,
    /// The version of the rule that raised it.
    pub rule: RuleId,
    /// Names the rule across its versions.
    pub code: String,
    /// That version's definition.
    pub definition: Value,
    /// `high`, `medium`, `low` or `info`.
    pub severity: String,
    /// Where it stands.
    pub status: EpisodeStatus,
    /// Whether it comes from readings that arrived late, and so pages nobody.
    pub late: bool,
    /// When it was recorded.
    pub raised_at: DateTime<Utc>,
    /// When it was taken up.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who took it up.
    pub acknowledged_by: Option<String>,
    /// When its end was recorded.
    pub cleared_at: Option<DateTime<Utc>>,
    /// The reading with which it began.
    pub onset: Point,
    /// Its newest reading.
    pub latest: Point,
    /// Its worst reading.
    pub worst: Point,
}

/// Which episodes to list.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeFilter {
    /// Those that stand so.
    pub statuses: Vec<EpisodeStatus>,
    /// Those of these severities.
    pub severities: Vec<String>,
    /// Those of one patient.
    pub patient: Option<PatientId>,
    /// Those that are late, or those that are not.
    pub late: Option<bool>,
    /// Those raised before this one.
    pub before: Option<EpisodeId>,
}

/// Lists episodes, the latest raised first.
pub async fn list_episodes(
    connection: &mut PgConnection,
    filter: &EpisodeFilter,
    limit: i64,
) -> Result<Vec<Episode>, Error> {
    let statuses: Vec<String> = filter
        .statuses
        .iter()
        .map(|status| status.as_str().to_owned())
        .collect();
    let ids = sqlx::query_scalar!(
        "SELECT episode_id FROM episode
         WHERE status = ANY ($1) AND severity = ANY ($2)
             AND ($3::bigint IS NULL OR patient_id = $3)
             AND ($4::boolean IS NULL OR late = $4)
             AND ($5::bigint IS NULL OR episode_id < $5)
         ORDER BY episode_id DESC
         LIMIT $6",
        &statuses,
        &filter.severities,
        filter.patient.map(|patient| patient.0),
        filter.late,
        filter.before.map(|episode| episode.0),
        limit
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|source| Error::new("list episodes", source))?;
    load_episodes(connection, &ids).await
}

struct EpisodeRow {
    episode_id: i64,
    patient_id: i64,
    rule_id: i64,
    code: String,
    definition: Value,
    severity: String,
    status: String,
    late: bool,
    raised_at: DateTime<Utc>,
    acknowledged_at: Option<DateTime<Utc>>,
    acknowledged_by: Option<String>,
    cleared_at: Option<DateTime<Utc>>,
    onset_at: DateTime<Utc>,
    onset_value: f64,
    onset_metric: i16,
    latest_at: DateTime<Utc>,
    latest_value: f64,
    latest_metric: i16,
    worst_at: DateTime<Utc>,
    worst_value: f64,
    worst_metric: i16,
}

/// The episodes with these numbers, the latest raised first.
async fn load_episodes(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Episode>, Error> {
    let failed = |source| Error::new("load episodes", source);
    let rows = sqlx::query_as!(
        EpisodeRow,
        r#"
        SELECT episode_id, episode.patient_id, episode.rule_id, episode.code, definition, severity, status, late,
            raised_at, acknowledged_at, cleared_at,
            (SELECT actor FROM episode_transition
             WHERE episode_transition.episode_id = episode.episode_id AND kind = 'acknowledged'
             ORDER BY transition_id LIMIT 1) AS acknowledged_by,
            onset_at, onset_value, onset_metric, latest_at, latest_value, latest_metric,
            worst_at, worst_value, worst_metric
        FROM episode JOIN care_plan_rule USING (rule_id)
        WHERE episode_id = ANY ($1)
        ORDER BY episode_id DESC
        "#,
        ids
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|row| episode(row).map_err(failed)).collect()
}

fn unknown(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the record has an unknown {what}").into())
}

fn episode(row: EpisodeRow) -> Result<Episode, sqlx::Error> {
    let point = |at, metric, value| match Metric::from_code(metric) {
        Some(metric) => Ok(Point { at, metric, value }),
        None => Err(unknown("metric")),
    };
    Ok(Episode {
        id: EpisodeId(row.episode_id),
        patient: PatientId(row.patient_id),
        rule: RuleId(row.rule_id),
        code: row.code,
        definition: row.definition,
        severity: row.severity,
        status: row.status.parse().map_err(|()| unknown("status"))?,
        late: row.late,
        raised_at: row.raised_at,
        acknowledged_at: row.acknowledged_at,
        acknowledged_by: row.acknowledged_by,
        cleared_at: row.cleared_at,
        onset: point(row.onset_at, row.onset_metric, row.onset_value)?,
        latest: point(row.latest_at, row.latest_metric, row.latest_value)?,
        worst: point(row.worst_at, row.worst_metric, row.worst_value)?,
    })
}

/// What became of the wish to acknowledge an episode.
#[derive(Clone, Debug, PartialEq)]
pub enum Acknowledgement {
    /// The episode is acknowledged, by this call or by an earlier one, and stands so.
    Done(Box<Episode>),
    /// There is no such episode.
    Unknown,
    /// The episode was being written for all of some seconds.
    Busy,
}

/// Records that `actor` has taken an episode up, unless somebody had before.
///
/// Whoever writes transitions holds the lock of their numbers until the end, and a lane may hold it when
/// it comes to wait for this episode. So this takes the lock first, and then never waits for the episode:
/// while a lane is writing it, everything is let go and tried anew.
pub async fn acknowledge(
    pool: &PgPool,
    episode: EpisodeId,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Acknowledgement, Error> {
    for _ in 0..ACKNOWLEDGE_ATTEMPTS {
        match try_acknowledge(pool, episode, actor, now).await? {
            Acknowledgement::Busy => tokio::time::sleep(ACKNOWLEDGE_PAUSE).await,
            outcome => return Ok(outcome),
        }
    }
    Ok(Acknowledgement::Busy)
}

async fn try_acknowledge(
    pool: &PgPool,
    episode: EpisodeId,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Acknowledgement, Error> {
    let failed = |source| Error::new("acknowledge an episode", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    let locked = lock_episode(&mut transaction, episode).await.map_err(failed)?;
    if let Some(status) = locked
        && let Some(next) = status.once_acknowledged()
    {
        write_acknowledgement(&mut transaction, episode, next, actor, now)
            .await
            .map_err(failed)?;
    }
    let episode = load_episodes(&mut transaction, &[episode.0]).await?.pop();
    transaction.commit().await.map_err(failed)?;
    Ok(match (episode, locked) {
        (None, _) => Acknowledgement::Unknown,
        (Some(_), None) => Acknowledgement::Busy,
        (Some(episode), Some(_)) => Acknowledgement::Done(Box::new(episode)),
    })
}

/// The status of an episode that nobody else changes until the transaction ends; `None` when somebody is
/// changing it, or there is none.
async fn lock_episode(
    connection: &mut PgConnection,
    episode: EpisodeId,
) -> Result<Option<EpisodeStatus>, sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(7462, 2)")
        .execute(&mut *connection)
        .await?;
    let status = sqlx::query_scalar!(
        "SELECT status FROM episode WHERE episode_id = $1 FOR UPDATE SKIP LOCKED",
        episode.0
    )
    .fetch_optional(connection)
    .await?;
    status
        .map(|status| status.parse())
        .transpose()
        .map_err(|()| unknown("status"))
}

async fn write_acknowledgement(
    connection: &mut PgConnection,
    episode: EpisodeId,
    next: EpisodeStatus,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE episode SET status = $2, acknowledged_at = $3 WHERE episode_id = $1",
        episode.0,
        next.as_str(),
        now
    )
    .execute(&mut *connection)
    .await?;
    let mut kinds = vec!["acknowledged".to_owned()];
    if next == EpisodeStatus::Closed {
        kinds.push("closed".to_owned());
    }
    sqlx::query!(
        "INSERT INTO episode_transition (episode_id, kind, at, actor)
         SELECT $1, kind, $3, $4 FROM UNNEST($2::text[]) AS kind",
        episode.0,
        &kinds,
        now,
        actor
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Something that happened to an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Its number. Numbers become visible in their order, so what follows one is never missed.
    pub id: i64,
    /// `raised`, `became_current`, `acknowledged`, `cleared` or `closed`.
    pub kind: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Who did it; `None`: the rule itself.
    pub actor: Option<String>,
    /// The episode as it stands now, which may be later than the transition.
    pub episode: Episode,
}

/// The number of the latest transition; 0 when there is none.
pub async fn latest_transition(connection: &mut PgConnection) -> Result<i64, Error> {
    sqlx::query_scalar!(r#"SELECT COALESCE(max(transition_id), 0) AS "id!" FROM episode_transition"#)
        .fetch_one(connection)
        .await
        .map_err(|source| Error::new("read the latest transition", source))
}

/// The transitions after a number, in their order, at most `limit` of them.
pub async fn transitions_after(
    connection: &mut PgConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<Transition>, Error> {
    let rows = sqlx::query!(
        "SELECT transition_id, episode_id, kind, at, actor FROM episode_transition
         WHERE transition_id > $1 ORDER BY transition_id LIMIT $2",
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
        let episode = episodes
            .iter()
            .find(|episode| episode.id == EpisodeId(row.episode_id))?;
        Some(Transition {
            id: row.transition_id,
            kind: row.kind,
            at: row.at,
            actor: row.actor,
            episode: episode.clone(),
        })
    });
    Ok(transitions.collect())
}

/// Wakes whoever waits for transitions.
#[derive(Debug)]
pub struct TransitionListener {
    listener: PgListener,
}

impl TransitionListener {
    /// Begins to listen, on a connection that it keeps. A commit of transitions after this wakes it.
    pub async fn listen(pool: &PgPool) -> Result<TransitionListener, Error> {
        let failed = |source| Error::new("listen for transitions", source);
        let mut listener = PgListener::connect_with(pool).await.map_err(failed)?;
        listener.listen(CHANNEL).await.map_err(failed)?;
        Ok(TransitionListener { listener })
    }

    /// Waits until transitions may have been committed. Also returns when the connection was lost and
    /// another one listens, because what was committed in between was not heard.
    pub async fn woken(&mut self) -> Result<(), Error> {
        self.listener
            .try_recv()
            .await
            .map_err(|source| Error::new("listen for transitions", source))?;
        // One look into the record answers all that wait in the buffer.
        while self.listener.next_buffered().is_some() {}
        Ok(())
    }
}
