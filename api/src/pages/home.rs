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
    see(match session.acts_as.as_ref().map(|role| role.role) {
        None => "/role",
        Some(Role::PrivacyOfficer | Role::Administrator) => "/role",
        Some(_) => "/worklist",
    })
}
