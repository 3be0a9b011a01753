//! Judging the new readings of a batch against the care plans of their patients.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeward_alerts::{Definition, Effect, Observation, RuleState, step};
use homeward_record::{Metric, PatientId, Point, RuleId};
use homeward_store::{BatchRow, EpisodeWrite, Error, GateChanges, PatientRule, latest_times, load_rules};
use serde_json::Value;
use sqlx::PgConnection;

/// Patients whose plans a lane keeps in memory before it forgets all of them: some kilobytes each.
const MAX_PATIENTS: usize = 50_000;

/// The care plans of a lane's patients, with what each rule remembers after the last commit.
#[derive(Default)]
pub(crate) struct Plans {
    patients: HashMap<PatientId, Vec<LiveRule>>,
    /// The version of the gate at which they were right.
    version: i64,
}

struct LiveRule {
    rule: RuleId,
    code: Arc<str>,
    definition: Definition,
    metrics: Vec<Metric>,
    state: RuleState,
}

/// What judging a batch brought, to be committed with the batch.
#[derive(Default)]
pub(crate) struct Judgement {
    pub(crate) episodes: Vec<(PatientId, Arc<str>, EpisodeWrite)>,
    pub(crate) states: Vec<(PatientId, Arc<str>, Value)>,
    /// What the rules remember once the batch is committed.
    remembered: Vec<(PatientId, usize, RuleState)>,
}

impl Plans {
    /// Forgets the plans that changed since they were loaded.
    pub(crate) async fn bring_up_to(
        &mut self,
        connection: &mut PgConnection,
        version: i64,
    ) -> Result<(), Error> {
        if self.version == version {
            return Ok(());
        }
        let changes = GateChanges::since(connection, self.version).await?;
        if changes.everything {
            self.patients.clear();
        }
        for patient in &changes.patients {
            self.patients.remove(patient);
        }
        self.version = version;
        Ok(())
    }

    /// Forgets everything: what the record holds is not known to be what is remembered here.
    pub(crate) fn forget(&mut self) {
        self.patients.clear();
    }

    /// Loads the plans of patients that are not in memory. To be called before the readings that are to be
    /// judged are stored, since the newest stored readings tell which ones come in order.
    pub(crate) async fn load(
        &mut self,
        connection: &mut PgConnection,
        patients: HashSet<PatientId>,
    ) -> Result<(), Error> {
        let mut missing: Vec<_> = patients.iter().copied().collect();
        missing.retain(|patient| !self.patients.contains_key(patient));
        missing.sort_unstable();
        if missing.is_empty() {
            return Ok(());
        }
        if self.patients.len() + missing.len() > MAX_PATIENTS {
            // All of the batch's patients, since now all are missing.
            self.patients.clear();
            missing = patients.into_iter().collect();
            missing.sort_unstable();
        }
        let rules: Vec<_> = load_rules(connection, &missing)
            .await?
            .into_iter()
            .filter_map(parse)
            .collect();
        let mut series: Vec<_> = rules
            .iter()
            .flat_map(|(rule, definition)| definition.metrics().into_iter().map(|m| (rule.patient, m)))
            .collect();
        series.sort_unstable();
        series.dedup();
        let latest: HashMap<_, _> = latest_times(connection, &series)
            .await?
            .into_iter()
            .map(|(patient, metric, at)| ((patient, metric), at))
            .collect();

        // Patients without a plan are remembered too, as such.
        self.patients
            .extend(missing.into_iter().map(|patient| (patient, Vec::new())));
        for (rule, definition) in rules {
            let metrics = definition.metrics();
            let latest = metrics
                .iter()
                .filter_map(|metric| latest.get(&(rule.patient, *metric)).copied())
                .max();
            let live = LiveRule {
                rule: rule.rule,
                state: resume(&rule, latest),
                code: rule.code.into(),
                definition,
                metrics,
            };
            self.patients.entry(rule.patient).or_default().push(live);
        }
        Ok(())
    }

    /// Judges new readings. Changes nothing that is remembered before [`Plans::remember`].
    pub(crate) fn judge(&self, new: &[&BatchRow]) -> Judgement {
        let mut by_patient: HashMap<PatientId, Vec<&BatchRow>> = HashMap::new();
        for row in new.iter().filter(|row| {
            self.patients
                .get(&row.patient)
                .is_some_and(|rules| !rules.is_empty())
        }) {
            by_patient.entry(row.patient).or_default().push(row);
        }
        let mut judgement = Judgement::default();
        for (patient, mut rows) in by_patient {
            rows.sort_by_key(|row| (row.at, row.metric, row.device));
            for (index, rule) in self.patients[&patient].iter().enumerate() {
                judge_by(rule, patient, index, &rows, &mut judgement);
            }
        }
        judgement
    }

    /// Takes over what the rules remember after a batch that is committed.
    pub(crate) fn remember(&mut self, judgement: Judgement) {
        for (patient, index, state) in judgement.remembered {
            if let Some(rule) = self
                .patients
                .get_mut(&patient)
                .and_then(|rules| rules.get_mut(index))
            {
                rule.state = state;
            }
        }
    }
}

/// A rule that this version cannot read judges nothing, and says so; it must not stop the others.
fn parse(rule: PatientRule) -> Option<(PatientRule, Definition)> {
    match Definition::parse(&rule.definition) {
        Ok(definition) => Some((rule, definition)),
        Err(error) => {
            let (rule_id, code) = (rule.rule, &rule.code);
            tracing::error!(%rule_id, code, error = &error as &dyn std::error::Error, "a rule is not readable");
            None
        }
    }
}

fn resume(rule: &PatientRule, latest: Option<DateTime<Utc>>) -> RuleState {
    RuleState::resume(rule.state.clone(), latest).unwrap_or_else(|error| {
        let (rule_id, code) = (rule.rule, &rule.code);
        tracing::error!(%rule_id, code, error = &error as &dyn std::error::Error, "a rule forgot what it knew");
        RuleState::resume(None, latest).unwrap_or_default()
    })
}

fn judge_by(rule: &LiveRule, patient: PatientId, index: usize, rows: &[&BatchRow], into: &mut Judgement) {
    let mut state = None;
    let mut writes = Vec::new();
    for row in rows.iter().filter(|row| rule.metrics.contains(&row.metric)) {
        let observation = Observation {
            metric: row.metric,
            at: row.at,
            value: row.value,
            received_at: row.received_at,
        };
        let before = state.take().unwrap_or_else(|| rule.state.clone());
        let (after, effects) = step(&rule.definition, before, &observation);
        for effect in effects {
            write(rule, effect, observation.is_late(), &mut writes);
        }
        state = Some(after);
    }
    let Some(state) = state else { return };
    into.episodes.extend(
        writes
            .into_iter()
            .map(|write| (patient, Arc::clone(&rule.code), write)),
    );
    if state.needs_saving(&rule.state) {
        let json = serde_json::to_value(&state).expect("a state is plain data");
        into.states.push((patient, Arc::clone(&rule.code), json));
    }
    into.remembered.push((patient, index, state));
}

/// Adds an effect to the writes of a rule, together with those that concern the same episode: a batch
/// writes an episode once, however many of its readings belong to it.
fn write(rule: &LiveRule, effect: Effect, is_late: bool, writes: &mut Vec<EpisodeWrite>) {
    match effect {
        Effect::Raise {
            onset,
            point,
            worst,
            late,
        } => {
            writes.push(insert(rule, late, onset, point, worst, false));
        }
        // Overtaken by a newer reading, but not late: it was true minutes ago, and a team wants to know.
        Effect::Late { onset, latest, worst } => {
            writes.push(insert(rule, is_late, onset, latest, worst, true));
        }
        Effect::Continue { latest: to, worst: w } => match open(writes) {
            EpisodeWrite::Insert { latest, worst, .. } => (*latest, *worst) = (to, w),
            EpisodeWrite::Update { further, .. } => *further = Some((to, w)),
            EpisodeWrite::ExtendLate { .. } => {}
        },
        Effect::BecameCurrent { .. } => {
            if let EpisodeWrite::Insert { became_current, .. } | EpisodeWrite::Update { became_current, .. } =
                open(writes)
            {
                *became_current = true;
            }
        }
        Effect::Clear { .. } => {
            if let EpisodeWrite::Insert { cleared, .. } | EpisodeWrite::Update { cleared, .. } = open(writes)
            {
                *cleared = true;
            }
        }
        Effect::LateContinue {
            onset_at,
            latest: to,
            worst: w,
        } => {
            for write in writes.iter_mut().rev() {
                match write {
                    EpisodeWrite::Insert {
                        cleared: true,
                        onset,
                        latest,
                        worst,
                        ..
                    } if onset.at == onset_at => {
                        return (*latest, *worst) = (to, w);
                    }
                    EpisodeWrite::ExtendLate {
                        onset_at: at,
                        latest,
                        worst,
                    } if *at == onset_at => {
                        return (*latest, *worst) = (to, w);
                    }
                    _ => {}
                }
            }
            writes.push(EpisodeWrite::ExtendLate {
                onset_at,
                latest: to,
                worst: w,
            });
        }
    }
}

fn insert(
    rule: &LiveRule,
    late: bool,
    onset: Point,
    latest: Point,
    worst: Point,
    cleared: bool,
) -> EpisodeWrite {
    let severity = rule.definition.severity.as_str();
    EpisodeWrite::Insert {
        rule: rule.rule,
        severity,
        late,
        onset,
        latest,
        worst,
        became_current: false,
        cleared,
    }
}

/// The write of the rule's open episode: the last that has not cleared it, or a new one for the episode that
/// was open before the batch.
fn open(writes: &mut Vec<EpisodeWrite>) -> &mut EpisodeWrite {
    let is_open = |write: &EpisodeWrite| {
        matches!(
            write,
            EpisodeWrite::Insert { cleared: false, .. } | EpisodeWrite::Update { cleared: false, .. }
        )
    };
    let index = writes.iter().rposition(is_open).unwrap_or_else(|| {
        writes.push(EpisodeWrite::Update {
            further: None,
            became_current: false,
            cleared: false,
        });
        writes.len() - 1
    });
    &mut writes[index]
}
