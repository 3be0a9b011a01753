//! What patients see of their own record, and whoever they have named: their readings in plain words, what their team was
//! told, their devices, who looked, and what they choose, share and want.
//!
//! Written for somebody who is no clinician: short sentences, no diagnosis, and what to do where something is alarming.
//! Where clinicians have a page at the same path, that page leads here when a patient asks for it.

pub(crate) mod alerts;
mod charts;
pub(crate) mod choices;
pub(crate) mod devices;
pub(crate) mod goal;
pub(crate) mod home;
pub(crate) mod passport;
#[cfg(test)]
mod tests;
mod voice;
pub(crate) mod whose;
mod words;

use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::access::Role;

use self::voice::Voice;
use super::view::see;
use crate::access::Exchange;

/// Whether the reader is the patient, who alone changes things; whoever the patient has named reads.
fn is_own(exchange: &Exchange, patient: PatientId) -> bool {
    exchange.principal().acts_as.patient == Some(patient)
}

/// These pages speak to patients: whoever sees the patient in another role is led to the page for that role.
fn not_a_patient(exchange: &Exchange, patient: PatientId) -> Option<Response> {
    let role = exchange.principal().acts_as.role;
    (role != Role::Patient).then(|| see(&format!("/patients/{patient}")))
}
