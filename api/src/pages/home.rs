//! `GET /`: leads to the page with which a role begins.

use axum::response::Response;
use homeward_store::access::Role;

use super::view::see;
use crate::sign_in::SignedIn;

pub(crate) async fn get(signed_in: SignedIn) -> Response {
    let session = signed_in.session();
    if session.first_password {
        return see("/password");
    }
    let Some(acts_as) = &session.acts_as else {
        return see("/role");
    };
    match (acts_as.role, acts_as.patient) {
        (Role::Patient, Some(patient)) => see(&format!("/patients/{patient}")),
        (Role::PrivacyOfficer, _) => see("/break-glass"),
        (Role::GpClinician | Role::GpManager, _) => see("/practice"),
        (Role::Administrator, _) => see("/admin"),
        _ => see("/worklist"),
    }
}
