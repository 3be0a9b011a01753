//! What research gets of the record: sums of groups, and rows of people without their names. Nobody who has opted out,
//! here or by the national data opt-out, is in either; nor is anybody whose opt-out was not asked for of late.
//!
//! An export is made in three steps within one transaction: [`cohort`] says who may be in it, [`means_of`] and
//! [`days_of`] read, and [`conclude`] makes sure that all of them may be in it still and writes it down, for each of them
//! to see.

pub mod disclosure;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{Metric, PatientId};
use sqlx::PgConnection;

use crate::Error;
use crate::audit::{self, AuditEntry};
use crate::opt_out::GOOD_FOR;
use disclosure::{Figures, SMALLEST_GROUP, SUPPRESSED, age_band, figures};

/// The most patients of an export: what is known of them is in memory, and the log gets a row for each thousand of them
/// while nobody else can write to it.
pub const MOST_PATIENTS: usize = 100_000;

/// The numbers of what is exported: of all that is a number. How awake somebody is has letters, of which there is no mean.
fn metrics() -> Vec<i16> {
    let numbers = Metric::ALL
        .into_iter()
        .filter(|metric| *metric != Metric::Consciousness);
    numbers.map(Metric::code).collect()
}

/// From when until before when.
pub type Window = (DateTime<Utc>, DateTime<Utc>);

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ResearchError {
    /// It would be of too many.
    #[error("it would be of {0} patients, and an export is of at most 100,000: ask for a shorter time")]
    TooMany(usize),
    /// Somebody opted out while it was made.
    #[error("{0} of its patients have opted out meanwhile: make it again")]
    OptedOutMeanwhile(usize),
    /// The record failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Somebody who is in an export, with what is told beside readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who.
    pub patient: PatientId,
    /// The age at the end of the export's time.
    pub age_band: &'static str,
    /// The programmes of the care plan at that time.
    pub programmes: Vec<String>,
}

/// Who has readings in a time: who may be in an export of it, and how many may not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// Those who may.
    pub subjects: Vec<Subject>,
    /// Those who have opted out.
    pub opted_out: usize,
    /// Others, whose national data opt-out was not asked for within [`GOOD_FOR`].
    pub not_checked: usize,
}

/// Finds who has readings in a time, and who of them may be in an export that is made now.
pub async fn cohort(
    connection: &mut PgConnection,
    (from, to): Window,
    now: DateTime<Utc>,
) -> Result<Cohort, ResearchError> {
    let rows = sqlx::query!(
        r#"SELECT patient_id, born,
             has_opted_out(patient_id, 'patient', $3) OR has_opted_out(patient_id, 'national_data_opt_out', $3)
                 AS "opted_out!",
             EXISTS (SELECT FROM opt_out_submitted JOIN opt_out_check USING (opt_out_check_id)
                 WHERE opt_out_submitted.patient_id = patient.patient_id AND answered_at <= $3
                     AND submitted_at >= $4) AS "checked!",
             ARRAY(SELECT DISTINCT programme FROM care_plan_rule
                 WHERE care_plan_rule.patient_id = patient.patient_id AND programme <> '' AND valid_from <= $2
                     AND (valid_until IS NULL OR valid_until > $2) ORDER BY programme) AS "programmes!"
         FROM patient
         WHERE EXISTS (SELECT FROM reading
             WHERE reading.patient_id = patient.patient_id AND metric = ANY ($5) AND time >= $1 AND time < $2
                 AND NOT entered_in_error)
         ORDER BY patient_id LIMIT $6"#,
        from,
        to,
        now,
        now - GOOD_FOR,
        &metrics(),
        MOST_PATIENTS as i64 + 1
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("find whom research may know of", source))?;
    if rows.len() > MOST_PATIENTS {
        return Err(ResearchError::TooMany(rows.len()));
    }
    let mut cohort = Cohort::default();
    for row in rows {
        match (row.opted_out, row.checked) {
            (true, _) => cohort.opted_out += 1,
            (false, false) => cohort.not_checked += 1,
            (false, true) => cohort.subjects.push(Subject {
                patient: PatientId(row.patient_id),
                age_band: age_band(age(row.born, to)),
                programmes: row.programmes,
            }),
        }
    }
    Ok(cohort)
}

fn age(born: NaiveDate, at: DateTime<Utc>) -> u32 {
    at.date_naive().years_since(born).unwrap_or(0)
}

/// The mean of what was measured of a metric of each person within a time, without what was entered in error.
pub async fn means_of(
    connection: &mut PgConnection,
    subjects: &[Subject],
    (from, to): Window,
) -> Result<Vec<(PatientId, Metric, f64)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT patient_id, metric, avg(value) AS "mean!" FROM reading
         WHERE patient_id = ANY ($1) AND metric = ANY ($2) AND time >= $3 AND time < $4 AND NOT entered_in_error
         GROUP BY 1, 2"#,
        &numbers(subjects),
        &metrics(),
        from,
        to
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("sum up readings for research", source))?;
    let means = rows.into_iter().filter_map(|row| {
        Some((
            PatientId(row.patient_id),
            Metric::from_code(row.metric)?,
            row.mean,
        ))
    });
    Ok(means.collect())
}

fn numbers(subjects: &[Subject]) -> Vec<i64> {
    subjects.iter().map(|subject| subject.patient.0).collect()
}

/// What the people of a group come to, of whom each counts once.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The programme; `none`: of those who are in none.
    pub programme: String,
    /// Their age.
    pub age_band: &'static str,
    /// What was measured.
    pub metric: Metric,
    /// How many they are: not to be told as it is.
    pub patients: usize,
    /// The figures of their means; none where they are too few.
    pub figures: Option<Figures>,
}

/// Sums up by programme, age and metric. Who is in several programmes counts in each.
pub fn aggregates(subjects: &[Subject], means: &[(PatientId, Metric, f64)]) -> Vec<Aggregate> {
    let known: BTreeMap<PatientId, &Subject> = subjects
        .iter()
        .map(|subject| (subject.patient, subject))
        .collect();
    let mut groups: BTreeMap<(&str, &'static str, i16), Vec<f64>> = BTreeMap::new();
    for (patient, metric, mean) in means {
        let Some(subject) = known.get(patient) else {
            continue;
        };
        let mut add = |programme| {
            let group = (programme, subject.age_band, metric.code());
            groups.entry(group).or_default().push(*mean);
        };
        subject.programmes.iter().for_each(|programme| add(programme));
        if subject.programmes.is_empty() {
            add("none");
        }
    }
    let aggregate = |((programme, age_band, code), values): ((&str, _, _), Vec<f64>)| {
        Some(Aggregate {
            programme: programme.to_owned(),
            age_band,
            metric: Metric::from_code(code)?,
            patients: values.len(),
            figures: figures(values),
        })
    };
    groups.into_iter().filter_map(aggregate).collect()
}

/// What rows say of a person: of each there are [`SMALLEST_GROUP`] at least of whom they say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The age, or [`SUPPRESSED`].
    pub age_band: &'static str,
    /// The programmes, with semicolons between them; or [`SUPPRESSED`].
    pub programmes: String,
}

/// What rows say of each of these. Where too few are alike it says nothing; and where those of whom it says nothing are too
/// few, they have none and no rows either.
pub fn profiles(subjects: &[Subject]) -> Vec<Option<Profile>> {
    let alike = |subject: &Subject| (subject.age_band, subject.programmes.join(";"));
    let mut groups: BTreeMap<_, usize> = BTreeMap::new();
    for subject in subjects {
        *groups.entry(alike(subject)).or_default() += 1;
    }
    let is_told = |subject: &Subject| groups[&alike(subject)] >= SMALLEST_GROUP;
    let others = subjects.iter().filter(|subject| !is_told(subject)).count();
    let profile = |subject: &Subject| {
        let (age_band, programmes) = match is_told(subject) {
            true => alike(subject),
            false if others >= SMALLEST_GROUP => (SUPPRESSED, SUPPRESSED.to_owned()),
            false => return None,
        };
        Some(Profile { age_band, programmes })
    };
    subjects.iter().map(profile).collect()
}

/// What one person measured of a metric on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Day {
    /// Who: not to be told.
    pub patient: PatientId,
    /// What was measured.
    pub metric: Metric,
    /// Which day (UTC), counted from the person's first in the export: a date is not told.
    pub day: i32,
    /// How many readings.
    pub readings: i64,
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub lowest: f64,
    /// The greatest.
    pub highest: f64,
}

/// What these people measured, day by day, by patient, metric and day.
pub async fn days_of(
    connection: &mut PgConnection,
    patients: &[PatientId],
    (from, to): Window,
) -> Result<Vec<Day>, Error> {
    let rows = sqlx::query!(
        r#"WITH daily AS (
             SELECT patient_id, metric, (time AT TIME ZONE 'UTC')::date AS date, count(*) AS n,
                 avg(value) AS mean, min(value) AS lowest, max(value) AS highest
             FROM reading
             WHERE patient_id = ANY ($1) AND metric = ANY ($2) AND time >= $3 AND time < $4 AND NOT entered_in_error
             GROUP BY 1, 2, 3
         )
         SELECT patient_id AS "patient_id!", metric AS "metric!",
             date - min(date) OVER (PARTITION BY patient_id) AS "day!", n AS "n!", mean AS "mean!",
             lowest AS "lowest!", highest AS "highest!"
         FROM daily ORDER BY patient_id, metric, date"#,
        &patients.iter().map(|patient| patient.0).collect::<Vec<_>>(),
        &metrics(),
        from,
        to
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read the days of people for research", source))?;
    let days = rows.into_iter().filter_map(|row| {
        Some(Day {
            patient: PatientId(row.patient_id),
            metric: Metric::from_code(row.metric)?,
            day: row.day,
            readings: row.n,
            mean: row.mean,
            lowest: row.lowest,
            highest: row.highest,
        })
    });
    Ok(days.collect())
}

/// What is written down of an export.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// What it is of.
    pub window: Window,
    /// Who gets it.
    pub requested_by: &'a str,
    /// What for.
    pub purpose: &'a str,
    /// Whether it tells of each person, or of groups alone.
    pub of_each: bool,
    /// What names the files, with their hashes.
    pub target: &'a str,
}

/// Makes sure that everybody in the export may be in it still, and writes it down: the last step before its transaction
/// commits, and before anybody gets it. The log has a row for each thousand patients, so that each of them sees it, and
/// none is larger than that.
pub async fn conclude(
    connection: &mut PgConnection,
    subjects: &[Subject],
    export: &Export<'_>,
    now: DateTime<Utc>,
) -> Result<(), ResearchError> {
    let still = cohort(connection, export.window, now).await?.subjects;
    let still: BTreeSet<PatientId> = still.into_iter().map(|subject| subject.patient).collect();
    let patients: Vec<PatientId> = subjects.iter().map(|subject| subject.patient).collect();
    let gone = patients.iter().filter(|patient| !still.contains(patient)).count();
    if gone > 0 {
        return Err(ResearchError::OptedOutMeanwhile(gone));
    }
    let entry = AuditEntry {
        held_role: None,
        actor: export.requested_by,
        action: match export.of_each {
            true => "research_rows",
            false => "research_sums",
        },
        done: true,
        target: export.target,
        patients: &patients,
        reason: Some(export.purpose),
        origin: None,
    };
    audit::append_for_many(connection, &entry, now).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
