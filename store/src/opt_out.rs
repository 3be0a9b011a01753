//! The national data opt-out: lists of NHS numbers that go to the national service, and the answers, which name those who
//! have *not* opted out.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{NhsNumber, PatientId};
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;
use crate::choices::{Chosen, ResearchSource, choose_research};

/// For how long an answer may be relied on, from the time its list was made. What the policy's guidance is known for
/// allowing; not found in a text that could be cited, so to be checked by who runs the service (`?`).
pub const GOOD_FOR: TimeDelta = TimeDelta::days(21);

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum OptOutError {
    /// Nothing was submitted, or not that.
    #[error("no list was submitted that this could be the answer to")]
    NothingSubmitted,
    /// It could be the answer to several lists.
    #[error(
        "there are several lists without an answer, such as {first} and {second}: say which by its number"
    )]
    Several {
        /// One of them.
        first: i64,
        /// Another.
        second: i64,
    },
    /// The list is too old.
    #[error("list {0} is more than 21 days old: submit another")]
    TooOld(i64),
    /// A later list has been answered.
    #[error("the answer to list {later} was imported, which was submitted after list {check}")]
    Overtaken {
        /// The list.
        check: i64,
        /// The later one.
        later: i64,
    },
    /// There was another answer.
    #[error("another answer to list {0} was imported: an answer does not change")]
    AnotherAnswer(i64),
    /// A number that was not in the list.
    #[error("the number is not one of list {check}")]
    NotSubmitted {
        /// The list.
        check: i64,
        /// Its place among the numbers of the answer.
        index: usize,
    },
    /// The record failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A list that is to be sent.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Its number.
    pub check: i64,
    /// The NHS numbers in it.
    pub numbers: Vec<String>,
}

/// Makes a list of the NHS numbers of all patients, and remembers it. Lists that may no longer be relied on are
/// forgotten.
pub async fn submit(
    connection: &mut PgConnection,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Submission, Error> {
    let failed = |source| Error::new("make a list for the national data opt-out", source);
    sqlx::query!(
        "DELETE FROM opt_out_submitted WHERE opt_out_check_id IN
             (SELECT opt_out_check_id FROM opt_out_check WHERE submitted_at < $1)",
        now - GOOD_FOR
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    let check = sqlx::query_scalar!(
        "INSERT INTO opt_out_check (submitted_at, submitted_by) VALUES ($1, $2) RETURNING opt_out_check_id",
        now,
        by
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let numbers = sqlx::query_scalar!(
        r#"WITH submitted AS (
             INSERT INTO opt_out_submitted (patient_id, opt_out_check_id)
             SELECT patient_id, $1 FROM patient RETURNING patient_id
         )
         SELECT nhs_number AS "nhs_number!" FROM patient JOIN submitted USING (patient_id) ORDER BY nhs_number"#,
        check
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    Ok(Submission { check, numbers })
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The list.
    pub check: i64,
    /// How many numbers were in it.
    pub submitted: usize,
    /// How many of these have not opted out.
    pub returned: usize,
    /// Patients of whom it was news that they have opted out.
    pub opted_out: Vec<PatientId>,
    /// Patients of whom it was news that they have not, any longer.
    pub opted_in: Vec<PatientId>,
}

/// Takes the answer to a list, the one of this number or else the one that waits for an answer: whoever was in the list
/// and is not in the answer has opted out. It holds from the time of the list. Only what is new is noted, and an answer
/// may come twice. `digest` is the SHA-256 of the answer.
pub async fn take_answer(
    connection: &mut PgConnection,
    check: Option<i64>,
    (returned, digest): (&[NhsNumber], &[u8; 32]),
    by: &str,
    now: DateTime<Utc>,
) -> Result<Taken, OptOutError> {
    let failed = |source| Error::new("take an answer of the national data opt-out", source);
    let check = which(connection, check).await?;
    let (id, submitted_at) = (check.id, check.submitted_at);
    if submitted_at < now - GOOD_FOR {
        return Err(OptOutError::TooOld(id));
    }
    let submitted = sqlx::query!(
        "SELECT patient_id, nhs_number FROM opt_out_submitted JOIN patient USING (patient_id)
         WHERE opt_out_check_id = $1 ORDER BY nhs_number",
        id
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let place = |number: &str| submitted.binary_search_by(|row| row.nhs_number.as_str().cmp(number));
    let mut has_opted_out = vec![true; submitted.len()];
    for (index, number) in returned.iter().enumerate() {
        match place(number.as_str()) {
            Ok(place) => has_opted_out[place] = false,
            Err(_) => return Err(OptOutError::NotSubmitted { check: id, index }),
        }
    }
    let mut taken = Taken {
        check: id,
        submitted: submitted.len(),
        returned: has_opted_out.iter().filter(|out| !**out).count(),
        opted_out: Vec::new(),
        opted_in: Vec::new(),
    };
    match check.digest {
        Some(known) if known == digest => return Ok(taken),
        Some(_) => return Err(OptOutError::AnotherAnswer(id)),
        None => {}
    }
    let later = sqlx::query_scalar!(
        "SELECT opt_out_check_id FROM opt_out_check WHERE submitted_at > $1 AND answered_at IS NOT NULL LIMIT 1",
        submitted_at
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    if let Some(later) = later {
        return Err(OptOutError::Overtaken { check: id, later });
    }
    let chosen = Chosen {
        by: "the national data opt-out service",
        at: now,
        from: submitted_at,
    };
    let those = |out: bool| -> Vec<PatientId> {
        let those = submitted.iter().zip(&has_opted_out).filter(|(_, is)| **is == out);
        those.map(|(row, _)| PatientId(row.patient_id)).collect()
    };
    let source = ResearchSource::NationalDataOptOut;
    taken.opted_out = choose_research(connection, &those(true), source, true, chosen).await?;
    taken.opted_in = choose_research(connection, &those(false), source, false, chosen).await?;
    sqlx::query!(
        "UPDATE opt_out_check SET answered_at = $2, answered_by = $3, answer_digest = $4
         WHERE opt_out_check_id = $1",
        id,
        now,
        by,
        &digest[..]
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(taken)
}

struct Submitted {
    id: i64,
    submitted_at: DateTime<Utc>,
    digest: Option<Vec<u8>>,
}

/// The list of this number; else the one that has no answer, or where all have one the latest. It is locked: nobody else
/// takes its answer meanwhile.
async fn which(connection: &mut PgConnection, check: Option<i64>) -> Result<Submitted, OptOutError> {
    let failed = |source| Error::new("look up a list of the national data opt-out", source);
    let mut found = sqlx::query_as!(
        Submitted,
        "SELECT opt_out_check_id AS id, submitted_at, answer_digest AS digest FROM opt_out_check
         WHERE $1::bigint IS NULL OR opt_out_check_id = $1
         ORDER BY answered_at IS NULL DESC, submitted_at DESC, opt_out_check_id DESC LIMIT 2 FOR UPDATE",
        check
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?
    .into_iter();
    match (found.next(), found.next()) {
        (None, _) => Err(OptOutError::NothingSubmitted),
        (Some(second), Some(first)) if second.digest.is_none() && first.digest.is_none() => {
            Err(OptOutError::Several {
                first: first.id,
                second: second.id,
            })
        }
        (Some(found), _) => Ok(found),
    }
}

/// A list that was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its number.
    pub id: i64,
    /// When it was made.
    pub submitted_at: DateTime<Utc>,
    /// How many numbers it has, as long as that is known.
    pub numbers: i64,
    /// When its answer was imported.
    pub answered_at: Option<DateTime<Utc>>,
}

/// The latest lists, the latest first.
pub async fn checks(connection: &mut PgConnection, limit: i64) -> Result<Vec<Check>, Error> {
    sqlx::query_as!(
        Check,
        r#"SELECT opt_out_check_id AS id, submitted_at, answered_at,
             (SELECT count(*) FROM opt_out_submitted
                 WHERE opt_out_submitted.opt_out_check_id = opt_out_check.opt_out_check_id) AS "numbers!"
         FROM opt_out_check ORDER BY submitted_at DESC, opt_out_check_id DESC LIMIT $1"#,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list the lists of the national data opt-out", source))
}

/// Somebody whose record research may not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OptedOut {
    /// Who.
    #[serde(rename = "patient_id")]
    pub patient: PatientId,
    /// Who says so: `patient` or `national_data_opt_out`.
    pub source: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Those who have opted out of research at a time, as either source says.
pub async fn opted_out(connection: &mut PgConnection, at: DateTime<Utc>) -> Result<Vec<OptedOut>, Error> {
    let rows = sqlx::query!(
        "SELECT patient_id, source, effective_from FROM (
             SELECT DISTINCT ON (patient_id, source) patient_id, source, opted_out, effective_from
             FROM research_choice WHERE effective_from <= $1
             ORDER BY patient_id, source, effective_from DESC, research_choice_id DESC
         ) AS latest
         WHERE opted_out ORDER BY patient_id, source",
        at
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list who has opted out of research", source))?;
    let opted_out = rows.into_iter().map(|row| OptedOut {
        patient: PatientId(row.patient_id),
        source: row.source,
        since: row.effective_from,
    });
    Ok(opted_out.collect())
}

#[cfg(test)]
mod tests;
