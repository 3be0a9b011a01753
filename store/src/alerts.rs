//! Episodes as teams see them: reading them, and following what happens to them.

mod follow;
mod worklist;

use std::collections::HashMap;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use homeward_record::{EpisodeId, Metric, PatientId, Point, RuleId};
use serde_json::Value;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::Error;
use crate::access::Somebody;
use crate::assigned::{Assigned, is_whoever_acts};

pub use follow::{
    Transition, TransitionListener, latest_transition, transitions_after, transitions_of, transitions_of_each,
};
pub use worklist::{Look, Missed, Open, Place, count_open, list_open, look, missed, note_shown, patient_of};

/// Where an episode stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpisodeStatus {
    /// It lasts, and nobody has taken it up.
    Raised,
    /// It lasts, and a team has taken it up.
    Acknowledged,
    /// It is over, and nobody has taken it up.
    Cleared,
    /// It is over, and was taken up or put away; or it was withdrawn.
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
    pub acknowledged_by: Option<Somebody>,
    /// When its end was recorded.
    pub cleared_at: Option<DateTime<Utc>>,
    /// When the reading was measured with which it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it turned out that nothing is left on which it rests.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// Whose business it is.
    pub assigned_to: Option<Somebody>,
    /// Until when nobody is paged for it.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// How many levels of its escalation have been told.
    pub escalation: u32,
    /// The reading with which it began.
    pub onset: Point,
    /// Its newest reading.
    pub latest: Point,
    /// Its worst reading.
    pub worst: Point,
    /// What the rule computed from readings, where it does so.
    pub figures: Figures,
    /// What else there is to say, as of the latest reading; its form depends on the rule's kind.
    pub detail: Option<Value>,
}

/// What a rule computed at three readings of an episode, in the unit of its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// At the onset.
    pub onset: Option<f64>,
    /// At the latest reading.
    pub latest: Option<f64>,
    /// At the worst reading.
    pub worst: Option<f64>,
}

/// Which episodes to list: of the statuses and severities that are named, what else is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpisodeFilter {
    /// Those that stand so.
    pub statuses: Vec<EpisodeStatus>,
    /// Those of these severities.
    pub severities: Vec<String>,
    /// Those of one patient.
    pub patient: Option<PatientId>,
    /// Those that are late, or those that are not.
    pub late: Option<bool>,
    /// Those whose rule was taken from this programme.
    pub programme: Option<String>,
    /// Those that went on after this time, and those that are not closed.
    pub since: Option<DateTime<Utc>>,
    /// Those that are somebody's business, or nobody's.
    pub assigned: Option<Assigned>,
    /// In which order.
    pub order: EpisodeOrder,
    /// Those after this one, in that order.
    pub after: Option<EpisodeId>,
}

/// In which order episodes are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EpisodeOrder {
    /// The latest raised first.
    #[default]
    Latest,
    /// The most severe first, and of these the one that was raised first: who has waited longest.
    Urgency,
}

/// One episode; `None` when there is none of this number.
pub async fn find_episode(
    connection: &mut PgConnection,
    episode: EpisodeId,
) -> Result<Option<Episode>, Error> {
    Ok(load_episodes(connection, &[episode.0]).await?.pop())
}

/// Those of some episodes that there are, the latest raised first.
pub async fn find_episodes(
    connection: &mut PgConnection,
    episodes: &[EpisodeId],
) -> Result<Vec<Episode>, Error> {
    let ids: Vec<i64> = episodes.iter().map(|episode| episode.0).collect();
    load_episodes(connection, &ids).await
}

/// Lists episodes in the order of the filter.
pub async fn list_episodes(
    connection: &mut PgConnection,
    filter: &EpisodeFilter,
    limit: i64,
) -> Result<Vec<Episode>, Error> {
    if filter.statuses.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = asking_for(filter, limit)
        .build_query_scalar()
        .fetch_all(&mut *connection)
        .await
        .map_err(|source| Error::new("list episodes", source))?;
    load_in_order(connection, &ids).await
}

/// The episodes with these numbers, in their order.
async fn load_in_order(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Episode>, Error> {
    let mut episodes = load_episodes(connection, ids).await?;
    let place: HashMap<i64, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    episodes.sort_by_key(|episode| place.get(&episode.id.0).copied());
    Ok(episodes)
}

/// The query for the numbers of the episodes that a filter lets through. It says no more than is asked, so that each
/// question can have its own index.
fn asking_for(filter: &EpisodeFilter, limit: i64) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("SELECT episode_id FROM episode");
    restrict(&mut query, filter);
    if let Some(after) = filter.after {
        // Where that one has another severity by now, the list goes on from its new place.
        match filter.order {
            EpisodeOrder::Latest => query.push(" AND episode_id < ").push_bind(after.0),
            EpisodeOrder::Urgency => query
                .push(" AND (urgency(severity), episode_id) > (SELECT urgency(severity), episode_id FROM episode WHERE episode_id = ")
                .push_bind(after.0)
                .push(")"),
        };
    }
    query.push(match filter.order {
        EpisodeOrder::Latest => " ORDER BY episode_id DESC LIMIT ",
        EpisodeOrder::Urgency => " ORDER BY urgency(severity), episode_id LIMIT ",
    });
    query.push_bind(limit);
    query
}

/// Has a query ask for what a filter lets through, whatever its place in the order.
fn restrict(query: &mut QueryBuilder<Postgres>, filter: &EpisodeFilter) {
    let statuses: Vec<String> = filter
        .statuses
        .iter()
        .map(|status| format!("'{}'", status.as_str()))
        .collect();
    // As text: only so does the planner see that closed ones, of which there are the most, are not asked for.
    let statuses = statuses.join(", ");
    query
        .push(" WHERE status IN (")
        .push(statuses)
        .push(") AND severity = ANY (");
    query.push_bind(filter.severities.clone()).push(")");
    if let Some(patient) = filter.patient {
        query.push(" AND patient_id = ").push_bind(patient.0);
    }
    if let Some(late) = filter.late {
        query.push(" AND late = ").push_bind(late);
    }
    match &filter.assigned {
        None => {}
        // It is assigned to them, or they took it up and it is assigned to nobody else.
        Some(Assigned::ToWhoeverActs(name)) => {
            query.push(" AND CASE WHEN assigned_to IS NOT NULL THEN ");
            is_whoever_acts(query, ("assigned_role_id", "assigned_to"), name);
            query.push(" WHEN acknowledged_at IS NOT NULL THEN (SELECT ");
            is_whoever_acts(query, ("held_role_id", "actor"), name);
            query.push(
                " FROM episode_transition
                  WHERE episode_transition.episode_id = episode.episode_id AND kind = 'acknowledged'
                  ORDER BY transition_id DESC LIMIT 1) END",
            );
        }
        Some(assigned) => assigned.restrict(query),
    }
    if let Some(since) = filter.since {
        // Whatever ended was noted later.
        query.push(" AND (status <> 'closed' OR cleared_at >= ");
        query.push_bind(since).push(")");
    }
    if let Some(programme) = &filter.programme {
        query.push(" AND rule_id IN (SELECT rule_id FROM care_plan_rule WHERE programme = ");
        query.push_bind(programme.clone()).push(")");
    }
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
    acknowledged_role: Option<i64>,
    acknowledged_account: Option<i64>,
    cleared_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
    assigned_to: Option<String>,
    assigned_role: Option<i64>,
    assigned_account: Option<i64>,
    snoozed_until: Option<DateTime<Utc>>,
    escalation: i32,
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
    detail: Option<Value>,
}

/// The episodes with these numbers, the latest raised first.
pub(crate) async fn load_episodes(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Episode>, Error> {
    let failed = |source| Error::new("load episodes", source);
    let rows = sqlx::query_as!(
        EpisodeRow,
        r#"
        SELECT episode_id, episode.patient_id, episode.rule_id, episode.code, definition, severity, status, late,
            raised_at, acknowledged_at, cleared_at, ended_at, withdrawn_at, snoozed_until, escalation,
            taken.actor AS "acknowledged_by?", taken.held_role_id AS "acknowledged_role?",
            (SELECT account_id FROM held_role WHERE held_role.held_role_id = taken.held_role_id) AS acknowledged_account,
            assigned_to, assigned_role_id AS assigned_role,
            (SELECT account_id FROM held_role WHERE held_role_id = assigned_role_id) AS assigned_account,
            onset_at, onset_value, onset_metric, onset_figure,
            latest_at, latest_value, latest_metric, latest_figure,
            worst_at, worst_value, worst_metric, worst_figure, detail
        FROM episode JOIN care_plan_rule USING (rule_id) LEFT JOIN LATERAL (
            SELECT actor, held_role_id FROM episode_transition
            WHERE episode_transition.episode_id = episode.episode_id AND kind = 'acknowledged'
                AND acknowledged_at IS NOT NULL
            ORDER BY transition_id DESC LIMIT 1
        ) AS taken ON true
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

pub(crate) fn unknown(what: &str) -> sqlx::Error {
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
        acknowledged_by: Somebody::of(
            row.acknowledged_by,
            row.acknowledged_role,
            row.acknowledged_account,
        ),
        cleared_at: row.cleared_at,
        ended_at: row.ended_at,
        withdrawn_at: row.withdrawn_at,
        assigned_to: Somebody::of(row.assigned_to, row.assigned_role, row.assigned_account),
        snoozed_until: row.snoozed_until,
        escalation: row.escalation.unsigned_abs(),
        onset: point(row.onset_at, row.onset_metric, row.onset_value)?,
        latest: point(row.latest_at, row.latest_metric, row.latest_value)?,
        worst: point(row.worst_at, row.worst_metric, row.worst_value)?,
        figures: Figures {
            onset: row.onset_figure,
            latest: row.latest_figure,
            worst: row.worst_figure,
        },
        detail: row.detail,
    })
}
