//! What trials add up to, patient by patient.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeward_record::PatientId;

use super::figures::{Difference, Figures};
use super::report::{ListedEpisode, ListedReading, Report, RuleReport};
use super::trial::{Outcome, Tried, TriedEpisode, can_be_tried};
use super::{RuleOutcome, TrialRule};
use crate::{About, Definition, explain};

/// Why a rule of silence has no figures.
const SILENCE: &str = "A rule of silence cannot be tried: it is raised when nothing arrives, and readings do not \
    say when somebody was listening.";

/// How the figures are meant.
const NOTES: [&str; 4] = [
    "A patient-day is a date (UTC) within the time on which the patient has a reading of a metric that the rule \
     looks at; in the sums over a plan, that any of its rules looks at.",
    "An episode counts if it was raised within the time. Rules know the readings from before it too, as far back as \
     they look, and at least those of a day. The rules of the present plans are tried as they are now.",
    "Late episodes rest on nothing but readings that arrived more than 15 minutes after their measurement. They \
     page nobody, and are not among the alerts.",
    "An episode is in both plans if the other one has an episode of the same rule and patient that overlaps it in \
     time, from the onset to the end.",
];

/// Which episodes a report lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// At most so many of the proposal, and as many of those that only the present plans have: the first ones by
    /// patient, time and code.
    pub most: usize,
}

/// What the trials of some patients add up to. Trials can be added, and sums merged, in any order.
#[derive(Clone, Debug)]
pub struct Sums {
    listing: Listing,
    patients: u64,
    readings: u64,
    proposed: Figures,
    current: Figures,
    rules: BTreeMap<Arc<str>, RuleSums>,
    /// The first ones, and perhaps more that have not been thrown out yet.
    episodes: Vec<Found>,
    only_current: Vec<Found>,
}

/// An episode that may come to be listed.
#[derive(Clone, Debug)]
struct Found {
    patient: PatientId,
    code: Arc<str>,
    definition: Arc<Definition>,
    tried: TriedEpisode,
}

#[derive(Clone, Debug, Default)]
struct RuleSums {
    /// What the first patient's present plan has, so that a rule which is not proposed has a name.
    definition: Option<(PatientId, Arc<Definition>)>,
    proposed: Option<Figures>,
    current: Option<Figures>,
    difference: Difference,
    /// Patients for whom it was not judged to the end.
    cut_off_patients: u64,
}

impl Sums {
    /// No trials yet.
    pub fn new(listing: Listing) -> Sums {
        Sums {
            listing,
            patients: 0,
            readings: 0,
            proposed: Figures::default(),
            current: Figures::default(),
            rules: BTreeMap::new(),
            episodes: Vec::new(),
            only_current: Vec::new(),
        }
    }

    /// Adds a patient's trial, `current` being the rules of the present plan that it was run with.
    pub fn add(&mut self, outcome: Outcome, current: &[TrialRule]) {
        self.patients += 1;
        self.readings += outcome.readings;
        self.proposed.add_days(outcome.proposed_days);
        self.current.add_days(outcome.current_days);
        for TrialRule { code, definition } in current {
            let sums = self.rules.entry(Arc::clone(code)).or_default();
            sums.know(outcome.patient, definition);
        }
        for rule in outcome.rules {
            self.add_rule(outcome.patient, rule);
        }
        self.thin(self.listing.most.saturating_mul(2));
    }

    fn add_rule(&mut self, patient: PatientId, rule: RuleOutcome) {
        let RuleOutcome {
            code,
            proposed,
            current,
        } = rule;
        let sums = self.rules.entry(Arc::clone(&code)).or_default();
        let is_cut_off = |tried: &Option<Tried>| tried.as_ref().is_some_and(|tried| tried.cut_off);
        sums.cut_off_patients += u64::from(is_cut_off(&proposed) || is_cut_off(&current));
        if let Some(tried) = proposed {
            let both = sums.proposed.get_or_insert_default().add(&tried);
            self.proposed.add_episodes(&tried);
            sums.difference.both += both;
            sums.difference.only_proposed += tried.episodes.len() as u64 - both;
            let found = found(patient, &code, &tried.definition);
            let first = tried.episodes.into_iter().take(self.listing.most);
            self.episodes.extend(first.map(found));
        }
        if let Some(tried) = current {
            let both = sums.current.get_or_insert_default().add(&tried);
            self.current.add_episodes(&tried);
            sums.difference.both_as_current += both;
            sums.difference.only_current += tried.episodes.len() as u64 - both;
            let found = found(patient, &code, &tried.definition);
            let only = tried.episodes.into_iter().filter(|episode| !episode.in_both);
            self.only_current.extend(only.take(self.listing.most).map(found));
        }
    }

    /// Adds what others add up to.
    pub fn merge(&mut self, other: Sums) {
        self.patients += other.patients;
        self.readings += other.readings;
        self.proposed.merge(&other.proposed);
        self.current.merge(&other.current);
        for (code, other) in other.rules {
            let sums = self.rules.entry(code).or_default();
            if let Some((patient, definition)) = &other.definition {
                sums.know(*patient, definition);
            }
            for (sum, other) in [
                (&mut sums.proposed, other.proposed),
                (&mut sums.current, other.current),
            ] {
                if let Some(other) = other {
                    sum.get_or_insert_default().merge(&other);
                }
            }
            sums.difference.merge(other.difference);
            sums.cut_off_patients += other.cut_off_patients;
        }
        self.episodes.extend(other.episodes);
        self.only_current.extend(other.only_current);
        self.thin(self.listing.most.saturating_mul(2));
    }

    /// How many readings were judged.
    pub fn readings(&self) -> u64 {
        self.readings
    }

    /// Keeps of the lists what is to be listed, if they are longer than `longest`.
    fn thin(&mut self, longest: usize) {
        for list in [&mut self.episodes, &mut self.only_current] {
            if list.len() > longest {
                list.sort_by(|one, other| one.place().cmp(&other.place()));
                list.truncate(self.listing.most);
            }
        }
    }

    /// The report of trials of these rules from `from` until `to`, with notes beside the usual ones.
    pub fn report(
        mut self,
        proposal: &[TrialRule],
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        notes: Vec<String>,
    ) -> Report {
        self.thin(0);
        let mut rules = Vec::new();
        let mut difference = Difference::default();
        for rule in proposal {
            let sums = self.rules.remove(&rule.code).unwrap_or_default();
            difference.merge(sums.difference);
            rules.push(sums.report(&rule.code, Some(&rule.definition)));
        }
        for (code, sums) in self.rules {
            difference.merge(sums.difference);
            rules.push(sums.report(&code, None));
        }
        let left_out = |all: u64, listed: &[Found]| all - listed.len() as u64;
        let listed = |list: Vec<Found>| list.into_iter().map(ListedEpisode::from).collect();
        let proposed = self.proposed.alerts.all + self.proposed.late.all;
        Report {
            from,
            to,
            patients: self.patients,
            readings: self.readings,
            proposed: self.proposed.rated(),
            current: self.current.rated(),
            difference,
            rules: rules.into_iter().flatten().collect(),
            episodes_left_out: left_out(proposed, &self.episodes),
            episodes: listed(self.episodes),
            only_current_left_out: left_out(difference.only_current, &self.only_current),
            only_current: listed(self.only_current),
            notes: NOTES.into_iter().map(str::to_owned).chain(notes).collect(),
        }
    }
}

impl RuleSums {
    fn know(&mut self, patient: PatientId, definition: &Arc<Definition>) {
        if self.definition.as_ref().is_none_or(|(known, _)| patient < *known) {
            self.definition = Some((patient, Arc::clone(definition)));
        }
    }

    fn report(self, code: &Arc<str>, proposed: Option<&Arc<Definition>>) -> Option<RuleReport> {
        let current = self.definition.as_ref().map(|(_, definition)| definition);
        let definition = proposed.or(current)?;
        let silent = |definition: Option<&Arc<Definition>>| definition.is_some_and(|d| !can_be_tried(d));
        Some(RuleReport {
            code: Arc::clone(code),
            name: definition.name.clone(),
            severity: definition.severity,
            proposed: self.proposed.map(Figures::rated),
            current: self.current.map(Figures::rated),
            difference: self.difference,
            cut_off_patients: self.cut_off_patients,
            not_tried: (silent(proposed) || silent(current)).then_some(SILENCE),
        })
    }
}

/// What makes an episode of this patient and rule one that was found.
fn found(
    patient: PatientId,
    code: &Arc<str>,
    definition: &Arc<Definition>,
) -> impl Fn(TriedEpisode) -> Found {
    let (code, definition) = (Arc::clone(code), Arc::clone(definition));
    move |tried| Found {
        patient,
        code: Arc::clone(&code),
        definition: Arc::clone(&definition),
        tried,
    }
}

impl Found {
    /// By which lists are ordered.
    fn place(&self) -> (PatientId, DateTime<Utc>, &str) {
        (self.patient, self.tried.episode.met_at, &self.code)
    }
}

impl From<Found> for ListedEpisode {
    fn from(found: Found) -> ListedEpisode {
        let TriedEpisode { episode, in_both } = found.tried;
        ListedEpisode {
            patient: found.patient,
            code: found.code,
            severity: found.definition.severity,
            text: explain(&found.definition, &About::from(&episode)),
            late: episode.late,
            raised_at: episode.met_at,
            onset: ListedReading::of(episode.onset),
            latest: ListedReading::of(episode.latest),
            worst: ListedReading::of(episode.worst),
            cleared_at: episode.cleared_at,
            in_both,
            detail: episode.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;
    use serde_json::{Value, json};

    use super::*;
    use crate::dry_run::Trial;
    use crate::testing::{delayed, minute, rule};
    use crate::{Observation, Severity};

    fn low(code: &str, below: f64, severity: Severity) -> TrialRule {
        let limits = json!([{"metric": "glucose", "below": below}]);
        let mut definition = rule(json!({"kind": "threshold", "limits": limits}));
        definition.severity = severity;
        TrialRule {
            code: code.into(),
            definition: Arc::new(definition),
        }
    }

    /// A low that lasts from one minute to another, in a day of readings.
    fn history(from: i64, until: i64, delay: i64) -> Vec<Observation> {
        (0..288)
            .map(|step| step * 5)
            .map(|at| {
                let value = if (from..until).contains(&at) { 2.8 } else { 6.0 };
                delayed(Metric::Glucose, at, value, delay)
            })
            .collect()
    }

    struct Case {
        patient: i64,
        current: Vec<TrialRule>,
        history: Vec<Observation>,
    }

    fn cases() -> Vec<Case> {
        let case = |patient, current: &[TrialRule], history| Case {
            patient,
            current: current.to_vec(),
            history,
        };
        let low = |below| low("low", below, Severity::Medium);
        vec![
            case(3, &[low(3.0)], history(60, 90, 1)),
            case(1, &[low(2.5)], history(120, 150, 1)),
            case(2, &[], history(200, 260, 20)),
            case(
                4,
                &[low(3.9), self::low("old", 3.9, Severity::Low)],
                history(0, 1, 1),
            ),
            case(5, &[], vec![]),
        ]
    }

    fn sums(cases: &[Case], proposal: &[TrialRule], most: usize) -> Sums {
        let mut sums = Sums::new(Listing { most });
        for case in cases {
            let mut trial = Trial::new(PatientId(case.patient), proposal, &case.current, minute(0));
            trial.judge(&case.history);
            sums.add(trial.outcome(), &case.current);
        }
        sums
    }

    fn report(sums: Sums, proposal: &[TrialRule]) -> Value {
        let report = sums.report(proposal, (minute(0), minute(1440)), vec![]);
        serde_json::to_value(report).unwrap()
    }

    #[test]
    fn patients_add_up() {
        let proposal = [low("low", 3.9, Severity::High)];
        let report = report(sums(&cases(), &proposal, 100), &proposal);
        assert_eq!(
            (&report["patients"], &report["readings"]),
            (&json!(5), &json!(4 * 288))
        );
        let alerts = |all: u64, high: u64, medium: u64, low: u64| json!({"all": all, "high": high, "medium": medium, "low": low, "info": 0});
        // A day of readings from 08:00 lies on two dates.
        let proposed = json!({
            "patients": 4, "patient_days": 8, "alerts": alerts(3, 3, 0, 0), "late": alerts(1, 1, 0, 0),
            "alerts_per_patient_day": 0.375, "late_per_patient_day": 0.125,
        });
        assert_eq!(report["proposed"], proposed);
        let current = json!({
            "patients": 3, "patient_days": 6, "alerts": alerts(3, 0, 2, 1), "late": alerts(0, 0, 0, 0),
            "alerts_per_patient_day": 0.5, "late_per_patient_day": 0.0,
        });
        assert_eq!(report["current"], current);
        let difference = json!({"only_proposed": 2, "only_current": 1, "both": 2, "both_as_current": 2});
        assert_eq!(report["difference"], difference);

        let [low, old] = &report["rules"].as_array().unwrap()[..] else {
            panic!("two rules");
        };
        assert_eq!((&low["code"], &low["severity"]), (&json!("low"), &json!("high")));
        assert_eq!(low["proposed"], proposed);
        assert_eq!(low["current"]["alerts"], alerts(2, 0, 2, 0));
        let difference = json!({"only_proposed": 2, "only_current": 0, "both": 2, "both_as_current": 2});
        assert_eq!(low["difference"], difference);
        assert_eq!((&old["code"], &old["severity"]), (&json!("old"), &json!("low")));
        assert_eq!(old["proposed"], Value::Null);
        assert_eq!(old["difference"]["only_current"], 1);
    }

    #[test]
    fn the_first_episodes_are_listed_whatever_the_order_of_the_sums() {
        let proposal = [low("low", 3.9, Severity::High)];
        let cases = cases();
        let whole = report(sums(&cases, &proposal, 2), &proposal);
        let listed = |report: &Value, list: &str| -> Vec<i64> {
            let list = report[list].as_array().unwrap();
            list.iter()
                .map(|episode| episode["patient"].as_i64().unwrap())
                .collect()
        };
        assert_eq!(listed(&whole, "episodes"), [1, 2]);
        assert_eq!(whole["episodes_left_out"], 2);
        assert_eq!(listed(&whole, "only_current"), [4]);
        assert_eq!(whole["only_current_left_out"], 0);
        for middle in 0..=cases.len() {
            let (first, rest) = cases.split_at(middle);
            let mut merged = sums(rest, &proposal, 2);
            merged.merge(sums(first, &proposal, 2));
            assert_eq!(report(merged, &proposal), whole, "{middle} first");
        }
    }

    #[test]
    fn an_episode_is_listed_with_its_readings() {
        let proposal = [low("low", 3.9, Severity::High)];
        let report = report(sums(&cases()[..1], &proposal, 100), &proposal);
        let reading = |at| json!({"metric": "glucose", "at": minute(at), "value": 2.8, "unit": "mmol/L"});
        let expected = json!([{
            "patient": 3, "code": "low", "severity": "high",
            "text": "Glucose 2.8 mmol/L, below 3.9 mmol/L from 09:00 to 09:30 GMT.", "late": false, "raised_at": minute(60),
            "onset": reading(60), "latest": reading(85), "worst": reading(60), "cleared_at": minute(90),
            "in_both": true,
        }]);
        assert_eq!(report["episodes"], expected);
    }

    #[test]
    fn without_readings_there_is_no_rate_and_without_a_trial_a_reason() {
        let silence =
            json!({"kind": "silence", "metric": "glucose", "expected_every_seconds": 300, "times": 2});
        let silence = TrialRule {
            code: "silent".into(),
            definition: Arc::new(rule(silence)),
        };
        let report = report(Sums::new(Listing { most: 1 }), &[silence]);
        assert_eq!(report["proposed"]["alerts_per_patient_day"], Value::Null);
        assert_eq!(report["rules"][0]["proposed"], Value::Null);
        let reason = report["rules"][0]["not_tried"].as_str().unwrap();
        assert!(
            reason.starts_with("A rule of silence cannot be tried"),
            "{reason}"
        );
    }
}
