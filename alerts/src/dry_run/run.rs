//! Reading histories and running trials of them, several at a time.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId};
use homeward_store::history::patient_exists;
use homeward_store::replay::{ReplayedReading, current_rules, patients_on, replay};
use homeward_store::{Error, PgPool};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet, spawn_blocking};

use super::{Listing, Report, Sums, Trial, TrialRule};
use crate::{Definition, Observation};

/// The most patients whose histories are read together. The more there are, the fewer pages are read twice; what
/// their rules remember takes some megabytes.
const MOST_PATIENTS: usize = 256;

/// So many groups for each worker, where there are few patients: that none works alone for long at the end.
const GROUPS_A_WORKER: usize = 4;

/// The most readings that a worker has in memory: about 10 MB, and well under a second of the database's work. Few
/// in tests, so that time has to be divided.
const MOST_READINGS: usize = if cfg!(test) { 100 } else { 150_000 };

/// How much time is read at once, to begin with: it halves where that is too much and doubles where it is little.
const FIRST_SLICE: TimeDelta = TimeDelta::days(2);

/// A slice is not made shorter than this: nobody is measured hundreds of thousands of times in a minute.
const SHORTEST_SLICE: TimeDelta = TimeDelta::minutes(1);

/// The longest slice. Longer ones would save nothing.
const LONGEST_SLICE: TimeDelta = TimeDelta::days(512);

/// Steps of progress that wait to be told, for each worker.
const TICKS: usize = 4;

/// What is to be tried, on whom, and over which time.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The rules, a code once.
    pub rules: Vec<TrialRule>,
    /// What of the present plans they stand in for, and are compared with.
    pub replaces: Replaces,
    /// On whose history.
    pub scope: Scope,
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until before when.
    pub to: DateTime<Utc>,
    /// The present: the plans that are in force then are the present ones.
    pub now: DateTime<Utc>,
    /// What the report lists.
    pub listing: Listing,
}

/// What of the present plans a proposal stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// The rules with the codes of the proposal; the plans' other rules stay as they are.
    Rules,
    /// The whole plan of the patient; of those who are on a programme the rules from it, and those with the codes
    /// of the proposal.
    Plan,
}

/// Whose histories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One patient's.
    Patient(PatientId),
    /// Those of all who have rules of a programme in their present plans.
    Programme(String),
    /// Those of some who have.
    Some {
        /// The programme.
        programme: String,
        /// The patients, by number.
        patients: Vec<PatientId>,
    },
}

/// How much a dry run may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most readings to judge.
    pub readings: u64,
    /// How many groups of patients are worked on at once; each takes a connection and a processor.
    pub workers: usize,
}

/// How far a dry run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// The share of the patients' time that has been judged, from 0 to 1.
    pub done: f64,
    /// The readings that have been judged.
    pub readings: u64,
    /// All patients.
    pub patients: usize,
}

/// Why a dry run has no answer.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// There is no such patient.
    #[error("there is no patient {0}")]
    UnknownPatient(PatientId),
    /// The scope is empty.
    #[error("no patient has rules of the programme {0} in the present plan")]
    NobodyOn(String),
    /// There is more to judge than the limit.
    #[error("there are more than {most} readings to judge")]
    TooMuch {
        /// The limit.
        most: u64,
    },
    /// The record could not be read.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Tries a proposal, and tells `progress` now and then how far it has come. Reads, and writes nothing; what is
/// under way ends when this is dropped.
pub async fn dry_run(
    pool: &PgPool,
    proposal: Proposal,
    limits: Limits,
    mut progress: impl FnMut(Progress),
) -> Result<Report, DryRunError> {
    let patients = patients_of(pool, &proposal).await?;
    let most = patients.len().div_ceil(limits.workers * GROUPS_A_WORKER);
    let groups = patients.chunks(most.clamp(1, MOST_PATIENTS));
    let (tell, mut told) = mpsc::channel(limits.workers * TICKS);
    let work = Arc::new(Work {
        pool: pool.clone(),
        groups: Mutex::new(groups.map(<[PatientId]>::to_vec).collect()),
        proposal,
        tell,
    });
    let mut workers = JoinSet::new();
    for _ in 0..limits.workers {
        workers.spawn(Arc::clone(&work).run());
    }
    let mut total = Yield::new(&work.proposal);
    let mut come = Progress {
        patients: patients.len(),
        ..Progress::default()
    };
    loop {
        tokio::select! {
            Some(Tick { readings, time }) = told.recv() => {
                come.readings += readings as u64;
                #[expect(clippy::cast_precision_loss, reason = "a number of patients")]
                let share = time / patients.len() as f64;
                come.done = (come.done + share).min(1.0);
                progress(come);
            }
            done = workers.join_next() => match done {
                Some(done) => total.merge(done.unwrap_or_else(panicked)?),
                None => break,
            },
        }
        if come.readings.max(total.sums.readings()) > limits.readings {
            return Err(DryRunError::TooMuch {
                most: limits.readings,
            });
        }
    }
    Ok(total.report(&work.proposal))
}

/// On whose histories a proposal is tried.
pub async fn patients_of(pool: &PgPool, proposal: &Proposal) -> Result<Vec<PatientId>, DryRunError> {
    let mut connection = connect(pool).await?;
    match &proposal.scope {
        Scope::Patient(patient) if patient_exists(&mut connection, *patient).await? => Ok(vec![*patient]),
        Scope::Patient(patient) => Err(DryRunError::UnknownPatient(*patient)),
        Scope::Programme(programme) => {
            let patients = patients_on(&mut connection, programme, proposal.now).await?;
            if patients.is_empty() {
                return Err(DryRunError::NobodyOn(programme.clone()));
            }
            Ok(patients)
        }
        Scope::Some { programme, patients } if patients.is_empty() => {
            Err(DryRunError::NobodyOn(programme.clone()))
        }
        Scope::Some { patients, .. } => Ok(patients.clone()),
    }
}

async fn connect(pool: &PgPool) -> Result<PoolConnection<Postgres>, Error> {
    let connection = pool.acquire().await;
    connection.map_err(|source| Error::new("connect to the record", source))
}

/// What becomes of a task that did not come to its end. Nobody cancels one and goes on.
fn panicked<T>(error: JoinError) -> T {
    resume_unwind(error.into_panic())
}

/// What the workers share.
struct Work {
    pool: PgPool,
    proposal: Proposal,
    groups: Mutex<VecDeque<Vec<PatientId>>>,
    tell: mpsc::Sender<Tick>,
}

/// A step of progress.
struct Tick {
    readings: usize,
    /// The time that was judged, as a share of a whole history, summed over the patients.
    time: f64,
}

/// What workers bring.
struct Yield {
    sums: Sums,
    /// How many patients have a present rule of this code that this version of the code cannot read.
    unreadable: BTreeMap<String, u64>,
}

impl Yield {
    fn new(proposal: &Proposal) -> Yield {
        Yield {
            sums: Sums::new(proposal.listing),
            unreadable: BTreeMap::new(),
        }
    }

    fn merge(&mut self, other: Yield) {
        self.sums.merge(other.sums);
        for (code, patients) in other.unreadable {
            *self.unreadable.entry(code).or_default() += patients;
        }
    }

    fn report(self, proposal: &Proposal) -> Report {
        let unreadable = |(code, patients): (String, u64)| {
            format!(
                "The present rule {code} of {patients} patients cannot be read by this version of Homeward, and is \
                 left out."
            )
        };
        let notes = self.unreadable.into_iter().map(unreadable).collect();
        let time = (proposal.from, proposal.to);
        self.sums.report(&proposal.rules, time, notes)
    }
}

impl Work {
    async fn run(self: Arc<Work>) -> Result<Yield, Error> {
        let mut total = Yield::new(&self.proposal);
        loop {
            let group = self
                .groups
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            match group {
                Some(patients) => self.try_on(patients, &mut total).await?,
                None => return Ok(total),
            }
        }
    }

    /// Tries the proposal on the histories of some patients, slice by slice.
    async fn try_on(&self, patients: Vec<PatientId>, total: &mut Yield) -> Result<(), Error> {
        let plans = self.present_plans(&patients, &mut total.unreadable).await?;
        let trial = |patient: &PatientId| {
            let current = plans.get(patient).map_or(&[][..], Vec::as_slice);
            Trial::new(*patient, &self.proposal.rules, current, self.proposal.from)
        };
        let mut trials: Vec<Trial> = patients.iter().map(trial).collect();
        let metrics: BTreeSet<Metric> = trials.iter().flat_map(Trial::metrics).collect();
        let metrics: Vec<Metric> = metrics.into_iter().collect();
        let begin = trials.iter().map(Trial::read_from).min();
        let (begin, end) = (begin.unwrap_or(self.proposal.from), self.proposal.to);
        let (mut from, mut length) = (begin, FIRST_SLICE);
        // Without metrics there is nothing to read.
        while from < end && !metrics.is_empty() {
            let until = from
                .checked_add_signed(length)
                .map_or(end, |until| until.min(end));
            let most = if length > SHORTEST_SLICE {
                MOST_READINGS
            } else {
                usize::MAX
            };
            let mut connection = connect(&self.pool).await?;
            let readings = replay(&mut connection, &patients, &metrics, (from, until), most).await?;
            drop(connection);
            let Some(readings) = readings else {
                length = (length / 2).max(SHORTEST_SLICE);
                continue;
            };
            let n = readings.len();
            // Not where there is nothing: what comes after a gap would be read in vain, for being too much.
            if (1..MOST_READINGS / 8).contains(&n) {
                length = (length * 2).min(LONGEST_SLICE);
            }
            trials = spawn_blocking(move || judge(trials, &readings))
                .await
                .unwrap_or_else(panicked);
            #[expect(clippy::cast_precision_loss, reason = "a number of patients")]
            let time = share(until - from, end - begin) * patients.len() as f64;
            // Nobody listens any more when the dry run is given up.
            let _ = self.tell.send(Tick { readings: n, time }).await;
            from = until;
        }
        for (patient, trial) in patients.iter().zip(trials) {
            let current = plans.get(patient).map_or(&[][..], Vec::as_slice);
            total.sums.add(trial.outcome(), current);
        }
        Ok(())
    }

    /// The present rules of patients that the proposal is compared with.
    async fn present_plans(
        &self,
        patients: &[PatientId],
        unreadable: &mut BTreeMap<String, u64>,
    ) -> Result<HashMap<PatientId, Vec<TrialRule>>, Error> {
        let now = self.proposal.now;
        let rules = current_rules(&mut *connect(&self.pool).await?, patients, now).await?;
        // Most patients have the rules as the programme has them.
        let mut read: HashMap<String, Option<Arc<Definition>>> = HashMap::new();
        let mut plans: HashMap<PatientId, Vec<TrialRule>> = HashMap::new();
        for rule in rules {
            if !self.is_replaced(&rule.code, &rule.programme) {
                continue;
            }
            let parsed = || Definition::parse(&rule.definition).ok().map(Arc::new);
            let definition = read.entry(rule.definition.to_string()).or_insert_with(parsed);
            match definition {
                Some(definition) => plans.entry(rule.patient).or_default().push(TrialRule {
                    code: rule.code.into(),
                    definition: Arc::clone(definition),
                }),
                None => *unreadable.entry(rule.code).or_default() += 1,
            }
        }
        Ok(plans)
    }

    fn is_replaced(&self, code: &str, programme: &str) -> bool {
        let proposal = &self.proposal;
        let whole_plan = proposal.replaces == Replaces::Plan
            && match &proposal.scope {
                Scope::Patient(_) => true,
                Scope::Programme(tried) | Scope::Some { programme: tried, .. } => tried == programme,
            };
        whole_plan || proposal.rules.iter().any(|rule| *rule.code == *code)
    }
}

/// Judges a slice of the histories of all of these patients, who are in order.
fn judge(mut trials: Vec<Trial>, readings: &[ReplayedReading]) -> Vec<Trial> {
    let mut histories = readings
        .chunk_by(|one, next| one.patient == next.patient)
        .peekable();
    let mut observations = Vec::new();
    for trial in &mut trials {
        let own = histories.next_if(|history| history[0].patient == trial.patient());
        observations.clear();
        observations.extend(own.into_iter().flatten().map(|reading| Observation {
            metric: reading.metric,
            at: reading.at,
            value: reading.value,
            device: reading.device,
            received_at: reading.received_at,
        }));
        trial.judge(&observations);
    }
    debug_assert!(histories.next().is_none());
    trials
}

fn share(part: TimeDelta, whole: TimeDelta) -> f64 {
    part.as_seconds_f64() / whole.as_seconds_f64()
}
