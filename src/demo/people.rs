//! Who can sign in to the demo.

use anyhow::{Context, Result};
use homeward_api::password;
use homeward_record::{Clock, PatientId};
use homeward_store::PgPool;
use homeward_store::access::{NewRole, Role, default_team, grant_role};
use homeward_store::accounts::{NewAccount, add_account, find_account, set_password};
use homeward_store::admin::{NewOfStock, StockFilter, add_organisation, add_to_stock, list_stock};
use homeward_store::patients::{Details, PersonFilter, change_details, find_people, find_person};
use sqlx::PgConnection;

use crate::admin::random_secret;

/// The length of a password, in hexadecimal digits: it is typed from a terminal, for a record of simulated patients.
const PASSWORD_LENGTH: usize = 10;

/// How many of the patients are registered with the practice.
const PATIENTS_OF_THE_PRACTICE: i64 = 40;

/// Somebody who can sign in.
pub(super) struct Person {
    pub(super) sign_in_name: &'static str,
    pub(super) password: String,
    /// What they are, in words.
    pub(super) role: &'static str,
}

/// Gives the people of the demo accounts, and passwords of this time. `patient` is who the patient among them is.
pub(super) async fn let_in(pool: &PgPool, patient: PatientId) -> Result<Vec<Person>> {
    let now = Clock::System.now();
    let mut transaction = pool.begin().await?;
    let team = default_team(&mut transaction).await?;
    let mut people = Vec::new();
    let practice = practice_of(&mut transaction, patient).await?;
    let (of_team, of_practice) = ((Some(team), None), (Some(practice), None));
    let the_patient = (None, Some(patient));
    for (sign_in_name, name, role, (organisation, patient), in_words) in [
        (
            "nurse",
            "Mei Ng",
            Role::CareTeamMember,
            of_team,
            "a nurse of the care team",
        ),
        ("lead", "Sam Okafor", Role::CareTeamLead, of_team, "who leads it"),
        (
            "gp",
            "Dr Rhys Evans",
            Role::GpClinician,
            of_practice,
            "the doctor of some patients",
        ),
        (
            "patient",
            "the patient",
            Role::Patient,
            the_patient,
            "one of the patients",
        ),
        (
            "privacy",
            "Ines Costa",
            Role::PrivacyOfficer,
            (None, None),
            "looks after who looks at records",
        ),
        (
            "admin",
            "Tom Hall",
            Role::Administrator,
            (None, None),
            "looks after people, devices and the service",
        ),
    ] {
        let mut password = random_secret();
        password.truncate(PASSWORD_LENGTH);
        let hash = password::hash(&password).context("could not hash a password")?;
        let account = match find_account(&mut transaction, sign_in_name).await? {
            Some(account) => {
                set_password(&mut transaction, account.id, &hash, None).await?;
                account.id
            }
            None => {
                let new = NewAccount {
                    sign_in_name,
                    name,
                    password_hash: Some(&hash),
                    initial_password_until: None,
                };
                add_account(&mut transaction, &new, now).await?
            }
        };
        let role = NewRole {
            account: Some(account),
            role,
            organisation,
            patient,
        };
        grant_role(&mut transaction, &role, now).await?;
        people.push(Person {
            sign_in_name,
            password,
            role: in_words,
        });
    }
    stock(&mut transaction, team).await?;
    transaction.commit().await?;
    Ok(people)
}

/// Some devices that are with nobody, so that there is something to give out.
async fn stock(connection: &mut PgConnection, team: i64) -> Result<()> {
    let free = StockFilter {
        organisation: Some(team),
        with_somebody: Some(false),
        ..StockFilter::default()
    };
    if !list_stock(connection, &free, Clock::System.now(), 1)
        .await?
        .is_empty()
    {
        return Ok(());
    }
    for (kind, label) in [("cuff", "SN 80411"), ("cuff", "SN 80412"), ("cgm", "SN 3307")] {
        let new = NewOfStock {
            kind,
            label: Some(label),
            secret: &random_secret(),
            utc_offset_minutes: 0,
            organisation: Some(team),
        };
        add_to_stock(connection, &new).await?;
    }
    Ok(())
}

/// The practice where the patient is registered; with a new one, some more patients are.
async fn practice_of(connection: &mut PgConnection, patient: PatientId) -> Result<i64> {
    let person = find_person(connection, patient)
        .await?
        .context("the patient is gone")?;
    if let Some((practice, _)) = person.practice {
        return Ok(practice);
    }
    let practice = add_organisation(connection, "gp_practice", "High Street Surgery").await?;
    let filter = PersonFilter::default();
    for person in find_people(connection, &filter, PATIENTS_OF_THE_PRACTICE).await? {
        let details = Details {
            name: &person.name,
            born: person.born,
            practice: Some(practice),
        };
        change_details(connection, person.id, None, &details).await?;
    }
    Ok(practice)
}
