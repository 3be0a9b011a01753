use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{AdminError, Kind, require};
use crate::plans::{self, NewRule};

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
    plans::end_lapsed_of(connection, rules, now).await?;
    Ok(plans::put(connection, rules, (author, reason), now, None).await?)
}
