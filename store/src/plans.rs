//! Care plans as people read and change them.
//!
//! A rule of a plan has versions, counted from 1. Nothing of a version changes but when it is in force; a change
//! of the rule is its next version. At any time at most one version of a rule is in force, and that is the one by
//! which readings that arrive then are judged.
//!
//! Whoever changes plans takes the gate first: nobody writes readings or raises silence meanwhile. Only then the
//! lock of the transitions' numbers, (7462, 2), which nobody who waits for the gate holds, and last the episodes,
//! which by then nobody else is writing. So no circle of waiting is possible.

use chrono::{DateTime, Utc};
use homeward_record::{PatientId, RuleId};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use crate::episodes::lock_transitions;
use crate::outbox::cancel;
use crate::{Error, Gate};

/// What is said of an episode that ends because its rule's time is up.
const LAPSED: &str = "the time for which the rule was in the plan is over";

/// A version of a rule of a patient's plan.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlanVersion {
    /// Which: what episodes call the version that raised them.
    #[serde(rename = "id")]
    pub rule: RuleId,
    /// Names the rule across its versions.
    pub code: String,
    /// Its number among the rule's versions.
    pub version: i32,
    /// The programme from which the rule was taken; none for one that was made for the patient.
    pub programme: Option<String>,
    /// The plan may adjust the rule but not leave it out.
    pub always_on: bool,
    /// What it says.
    pub definition: Value,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was made: at the latest when it came into force.
    #[serde(skip)]
    pub made_at: DateTime<Utc>,
    /// From when on it is in force.
    pub valid_from: DateTime<Utc>,
    /// Until when; the same time as `valid_from` where it never was.
    pub valid_until: Option<DateTime<Utc>>,
    /// Who took the rule out of the plan, where that ended it.
    pub removal: Option<Removal>,
}

/// Who took a rule out of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Removal {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl PlanVersion {
    /// Whether what arrives at this time is judged by it.
    pub fn is_in_force(&self, at: DateTime<Utc>) -> bool {
        self.valid_from <= at && self.valid_until.is_none_or(|until| until > at)
    }
}

/// All versions of the rules of a patient's plan, by code and number; or those of one rule.
pub async fn load_versions(
    connection: &mut PgConnection,
    patient: PatientId,
    code: Option<&str>,
) -> Result<Vec<PlanVersion>, Error> {
    let rows = sqlx::query!(
        r#"SELECT rule_id, code, version, programme, always_on, definition, author, reason, valid_from, valid_until,
             COALESCE(made_at, valid_from) AS "made_at!", removed_by, removal_reason
         FROM care_plan_rule WHERE patient_id = $1 AND ($2::text IS NULL OR code = $2)
         ORDER BY code, version"#,
        patient.0,
        code
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read a care plan", source))?;
    let versions = rows.into_iter().map(|row| PlanVersion {
        rule: RuleId(row.rule_id),
        code: row.code,
        version: row.version,
        programme: Some(row.programme).filter(|programme| !programme.is_empty()),
        always_on: row.always_on,
        definition: row.definition,
        author: row.author,
        reason: row.reason,
        made_at: row.made_at,
        valid_from: row.valid_from,
        valid_until: row.valid_until,
        removal: row
            .removed_by
            .zip(row.removal_reason)
            .map(|(by, reason)| Removal { by, reason }),
    });
    Ok(versions.collect())
}

/// A rule that enters a patient's care plan, or its next version.
#[derive(Clone, Debug)]
pub struct NewRule<'a> {
    /// Whose care plan it enters.
    pub patient: PatientId,
    /// Names the rule across its versions.
    pub code: &'a str,
    /// The programme from which it was taken; empty for one that is made for the patient.
    pub programme: &'a str,
    /// The rule itself.
    pub definition: &'a Value,
    /// The plan may adjust it but not leave it out, and its episodes can be snoozed only for a short time.
    pub always_on: bool,
}

/// The time of a change of rules that is made now, by a caller who holds the gate: `now`, or when one of them was
/// changed last, if another process's clock was ahead then. So no version that somebody has put in force is taken
/// for one that is to come.
pub async fn time_of_change(
    connection: &mut PgConnection,
    rules: &[(PatientId, &str)],
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Error> {
    let last = sqlx::query_scalar!(
        "SELECT max(GREATEST(made_at, CASE WHEN removed_by IS NOT NULL THEN valid_until END))
         FROM UNNEST($1::bigint[], $2::text[]) AS changed (patient_id, code)
             JOIN care_plan_rule USING (patient_id, code)",
        &rules.iter().map(|(patient, _)| patient.0).collect::<Vec<_>>(),
        &rules
            .iter()
            .map(|(_, code)| (*code).to_owned())
            .collect::<Vec<_>>()
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("read when rules were changed last", source))?;
    Ok(last.map_or(now, |last| last.max(now)))
}

/// Puts versions of rules in force at `from`, until a time if one is given, in place of all that is in force then
/// or was to come. `author` and `reason` say who wanted it, and why; `now` is when they did, of [`time_of_change`].
/// A rule may stand in `new` once.
pub async fn put(
    connection: &mut PgConnection,
    new: &[NewRule<'_>],
    (author, reason): (&str, &str),
    (from, until): (DateTime<Utc>, Option<DateTime<Utc>>),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (patients, codes) = patients_and_codes(new);
    end(connection, &patients, &codes, from).await?;
    sqlx::query!(
        "INSERT INTO care_plan_rule
             (patient_id, code, version, programme, definition, always_on, author, reason, valid_from, valid_until,
              made_at)
         SELECT patient_id, code,
             1 + COALESCE((SELECT max(version) FROM care_plan_rule AS old
                           WHERE old.patient_id = new.patient_id AND old.code = new.code), 0),
             programme, definition, always_on, $6, $7, $8, $9, $10
         FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::jsonb[], $5::boolean[])
             AS new (patient_id, code, programme, definition, always_on)",
        &patients,
        &codes,
        &new.iter()
            .map(|new| new.programme.to_owned())
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|new| new.definition.clone())
            .collect::<Vec<_>>(),
        &new.iter().map(|new| new.always_on).collect::<Vec<_>>(),
        author,
        reason,
        from,
        until,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("put rules into care plans", source))?;
    Ok(())
}

/// Ends what is in force of rules, and what was to come, which then never was in force.
async fn end(
    connection: &mut PgConnection,
    patients: &[i64],
    codes: &[String],
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE care_plan_rule SET valid_from = LEAST(valid_from, $3), valid_until = $3
         FROM UNNEST($1::bigint[], $2::text[]) AS ended (patient_id, code)
         WHERE care_plan_rule.patient_id = ended.patient_id AND care_plan_rule.code = ended.code
             AND (valid_until IS NULL OR valid_until > $3)",
        patients,
        codes,
        at
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("end the rules' former versions", source))?;
    Ok(())
}

/// Takes a rule out of a plan, and ends its open episode. `last` is the version in force. Holds the gate from here
/// on, as whoever read `last` in this transaction has done already.
pub async fn take_out(
    connection: &mut PgConnection,
    patient: PatientId,
    last: &PlanVersion,
    (author, reason): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    Gate::hold(connection).await?;
    end(connection, &[patient.0], std::slice::from_ref(&last.code), now).await?;
    sqlx::query!(
        "UPDATE care_plan_rule SET removed_by = $2, removal_reason = $3 WHERE rule_id = $1",
        last.rule.0,
        author,
        reason
    )
    .execute(&mut *connection)
    .await
    .map_err(|source| Error::new("take a rule out of a care plan", source))?;
    let open = sqlx::query_scalar!(
        "SELECT episode_id FROM episode WHERE patient_id = $1 AND code = $2 AND cleared_at IS NULL",
        patient.0,
        last.code
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|source| Error::new("find the episode of a rule", source))?;
    end_episodes(
        connection,
        &open,
        Some(author),
        "the rule was taken out of the plan",
        now,
    )
    .await
}

/// Ends the open episodes of rules whose time in their plans is up, and answers how many. Such a rule judges
/// nothing any more, so no reading would.
pub async fn end_lapsed(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, Error> {
    let failed = |source| Error::new("end the episodes of rules that are over", source);
    // Most of the time there is nothing to do, and then nobody has to wait.
    let mut connection = pool.acquire().await.map_err(failed)?;
    if lapsed(&mut connection, None, now).await?.is_empty() {
        return Ok(0);
    }
    drop(connection);
    let mut transaction = pool.begin().await.map_err(failed)?;
    Gate::hold(&mut transaction).await?;
    let ended = end_if_lapsed(&mut transaction, None, now).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(ended.len() as u64)
}

/// [`end_lapsed`] for rules of these patients and codes, before they get other versions, which would go on with the
/// episodes. Holds the gate until the transaction ends.
pub async fn end_lapsed_of(
    connection: &mut PgConnection,
    rules: &[NewRule<'_>],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    Gate::hold(connection).await?;
    end_if_lapsed(connection, Some(rules), now).await.map(drop)
}

async fn end_if_lapsed(
    connection: &mut PgConnection,
    rules: Option<&[NewRule<'_>]>,
    now: DateTime<Utc>,
) -> Result<Vec<i64>, Error> {
    let lapsed = lapsed(connection, rules, now).await?;
    end_episodes(connection, &lapsed, None, LAPSED, now).await?;
    // Whoever remembers the rules has to forget the episodes.
    sqlx::query!(
        "SELECT pass_gate(NULL, patient_id)
         FROM (SELECT DISTINCT patient_id FROM episode WHERE episode_id = ANY ($1)) AS patient",
        &lapsed
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("tell of the episodes of rules that are over", source))?;
    Ok(lapsed)
}

/// The open episodes of rules, or of all rules, that are not in force and are not going to be.
async fn lapsed(
    connection: &mut PgConnection,
    rules: Option<&[NewRule<'_>]>,
    now: DateTime<Utc>,
) -> Result<Vec<i64>, Error> {
    let (patients, codes) = rules.map(patients_and_codes).unzip();
    sqlx::query_scalar!(
        "SELECT episode_id FROM episode WHERE cleared_at IS NULL AND NOT EXISTS (
             SELECT FROM care_plan_rule AS version
             WHERE version.patient_id = episode.patient_id AND version.code = episode.code
                 AND (valid_until IS NULL OR valid_until > $1))
             AND ($2::bigint[] IS NULL OR (patient_id, code) IN (SELECT * FROM UNNEST($2, $3::text[])))",
        now,
        patients.as_deref(),
        codes.as_deref()
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("find the episodes of rules that are over", source))
}

fn patients_and_codes(rules: &[NewRule<'_>]) -> (Vec<i64>, Vec<String>) {
    let each = rules.iter();
    each.map(|rule| (rule.patient.0, rule.code.to_owned())).unzip()
}

/// Ends episodes whose rules are over, and says so. Nobody is told of their beginning any more.
async fn end_episodes(
    connection: &mut PgConnection,
    episodes: &[i64],
    actor: Option<&str>,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if episodes.is_empty() {
        return Ok(());
    }
    lock_transitions(connection).await?;
    // A rule judges what arrives until it is over: that is when its episode ended.
    sqlx::query!(
        r#"
        WITH ended AS (
            UPDATE episode SET cleared_at = $2,
                ended_at = COALESCE((SELECT max(valid_until) FROM care_plan_rule AS version
                    WHERE version.patient_id = episode.patient_id AND version.code = episode.code), $2),
                status = CASE WHEN status = 'raised' THEN 'cleared' ELSE 'closed' END
            WHERE episode_id = ANY ($1) AND cleared_at IS NULL
            RETURNING episode_id, status
        )
        INSERT INTO episode_transition (episode_id, kind, at, actor, held_role_id, detail)
        SELECT episode_id, kind, $2::timestamptz, $3::text, CASE WHEN $3 IS NOT NULL THEN acting_role() END,
            CASE WHEN kind = 'cleared' THEN $4::jsonb END
        FROM ended CROSS JOIN UNNEST(ARRAY['cleared', 'closed']) WITH ORDINALITY AS step (kind, position)
        WHERE kind = 'cleared' OR status = 'closed'
        ORDER BY episode_id, position
        "#,
        episodes,
        now,
        actor,
        json!({"reason": reason})
    )
    .execute(&mut *connection)
    .await
    .map_err(|source| Error::new("end episodes", source))?;
    cancel(connection, episodes, now).await
}
