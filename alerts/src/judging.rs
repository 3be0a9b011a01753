//! Judging what a batch of new readings means for the record, within the transaction that stores them.

mod live_rule;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_store::corrections;
use homeward_store::history::ReadingPlace;
use homeward_store::{
    EpisodeWrite, Error, GateChanges, JudgedEpisode, Touchable, load_plans, load_touchable, save_plan_states,
    write_episodes,
};
use sqlx::{Connection, PgConnection};

use self::live_rule::{LiveRule, rules_of};
use self::record::{all_episodes, episode_of, facts_of, kinds_of, observation, read};
use crate::reconcile::{Amendment, Reconciliation, Stored, reconcile};
use crate::{Again, Checkpoint, Episode, Observation, undisturbed_before};

pub use self::record::observed;

/// Patients whose plans are kept in memory before all of them are forgotten: some kilobytes each.
const MAX_PATIENTS: usize = 50_000;

/// The care plans of some patients, with what each rule remembers.
///
/// After [`Plans::judge`] they are those of the record only if its transaction is committed; else
/// [`Plans::forget`] the patients.
#[derive(Default)]
pub struct Plans {
    patients: HashMap<PatientId, Vec<LiveRule>>,
    /// The version of the gate at which they were right.
    version: i64,
}

/// What judging a rule brought, for the record to be brought in line with.
struct Finding {
    patient: PatientId,
    code: Arc<str>,
    episodes: Vec<Episode>,
    /// From when on the episodes are all that there are; none: only the open one may have changed.
    since: Option<DateTime<Utc>>,
    how: Reconciliation,
}

/// A rule that has to judge some readings again.
struct Revision {
    patient: PatientId,
    rule: usize,
    overtaken: Vec<Observation>,
    again: Again,
}

impl Plans {
    /// Forgets the plans that changed since they were loaded.
    pub async fn bring_up_to(&mut self, connection: &mut PgConnection, version: i64) -> Result<(), Error> {
        if self.version == version {
            return Ok(());
        }
        let changes = GateChanges::since(connection, self.version).await?;
        if changes.everything {
            self.patients.clear();
        }
        self.forget(changes.patients);
        self.version = version;
        Ok(())
    }

    /// Forgets patients: what the record holds is not known to be what is remembered here.
    pub fn forget(&mut self, patients: impl IntoIterator<Item = PatientId>) {
        for patient in patients {
            self.patients.remove(&patient);
        }
    }

    /// Loads the plans of patients that are not in memory. To be called before the readings that are to be
    /// judged are stored: those that are stored by now have been judged.
    pub async fn load(
        &mut self,
        connection: &mut PgConnection,
        patients: HashSet<PatientId>,
    ) -> Result<(), Error> {
        let mut missing: Vec<_> = patients.iter().copied().collect();
        missing.retain(|patient| !self.patients.contains_key(patient));
        if missing.is_empty() {
            return Ok(());
        }
        if self.patients.len() + missing.len() > MAX_PATIENTS {
            // All of these, since now all are missing.
            self.patients.clear();
            missing = patients.into_iter().collect();
        }
        missing.sort_unstable();
        let plans = load_plans(connection, &missing).await?;
        // Patients without a plan are remembered too, as such.
        self.patients
            .extend(missing.iter().map(|patient| (*patient, Vec::new())));
        let mut spans = Vec::new();
        for plan in plans {
            let patient = plan.patient;
            let rules = rules_of(plan);
            for rule in rules.iter().filter(|rule| !rule.track.is_of_silence()) {
                spans.extend(rule.spans(patient, rule.track.resume_after(), DateTime::<Utc>::MAX_UTC));
            }
            self.patients.insert(patient, rules);
        }
        for (patient, readings) in read(connection, spans).await? {
            let rules = self.patients.get_mut(&patient).into_iter().flatten();
            for rule in rules.filter(|rule| !rule.track.is_of_silence()) {
                let after = rule.track.resume_after();
                let mut own = rule.track.own(&readings).into_owned();
                own.retain(|observation| observation.at > after);
                // What it finds is in the record.
                rule.track.judge(&own);
            }
        }
        for patient in missing {
            for rule in self.patients.get_mut(&patient).into_iter().flatten() {
                // The record has that it is over.
                let _over = rule.track.leave_former_plan();
            }
        }
        Ok(())
    }

    /// Judges new readings, which are stored, and writes what follows: episodes, and what rules remember.
    /// `now` is when it is recorded.
    pub async fn judge(
        &mut self,
        connection: &mut PgConnection,
        new: impl IntoIterator<Item = (PatientId, Observation)>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut by_patient: BTreeMap<PatientId, Vec<Observation>> = BTreeMap::new();
        for (patient, observation) in new {
            if self.patients.get(&patient).is_some_and(|rules| !rules.is_empty()) {
                by_patient.entry(patient).or_default().push(observation);
            }
        }
        let (mut findings, mut revisions) = (Vec::new(), Vec::new());
        for (patient, observations) in &mut by_patient {
            observations.sort_unstable_by_key(Observation::key);
            let rules = self.patients.get_mut(patient).into_iter().flatten();
            for (index, rule) in rules.enumerate() {
                let own = rule.track.own(observations);
                let (too_late, own) = rule.track.split(&own);
                let mut revise = |overtaken: &[Observation], again| {
                    revisions.push(Revision {
                        patient: *patient,
                        rule: index,
                        overtaken: overtaken.to_vec(),
                        again,
                    });
                };
                if let Some(again) = rule.track.go_back(too_late) {
                    revise(too_late, again);
                }
                if own.is_empty() {
                    continue;
                }
                if rule.track.is_in_order(own) {
                    let judged = rule.track.judge(own);
                    if judged.touched {
                        findings.push(rule.finding(*patient, judged.episodes, None, Reconciliation::Exact));
                    }
                } else if let Some(again) = rule.track.go_back(own) {
                    revise(own, again);
                }
            }
        }
        findings.extend(self.revise(connection, revisions).await?);
        self.bring_in_line(connection, findings, now).await?;
        let states = by_patient.keys().filter_map(|patient| self.unsaved(*patient));
        save_plan_states(connection, &states.collect::<Vec<_>>()).await
    }

    /// Judges again after a reading has been taken out of those that count. A rule that cannot go back so far is
    /// judged anew from then on, so that nothing it remembers rests on the reading.
    async fn judge_without(
        &mut self,
        connection: &mut PgConnection,
        patient: PatientId,
        reading: Observation,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut revisions = Vec::new();
        let rules = self.patients.get_mut(&patient).into_iter().flatten();
        for (index, rule) in rules.enumerate().filter(|(_, rule)| !rule.track.is_of_silence()) {
            let overtaken = rule.track.own(&[reading]).into_owned();
            let Some(mut again) = rule.track.go_back(&overtaken) else {
                continue;
            };
            if let Again::Apart(..) = again {
                let episodes = all_episodes(connection, patient, &rule.code).await?;
                let since = undisturbed_before(reading.at, episodes.iter());
                again = rule.track.start_anew(since);
            }
            revisions.push(Revision {
                patient,
                rule: index,
                overtaken,
                again,
            });
        }
        let findings = self.revise(connection, revisions).await?;
        self.bring_in_line(connection, findings, now).await?;
        let state = self.unsaved(patient);
        save_plan_states(connection, state.as_slice()).await
    }

    /// Judges again what newer readings have overtaken.
    async fn revise(
        &mut self,
        connection: &mut PgConnection,
        revisions: Vec<Revision>,
    ) -> Result<Vec<Finding>, Error> {
        let mut spans = Vec::new();
        for revision in &revisions {
            let (after, until) = revision.again.span();
            if let Some(rule) = self
                .patients
                .get(&revision.patient)
                .and_then(|rules| rules.get(revision.rule))
            {
                spans.extend(rule.spans(revision.patient, after, until));
            }
        }
        let readings = read(connection, spans).await?;
        let mut findings = Vec::new();
        for revision in revisions {
            let Revision {
                patient,
                rule,
                overtaken,
                again,
            } = revision;
            let (after, until) = again.span();
            let readings = readings.get(&patient).map_or(&[][..], Vec::as_slice);
            let Some(rule) = self
                .patients
                .get_mut(&patient)
                .and_then(|rules| rules.get_mut(rule))
            else {
                continue;
            };
            let mut own = rule.track.own(readings).into_owned();
            own.retain(|observation| observation.at > after && observation.at <= until);
            let (episodes, since, how) = match again {
                Again::After(after) => (rule.track.judge_again(&own, None), after, Reconciliation::Exact),
                Again::Apart(after, until) => {
                    let episodes = rule.track.judge_apart(&own, &overtaken);
                    (episodes, after, Reconciliation::Additive(until))
                }
                Again::Anew(_, since) => {
                    let mut episodes = rule.track.judge_again(&own, Some(since));
                    episodes.retain(|episode| episode.cleared_at.is_none_or(|end| end > since));
                    (episodes, since, Reconciliation::Exact)
                }
            };
            findings.push(rule.finding(patient, episodes, Some(since), how));
        }
        Ok(findings)
    }

    /// Writes what the record lacks of what was found. A rule can have one finding of each kind: what only adds
    /// is written first, and the other is compared with what is in the record then.
    async fn bring_in_line(
        &self,
        connection: &mut PgConnection,
        findings: Vec<Finding>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (exact, additive): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .partition(|finding| finding.how == Reconciliation::Exact);
        for findings in [additive, exact] {
            let writes = self.writes(connection, &findings).await?;
            write_episodes(connection, writes, now).await?;
        }
        Ok(())
    }

    /// What has to be written so that the record has the episodes that were found, once for each rule.
    async fn writes(
        &self,
        connection: &mut PgConnection,
        findings: &[Finding],
    ) -> Result<Vec<EpisodeWrite>, Error> {
        let touchable: Vec<_> = findings
            .iter()
            .map(|finding| Touchable {
                patient: finding.patient,
                code: &finding.code,
                ended_after: finding.since,
            })
            .collect();
        let mut stored: HashMap<(PatientId, String), Vec<Stored>> = HashMap::new();
        for episode in load_touchable(connection, &touchable).await? {
            let JudgedEpisode {
                patient,
                code,
                episode: id,
                facts,
            } = episode;
            let episode = episode_of(facts);
            stored
                .entry((patient, code))
                .or_default()
                .push(Stored { id, episode });
        }
        let mut writes = Vec::new();
        for finding in findings {
            let Finding {
                patient,
                code,
                episodes,
                how,
                ..
            } = finding;
            let stored = stored.remove(&(*patient, code.to_string())).unwrap_or_default();
            let rule = self
                .patients
                .get(patient)
                .and_then(|rules| rules.iter().find(|rule| rule.code == *code));
            let amendments = reconcile(&stored, episodes, *how);
            writes.extend(amendments.into_iter().filter_map(|amendment| {
                Some(match amendment {
                    Amendment::Withdraw { id } => EpisodeWrite::Withdraw { episode: id },
                    Amendment::Amend { id, episode, change } => EpisodeWrite::Update {
                        episode: id,
                        facts: facts_of(*episode),
                        kinds: kinds_of(change),
                    },
                    Amendment::Raise(episode) => EpisodeWrite::Insert {
                        patient: *patient,
                        code: code.to_string(),
                        severity: rule?.severity(episode.version),
                        facts: facts_of(*episode),
                    },
                })
            }));
        }
        Ok(writes)
    }

    /// What the record has to keep of a patient's rules, if that has changed.
    fn unsaved(&mut self, patient: PatientId) -> Option<(PatientId, String)> {
        let rules = self.patients.get_mut(&patient)?;
        let mut changed = false;
        for rule in rules.iter_mut() {
            changed |= rule.track.unsaved().is_some();
        }
        changed.then(|| {
            let checkpoints = rules.iter().map(|rule| (&*rule.code, rule.track.checkpoints()));
            let checkpoints: BTreeMap<&str, &[Checkpoint]> = checkpoints.collect();
            let json = serde_json::to_string(&checkpoints).expect("checkpoints are plain data");
            (patient, json)
        })
    }
}

/// Marks a reading as entered in error, and withdraws or amends what rested on it. Answers whether there was such
/// a reading that counted.
pub async fn enter_in_error(
    connection: &mut PgConnection,
    patient: PatientId,
    place: ReadingPlace,
    by: (&str, &str),
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let failed = |source| Error::new("mark a reading as entered in error", source);
    let mut transaction = connection.begin().await.map_err(failed)?;
    let marked = corrections::enter_in_error(&mut transaction, patient, place, by, now).await?;
    if let Some(marked) = marked {
        let mut plans = Plans::default();
        plans.load(&mut transaction, HashSet::from([patient])).await?;
        plans
            .judge_without(&mut transaction, patient, observation(&marked), now)
            .await?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(marked.is_some())
}

impl Again {
    fn span(self) -> (DateTime<Utc>, DateTime<Utc>) {
        match self {
            Again::After(after) => (after, DateTime::<Utc>::MAX_UTC),
            Again::Apart(after, until) => (after, until),
            Again::Anew(after, _) => (after, DateTime::<Utc>::MAX_UTC),
        }
    }
}
