//! Administration: the writing side of organisations, patients, devices, care plans and tokens.
//!
//! Functions that add take a slice, so that enrolling a thousand patients costs as many statements as
//! enrolling one. Each works within the caller's transaction, which must be rolled back after an error. A
//! transaction that touches assignments, revocations or rules keeps all writers of readings waiting until it
//! ends, so it must be short.

mod care_plan;
mod device;
mod organisation;
mod receiver;
mod stock;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{DeviceId, NhsNumber, PatientId};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::Error;
use crate::access::{NewRole, Role, default_team, enrol, grant_role};
use crate::accounts::{name_proxy, require_account, roles_of};
use crate::devices::Assignment;

pub use crate::plans::NewRule;
pub use care_plan::set_rules;
pub use device::{ListedDevice, NewDevice, add_devices, assign_device, list_devices, revoke_device};
pub use organisation::{ListedOrganisation, add_organisation, list_organisations, organisation_names};
pub use receiver::{ListedReceiver, NewReceiver, add_receiver, disable_receiver, list_receivers};
pub use stock::{NewOfStock, OfStock, StockFilter, add_to_stock, list_stock, return_device};

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An NHS number stands for one patient of the record.
    #[error("a patient with this NHS number is in the record already: patient {patient}")]
    PatientExists {
        /// The patient who has the number.
        patient: PatientId,
    },
    /// The change refers to something that is not in the record.
    #[error("there is no {what} {id}")]
    Unknown {
        /// `account`, `patient`, `device`, `organisation`, `receiver`, `role` or `token`.
        what: &'static str,
        /// Its identifier.
        id: i64,
    },
    /// A sign-in name stands for one account.
    #[error("there is an account with the sign-in name {0:?} already")]
    SignInNameTaken(String),
    /// A role is one of a patient, within an organisation, or neither.
    #[error("{0}")]
    RoleDoesNotFit(&'static str),
    /// A device measures one patient at a time.
    #[error(
        "the device measures patient {} from {} {}, so another assignment cannot begin at {}",
        assignment.patient,
        instant(assignment.from),
        assignment.until.map_or("on".to_owned(), |until| format!("until {}", instant(until))),
        instant(*from)
    )]
    Overlap {
        /// The beginning of the assignment that was asked for.
        from: DateTime<Utc>,
        /// The one that is in the way.
        assignment: Assignment,
    },
    /// A device measures one patient at a time, also one whom the caller may not see.
    #[error("the device measures somebody else then; whoever looks after them has to take it back first")]
    InUse,
    /// A revoked device never connects again.
    #[error("device {device} was revoked at {} and can measure nobody", instant(*revoked_at))]
    Revoked {
        /// The device.
        device: DeviceId,
        /// When it was revoked.
        revoked_at: DateTime<Utc>,
    },
    /// The record could not be changed.
    #[error(transparent)]
    Store(#[from] Error),
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// SHA-256 of a device's secret or of a token, which the record keeps in its place. Both are random and
/// long, so a slow hash would add nothing.
pub fn secret_hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A patient who enters the record.
#[derive(Clone, Debug)]
pub struct NewPatient<'a> {
    /// The patient's NHS number.
    pub nhs_number: &'a NhsNumber,
    /// The patient's name, as the team writes it; not empty.
    pub name: &'a str,
    /// Date of birth.
    pub born: NaiveDate,
    /// The GP practice where the patient is registered.
    pub organisation: Option<i64>,
    /// The care team with which the patient is enrolled; `None`: the default one.
    pub team: Option<i64>,
}

/// Adds patients and answers with their identifiers, in the same order.
pub async fn add_patients(
    connection: &mut PgConnection,
    patients: &[NewPatient<'_>],
) -> Result<Vec<PatientId>, AdminError> {
    let organisations: Vec<i64> = patients
        .iter()
        .flat_map(|patient| [patient.organisation, patient.team])
        .flatten()
        .collect();
    require(connection, Kind::Organisation, &organisations).await?;

    let numbers: Vec<String> = patients
        .iter()
        .map(|patient| patient.nhs_number.as_str().to_owned())
        .collect();
    let rows = sqlx::query!(
        "INSERT INTO patient (nhs_number, name, born, organisation_id)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::date[], $4::bigint[])
         ON CONFLICT (nhs_number) DO NOTHING
         RETURNING nhs_number, patient_id",
        &numbers,
        &patients
            .iter()
            .map(|patient| patient.name.to_owned())
            .collect::<Vec<_>>(),
        &patients.iter().map(|patient| patient.born).collect::<Vec<_>>(),
        &patients
            .iter()
            .map(|patient| patient.organisation)
            .collect::<Vec<_>>() as &[Option<i64>],
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|source| Error::new("add patients", source))?;

    let mut added: HashMap<String, i64> = rows
        .into_iter()
        .map(|row| (row.nhs_number, row.patient_id))
        .collect();
    let mut ids = Vec::with_capacity(numbers.len());
    for number in &numbers {
        match added.remove(number) {
            Some(id) => ids.push(PatientId(id)),
            None => return Err(patient_exists(connection, number).await?),
        }
    }
    enrol_with_teams(connection, patients, &ids).await?;
    Ok(ids)
}

/// Nobody is in the record whom no care team looks after.
async fn enrol_with_teams(
    connection: &mut PgConnection,
    patients: &[NewPatient<'_>],
    ids: &[PatientId],
) -> Result<(), Error> {
    let mut teams: BTreeMap<Option<i64>, Vec<PatientId>> = BTreeMap::new();
    for (patient, id) in patients.iter().zip(ids) {
        teams.entry(patient.team).or_default().push(*id);
    }
    let now = now(connection).await?;
    for (team, patients) in teams {
        let team = match team {
            Some(team) => team,
            None => default_team(connection).await?,
        };
        enrol(connection, &patients, team, "registration", now).await?;
    }
    Ok(())
}

/// The database's time.
async fn now(connection: &mut PgConnection) -> Result<DateTime<Utc>, Error> {
    sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
        .fetch_one(connection)
        .await
        .map_err(|source| Error::new("read the time", source))
}

async fn patient_exists(connection: &mut PgConnection, nhs_number: &str) -> Result<AdminError, Error> {
    let id = sqlx::query_scalar!("SELECT patient_id FROM patient WHERE nhs_number = $1", nhs_number)
        .fetch_one(connection)
        .await
        .map_err(|source| Error::new("look up the patient with this NHS number", source))?;
    Ok(AdminError::PatientExists {
        patient: PatientId(id),
    })
}

/// A token with which a program calls the API.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// What it is for.
    pub name: &'a str,
    /// The token itself, of which the record keeps a hash.
    pub token: &'a str,
    /// What it acts as.
    pub role: Role,
    /// Where; `None`: in the default care team, if the role needs an organisation.
    pub organisation: Option<i64>,
    /// SMART on FHIR scopes; `None`: all that its role may.
    pub scopes: Option<&'a [String]>,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Adds a token with which a program works for the default care team, and answers with its number.
pub async fn add_token(connection: &mut PgConnection, name: &str, token: &str) -> Result<i64, AdminError> {
    let new = NewToken {
        name,
        token,
        role: Role::CareTeamLead,
        organisation: None,
        scopes: None,
        expires_at: None,
    };
    add_token_for(connection, &new).await
}

/// Adds a token, and answers with its number.
pub async fn add_token_for(connection: &mut PgConnection, new: &NewToken<'_>) -> Result<i64, AdminError> {
    let organisation = match new.organisation {
        None if new.role.needs_organisation() => Some(default_team(connection).await?),
        organisation => organisation,
    };
    require(connection, Kind::Organisation, organisation.as_slice()).await?;
    let role = NewRole {
        account: None,
        role: new.role,
        organisation,
        patient: None,
    };
    let now = now(connection).await?;
    let held_role = grant_role(connection, &role, now).await?;
    sqlx::query_scalar!(
        "INSERT INTO api_token (name, token_hash, held_role_id, scopes, expires_at)
         VALUES ($1, $2, $3, $4, $5) RETURNING api_token_id",
        new.name,
        &secret_hash(new.token),
        held_role,
        new.scopes,
        new.expires_at
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("add the token", source).into())
}

/// Grants an account a role, and answers with the number under which it holds it.
pub async fn grant_account_role(
    connection: &mut PgConnection,
    account: i64,
    new: &NewRole,
    now: DateTime<Utc>,
) -> Result<i64, AdminError> {
    match (new.role, new.patient, new.organisation) {
        (Role::Patient, None, _) => {
            return Err(AdminError::RoleDoesNotFit("say which patient the account is"));
        }
        (Role::Patient, Some(_), Some(_)) => {
            return Err(AdminError::RoleDoesNotFit("a patient is one wherever they are"));
        }
        (role, Some(_), _) if role != Role::Patient => {
            return Err(AdminError::RoleDoesNotFit("only a patient is a patient"));
        }
        (role, _, None) if role.needs_organisation() => {
            return Err(AdminError::RoleDoesNotFit(
                "say in which organisation the account holds the role",
            ));
        }
        (Role::Integrator, ..) => {
            return Err(AdminError::RoleDoesNotFit(
                "programs are integrators: give them a token",
            ));
        }
        _ => {}
    }
    require_account(connection, account).await?;
    require(connection, Kind::Organisation, new.organisation.as_slice()).await?;
    let patients: Vec<i64> = new.patient.iter().map(|patient| patient.0).collect();
    require(connection, Kind::Patient, &patients).await?;
    let of_account = NewRole {
        account: Some(account),
        ..*new
    };
    Ok(grant_role(connection, &of_account, now).await?)
}

/// Names an account that may see a patient's record. Whoever does so acts as a patient, so the account must be one.
pub async fn add_proxy(
    connection: &mut PgConnection,
    patient: PatientId,
    account: i64,
    by: &str,
    now: DateTime<Utc>,
) -> Result<i64, AdminError> {
    require_account(connection, account).await?;
    require(connection, Kind::Patient, &[patient.0]).await?;
    let roles = roles_of(connection, account, now).await?;
    if !roles.iter().any(|role| role.role == Role::Patient) {
        return Err(AdminError::RoleDoesNotFit(
            "the account is no patient, and it is in that role that one sees the records of others by their leave",
        ));
    }
    Ok(name_proxy(connection, patient, account, by, now).await?)
}

/// Revokes a token and answers with the time of its first revocation.
pub async fn revoke_token(
    connection: &mut PgConnection,
    token: i64,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, AdminError> {
    sqlx::query_scalar!(
        r#"UPDATE api_token SET revoked_at = COALESCE(revoked_at, $2) WHERE api_token_id = $1
           RETURNING revoked_at AS "revoked_at!""#,
        token,
        now
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("revoke the token", source))?
    .ok_or(AdminError::Unknown {
        what: "token",
        id: token,
    })
}

/// What a change may refer to.
#[derive(Clone, Copy)]
enum Kind {
    Organisation,
    Patient,
}

/// Makes sure that all of these are in the record, where nothing of either kind is ever removed.
async fn require(connection: &mut PgConnection, kind: Kind, ids: &[i64]) -> Result<(), AdminError> {
    let (what, known) = match kind {
        Kind::Organisation => (
            "organisation",
            sqlx::query_scalar!(
                "SELECT organisation_id FROM organisation WHERE organisation_id = ANY ($1)",
                ids
            )
            .fetch_all(connection)
            .await,
        ),
        Kind::Patient => (
            "patient",
            sqlx::query_scalar!("SELECT patient_id FROM patient WHERE patient_id = ANY ($1)", ids)
                .fetch_all(connection)
                .await,
        ),
    };
    let known: HashSet<i64> = known
        .map_err(|source| Error::new(format!("look up the {what}"), source))?
        .into_iter()
        .collect();
    match ids.iter().find(|id| !known.contains(id)) {
        Some(&id) => Err(AdminError::Unknown { what, id }),
        None => Ok(()),
    }
}
