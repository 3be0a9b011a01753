//! What a dry run answers.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeward_record::{Metric, PatientId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::figures::{Difference, Figures};
use crate::{Mark, Severity};

/// What a dry run answers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Report {
    /// The time that the rules were tried over.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
    /// How many patients were looked at, also those without readings.
    pub patients: u64,
    /// How many readings were judged, those from before the time included.
    pub readings: u64,
    /// All rules of the proposal together.
    pub proposed: Figures,
    /// All rules of the present plans that it would replace.
    pub current: Figures,
    /// The differences of all rules.
    pub difference: Difference,
    /// Each rule: those of the proposal in its order, then those that only present plans have.
    pub rules: Vec<RuleReport>,
    /// The first episodes of the proposal, by patient and time.
    pub episodes: Vec<ListedEpisode>,
    /// How many there are beyond those.
    pub episodes_left_out: u64,
    /// The first episodes that only the present plans have.
    pub only_current: Vec<ListedEpisode>,
    /// How many there are beyond those.
    pub only_current_left_out: u64,
    /// How the figures are meant, and what the answer does not say.
    pub notes: Vec<String>,
}

/// A rule in a report.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleReport {
    /// Its code.
    #[schema(value_type = String)]
    pub code: Arc<str>,
    /// What it is called.
    pub name: String,
    /// How urgent its episodes are.
    pub severity: Severity,
    /// What the proposal's rule would have done; none where the proposal has none that can be tried.
    pub proposed: Option<Figures>,
    /// What the rule of the present plans would have done; of the patients who have it.
    pub current: Option<Figures>,
    /// The difference.
    pub difference: Difference,
    /// Patients for whom the rule raised so many episodes that it was not judged to the end: the figures are too
    /// low.
    pub cut_off_patients: u64,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_tried: Option<&'static str>,
}

/// An episode in a report.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ListedEpisode {
    /// Whose it is.
    pub patient: PatientId,
    /// The rule's code.
    #[schema(value_type = String)]
    pub code: Arc<str>,
    /// How urgent it is.
    pub severity: Severity,
    /// What it is about, in one sentence.
    pub text: String,
    /// It would have paged nobody.
    pub late: bool,
    /// When the readings were measured that would have raised it.
    pub raised_at: DateTime<Utc>,
    /// The reading with which it began.
    pub onset: ListedReading,
    /// Its newest reading.
    pub latest: ListedReading,
    /// Its worst reading.
    pub worst: ListedReading,
    /// When the reading was measured that cleared it; none: it was open at the end.
    pub cleared_at: Option<DateTime<Utc>>,
    /// The other plan has an episode that overlaps it.
    pub in_both: bool,
    /// What else its rule has to say; depends on the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

/// A reading of an episode in a report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct ListedReading {
    /// What was measured.
    pub metric: Metric,
    /// When.
    pub at: DateTime<Utc>,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What the rule computed at this reading, in the unit of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figure: Option<f64>,
}

impl ListedReading {
    pub(super) fn of(mark: Mark) -> ListedReading {
        ListedReading {
            metric: mark.metric,
            at: mark.at,
            value: mark.value,
            unit: mark.metric.unit(),
            figure: mark.figure,
        }
    }
}
