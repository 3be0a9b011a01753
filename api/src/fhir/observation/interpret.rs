//! How a value lies to the limits of the patient's own plan.

use chrono::{DateTime, Utc};
use homeward_alerts::{Condition, Definition, Severity, Side};
use homeward_record::PatientId;
use homeward_record::fhir::Interpretation;
use homeward_store::history::StoredReading;
use homeward_store::plans::load_versions;
use sqlx::PgConnection;

use crate::error::ApiError;

/// The limits on single readings that a patient's plan has, and has had.
pub(super) struct Limits(Vec<Version>);

/// A version of a rule, while it was in force.
struct Version {
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    severity: Severity,
    limits: Vec<homeward_alerts::Limit>,
}

impl Limits {
    pub(super) async fn load(connection: &mut PgConnection, patient: PatientId) -> Result<Limits, ApiError> {
        let versions = load_versions(connection, patient, None).await?;
        let limits = versions.into_iter().filter_map(|version| {
            let definition = Definition::parse(&version.definition).ok()?;
            let Condition::Threshold(threshold) = definition.condition else {
                return None;
            };
            Some(Version {
                from: version.valid_from,
                until: version.valid_until,
                severity: definition.severity,
                limits: threshold.limits,
            })
        });
        Ok(Limits(limits.collect()))
    }

    /// How a reading lies to the limits that were in force when it came: critical where it breaches one of a rule of
    /// high severity. `None` where the plan had no limit for it, or the reading counts for nothing.
    pub(super) fn interpret(&self, reading: &StoredReading) -> Option<Interpretation> {
        if reading.entered_in_error {
            return None;
        }
        let arrived = reading.received_at;
        let in_force =
            |version: &&Version| version.from <= arrived && version.until.is_none_or(|until| until > arrived);
        let mut found = None;
        for version in self.0.iter().filter(in_force) {
            for limit in version
                .limits
                .iter()
                .filter(|limit| limit.metric == reading.metric)
            {
                found.get_or_insert(Interpretation::Normal);
                if !limit.is_breached_by(reading.value) {
                    continue;
                }
                let judged = match (limit.bound.side(), version.severity) {
                    (Side::High, Severity::High) => Interpretation::CriticallyHigh,
                    (Side::Low, Severity::High) => Interpretation::CriticallyLow,
                    (Side::High, _) => Interpretation::High,
                    (Side::Low, _) => Interpretation::Low,
                };
                let is_critical = |one| {
                    matches!(
                        one,
                        Some(Interpretation::CriticallyHigh | Interpretation::CriticallyLow)
                    )
                };
                if !is_critical(found) {
                    found = Some(judged);
                }
            }
        }
        found
    }
}
