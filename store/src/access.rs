//! Who may see whom: the roles that people and programs hold, and the reasons on file for seeing a patient.
//!
//! A request acts as a *held role*. The database knows by it which patients the request may see, by row-level
//! security for the role `homeward_api`: see [`act_as`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;

/// What somebody is to the patients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Role {
    /// A patient, who sees the own record and those of whom they are a proxy.
    Patient,
    /// A member of a community care team.
    CareTeamMember,
    /// Who leads one.
    CareTeamLead,
    /// A doctor or nurse of a GP practice.
    GpClinician,
    /// Who manages one.
    GpManager,
    /// Looks after who looks at records.
    PrivacyOfficer,
    /// Looks after people and devices, and reads nothing clinical.
    Administrator,
    /// A program of an organisation, within the scopes of its token.
    Integrator,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 8] = [
        Role::Patient,
        Role::CareTeamMember,
        Role::CareTeamLead,
        Role::GpClinician,
        Role::GpManager,
        Role::PrivacyOfficer,
        Role::Administrator,
        Role::Integrator,
    ];

    /// The name in the record and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Patient => "patient",
            Role::CareTeamMember => "care_team_member",
            Role::CareTeamLead => "care_team_lead",
            Role::GpClinician => "gp_clinician",
            Role::GpManager => "gp_manager",
            Role::PrivacyOfficer => "privacy_officer",
            Role::Administrator => "administrator",
            Role::Integrator => "integrator",
        }
    }

    /// Whether the role is one within an organisation, and nothing without.
    pub fn needs_organisation(self) -> bool {
        !matches!(self, Role::Patient | Role::PrivacyOfficer | Role::Administrator)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Role, String> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == name);
        found.ok_or_else(|| format!("{name:?} is none of {}", Role::ALL.map(Role::as_str).join(", ")))
    }
}

/// Why a role may see a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// It is the patient.
    Own,
    /// The patient named it.
    Proxy,
    /// The patient is registered with its practice.
    Registration,
    /// The patient is enrolled with its team.
    Enrolment,
    /// It stated a reason a short time ago.
    BreakGlass,
}

impl Basis {
    /// Every basis.
    pub const ALL: [Basis; 5] = [
        Basis::Own,
        Basis::Proxy,
        Basis::Registration,
        Basis::Enrolment,
        Basis::BreakGlass,
    ];

    /// The name in the record and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Own => "self",
            Basis::Proxy => "proxy",
            Basis::Registration => "registration",
            Basis::Enrolment => "enrolment",
            Basis::BreakGlass => "break_glass",
        }
    }
}

impl FromStr for Basis {
    type Err = ();

    fn from_str(name: &str) -> Result<Basis, ()> {
        Basis::ALL
            .into_iter()
            .find(|basis| basis.as_str() == name)
            .ok_or(())
    }
}

/// A role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRole {
    /// Its number.
    pub id: i64,
    /// Whose; `None`: a program's.
    pub account: Option<i64>,
    /// The role.
    pub role: Role,
    /// Where.
    pub organisation: Option<i64>,
    /// Who the patient is, of one who is a patient.
    pub patient: Option<PatientId>,
}

/// Somebody of whom the record says that they did something, or that it is their business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Somebody {
    /// The name, as it was then.
    pub name: String,
    /// As what; `None`: it was written down before the record kept that, or in another record.
    pub held_role: Option<i64>,
    /// Whose account holds that role; `None`: a program does, or nobody knows.
    pub account: Option<i64>,
}

impl Somebody {
    /// Somebody of whom a row says so, if it does.
    pub(crate) fn of(name: Option<String>, held_role: Option<i64>, account: Option<i64>) -> Option<Somebody> {
        name.map(|name| Somebody {
            name,
            held_role,
            account,
        })
    }

    /// Whether this is whoever acts as `acting` under this name: the same account in whichever role, or the same program.
    /// Where the record has a name alone, that has to do.
    pub fn is(&self, acting: &HeldRole, name: &str) -> bool {
        match (self.held_role, self.account) {
            (None, _) => self.name == name,
            (Some(_), Some(account)) => acting.account == Some(account),
            (Some(held_role), None) => acting.id == held_role,
        }
    }
}

/// A role that is granted.
#[derive(Clone, Copy, Debug)]
pub struct NewRole {
    /// Whose; `None`: a program's.
    pub account: Option<i64>,
    /// The role.
    pub role: Role,
    /// Where.
    pub organisation: Option<i64>,
    /// Who the patient is, of one who is a patient.
    pub patient: Option<PatientId>,
}

/// Grants a role, and answers with its number. An account that holds it already goes on to do so.
pub async fn grant_role(
    connection: &mut PgConnection,
    new: &NewRole,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let failed = |source| Error::new("grant a role", source);
    let role = new.role.as_str();
    let patient = new.patient.map(|patient| patient.0);
    let held = sqlx::query_scalar!(
        "SELECT held_role_id FROM held_role
         WHERE account_id = $1::bigint AND role = $2 AND organisation_id IS NOT DISTINCT FROM $3
             AND patient_id IS NOT DISTINCT FROM $4 AND ended_at IS NULL",
        new.account,
        role,
        new.organisation,
        patient
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    if let Some(held) = held {
        return Ok(held);
    }
    sqlx::query_scalar!(
        "INSERT INTO held_role (account_id, role, organisation_id, patient_id, granted_at)
         VALUES ($1, $2, $3, $4, $5) RETURNING held_role_id",
        new.account,
        role,
        new.organisation,
        patient,
        now
    )
    .fetch_one(connection)
    .await
    .map_err(failed)
}

/// Ends a role. Answers whether there was one that had not ended.
pub async fn end_role(connection: &mut PgConnection, held: i64, now: DateTime<Utc>) -> Result<bool, Error> {
    let ended = sqlx::query!(
        "UPDATE held_role SET ended_at = $2 WHERE held_role_id = $1 AND ended_at IS NULL",
        held,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("end a role", source))?;
    Ok(ended.rows_affected() > 0)
}

/// Whose account holds a role; `None`: a program does, or there is no such role.
pub async fn account_of(connection: &mut PgConnection, held: i64) -> Result<Option<i64>, Error> {
    let account = sqlx::query_scalar!("SELECT account_id FROM held_role WHERE held_role_id = $1", held)
        .fetch_optional(connection)
        .await
        .map_err(|source| Error::new("look up whose a role is", source))?;
    Ok(account.flatten())
}

/// The care team of an installation that has one, which is made when it is first asked for.
pub async fn default_team(connection: &mut PgConnection) -> Result<i64, Error> {
    let failed = |source| Error::new("look up the care team", source);
    sqlx::query!(
        "INSERT INTO organisation (name, kind, is_default) VALUES ('Community care team', 'care_team', true)
         ON CONFLICT (is_default) WHERE is_default DO NOTHING"
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query_scalar!("SELECT organisation_id FROM organisation WHERE is_default")
        .fetch_one(connection)
        .await
        .map_err(failed)
}

/// Enrols patients with an organisation. Those who are enrolled there stay so.
pub async fn enrol(
    connection: &mut PgConnection,
    patients: &[PatientId],
    organisation: i64,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO enrolment (patient_id, organisation_id, enrolled_at, enrolled_by)
         SELECT patient_id, $2, $3, $4 FROM UNNEST($1::bigint[]) AS enrolled (patient_id)
         ON CONFLICT (patient_id, organisation_id) WHERE ended_at IS NULL DO NOTHING",
        &patients.iter().map(|patient| patient.0).collect::<Vec<_>>(),
        organisation,
        now,
        by
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("enrol patients", source))?;
    Ok(())
}

/// Ends an enrolment. Answers whether there was one.
pub async fn end_enrolment(
    connection: &mut PgConnection,
    patient: PatientId,
    organisation: i64,
    by: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let ended = sqlx::query!(
        "UPDATE enrolment SET ended_at = GREATEST($4, enrolled_at), ended_by = $3
         WHERE patient_id = $1 AND organisation_id = $2 AND ended_at IS NULL",
        patient.0,
        organisation,
        by,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("end an enrolment", source))?;
    Ok(ended.rows_affected() > 0)
}

/// Lets the rest of the transaction see what the held role may see, and nothing else: all of its patients, or one of
/// them. It is a lock for connections of the role `homeward_api`; others see everything.
pub async fn act_as(
    connection: &mut PgConnection,
    held_role: i64,
    patient: Option<PatientId>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "SELECT set_config('homeward.held_role', $1, true) AS held_role,
             set_config('homeward.patient', $2, true) AS patient, set_config('homeward.now', $3, true) AS now",
        held_role.to_string(),
        patient.map_or(String::new(), |patient| patient.0.to_string()),
        now.to_rfc3339()
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("act as a role", source))?;
    Ok(())
}

/// The reason on file for which a held role may see a patient, the nearest one if there are several.
pub async fn basis_for(
    connection: &mut PgConnection,
    held_role: i64,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Option<Basis>, Error> {
    let failed = |source| Error::new("look up the reason to see a patient", source);
    let basis = sqlx::query_scalar!(
        r#"SELECT basis AS "basis!" FROM bases_of($1, $2, $3) LIMIT 1"#,
        held_role,
        patient.0,
        now
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?;
    let parse = |name: String| {
        name.parse()
            .map_err(|()| failed(sqlx::Error::Decode(format!("unknown basis {name}").into())))
    };
    basis.map(parse).transpose()
}

/// All patients whom a held role may see.
pub async fn visible_to(
    connection: &mut PgConnection,
    held_role: i64,
    now: DateTime<Utc>,
) -> Result<Vec<PatientId>, Error> {
    let patients = sqlx::query_scalar!(
        r#"SELECT DISTINCT patient_id AS "patient!" FROM bases_of($1, NULL, $2) ORDER BY 1"#,
        held_role,
        now
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("look up whom a role may see", source))?;
    Ok(patients.into_iter().map(PatientId).collect())
}
