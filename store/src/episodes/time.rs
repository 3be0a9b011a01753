//! What time does to episodes. Each function does at most `limit` of what is due, so that no transaction is
//! long; it may be called by several at once, who then share the work.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::lock_transitions;
use crate::Error;
use crate::outbox::cancel;

/// Ends the snoozes whose time is up, and answers how many. The escalation of what nobody has taken up goes on.
pub async fn end_snoozes(pool: &PgPool, limit: i64, now: DateTime<Utc>) -> Result<u64, Error> {
    let failed = |source| Error::new("end snoozes", source);
    // Most of the time there is nothing to do, and then no lock is needed.
    let any = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM episode WHERE snoozed_until <= $1) AS "any!""#,
        now
    )
    .fetch_one(pool)
    .await
    .map_err(failed)?;
    if !any {
        return Ok(0);
    }
    let mut transaction = pool.begin().await.map_err(failed)?;
    lock_transitions(&mut transaction).await?;
    let ended = sqlx::query_scalar!(
        r#"
        WITH ended AS (
            UPDATE episode SET snoozed_until = NULL,
                told_at = CASE WHEN status <> 'raised' THEN told_at END,
                escalate_at = CASE WHEN escalates_from IS NOT NULL THEN $1 END
            WHERE episode_id IN (
                SELECT episode_id FROM episode WHERE snoozed_until <= $1
                ORDER BY snoozed_until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
            RETURNING episode_id, cleared_at
        ), transitions AS (
            INSERT INTO episode_transition (episode_id, kind, at)
            SELECT episode_id, 'snooze_ended', $1::timestamptz FROM ended WHERE cleared_at IS NULL
            ORDER BY episode_id
        )
        SELECT count(*) AS "ended!" FROM ended
        "#,
        now,
        limit
    )
    .fetch_one(&mut *transaction)
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(ended.unsigned_abs())
}

/// An episode that nobody has taken up, and of which it is time to see whether somebody has to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalating {
    /// Its number.
    pub episode: i64,
    /// `high`, `medium`, `low` or `info`.
    pub severity: String,
    /// What its rule says.
    pub definition: Value,
    /// From when on the times of the levels count.
    pub from: DateTime<Utc>,
    /// How many levels have been told.
    pub told: u32,
    /// When somebody was told last; `None`: nobody yet, or nobody since a snooze ended.
    pub told_at: Option<DateTime<Utc>>,
}

/// What becomes of an episode's escalation.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalated {
    /// The episode.
    pub episode: i64,
    /// Who is told now.
    pub telling: Option<Telling>,
    /// When to see again whether somebody has to be told; `None`: never.
    pub next_at: Option<DateTime<Utc>>,
}

/// Whom an episode is told to.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// The number of the level, from 0.
    pub level: u32,
    /// The role of those who are told.
    pub to: &'static str,
    /// They were told before.
    pub again: bool,
}

/// Escalates what is due: `decide` says what becomes of each episode. Answers how many it looked at.
pub async fn escalate(
    pool: &PgPool,
    limit: i64,
    now: DateTime<Utc>,
    decide: impl Fn(&Escalating) -> Escalated + Send,
) -> Result<u64, Error> {
    let failed = |source| Error::new("escalate episodes", source);
    let any = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM episode WHERE status = 'raised' AND escalate_at <= $1) AS "any!""#,
        now
    )
    .fetch_one(pool)
    .await
    .map_err(failed)?;
    if !any {
        return Ok(0);
    }
    let mut transaction = pool.begin().await.map_err(failed)?;
    lock_transitions(&mut transaction).await?;
    let due = lock_escalating(&mut transaction, limit, now)
        .await
        .map_err(failed)?;
    let outcomes: Vec<Escalated> = due.iter().map(decide).collect();
    tell(&mut transaction, &outcomes, now).await.map_err(failed)?;
    set_escalation(&mut transaction, &outcomes, now)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(due.len() as u64)
}

async fn lock_escalating(
    connection: &mut PgConnection,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Escalating>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT episode_id, severity, definition, escalates_from AS "escalates_from!", escalation, told_at
        FROM episode JOIN care_plan_rule USING (rule_id)
        WHERE status = 'raised' AND escalate_at <= $1 AND escalates_from IS NOT NULL
        ORDER BY escalate_at, episode_id
        LIMIT $2
        FOR NO KEY UPDATE OF episode SKIP LOCKED
        "#,
        now,
        limit
    )
    .fetch_all(connection)
    .await?;
    let escalating = rows.into_iter().map(|row| Escalating {
        episode: row.episode_id,
        severity: row.severity,
        definition: row.definition,
        from: row.escalates_from,
        told: row.escalation.unsigned_abs(),
        told_at: row.told_at,
    });
    Ok(escalating.collect())
}

/// Writes transitions and notifications. That somebody is told again is only written where somebody is, and
/// nobody is who has not yet been told what was to be told before.
async fn tell(
    connection: &mut PgConnection,
    outcomes: &[Escalated],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let telling = |outcome: &Escalated| Some((outcome.episode, outcome.telling.clone()?));
    let tellings: Vec<(i64, Telling)> = outcomes.iter().filter_map(telling).collect();
    if tellings.is_empty() {
        return Ok(());
    }
    let levels = tellings
        .iter()
        .map(|(_, telling)| i32::try_from(telling.level).unwrap_or(i32::MAX));
    sqlx::query!(
        r#"
        WITH telling AS (
            SELECT * FROM UNNEST($1::bigint[], $2::integer[], $3::text[], $4::boolean[])
                AS telling (episode_id, level, role, again)
        ), told AS (
            SELECT telling.episode_id, receiver_id
            FROM telling JOIN episode USING (episode_id) JOIN patient USING (patient_id)
                JOIN receiver ON receiver.role = telling.role
            WHERE disabled_at IS NULL
                AND (receiver.organisation_id IS NULL OR receiver.organisation_id = patient.organisation_id)
                AND array_position(ARRAY['high', 'medium', 'low', 'info'], severity)
                    <= array_position(ARRAY['high', 'medium', 'low', 'info'], lowest_severity)
                AND NOT (again AND EXISTS (
                    SELECT FROM notification AS before
                    WHERE before.episode_id = telling.episode_id AND before.receiver_id = receiver.receiver_id
                        AND state = 'pending'))
        ), transitions AS (
            INSERT INTO episode_transition (episode_id, kind, at, detail)
            SELECT episode_id, 'escalated', $5::timestamptz, jsonb_build_object('level', level, 'to', role,
                'receivers', (SELECT count(*) FROM told WHERE told.episode_id = telling.episode_id))
            FROM telling
            WHERE NOT again OR EXISTS (SELECT FROM told WHERE told.episode_id = telling.episode_id)
            ORDER BY episode_id
            RETURNING transition_id, episode_id
        )
        INSERT INTO notification (receiver_id, kind, episode_id, transition_id, next_attempt_at, created_at)
        SELECT receiver_id, 'escalated', episode_id, transition_id, $5::timestamptz, $5::timestamptz
        FROM told JOIN transitions USING (episode_id)
        "#,
        &tellings.iter().map(|(episode, _)| *episode).collect::<Vec<_>>(),
        &levels.collect::<Vec<_>>(),
        &tellings
            .iter()
            .map(|(_, telling)| telling.to.to_owned())
            .collect::<Vec<_>>(),
        &tellings
            .iter()
            .map(|(_, telling)| telling.again)
            .collect::<Vec<_>>(),
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn set_escalation(
    connection: &mut PgConnection,
    outcomes: &[Escalated],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let told = outcomes.iter().map(|outcome| {
        let level = outcome.telling.as_ref().map(|telling| telling.level);
        level.map(|level| i32::try_from(level).unwrap_or(i32::MAX).saturating_add(1))
    });
    sqlx::query!(
        "UPDATE episode SET escalate_at = outcome.next_at, escalation = COALESCE(outcome.told, escalation),
             told_at = CASE WHEN outcome.told IS NULL THEN told_at ELSE $4 END,
             announced = announced OR outcome.told IS NOT NULL
         FROM UNNEST($1::bigint[], $2::integer[], $3::timestamptz[]) AS outcome (episode_id, told, next_at)
         WHERE episode.episode_id = outcome.episode_id",
        &outcomes.iter().map(|outcome| outcome.episode).collect::<Vec<_>>(),
        &told.collect::<Vec<_>>() as &[Option<i32>],
        &outcomes.iter().map(|outcome| outcome.next_at).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Tells those who were told of an urgent episode (`high` or `medium`) that it is over or withdrawn, and cancels
/// what was not told yet. Answers how many episodes it saw to. Where somebody is just being told, it leaves the
/// episode for later.
pub async fn announce_ends(pool: &PgPool, limit: i64, now: DateTime<Utc>) -> Result<u64, Error> {
    let failed = |source| Error::new("tell the end of episodes", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    let over = sqlx::query_scalar!(
        "SELECT episode_id FROM episode
         WHERE announced AND cleared_at IS NOT NULL AND NOT EXISTS (
             SELECT FROM notification WHERE notification.episode_id = episode.episode_id
                 AND state = 'pending' AND leased_until > $1)
         ORDER BY episode_id LIMIT $2
         FOR NO KEY UPDATE SKIP LOCKED",
        now,
        limit
    )
    .fetch_all(&mut *transaction)
    .await
    .map_err(failed)?;
    if over.is_empty() {
        return Ok(0);
    }
    cancel(&mut transaction, &over, now).await?;
    // What is still pending was taken by a worker in this moment.
    let settled = sqlx::query_scalar!(
        "UPDATE episode SET announced = false
         WHERE episode_id = ANY ($1) AND NOT EXISTS (
             SELECT FROM notification WHERE notification.episode_id = episode.episode_id
                 AND state = 'pending' AND kind <> 'cleared')
         RETURNING episode_id",
        &over
    )
    .fetch_all(&mut *transaction)
    .await
    .map_err(failed)?;
    // Who died while sending may have sent: the lease stays.
    sqlx::query!(
        "INSERT INTO notification (receiver_id, kind, episode_id, transition_id, next_attempt_at, created_at)
         SELECT DISTINCT receiver_id, 'cleared', episode_id, ending.transition_id, $2::timestamptz, $2::timestamptz
         FROM notification AS told JOIN episode USING (episode_id) JOIN receiver USING (receiver_id)
             CROSS JOIN LATERAL (
                 SELECT transition_id FROM episode_transition
                 WHERE episode_transition.episode_id = episode.episode_id AND kind IN ('cleared', 'withdrawn')
                 ORDER BY transition_id DESC LIMIT 1
             ) AS ending
         WHERE episode_id = ANY ($1) AND severity IN ('high', 'medium') AND disabled_at IS NULL
             AND told.kind IN ('raised', 'escalated') AND (told.state = 'sent' OR told.leased_until IS NOT NULL)
         ON CONFLICT (transition_id, receiver_id) DO NOTHING",
        &settled,
        now
    )
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(settled.len() as u64)
}
