//! Episodes as judging reads and writes them.

use chrono::{DateTime, Utc};
use homeward_record::{Metric, PatientId, Point, RuleId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::outbox::enqueue_raised;

/// What readings say of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeFacts {
    /// The version of the rule that raised it.
    pub rule: RuleId,
    /// When the readings were measured by which the condition came to hold.
    pub met_at: DateTime<Utc>,
    /// The reading with which it began.
    pub onset: Marked,
    /// Its newest reading.
    pub latest: Marked,
    /// Its worst reading.
    pub worst: Marked,
    /// How far that is beyond its limit, as a share of it.
    pub worst_excess: f64,
    /// None of its readings has arrived on time.
    pub late: bool,
    /// What else an explanation needs.
    pub detail: Option<Value>,
    /// When the reading was measured that ended it.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A reading, and what was computed with it.
pub type Marked = (Point, Option<f64>);

/// An episode in the record.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedEpisode {
    /// Whose.
    pub patient: PatientId,
    /// Of which rule.
    pub code: String,
    /// Which.
    pub episode: i64,
    /// What readings said.
    pub facts: EpisodeFacts,
}

/// Which episodes of a rule judging may touch: the open one, and those that ended after a time.
#[derive(Clone, Debug)]
pub struct Touchable<'a> {
    /// Whose.
    pub patient: PatientId,
    /// Of which rule.
    pub code: &'a str,
    /// The time; without it only the open one.
    pub ended_after: Option<DateTime<Utc>>,
}

/// One change of an episode.
#[derive(Clone, Debug, PartialEq)]
pub enum EpisodeWrite {
    /// A new episode; it may be over already.
    Insert {
        /// Whose.
        patient: PatientId,
        /// Of which rule.
        code: String,
        /// `high`, `medium`, `low` or `info`.
        severity: &'static str,
        /// What readings say.
        facts: EpisodeFacts,
    },
    /// An episode goes on, ends, or turns out to be another than was thought.
    Update {
        /// Which.
        episode: i64,
        /// What readings say now.
        facts: EpisodeFacts,
        /// What happened to it, for those who are told.
        kinds: Vec<&'static str>,
    },
    /// What the episode rested on is gone.
    Withdraw {
        /// Which.
        episode: i64,
    },
}

/// An episode's columns, as the statements below take them.
#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    episode_id: Option<i64>,
    patient_id: Option<i64>,
    code: Option<String>,
    severity: Option<String>,
    rule_id: i64,
    late: bool,
    met_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    onset_at: DateTime<Utc>,
    onset_value: f64,
    onset_metric: i16,
    onset_figure: Option<f64>,
    latest_at: DateTime<Utc>,
    latest_value: f64,
    latest_metric: i16,
    latest_figure: Option<f64>,
    worst_at: DateTime<Utc>,
    worst_value: f64,
    worst_metric: i16,
    worst_figure: Option<f64>,
    worst_excess: f64,
    detail: Option<Value>,
}

/// The episodes that judging may touch, by patient, rule and time.
pub async fn load_touchable(
    connection: &mut PgConnection,
    of: &[Touchable<'_>],
) -> Result<Vec<JudgedEpisode>, Error> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"
        SELECT episode.episode_id, episode.patient_id, episode.code, rule_id, late, met_at, ended_at,
               onset_at, onset_value, onset_metric, onset_figure,
               latest_at, latest_value, latest_metric, latest_figure,
               worst_at, worst_value, worst_metric, worst_figure, worst_excess, detail
        FROM UNNEST($1::bigint[], $2::text[], $3::timestamptz[]) AS of (patient_id, code, ended_after)
        -- The open one has an index of its own. Of the others nothing is read where none is asked for.
        CROSS JOIN LATERAL (
            SELECT episode_id FROM episode
            WHERE episode.patient_id = of.patient_id AND episode.code = of.code AND cleared_at IS NULL
            UNION ALL
            SELECT episode_id FROM episode
            WHERE episode.patient_id = of.patient_id AND episode.code = of.code AND cleared_at IS NOT NULL
                AND of.ended_after IS NOT NULL AND ended_at > of.ended_after
        ) AS touchable
        JOIN episode USING (episode_id)
        WHERE withdrawn_at IS NULL
        ORDER BY episode.patient_id, episode.code, met_at, episode_id
        "#,
        &of.iter().map(|of| of.patient.0).collect::<Vec<_>>(),
        &of.iter().map(|of| of.code.to_owned()).collect::<Vec<_>>(),
        &of.iter().map(|of| of.ended_after).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read episodes", source))?;
    let marked = |metric, at, value, figure| {
        Some((
            Point {
                metric: Metric::from_code(metric)?,
                at,
                value,
            },
            figure,
        ))
    };
    let episodes = rows.into_iter().filter_map(|row| {
        Some(JudgedEpisode {
            patient: PatientId(row.patient_id),
            code: row.code,
            episode: row.episode_id,
            facts: EpisodeFacts {
                rule: RuleId(row.rule_id),
                met_at: row.met_at.unwrap_or(row.onset_at),
                onset: marked(row.onset_metric, row.onset_at, row.onset_value, row.onset_figure)?,
                latest: marked(
                    row.latest_metric,
                    row.latest_at,
                    row.latest_value,
                    row.latest_figure,
                )?,
                worst: marked(row.worst_metric, row.worst_at, row.worst_value, row.worst_figure)?,
                worst_excess: row.worst_excess.unwrap_or(0.0),
                late: row.late,
                detail: row.detail,
                ended_at: row.ended_at,
            },
        })
    });
    Ok(episodes.collect())
}

/// Writes changes of episodes and their transitions, and has those told who are to be told at once. `now` is
/// when they are recorded. No rule has two open episodes in between: what ends is written before what is open.
pub async fn write_episodes(
    connection: &mut PgConnection,
    writes: Vec<EpisodeWrite>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if writes.is_empty() {
        return Ok(());
    }
    let failed = |source| Error::new("write episodes", source);
    let (mut inserts, mut withdrawn, mut updates) = (Vec::new(), Vec::new(), Vec::new());
    let mut transitions: Vec<(i64, &'static str)> = Vec::new();
    for write in writes {
        match write {
            EpisodeWrite::Insert {
                patient,
                code,
                severity,
                facts,
            } => inserts.push(Row {
                patient_id: Some(patient.0),
                code: Some(code),
                severity: Some(severity.to_owned()),
                ..Row::from(facts)
            }),
            EpisodeWrite::Update {
                episode,
                facts,
                kinds,
            } => {
                transitions.extend(kinds.into_iter().map(|kind| (episode, kind)));
                updates.push(Row {
                    episode_id: Some(episode),
                    ..Row::from(facts)
                });
            }
            EpisodeWrite::Withdraw { episode } => {
                transitions.push((episode, "withdrawn"));
                withdrawn.push(episode);
            }
        }
    }
    withdraw(connection, &withdrawn, now).await.map_err(failed)?;
    let (over, open): (Vec<_>, Vec<_>) = updates.into_iter().partition(|row| row.ended_at.is_some());
    for rows in [over, open] {
        let closed = update(connection, rows, now).await.map_err(failed)?;
        // Only what has just been cleared is closed by it.
        let cleared = |episode: &i64| transitions.contains(&(*episode, "cleared"));
        let closed: Vec<_> = closed.into_iter().filter(cleared).collect();
        transitions.extend(closed.into_iter().map(|episode| (episode, "closed")));
    }
    let mut told: Vec<i64> = transitions
        .iter()
        .filter(|(_, kind)| matches!(*kind, "became_current" | "reopened"))
        .map(|(episode, _)| *episode)
        .collect();
    for (episode, over) in insert(connection, inserts, now).await.map_err(failed)? {
        transitions.push((episode, "raised"));
        if over {
            transitions.push((episode, "cleared"));
        }
        told.push(episode);
    }
    insert_transitions(connection, &transitions, now)
        .await
        .map_err(failed)?;
    enqueue_raised(connection, &told, now).await
}

async fn withdraw(
    connection: &mut PgConnection,
    episodes: &[i64],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if episodes.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE episode SET status = 'closed', withdrawn_at = $2, cleared_at = COALESCE(cleared_at, $2),
             ended_at = COALESCE(ended_at, latest_at)
         WHERE episode_id = ANY ($1)",
        episodes,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Answers the episodes that are closed now.
async fn update(
    connection: &mut PgConnection,
    rows: Vec<Row>,
    now: DateTime<Utc>,
) -> Result<Vec<i64>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        r#"
        UPDATE episode SET
            late = x.late, met_at = x.met_at, ended_at = x.ended_at,
            onset_at = x.onset_at, onset_value = x.onset_value, onset_metric = x.onset_metric,
            onset_figure = x.onset_figure,
            latest_at = x.latest_at, latest_value = x.latest_value, latest_metric = x.latest_metric,
            latest_figure = x.latest_figure,
            worst_at = x.worst_at, worst_value = x.worst_value, worst_metric = x.worst_metric,
            worst_figure = x.worst_figure, worst_excess = x.worst_excess, detail = x.detail,
            cleared_at = CASE WHEN x.ended_at IS NOT NULL THEN COALESCE(cleared_at, $2) END,
            status = CASE
                WHEN x.ended_at IS NULL AND cleared_at IS NOT NULL
                    THEN CASE WHEN acknowledged_at IS NULL THEN 'raised' ELSE 'acknowledged' END
                WHEN x.ended_at IS NULL OR cleared_at IS NOT NULL THEN status
                WHEN status = 'raised' THEN 'cleared'
                ELSE 'closed'
            END
        FROM jsonb_to_recordset($1) AS x (
            episode_id bigint, late boolean, met_at timestamptz, ended_at timestamptz,
            onset_at timestamptz, onset_value float8, onset_metric smallint, onset_figure float8,
            latest_at timestamptz, latest_value float8, latest_metric smallint, latest_figure float8,
            worst_at timestamptz, worst_value float8, worst_metric smallint, worst_figure float8,
            worst_excess float8, detail jsonb)
        WHERE episode.episode_id = x.episode_id AND withdrawn_at IS NULL
        RETURNING CASE WHEN status = 'closed' THEN episode.episode_id END
        "#,
        Json(rows) as _,
        now
    )
    .fetch_all(connection)
    .await
    .map(|ids| ids.into_iter().flatten().collect())
}

/// Answers the new episodes, and whether they are over.
async fn insert(
    connection: &mut PgConnection,
    rows: Vec<Row>,
    now: DateTime<Utc>,
) -> Result<Vec<(i64, bool)>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let expected = rows.len();
    let inserted = sqlx::query!(
        r#"
        INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, cleared_at, met_at, ended_at,
            onset_at, onset_value, onset_metric, onset_figure, latest_at, latest_value, latest_metric, latest_figure,
            worst_at, worst_value, worst_metric, worst_figure, worst_excess, detail)
        SELECT patient_id, rule_id, code, severity, CASE WHEN ended_at IS NULL THEN 'raised' ELSE 'cleared' END, late,
            $2, CASE WHEN ended_at IS NOT NULL THEN $2::timestamptz END, met_at, ended_at,
            onset_at, onset_value, onset_metric, onset_figure, latest_at, latest_value, latest_metric, latest_figure,
            worst_at, worst_value, worst_metric, worst_figure, worst_excess, detail
        FROM jsonb_to_recordset($1) AS x (
            patient_id bigint, rule_id bigint, code text, severity text, late boolean, met_at timestamptz,
            ended_at timestamptz,
            onset_at timestamptz, onset_value float8, onset_metric smallint, onset_figure float8,
            latest_at timestamptz, latest_value float8, latest_metric smallint, latest_figure float8,
            worst_at timestamptz, worst_value float8, worst_metric smallint, worst_figure float8,
            worst_excess float8, detail jsonb)
        ON CONFLICT (patient_id, code) WHERE cleared_at IS NULL DO NOTHING
        RETURNING episode_id, cleared_at IS NOT NULL AS "over!"
        "#,
        Json(rows) as _,
        now
    )
    .fetch_all(connection)
    .await?;
    if inserted.len() < expected {
        // Somebody changed the record by hand, or restored a part of it. That must not keep readings out.
        tracing::error!(
            "an episode that is open already is raised: the record and what rules remember disagree"
        );
    }
    Ok(inserted
        .into_iter()
        .map(|row| (row.episode_id, row.over))
        .collect())
}

async fn insert_transitions(
    connection: &mut PgConnection,
    transitions: &[(i64, &'static str)],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if transitions.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO episode_transition (episode_id, kind, at)
         SELECT episode_id, kind, $3 FROM UNNEST($1::bigint[], $2::text[]) AS transition (episode_id, kind)",
        &transitions
            .iter()
            .map(|(episode, _)| *episode)
            .collect::<Vec<_>>(),
        &transitions
            .iter()
            .map(|(_, kind)| (*kind).to_owned())
            .collect::<Vec<_>>(),
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

impl From<EpisodeFacts> for Row {
    fn from(facts: EpisodeFacts) -> Row {
        let EpisodeFacts {
            rule,
            met_at,
            onset,
            latest,
            worst,
            worst_excess,
            late,
            detail,
            ended_at,
        } = facts;
        Row {
            episode_id: None,
            patient_id: None,
            code: None,
            severity: None,
            rule_id: rule.0,
            late,
            met_at,
            ended_at,
            onset_at: onset.0.at,
            onset_value: onset.0.value,
            onset_metric: onset.0.metric.code(),
            onset_figure: onset.1,
            latest_at: latest.0.at,
            latest_value: latest.0.value,
            latest_metric: latest.0.metric.code(),
            latest_figure: latest.1,
            worst_at: worst.0.at,
            worst_value: worst.0.value,
            worst_metric: worst.0.metric.code(),
            worst_figure: worst.1,
            worst_excess,
            detail,
        }
    }
}
