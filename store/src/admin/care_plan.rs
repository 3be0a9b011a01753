use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use serde_json::Value;
use sqlx::PgConnection;

use super::{AdminError, Kind, require};
use crate::Error;

/// A rule that enters a patient's care plan.
#[derive(Clone, Debug)]
pub struct NewRule<'a> {
    /// Whose care plan it enters.
    pub patient: PatientId,
    /// Names the rule across its versions.
    pub code: &'a str,
    /// The programme from which it was taken.
    pub programme: &'a str,
    /// The rule itself.
    pub definition: &'a Value,
    /// The plan may adjust it but not leave it out, and its episodes can be snoozed only for a short time.
    pub always_on: bool,
}

/// Puts rules into care plans. A rule whose code a plan has already becomes its next version, and the version
/// before ends at `now`. `author` and `reason` say who wanted it, and why.
///
/// A patient's code may stand in `rules` once.
pub async fn set_rules(
    connection: &mut PgConnection,
    rules: &[NewRule<'_>],
    author: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), AdminError> {
    let patients: Vec<i64> = rules.iter().map(|rule| rule.patient.0).collect();
    require(connection, Kind::Patient, &patients).await?;
    let codes: Vec<String> = rules.iter().map(|rule| rule.code.to_owned()).collect();
    sqlx::query!(
        "UPDATE care_plan_rule SET valid_until = GREATEST($3, valid_from)
         FROM UNNEST($1::bigint[], $2::text[]) AS new (patient_id, code)
         WHERE care_plan_rule.patient_id = new.patient_id AND care_plan_rule.code = new.code
             AND valid_until IS NULL",
        &patients,
        &codes,
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(|source| Error::new("end the rules' former versions", source))?;

    sqlx::query!(
        "INSERT INTO care_plan_rule
             (patient_id, code, version, programme, definition, always_on, author, reason, valid_from)
         SELECT patient_id, code,
             1 + COALESCE((SELECT max(version) FROM care_plan_rule AS old
                           WHERE old.patient_id = new.patient_id AND old.code = new.code), 0),
             programme, definition, always_on, $6, $7, $8
         FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::jsonb[], $5::boolean[])
             AS new (patient_id, code, programme, definition, always_on)",
        &patients,
        &codes,
        &rules
            .iter()
            .map(|rule| rule.programme.to_owned())
            .collect::<Vec<_>>(),
        &rules
            .iter()
            .map(|rule| rule.definition.clone())
            .collect::<Vec<_>>(),
        &rules.iter().map(|rule| rule.always_on).collect::<Vec<_>>(),
        author,
        reason,
        now,
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("put rules into care plans", source))?;
    Ok(())
}
