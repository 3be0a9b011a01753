//! What patients choose: with which organisations their record is shared, and whether research may use it.
//!
//! A choice holds from a time on, until the next one of the same kind. Choices are never changed: one that is to come is
//! undone by another for the same time.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use sqlx::PgConnection;

use crate::Error;

/// How many choices of a kind are read, the latest first: more than anybody makes who is not trying how many there can
/// be.
const MOST: i64 = 1_000;

/// Who says whether research may use a patient's record. Either may forbid it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResearchSource {
    /// The patient, here.
    Patient,
    /// The national data opt-out.
    NationalDataOptOut,
}

impl ResearchSource {
    /// Both.
    pub const ALL: [ResearchSource; 2] = [ResearchSource::Patient, ResearchSource::NationalDataOptOut];

    /// The name in the record and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ResearchSource::Patient => "patient",
            ResearchSource::NationalDataOptOut => "national_data_opt_out",
        }
    }
}

impl FromStr for ResearchSource {
    type Err = ();

    fn from_str(name: &str) -> Result<ResearchSource, ()> {
        let found = ResearchSource::ALL
            .into_iter()
            .find(|source| source.as_str() == name);
        found.ok_or(())
    }
}

/// One choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its number among those of its kind.
    pub id: i64,
    /// Whether the use is allowed.
    pub allowed: bool,
    /// From when on.
    pub from: DateTime<Utc>,
    /// Who made it.
    pub by: String,
    /// When they did.
    pub made_at: DateTime<Utc>,
}

/// The choices about one organisation, or of one source about research: those that hold later first, and of several for
/// one time the last that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices(pub Vec<Choice>);

impl Choices {
    /// The choice that holds at a time; none where nobody has chosen: then the use is allowed.
    pub fn at(&self, at: DateTime<Utc>) -> Option<&Choice> {
        self.0.iter().find(|choice| choice.from <= at)
    }

    /// Whether the use is allowed at a time.
    pub fn allow(&self, at: DateTime<Utc>) -> bool {
        self.at(at).is_none_or(|choice| choice.allowed)
    }

    /// Those that hold, held or will hold, the latest first, each until the next one does. What was replaced before it
    /// came to hold is not among them.
    pub fn periods(&self) -> impl Iterator<Item = (&Choice, Option<DateTime<Utc>>)> {
        let mut later: Option<DateTime<Utc>> = None;
        self.0.iter().filter_map(move |choice| {
            let until = later;
            (until != Some(choice.from)).then(|| {
                later = Some(choice.from);
                (choice, until)
            })
        })
    }
}

/// An organisation with which a patient shares the record, or might.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Its number.
    pub organisation: i64,
    /// Its name.
    pub name: String,
    /// `care_team`, `gp_practice`, `hospital` or `ambulance`.
    pub kind: String,
    /// The patient is registered there.
    pub registered: bool,
    /// The patient is enrolled there now.
    pub enrolled: bool,
    /// What the patient has chosen.
    pub choices: Choices,
}

/// What a patient has chosen about each organisation that has, or had, a registration or an enrolment, or about which
/// the patient has chosen.
pub async fn sharing_of(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<Sharing>, Error> {
    let failed = |source| Error::new("read with whom a patient shares", source);
    let organisations = sqlx::query!(
        r#"SELECT organisation_id, name, kind,
             EXISTS (SELECT FROM patient WHERE patient_id = $1
                 AND patient.organisation_id = organisation.organisation_id) AS "registered!",
             EXISTS (SELECT FROM enrolment WHERE patient_id = $1
                 AND enrolment.organisation_id = organisation.organisation_id
                 AND (ended_at IS NULL OR ended_at > $2)) AS "enrolled!"
         FROM organisation
         WHERE organisation_id IN (
             SELECT organisation_id FROM patient WHERE patient_id = $1
             UNION SELECT organisation_id FROM enrolment WHERE patient_id = $1
             UNION SELECT organisation_id FROM sharing_choice WHERE patient_id = $1)
         ORDER BY organisation_id"#,
        patient.0,
        now
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let choices = sqlx::query!(
        "SELECT sharing_choice_id, organisation_id, shared, effective_from, made_by, made_at FROM sharing_choice
         WHERE patient_id = $1 ORDER BY effective_from DESC, sharing_choice_id DESC LIMIT $2",
        patient.0,
        MOST
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let of = |organisation| {
        let of_it = choices.iter().filter(|row| row.organisation_id == organisation);
        let of_it = of_it.map(|row| Choice {
            id: row.sharing_choice_id,
            allowed: row.shared,
            from: row.effective_from,
            by: row.made_by.clone(),
            made_at: row.made_at,
        });
        Choices(of_it.collect())
    };
    let sharing = organisations.into_iter().map(|row| Sharing {
        choices: of(row.organisation_id),
        organisation: row.organisation_id,
        name: row.name,
        kind: row.kind,
        registered: row.registered,
        enrolled: row.enrolled,
    });
    Ok(sharing.collect())
}

/// What one source says about research with a patient's record.
pub async fn research_of(
    connection: &mut PgConnection,
    patient: PatientId,
    source: ResearchSource,
) -> Result<Choices, Error> {
    let rows = sqlx::query!(
        "SELECT research_choice_id, opted_out, effective_from, made_by, made_at FROM research_choice
         WHERE patient_id = $1 AND source = $2 ORDER BY effective_from DESC, research_choice_id DESC LIMIT $3",
        patient.0,
        source.as_str(),
        MOST
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read what a patient chose about research", source))?;
    let choices = rows.into_iter().map(|row| Choice {
        id: row.research_choice_id,
        allowed: !row.opted_out,
        from: row.effective_from,
        by: row.made_by,
        made_at: row.made_at,
    });
    Ok(Choices(choices.collect()))
}

/// Who chooses, when, and from when on it holds.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// Who.
    pub by: &'a str,
    /// When they choose.
    pub at: DateTime<Utc>,
    /// From when on.
    pub from: DateTime<Utc>,
}

/// Whether there is such an organisation.
pub async fn organisation_exists(connection: &mut PgConnection, organisation: i64) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM organisation WHERE organisation_id = $1) AS "exists!""#,
        organisation
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up an organisation", source))
}

/// Shares a patient's record with an organisation from a time on, or no longer. It takes the place of what was to hold
/// later: so that nobody who shares again is surprised by what they had planned before. Says how many choices that was;
/// none where it is so already.
pub async fn choose_sharing(
    connection: &mut PgConnection,
    patient: PatientId,
    organisation: i64,
    shared: bool,
    chosen: Chosen<'_>,
) -> Result<u64, Error> {
    let written = sqlx::query!(
        "INSERT INTO sharing_choice (patient_id, organisation_id, shared, effective_from, made_by, made_at)
         SELECT $1, $2, $3, at, $5, $6 FROM (
             SELECT $4::timestamptz AS at
             UNION SELECT effective_from FROM sharing_choice
                 WHERE patient_id = $1 AND organisation_id = $2 AND effective_from > $4
         ) AS times
         WHERE shares_with($1, $2, at) IS DISTINCT FROM $3 ORDER BY at",
        patient.0,
        organisation,
        shared,
        chosen.from,
        chosen.by,
        chosen.at
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("choose with whom a patient shares", source))?;
    Ok(written.rows_affected())
}

/// Notes whether research may use the records of patients from a time on, as a source says, in the same way. Answers
/// with those for whom that is a change.
pub async fn choose_research(
    connection: &mut PgConnection,
    patients: &[PatientId],
    source: ResearchSource,
    opted_out: bool,
    chosen: Chosen<'_>,
) -> Result<Vec<PatientId>, Error> {
    let changed = sqlx::query_scalar!(
        "WITH written AS (
             INSERT INTO research_choice (patient_id, source, opted_out, effective_from, made_by, made_at)
             SELECT patient_id, $2, $3, at, $5, $6 FROM (
                 SELECT patient_id, $4::timestamptz AS at FROM UNNEST($1::bigint[]) AS asked (patient_id)
                 UNION SELECT patient_id, effective_from FROM research_choice
                     WHERE patient_id = ANY ($1) AND source = $2 AND effective_from > $4
             ) AS times
             WHERE has_opted_out(patient_id, $2, at) IS DISTINCT FROM $3 ORDER BY patient_id, at
             RETURNING patient_id
         )
         SELECT DISTINCT patient_id FROM written ORDER BY 1",
        &patients.iter().map(|patient| patient.0).collect::<Vec<_>>(),
        source.as_str(),
        opted_out,
        chosen.from,
        chosen.by,
        chosen.at
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("choose whether research may use a record", source))?;
    Ok(changed.into_iter().map(PatientId).collect())
}

/// Whose a choice about an organisation is; none where the caller sees no such choice.
pub async fn whose_sharing_choice(
    connection: &mut PgConnection,
    id: i64,
) -> Result<Option<PatientId>, Error> {
    let whose = sqlx::query_scalar!(
        "SELECT patient_id FROM sharing_choice WHERE sharing_choice_id = $1",
        id
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up whose a choice is", source))?;
    Ok(whose.map(PatientId))
}

/// Whose a choice about research is; none where the caller sees no such choice.
pub async fn whose_research_choice(
    connection: &mut PgConnection,
    id: i64,
) -> Result<Option<PatientId>, Error> {
    let whose = sqlx::query_scalar!(
        "SELECT patient_id FROM research_choice WHERE research_choice_id = $1",
        id
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up whose a choice is", source))?;
    Ok(whose.map(PatientId))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::{NaiveDate, TimeDelta};
    use homeward_record::NhsNumber;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::admin::{NewPatient, add_organisation, add_patients};
    use crate::testing::TestDatabase;

    fn hour(hours: i64) -> DateTime<Utc> {
        let begin: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
        begin + TimeDelta::hours(hours)
    }

    /// What holds at each hour follows from the choices as they were made, one after the other: each is for a time that
    /// has not passed and for all after it.
    #[tokio::test]
    async fn the_last_choice_made_holds_from_its_time_on_whatever_was_planned() {
        let database = TestDatabase::create().await;
        let mut connection = database.pool().acquire().await.unwrap();
        let new = NewPatient {
            nhs_number: &NhsNumber::from_stem(999_000_001).unwrap(),
            name: "Ada Simulated",
            born: NaiveDate::default(),
            organisation: None,
            team: None,
        };
        let patient = add_patients(&mut connection, &[new]).await.unwrap()[0];
        let seed = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for round in 0..20 {
            let organisation = add_organisation(&mut connection, "hospital", &format!("Hospital {round}"))
                .await
                .unwrap();
            let mut expected: BTreeMap<i64, bool> = (0..60).map(|hour| (hour, true)).collect();
            let mut now = 0;
            for _ in 0..random.random_range(1..8) {
                now += random.random_range(0..6);
                let from = now + random.random_range(0..3) * random.random_range(0..5);
                let allowed = random.random();
                let chosen = Chosen {
                    by: "Ada",
                    at: hour(now),
                    from: hour(from),
                };
                choose_sharing(&mut connection, patient, organisation, allowed, chosen)
                    .await
                    .unwrap();
                expected.range_mut(from..).for_each(|(_, holds)| *holds = allowed);
            }
            let all = sharing_of(&mut connection, patient, hour(now)).await.unwrap();
            let of = all.iter().find(|sharing| sharing.organisation == organisation);
            let choices = of.map(|sharing| sharing.choices.clone()).unwrap_or_default();
            for (at, holds) in expected {
                assert_eq!(choices.allow(hour(at)), holds, "hour {at}: {choices:?}");
                let known: bool = sqlx::query_scalar("SELECT shares_with($1, $2, $3)")
                    .bind(patient.0)
                    .bind(organisation)
                    .bind(hour(at))
                    .fetch_one(&mut *connection)
                    .await
                    .unwrap();
                assert_eq!(known, holds);
                let mut periods = choices.periods();
                let of_hour = periods.find(|(choice, until)| {
                    choice.from <= hour(at) && until.is_none_or(|until| until > hour(at))
                });
                assert_eq!(of_hour.is_none_or(|(choice, _)| choice.allowed), holds);
            }
        }
    }
}
