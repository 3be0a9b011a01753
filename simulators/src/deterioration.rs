//! What happens to the patients of a demo, and which alerts have to catch it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::physiology::ScriptKind;
use crate::plan::{Planned, Start};

/// Something that happens to a patient of a demo, and that its alerts have to catch.
#[derive(Debug)]
pub struct Deterioration {
    /// Whom it happens to: the place in the cohort, from 0 on; see [`crate::profile`].
    pub place: usize,
    /// The programme whose rules have to catch it.
    pub programme: &'static str,
    /// What happens, in a few words.
    pub what: &'static str,
    /// What the simulation does.
    pub kind: ScriptKind,
    /// When; see [`crate::physiology::Script`].
    pub start: Start,
    /// The time after `start` within which readings have to meet the rules.
    pub within: TimeDelta,
    /// The codes of the rules, each of which has to raise an alert.
    pub caught_by: &'static [&'static str],
}

impl Deterioration {
    /// The script for a patient of this number.
    pub fn planned(&self, patient: u64) -> Planned {
        Planned {
            patient,
            kind: self.kind,
            at: self.start,
        }
    }

    /// When it begins to show, and until when it has to be caught, if the back-filled period ends at `live`.
    pub fn span(&self, live: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let script = self.planned(0).script(live);
        (script.begin(), script.at + self.within)
    }

    /// Those of a cohort of so many patients that happen wholly within a period that is back-filled: readings alone
    /// have to catch them.
    pub fn in_period(
        patients: usize,
        from: DateTime<Utc>,
        live: DateTime<Utc>,
    ) -> impl Iterator<Item = &'static Deterioration> {
        DETERIORATIONS.iter().filter(move |deterioration| {
            let (begin, end) = deterioration.span(live);
            deterioration.place < patients && from <= begin && end <= live
        })
    }
}

const HOUR: TimeDelta = TimeDelta::hours(1);

/// All of them. They fit into two weeks that are back-filled, but for the last: silence is found by a timer, while
/// the demo is live.
pub const DETERIORATIONS: [Deterioration; 15] = [
    Deterioration {
        place: 29,
        programme: "diabetes-type-1",
        what: "very low glucose in the night",
        kind: ScriptKind::Hypo,
        start: Start::Day(4, 3 * 60 + 10),
        within: HOUR,
        caught_by: &["glucose-very-low", "glucose-low"],
    },
    Deterioration {
        place: 10,
        programme: "diabetes-type-1",
        what: "glucose falling fast after exercise",
        kind: ScriptKind::RapidFall,
        start: Start::Day(6, 15 * 60 + 30),
        within: HOUR,
        caught_by: &["glucose-falling-fast"],
    },
    Deterioration {
        place: 12,
        programme: "diabetes-type-2",
        what: "hours of high glucose",
        kind: ScriptKind::HighGlucose,
        start: Start::Day(5, 13 * 60),
        within: TimeDelta::hours(8),
        caught_by: &["glucose-very-high"],
    },
    Deterioration {
        place: 32,
        programme: "diabetes-type-2",
        what: "glucose above range for two weeks",
        kind: ScriptKind::RaisedGlucose,
        start: Start::Day(13, 0),
        within: TimeDelta::days(12),
        caught_by: &["glucose-time-in-range"],
    },
    Deterioration {
        place: 34,
        programme: "diabetes-type-2",
        what: "very low glucose, found with a meter",
        kind: ScriptKind::Hypo,
        start: Start::Day(3, 11 * 60 + 20),
        within: HOUR,
        caught_by: &["glucose-very-low", "glucose-low"],
    },
    Deterioration {
        place: 16,
        programme: "diabetes-older",
        what: "very low glucose before breakfast",
        kind: ScriptKind::Hypo,
        start: Start::Day(3, 5 * 60),
        within: HOUR,
        caught_by: &["glucose-very-low", "glucose-low"],
    },
    Deterioration {
        place: 37,
        programme: "diabetes-pregnancy",
        what: "very low glucose in the night",
        kind: ScriptKind::Hypo,
        start: Start::Day(7, 2 * 60 + 30),
        within: HOUR,
        caught_by: &["glucose-very-low", "glucose-low"],
    },
    Deterioration {
        place: 2,
        programme: "hypertension",
        what: "a hypertensive crisis",
        kind: ScriptKind::HypertensiveCrisis,
        start: Start::Day(2, 18 * 60 + 40),
        within: HOUR,
        caught_by: &["blood-pressure-crisis"],
    },
    Deterioration {
        place: 23,
        programme: "hypertension",
        what: "a week of pressures above target",
        kind: ScriptKind::RaisedPressure,
        start: Start::Day(10, 0),
        within: TimeDelta::days(8),
        caught_by: &["home-average-above-target"],
    },
    Deterioration {
        place: 4,
        programme: "hypertension",
        what: "a fast heart rate at rest",
        kind: ScriptKind::FastHeart,
        start: Start::Day(3, 2 * 60),
        within: HOUR,
        caught_by: &["resting-heart-rate"],
    },
    Deterioration {
        place: 6,
        programme: "hypertension-over-80",
        what: "an irregular pulse, seen repeatedly",
        kind: ScriptKind::IrregularPulse,
        start: Start::Day(8, 6 * 60),
        within: TimeDelta::days(2),
        caught_by: &["irregular-pulse"],
    },
    Deterioration {
        place: 18,
        programme: "virtual-ward",
        what: "an infection: NEWS2 rising to 8",
        kind: ScriptKind::Infection,
        start: Start::Day(5, 6 * 60),
        within: TimeDelta::hours(42),
        caught_by: &[
            "oxygen-saturation-low",
            "early-warning-score-medium",
            "early-warning-score-high",
        ],
    },
    Deterioration {
        place: 39,
        programme: "copd",
        what: "the lungs getting worse: NEWS2 rising above 7",
        kind: ScriptKind::LungExacerbation,
        start: Start::Day(6, 20 * 60),
        within: TimeDelta::hours(34),
        caught_by: &["early-warning-score-medium", "early-warning-score-high"],
    },
    Deterioration {
        place: 8,
        programme: "heart-failure",
        what: "3.6 kg of fluid in five days",
        kind: ScriptKind::FluidRetention,
        start: Start::Day(9, 0),
        within: TimeDelta::days(6),
        caught_by: &["weight-gain"],
    },
    Deterioration {
        place: 11,
        programme: "diabetes-type-1",
        what: "a glucose sensor falling silent",
        kind: ScriptKind::SilentSensor,
        // The programme allows six hours, and timers that have just begun listen for five minutes first.
        start: Start::Live(TimeDelta::minutes(-357)),
        within: TimeDelta::minutes(367),
        caught_by: &["glucose-silent"],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::profile;

    #[test]
    fn each_happens_to_a_patient_of_its_own_who_is_in_the_programme() {
        let places: BTreeSet<_> = DETERIORATIONS.iter().map(|d| d.place).collect();
        assert_eq!(places.len(), DETERIORATIONS.len());
        for deterioration in &DETERIORATIONS {
            let Deterioration { place, programme, .. } = deterioration;
            assert!(
                profile(*place).programmes.contains(programme),
                "{place} {programme}"
            );
        }
        let programmes: BTreeSet<_> = DETERIORATIONS.iter().map(|d| d.programme).collect();
        let all: BTreeSet<_> = (0..20)
            .flat_map(|place| profile(place).programmes)
            .copied()
            .collect();
        assert_eq!(programmes, all, "one for each programme");
    }

    #[test]
    fn two_weeks_hold_all_that_readings_show_at_any_time_of_the_day() {
        for hour in 0..24 {
            let live = "2026-11-22T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + HOUR * hour;
            let from = live - TimeDelta::days(14);
            let found: Vec<_> = Deterioration::in_period(40, from, live).collect();
            assert_eq!(found.len(), DETERIORATIONS.len() - 1, "at {hour} h");
            assert!(Deterioration::in_period(40, live, live).next().is_none());
            assert_eq!(Deterioration::in_period(3, from, live).count(), 1);
        }
    }
}
