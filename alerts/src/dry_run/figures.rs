//! Numbers of episodes, and of the patient-days they are of.

use serde::Serialize;
use utoipa::ToSchema;

use super::trial::{Tried, TriedEpisode};
use crate::Severity;

/// What a set of rules, or one rule, made of some histories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Figures {
    /// Patients with at least one patient-day.
    pub patients: u64,
    /// See the report's notes.
    pub patient_days: u64,
    /// Episodes that would have paged somebody.
    pub alerts: Severities,
    /// Late ones, which would not.
    pub late: Severities,
    /// Alerts for each patient-day; none without patient-days.
    pub alerts_per_patient_day: Option<f64>,
    /// The same of late episodes.
    pub late_per_patient_day: Option<f64>,
}

/// Numbers of episodes by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Severities {
    /// Of all severities.
    pub all: u64,
    /// For a response at once.
    pub high: u64,
    /// For one soon.
    pub medium: u64,
    /// To be known.
    pub low: u64,
    /// For information.
    pub info: u64,
}

/// How a proposal differs from the present plans, in episodes, late ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// Episodes of the proposal without one of the present plan.
    pub only_proposed: u64,
    /// The other way round.
    pub only_current: u64,
    /// Episodes of the proposal that the present plan has as well.
    pub both: u64,
    /// The same, as the present plan has them: one long episode may be several short ones.
    pub both_as_current: u64,
}

impl Figures {
    pub(super) fn add_days(&mut self, days: u64) {
        self.patients += u64::from(days > 0);
        self.patient_days += days;
    }

    pub(super) fn add_episodes(&mut self, tried: &Tried) {
        for TriedEpisode { episode, .. } in &tried.episodes {
            let severities = if episode.late {
                &mut self.late
            } else {
                &mut self.alerts
            };
            severities.count(tried.definition.severity);
        }
    }

    /// Adds one patient's, and answers how many of the episodes are in both plans.
    pub(super) fn add(&mut self, tried: &Tried) -> u64 {
        self.add_days(tried.days);
        self.add_episodes(tried);
        tried.episodes.iter().filter(|episode| episode.in_both).count() as u64
    }

    pub(super) fn merge(&mut self, other: &Figures) {
        self.patients += other.patients;
        self.patient_days += other.patient_days;
        self.alerts.merge(other.alerts);
        self.late.merge(other.late);
    }

    /// With the figures a day, which cannot be added up.
    pub(super) fn rated(self) -> Figures {
        #[expect(clippy::cast_precision_loss, reason = "numbers that people count")]
        let a_day = |n: u64| (self.patient_days > 0).then(|| n as f64 / self.patient_days as f64);
        Figures {
            alerts_per_patient_day: a_day(self.alerts.all),
            late_per_patient_day: a_day(self.late.all),
            ..self
        }
    }
}

impl Severities {
    fn count(&mut self, severity: Severity) {
        self.all += 1;
        *match severity {
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Info => &mut self.info,
        } += 1;
    }

    fn merge(&mut self, other: Severities) {
        self.all += other.all;
        self.high += other.high;
        self.medium += other.medium;
        self.low += other.low;
        self.info += other.info;
    }
}

impl Difference {
    pub(super) fn merge(&mut self, other: Difference) {
        self.only_proposed += other.only_proposed;
        self.only_current += other.only_current;
        self.both += other.both;
        self.both_as_current += other.both_as_current;
    }
}
