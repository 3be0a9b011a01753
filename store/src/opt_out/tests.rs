use chrono::NaiveDate;

use super::*;
use crate::admin::{NewPatient, add_patients};
use crate::choices::research_of;
use crate::testing::TestDatabase;

fn day(day: i64) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    begin + TimeDelta::days(day)
}

async fn add(connection: &mut PgConnection, stem: u32) -> (PatientId, NhsNumber) {
    let nhs_number = NhsNumber::from_stem(stem).unwrap();
    let new = NewPatient {
        nhs_number: &nhs_number,
        name: "Ada Simulated",
        born: NaiveDate::default(),
        organisation: None,
        team: None,
    };
    (add_patients(connection, &[new]).await.unwrap()[0], nhs_number)
}

async fn answer(
    connection: &mut PgConnection,
    check: Option<i64>,
    returned: &[&NhsNumber],
    at: DateTime<Utc>,
) -> Result<Taken, OptOutError> {
    let returned: Vec<NhsNumber> = returned.iter().map(|number| (*number).clone()).collect();
    let mut digest = [0; 32];
    for number in &returned {
        digest
            .iter_mut()
            .zip(number.as_str().bytes())
            .for_each(|(sum, digit)| *sum ^= digit);
    }
    take_answer(connection, check, (&returned, &digest), "a test", at).await
}

#[tokio::test]
async fn whoever_does_not_come_back_has_opted_out_from_the_time_of_the_list() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let (ada, adas) = add(&mut connection, 999_000_001).await;
    let (bob, bobs) = add(&mut connection, 999_000_002).await;
    let first = submit(&mut connection, "a test", day(0)).await.unwrap();
    assert_eq!(first.numbers, [adas.as_str(), bobs.as_str()]);
    let taken = answer(&mut connection, None, &[&bobs], day(1)).await.unwrap();
    assert_eq!((taken.submitted, taken.returned), (2, 1));
    assert_eq!((&taken.opted_out[..], &taken.opted_in[..]), (&[ada][..], &[][..]));
    let source = ResearchSource::NationalDataOptOut;
    let adas_choices = research_of(&mut connection, ada, source).await.unwrap();
    assert_eq!(adas_choices.at(day(0)).map(|choice| choice.from), Some(day(0)));
    // The same answer again says nothing new.
    let again = answer(&mut connection, None, &[&bobs], day(2)).await.unwrap();
    assert_eq!((again.opted_out.len(), again.opted_in.len()), (0, 0));
    let another = answer(&mut connection, None, &[&adas], day(2)).await;
    assert!(
        matches!(another, Err(OptOutError::AnotherAnswer(_))),
        "{another:?}"
    );
    let of_bob = research_of(&mut connection, bob, source).await.unwrap();
    assert_eq!(of_bob.0, []);

    // Ada takes it back, and Bob opts out.
    submit(&mut connection, "a test", day(7)).await.unwrap();
    let taken = answer(&mut connection, None, &[&adas], day(8)).await.unwrap();
    assert_eq!(
        (&taken.opted_out[..], &taken.opted_in[..]),
        (&[bob][..], &[ada][..])
    );
    let out = opted_out(&mut connection, day(8)).await.unwrap();
    assert_eq!(out.iter().map(|one| one.patient).collect::<Vec<_>>(), [bob]);
    let out = opted_out(&mut connection, day(6)).await.unwrap();
    assert_eq!(out.iter().map(|one| one.patient).collect::<Vec<_>>(), [ada]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_one_changes_nothing() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let (_, adas) = add(&mut connection, 999_000_001).await;
    let told = async |connection: &mut PgConnection, check, returned: &[&NhsNumber], at| {
        answer(connection, check, returned, at)
            .await
            .unwrap_err()
            .to_string()
    };
    let nothing = told(&mut connection, None, &[], day(0)).await;
    assert_eq!(nothing, "no list was submitted that this could be the answer to");
    let first = submit(&mut connection, "a test", day(0)).await.unwrap().check;
    // Who was added later is in no list.
    let (_, bobs) = add(&mut connection, 999_000_002).await;
    let stranger = answer(&mut connection, None, &[&adas, &bobs], day(1)).await;
    assert!(
        matches!(stranger, Err(OptOutError::NotSubmitted { index: 1, .. })),
        "{stranger:?}"
    );
    let second = submit(&mut connection, "a test", day(2)).await.unwrap().check;
    let both = told(&mut connection, None, &[&adas], day(3)).await;
    assert!(
        both.starts_with("there are several lists without an answer"),
        "{both}"
    );
    let unknown = told(&mut connection, Some(99), &[&adas], day(3)).await;
    assert_eq!(unknown, "no list was submitted that this could be the answer to");
    answer(&mut connection, Some(second), &[&adas, &bobs], day(3))
        .await
        .unwrap();
    let overtaken = told(&mut connection, Some(first), &[&adas], day(3)).await;
    assert!(overtaken.starts_with("the answer to list"), "{overtaken}");
    let another = told(&mut connection, Some(second), &[&adas], day(3)).await;
    assert!(another.starts_with("another answer to list"), "{another}");
    let third = submit(&mut connection, "a test", day(4)).await.unwrap().check;
    let too_old = told(&mut connection, Some(third), &[&adas], day(26)).await;
    assert!(
        too_old.ends_with("is more than 21 days old: submit another"),
        "{too_old}"
    );
    assert_eq!(opted_out(&mut connection, day(30)).await.unwrap(), []);
    // What may no longer be relied on is forgotten.
    submit(&mut connection, "a test", day(40)).await.unwrap();
    let numbers: Vec<i64> = checks(&mut connection, 9)
        .await
        .unwrap()
        .iter()
        .map(|check| check.numbers)
        .collect();
    assert_eq!(numbers, [2, 0, 0, 0]);
}
