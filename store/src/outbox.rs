//! Who is told of episodes: an outbox, written in the transaction of what it tells of.

mod deliver;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::Error;

pub use deliver::{
    Alert, Channel, Message, Receiver, Usage, cancel_unsettled, claim, claim_digest, lock_receiver,
    mark_failed, mark_sent, postpone, usage,
};

/// Who is told of the episodes of a rule that says nothing about it.
#[derive(Clone, Copy, Debug)]
pub struct DefaultEscalation {
    /// Of episodes of this severity.
    pub severity: &'static str,
    /// For how many seconds the episode must have been raised, and nobody have taken it up; and the role of
    /// those who are told then: `team`, `lead` or `on_call`. None: the episodes are on the work list, and nobody
    /// is told.
    pub levels: &'static [(u32, &'static str)],
    /// After how many seconds those who were told last are told again, until somebody takes the episode up.
    pub repeat_seconds: Option<u32>,
}

/// Who is told of what, by default, and when. The times are choices of this product, for a service that is
/// staffed around the clock: a quarter of an hour is what an urgent alert may wait for the team before its lead
/// hears of it, and an hour before somebody is called; four hours are half a shift.
pub const DEFAULT_ESCALATION: [DefaultEscalation; 4] = [
    DefaultEscalation {
        severity: "high",
        levels: &[(0, "team"), (15 * 60, "lead"), (60 * 60, "on_call")],
        repeat_seconds: Some(15 * 60),
    },
    DefaultEscalation {
        severity: "medium",
        levels: &[(0, "team"), (4 * 60 * 60, "lead")],
        repeat_seconds: None,
    },
    DefaultEscalation {
        severity: "low",
        levels: &[],
        repeat_seconds: None,
    },
    DefaultEscalation {
        severity: "info",
        levels: &[],
        repeat_seconds: None,
    },
];

/// [`DEFAULT_ESCALATION`] as rules say it: the levels of each severity.
fn default_levels() -> Value {
    let mut by_severity = serde_json::Map::new();
    for default in DEFAULT_ESCALATION {
        let levels = default.levels.iter();
        let levels = levels.map(|(after, to)| json!({"after_seconds": after, "to": to}));
        by_severity.insert(default.severity.to_owned(), levels.collect());
    }
    by_severity.into()
}

/// Begins to escalate episodes that were raised, became current or were reopened: whoever is to be told at
/// once gets a notification, what was snoozed is snoozed no more, and the timers see to the rest.
///
/// To be called in the transaction that changed the episodes, after their transitions were written. Episodes
/// that page nobody (late, withdrawn, over, taken up) are left alone, so it does no harm to name them.
pub async fn enqueue_raised(
    connection: &mut PgConnection,
    episode_ids: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if episode_ids.is_empty() {
        return Ok(());
    }
    // A definition is taken as it is: whatever stands in it must not keep readings out of the record, so
    // nothing here can fail for it.
    sqlx::query!(
        r#"
        WITH begun AS (
            SELECT episode_id, snoozed_until, levels, levels #> '{0,after_seconds}' = '0' AS at_once
            FROM episode JOIN care_plan_rule USING (rule_id) CROSS JOIN LATERAL (
                SELECT CASE WHEN jsonb_typeof(definition -> 'escalation') = 'array' THEN definition -> 'escalation'
                    ELSE $3::jsonb -> severity END AS levels
            ) AS escalation
            WHERE episode_id = ANY ($1) AND status = 'raised' AND NOT late AND withdrawn_at IS NULL
        ), escalating AS (
            UPDATE episode SET snoozed_until = NULL, escalates_from = $2,
                escalate_at = CASE WHEN levels <> '[]' THEN $2::timestamptz END,
                escalation = CASE WHEN at_once THEN 1 ELSE 0 END,
                told_at = CASE WHEN at_once THEN $2 END,
                announced = announced OR COALESCE(at_once, false)
            FROM begun WHERE episode.episode_id = begun.episode_id
            RETURNING episode.episode_id, patient_id, severity,
                CASE WHEN at_once THEN levels #>> '{0,to}' END AS told
        ), snoozes AS (
            INSERT INTO episode_transition (episode_id, kind, at)
            SELECT episode_id, 'snooze_ended', $2::timestamptz FROM begun WHERE snoozed_until IS NOT NULL
        )
        INSERT INTO notification (receiver_id, kind, episode_id, transition_id, next_attempt_at, created_at)
        SELECT receiver_id, 'raised', episode_id, transition_id, $2::timestamptz, $2::timestamptz
        FROM escalating JOIN patient USING (patient_id) JOIN receiver ON receiver.role = told
            CROSS JOIN LATERAL (
                SELECT transition_id FROM episode_transition
                WHERE episode_transition.episode_id = escalating.episode_id
                    AND kind IN ('raised', 'became_current', 'reopened')
                ORDER BY transition_id DESC LIMIT 1
            ) AS beginning
        WHERE disabled_at IS NULL
            AND (receiver.organisation_id IS NULL OR receiver.organisation_id = patient.organisation_id)
            AND array_position(ARRAY['high', 'medium', 'low', 'info'], severity)
                <= array_position(ARRAY['high', 'medium', 'low', 'info'], lowest_severity)
        ON CONFLICT (transition_id, receiver_id) DO NOTHING
        "#,
        episode_ids,
        now,
        default_levels()
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("notify of episodes", source))?;
    Ok(())
}

/// Cancels what was to be told of the beginning of episodes and is not on its way yet.
pub(crate) async fn cancel(
    connection: &mut PgConnection,
    episode_ids: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    // What another transaction has locked is being taken to be sent.
    sqlx::query!(
        "UPDATE notification SET state = 'cancelled' WHERE notification_id IN (
             SELECT notification_id FROM notification
             WHERE episode_id = ANY ($1) AND kind <> 'cleared' AND state = 'pending'
                 AND (leased_until IS NULL OR leased_until <= $2)
             FOR NO KEY UPDATE SKIP LOCKED)",
        episode_ids,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("cancel notifications", source))?;
    Ok(())
}
