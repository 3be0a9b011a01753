//! `GET /admin/patients/{patient}`: who looks after a patient, and with which devices; nothing clinical. `POST …/enrolments`
//! enrols the patient with a team, and `…/enrolments/{team}/end` ends that.

use askama::Template;
use axum::response::Response;
use homeward_record::{DeviceId, PatientId};
use homeward_store::admin::{ListedDevice, list_devices};
use homeward_store::patients::{Enrolment, enrolments_of, find_person};

use super::patients::day;
use super::{Choice, sections};
use crate::access::{Action, Exchange};
use crate::error::ApiError;
use crate::pages::form::Form;
use crate::pages::moment::Moment;
use crate::pages::patient::head::spaced;
use crate::pages::problems::Problems;
use crate::pages::view::{Link, Who, page, see};
use crate::patients::enrolments::{begin, end};
use crate::request::Path;
use crate::series::unknown;

#[derive(Template)]
#[template(path = "pages/admin/patient.html")]
struct Patient {
    who: Option<Who>,
    sections: Vec<Link>,
    problems: Problems,
    id: PatientId,
    name: String,
    nhs_number: String,
    born: String,
    practice: Option<String>,
    enrolments: Vec<Team>,
    devices: Vec<Device>,
    /// With which teams the reader may enrol the patient.
    teams: Vec<Choice>,
    /// Whether the reader may see the record itself.
    may_read: bool,
}

/// A team that looks after the patient, or has.
struct Team {
    id: i64,
    name: String,
    since: Moment,
    by: String,
    until: Option<Moment>,
    may_end: bool,
}

/// A device that measures the patient, or has.
struct Device {
    id: DeviceId,
    kind: String,
    since: Moment,
    until: Option<Moment>,
    revoked: bool,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    show(&exchange, patient, &Form::empty(), Problems::default()).await
}

async fn show(
    exchange: &Exchange,
    patient: PatientId,
    form: &Form,
    problems: Problems,
) -> Result<Response, ApiError> {
    let mut connection = exchange.connection().await;
    let person = find_person(&mut connection, patient).await?;
    let person = person.ok_or_else(|| unknown(patient))?;
    let enrolments = enrolments_of(&mut connection, patient).await?;
    let devices = list_devices(&mut connection, patient).await?;
    let teams = match exchange.includes(Action::ManagePatients) {
        true => Choice::organisations(&mut connection, Some("care_team"), form.text("team")).await?,
        false => Vec::new(),
    };
    let own = exchange.own_team();
    let status = problems.status();
    let template = Patient {
        who: Who::of(exchange),
        sections: sections(exchange),
        problems,
        id: patient,
        name: person.name,
        nhs_number: spaced(&person.nhs_number),
        born: day(person.born),
        practice: person.practice.map(|(_, name)| name),
        enrolments: enrolments
            .into_iter()
            .map(|enrolment| team(enrolment, own))
            .collect(),
        devices: devices.into_iter().rev().map(device).collect(),
        teams,
        may_read: exchange.includes(Action::ReadReadings),
    };
    Ok(page(status, &template))
}

fn team(enrolment: Enrolment, own: Option<i64>) -> Team {
    Team {
        id: enrolment.organisation,
        name: enrolment.name,
        since: Moment::new(enrolment.enrolled_at),
        by: enrolment.enrolled_by,
        may_end: enrolment.ended_at.is_none() && own.is_none_or(|own| own == enrolment.organisation),
        until: enrolment.ended_at.map(Moment::new),
    }
}

fn device(device: ListedDevice) -> Device {
    Device {
        id: DeviceId(device.device_id),
        kind: device.kind,
        since: Moment::new(device.from),
        until: device.until.map(Moment::new),
        revoked: device.revoked_at.is_some(),
    }
}

/// `POST /admin/patients/{patient}/enrolments`.
pub(crate) async fn enrol(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let mut problems = Problems::default();
    let picked = form.text("team").parse().map_err(|_| "pick a team");
    let Some(team) = problems.take("team", picked) else {
        return show(&exchange, patient, &form, problems).await;
    };
    match begin(&exchange, patient, team).await {
        Ok(()) => Ok(see(&format!("/admin/patients/{patient}"))),
        Err(error) => {
            problems.refused("team", error)?;
            show(&exchange, patient, &form, problems).await
        }
    }
}

/// `POST /admin/patients/{patient}/enrolments/{team}/end`.
pub(crate) async fn discharge(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let (patient, team): (PatientId, i64) = (path.value("patient")?, path.value("team")?);
    end(&exchange, patient, team).await?;
    // A lead does not see the patient any more.
    Ok(match exchange.own_team() {
        Some(_) => see("/admin/patients"),
        None => see(&format!("/admin/patients/{patient}")),
    })
}
