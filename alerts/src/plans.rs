//! Changing a patient's care plan.
//!
//! A change is a transaction, with an author and a reason. It judges what arrives from then on, and re-judges
//! nothing: the former version stays readable, and so does which version raised an episode.

mod always_on;

use chrono::{DateTime, Utc};
use homeward_record::{Clock, PatientId};
use homeward_store::admin::{AdminError, set_rules};
use homeward_store::history::patient_exists;
use homeward_store::plans::{self, NewRule, PlanVersion, load_versions};
use homeward_store::{Error, Gate};
use serde_json::Value;
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use crate::{Condition, Definition, DefinitionError, Programme};

/// The longest code of a rule, in characters.
const LONGEST_CODE: usize = 60;

/// A rule that is adjusted or added.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Whose plan.
    pub patient: PatientId,
    /// Names the rule.
    pub code: &'a str,
    /// The version that is adjusted: the one in force, as its author has read it. `None` adds a rule.
    pub version: Option<i32>,
    /// What the rule says from now on.
    pub definition: &'a Value,
    /// Until when. Then the rule says again what it said before, or is over if it is added.
    pub until: Option<DateTime<Utc>>,
    /// Who wants it.
    pub author: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// A rule that is taken out of a plan.
#[derive(Clone, Copy, Debug)]
pub struct TakingOut<'a> {
    /// Whose plan.
    pub patient: PatientId,
    /// Names the rule.
    pub code: &'a str,
    /// The version in force, as the author has read it.
    pub version: i32,
    /// Who wants it.
    pub author: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// Why a plan was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no such patient.
    #[error("there is no patient {0}")]
    UnknownPatient(PatientId),
    /// The code cannot name a rule.
    #[error("a rule is named by lower-case words joined by dashes, in at most {LONGEST_CODE} characters")]
    Code,
    /// What the rule is to say makes no sense, or says too little for a rule that is always on.
    #[error(transparent)]
    Definition(DefinitionError),
    /// The time until which it is to say so.
    #[error("{0}")]
    Until(&'static str),
    /// The version that its author has read is not in force.
    #[error("{}", stale(code, *in_force))]
    Stale {
        /// Names the rule.
        code: String,
        /// The version that is.
        in_force: Option<i32>,
    },
    /// A plan does not leave such a rule out.
    #[error("the rule {code} is always on: a plan may adjust it, but not leave it out")]
    AlwaysOn {
        /// Names the rule.
        code: String,
    },
    /// The record could not be read or changed.
    #[error(transparent)]
    Store(#[from] Error),
}

fn stale(code: &str, in_force: Option<i32>) -> String {
    match in_force {
        Some(version) => {
            format!("the plan has version {version} of the rule {code} in force: name that version")
        }
        None => format!("the plan has no rule {code} in force: it can be added, without a version"),
    }
}

/// Adjusts a rule, or adds one, and answers the version that is in force now.
///
/// A rule that is always on may not be made less strict than the programme has it that it was taken from.
pub async fn adjust(
    connection: &mut PgConnection,
    change: &Change<'_>,
    clock: &Clock,
) -> Result<PlanVersion, PlanError> {
    let definition = Definition::parse(change.definition).map_err(PlanError::Definition)?;
    if change.version.is_none() && !is_code(change.code) {
        return Err(PlanError::Code);
    }
    let mut plan = Held::new(connection, change.patient, change.code, clock).await?;
    let now = plan.now;
    check_until(change, &definition, now)?;
    let in_force = plan.in_force(change.version)?;
    if let Some(in_force) = in_force.filter(|version| version.always_on) {
        always_on::check(&base(in_force)?, &definition).map_err(PlanError::Definition)?;
    }
    let is_in_force = in_force.is_some();
    check_kind(&plan.versions, &definition)?;
    let (programme, always_on) = match in_force {
        Some(version) => (version.programme.clone(), version.always_on),
        None => (None, false),
    };
    let rule = NewRule {
        patient: change.patient,
        code: change.code,
        programme: programme.as_deref().unwrap_or_default(),
        definition: change.definition,
        always_on,
    };
    let lasting = plan.versions.iter().find(|version| version.valid_until.is_none());
    if !is_in_force {
        plans::end_lapsed_of(&mut plan.transaction, std::slice::from_ref(&rule), now).await?;
    }
    let author = change.author;
    plans::put(
        &mut plan.transaction,
        &[rule],
        (author, change.reason),
        (now, change.until),
        now,
    )
    .await?;
    if let (Some(until), Some(lasting)) = (change.until, lasting) {
        let again = NewRule {
            patient: change.patient,
            code: change.code,
            programme: lasting.programme.as_deref().unwrap_or_default(),
            definition: &lasting.definition,
            always_on: lasting.always_on,
        };
        let reason = format!("as version {} again, after the time of another", lasting.version);
        plans::put(
            &mut plan.transaction,
            &[again],
            (author, &reason),
            (until, None),
            now,
        )
        .await?;
    }
    plan.reload().await?;
    let adjusted = plan.versions.iter().find(|version| version.is_in_force(now));
    let adjusted = adjusted.cloned().expect("the version was put in force");
    plan.commit().await?;
    Ok(adjusted)
}

/// Takes a rule out of a plan, ends its open episode, and answers its last version.
pub async fn take_out(
    connection: &mut PgConnection,
    taking_out: &TakingOut<'_>,
    clock: &Clock,
) -> Result<PlanVersion, PlanError> {
    let TakingOut {
        patient,
        code,
        version,
        author,
        reason,
    } = *taking_out;
    let mut plan = Held::new(connection, patient, code, clock).await?;
    let now = plan.now;
    let last = plan.in_force(Some(version))?.expect("a version that is in force");
    if last.always_on {
        return Err(PlanError::AlwaysOn {
            code: code.to_owned(),
        });
    }
    let last = last.clone();
    plans::take_out(&mut plan.transaction, patient, &last, (author, reason), now).await?;
    plan.reload().await?;
    let ended = plan.versions.iter().find(|version| version.rule == last.rule);
    let ended = ended.cloned().expect("no version is ever removed");
    plan.commit().await?;
    Ok(ended)
}

/// Puts a programme's rules into the care plans of patients, in the caller's transaction. A rule of the same code
/// that a plan has becomes its former version.
pub async fn copy_programme(
    connection: &mut PgConnection,
    patients: &[PatientId],
    programme: &Programme,
    (author, reason): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), AdminError> {
    let definitions: Vec<Value> = programme
        .rules
        .iter()
        .map(|rule| serde_json::to_value(&rule.definition).expect("a definition is plain data"))
        .collect();
    let mut rules = Vec::with_capacity(patients.len() * definitions.len());
    for &patient in patients {
        for (rule, definition) in programme.rules.iter().zip(&definitions) {
            rules.push(NewRule {
                patient,
                code: &rule.code,
                programme: &programme.name,
                definition,
                always_on: rule.always_on,
            });
        }
    }
    set_rules(connection, &rules, author, reason, now).await
}

/// A rule of a plan that nobody else changes until the transaction ends.
struct Held<'c> {
    transaction: Transaction<'c, Postgres>,
    patient: PatientId,
    code: String,
    versions: Vec<PlanVersion>,
    /// The time of the change. It is taken while nobody else changes the plan: a change that was read from the clock
    /// before another was made would undo that one.
    now: DateTime<Utc>,
}

impl<'c> Held<'c> {
    async fn new(
        connection: &'c mut PgConnection,
        patient: PatientId,
        code: &str,
        clock: &Clock,
    ) -> Result<Held<'c>, PlanError> {
        let transaction = connection.begin().await;
        let mut transaction = transaction.map_err(|source| Error::new("begin a transaction", source))?;
        if !patient_exists(&mut transaction, patient).await? {
            return Err(PlanError::UnknownPatient(patient));
        }
        Gate::hold(&mut transaction).await?;
        let now = plans::time_of_change(&mut transaction, &[(patient, code)], clock.now()).await?;
        let mut held = Held {
            transaction,
            patient,
            code: code.to_owned(),
            versions: Vec::new(),
            now,
        };
        held.reload().await?;
        Ok(held)
    }

    async fn reload(&mut self) -> Result<(), Error> {
        self.versions = load_versions(&mut self.transaction, self.patient, Some(&self.code)).await?;
        Ok(())
    }

    /// The version in force, which must be the one that is `expected`.
    fn in_force(&self, expected: Option<i32>) -> Result<Option<&PlanVersion>, PlanError> {
        let version = self.versions.iter().find(|version| version.is_in_force(self.now));
        let in_force = version.map(|version| version.version);
        if in_force == expected {
            Ok(version)
        } else {
            Err(PlanError::Stale {
                code: self.code.clone(),
                in_force,
            })
        }
    }

    async fn commit(self) -> Result<(), Error> {
        let committed = self.transaction.commit().await;
        committed.map_err(|source| Error::new("commit a change of a care plan", source))
    }
}

fn check_until(change: &Change<'_>, definition: &Definition, now: DateTime<Utc>) -> Result<(), PlanError> {
    let Some(until) = change.until else {
        return Ok(());
    };
    if until <= now {
        return Err(PlanError::Until("the end of the time must be in the future"));
    }
    // A series is watched by one version, for as long as the rule is in the plan.
    if matches!(definition.condition, Condition::Silence(_)) {
        return Err(PlanError::Until(
            "a rule of silence cannot be for a time: take it out of the plan when that is over",
        ));
    }
    Ok(())
}

/// Silence is told by a timer and all else by readings, and what either remembers goes by the code: so the versions of
/// a code, also those that are over, are of silence all or none.
fn check_kind(versions: &[PlanVersion], definition: &Definition) -> Result<(), PlanError> {
    let is_silence = matches!(definition.condition, Condition::Silence(_));
    let was_silence = |version: &PlanVersion| version.definition["condition"]["kind"] == "silence";
    if versions.iter().all(|version| was_silence(version) == is_silence) {
        return Ok(());
    }
    let problem = if is_silence {
        "the rule is not of silence and cannot become so: use another code"
    } else {
        "the rule is of silence and stays so: use another code"
    };
    Err(PlanError::Definition(DefinitionError {
        field: "condition.kind".to_owned(),
        problem: problem.to_owned(),
    }))
}

/// What a rule that is always on must not be less strict than: what the programme says that it was taken from, or,
/// of a programme that is no more, what the plan says.
fn base(in_force: &PlanVersion) -> Result<Definition, PlanError> {
    let programme = in_force.programme.as_deref().and_then(Programme::named);
    let rules = programme.iter().flat_map(|programme| &programme.rules);
    let mut of_code = rules.filter(|rule| rule.code == in_force.code && rule.always_on);
    match of_code.next() {
        Some(rule) => Ok(rule.definition.clone()),
        None => Definition::parse(&in_force.definition).map_err(PlanError::Definition),
    }
}

fn is_code(code: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    code.len() <= LONGEST_CODE && code.split('-').all(is_word)
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;
    use serde_json::json;

    use super::*;
    use crate::fixture::{Record, minute};

    const CODE: &str = "own-glucose";

    fn definition(condition: &Value) -> Value {
        json!({
            "name": "Test", "severity": "low", "guidance": "None.", "source": "A test.", "condition": condition,
        })
    }

    fn glucose_below(limit: f64) -> Value {
        definition(&json!({"kind": "threshold", "limits": [{"metric": Metric::Glucose, "below": limit}]}))
    }

    fn change(patient: PatientId, version: Option<i32>, definition: &Value) -> Change<'_> {
        Change {
            patient,
            code: CODE,
            version,
            definition,
            until: None,
            author: "Dr Ng",
            reason: "a test",
        }
    }

    #[tokio::test]
    async fn silence_and_other_kinds_never_share_a_code() {
        let record = Record::new().await;
        let silence =
            json!({"kind": "silence", "metric": "glucose", "expected_every_seconds": 3600, "times": 2});
        let (silence, below) = (definition(&silence), glucose_below(4.0));
        for (first, other, said) in [
            (&silence, &below, "the rule is of silence and stays so"),
            (
                &below,
                &silence,
                "the rule is not of silence and cannot become so",
            ),
        ] {
            let patient = record.add_patient(None).await;
            let change_to = async |version, definition, at| {
                let change = change(patient, version, definition);
                let adjusted = adjust(
                    &mut *record.connection().await,
                    &change,
                    &Clock::Fixed(minute(at)),
                )
                .await;
                adjusted.map(drop).map_err(|error| error.to_string())
            };
            let refused = Err(format!("condition.kind: {said}: use another code"));
            assert_eq!(change_to(None, first, 1).await, Ok(()));
            assert_eq!(change_to(Some(1), first, 2).await, Ok(()));
            assert_eq!(change_to(Some(2), other, 3).await, refused);
            let taking_out = TakingOut {
                patient,
                code: CODE,
                version: 2,
                author: "Dr Ng",
                reason: "a test",
            };
            take_out(
                &mut *record.connection().await,
                &taking_out,
                &Clock::Fixed(minute(4)),
            )
            .await
            .unwrap();
            assert_eq!(change_to(None, other, 5).await, refused);
            assert_eq!(change_to(None, first, 5).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_change_by_a_clock_that_is_behind_undoes_no_other() {
        let record = Record::new().await;
        let patient = record.add_patient(None).await;
        let definition = glucose_below(4.0);
        let change_at = async |version, at: i64, until: Option<i64>| {
            let change = Change {
                until: until.map(minute),
                ..change(patient, version, &definition)
            };
            let adjusted = adjust(
                &mut *record.connection().await,
                &change,
                &Clock::Fixed(minute(at)),
            )
            .await;
            match adjusted {
                Ok(adjusted) => (adjusted.version, Some(adjusted.valid_from)),
                Err(PlanError::Stale { in_force, .. }) => (in_force.unwrap_or(0), None),
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(change_at(None, 1, None).await, (1, Some(minute(1))));
        assert_eq!(change_at(Some(1), 5, None).await, (2, Some(minute(5))));
        assert_eq!(
            change_at(Some(1), 2, None).await,
            (2, None),
            "it is no more in force"
        );
        assert_eq!(change_at(Some(2), 2, None).await, (3, Some(minute(5))));
        // A version that is to come does not move the time of a change.
        assert_eq!(change_at(Some(3), 6, Some(60)).await, (4, Some(minute(6))));
        assert_eq!(change_at(Some(4), 7, None).await, (6, Some(minute(7))));
        // A rule that was taken out is not put back either.
        let taking_out = TakingOut {
            patient,
            code: CODE,
            version: 6,
            author: "Dr Ng",
            reason: "a test",
        };
        let taken_out = take_out(
            &mut *record.connection().await,
            &taking_out,
            &Clock::Fixed(minute(9)),
        )
        .await;
        assert_eq!(taken_out.unwrap().valid_until, Some(minute(9)));
        assert_eq!(change_at(Some(6), 8, None).await, (0, None));
        assert_eq!(change_at(None, 8, None).await, (7, Some(minute(9))));
        // Nor does enrolment, here at minute 0, go back in time.
        record.add_rule(patient, CODE, "low", json!({})).await;
        let mut connection = record.pool().acquire().await.unwrap();
        let versions = load_versions(&mut connection, patient, Some(CODE)).await.unwrap();
        assert_eq!((versions[7].version, versions[7].valid_from), (8, minute(9)));
    }

    #[test]
    fn codes_are_words_joined_by_dashes() {
        let longest = "x".repeat(LONGEST_CODE);
        for (code, good) in [
            ("glucose-very-low", true),
            ("day-1", true),
            (longest.as_str(), true),
            ("", false),
            ("-", false),
            ("low-", false),
            ("Low", false),
            ("very low", false),
            ("tief-ä", false),
            (&format!("{longest}x"), false),
        ] {
            assert_eq!(is_code(code), good, "{code:?}");
        }
    }
}
