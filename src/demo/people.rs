//! Who can sign in to the demo.

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_api::password;
use homeward_record::{Clock, PatientId};
use homeward_store::PgPool;
use homeward_store::access::{NewRole, Role, default_team, grant_role};
use homeward_store::accounts::{NewAccount, add_account, find_account, set_password};
use homeward_store::admin::{NewOfStock, StockFilter, add_organisation, add_to_stock, list_stock};
use homeward_store::audit::{self, AuditEntry};
use homeward_store::break_glass::{break_glass, list as list_broken};
use homeward_store::patients::{Details, Person, PersonFilter, change_details, find_people, find_person};
use sqlx::PgConnection;

use crate::admin::random_secret;

/// The length of a password, in hexadecimal digits: it is typed from a terminal, for a record of simulated patients.
const PASSWORD_LENGTH: usize = 10;

/// How many of the patients are registered with the practice.
const PATIENTS_OF_THE_PRACTICE: i64 = 40;

/// Who leads the care team, and has begun the care plans.
pub(super) const LEAD: &str = "Sam Okafor";

/// Somebody who can sign in.
pub(super) struct User {
    pub(super) sign_in_name: &'static str,
    pub(super) password: String,
    /// What they are, in words.
    pub(super) role: &'static str,
}

/// Gives the people of the demo accounts, and passwords of this time. `patient` is who the patient among them is.
pub(super) async fn let_in(pool: &PgPool, patient: PatientId) -> Result<Vec<User>> {
    let now = Clock::System.now();
    let mut transaction = pool.begin().await?;
    let team = default_team(&mut transaction).await?;
    let mut people = Vec::new();
    let own = find_person(&mut transaction, patient).await?;
    let own = own.context("the patient is gone")?;
    let practice = practice_of(&mut transaction, &own).await?;
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
        ("lead", LEAD, Role::CareTeamLead, of_team, "who leads it"),
        (
            "gp",
            "Dr Rhys Evans",
            Role::GpClinician,
            of_practice,
            "the doctor of some patients",
        ),
        (
            "patient",
            &own.name,
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
        people.push(User {
            sign_in_name,
            password,
            role: in_words,
        });
    }
    stock(&mut transaction, team).await?;
    emergency(&mut transaction, own.id, now).await?;
    transaction.commit().await?;
    Ok(people)
}

/// Somebody of another team has opened the patient's record for a stated reason, so that a privacy officer has to look into
/// it, and the patient sees it.
async fn emergency(connection: &mut PgConnection, patient: PatientId, now: DateTime<Utc>) -> Result<()> {
    if !list_broken(connection, 1).await?.is_empty() {
        return Ok(());
    }
    let name = "Noor Haddad";
    let account = NewAccount {
        sign_in_name: "harbour",
        name,
        password_hash: None,
        initial_password_until: None,
    };
    let role = NewRole {
        account: Some(add_account(connection, &account, now).await?),
        role: Role::CareTeamMember,
        organisation: Some(add_organisation(connection, "care_team", "Harbour urgent care").await?),
        patient: None,
    };
    let held_role = grant_role(connection, &role, now).await?;
    let reason = "Brought in after a fall at home, cannot say which medicines they take";
    let begun = now - TimeDelta::hours(2);
    let lasts = (begun, begun + TimeDelta::hours(4));
    break_glass(connection, held_role, patient, reason, lasts).await?;
    let entry = AuditEntry {
        held_role: Some(held_role),
        actor: name,
        action: "break_glass",
        done: true,
        target: "/break-glass/open",
        patients: &[patient],
        reason: Some(reason),
        origin: None,
    };
    audit::append(connection, &entry, begun).await?;
    Ok(())
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
async fn practice_of(connection: &mut PgConnection, patient: &Person) -> Result<i64> {
    if let Some((practice, _)) = patient.practice {
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
