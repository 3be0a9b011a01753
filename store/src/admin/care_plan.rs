use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use sqlx::PgConnection;

use super::{AdminError, Kind, require};
use crate::Gate;
use crate::plans::{self, NewRule};

/// Puts rules into care plans. A rule whose code a plan has already becomes its next version, and the version
/// before ends at `now`, or when it was made, if another process's clock was ahead then. `author` and `reason` say who
/// wanted it, and why.
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
    Gate::hold(connection).await?;
    let codes: Vec<(PatientId, &str)> = rules.iter().map(|rule| (rule.patient, rule.code)).collect();
    let now = plans::time_of_change(connection, &codes, now).await?;
    plans::end_lapsed_of(connection, rules, now).await?;
    Ok(plans::put(connection, rules, (author, reason), (now, None), now).await?)
}
