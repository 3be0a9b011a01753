//! `GET /api/v1/session`: who is signed in, which roles the account holds, which of them is picked, and the token that
//! requests which change something have to bring along in the header `X-CSRF-Token`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use homeward_store::accounts::{AccountRole, roles_of};
use homeward_store::sessions::{IDLE_TIMEOUT, Session};
use serde::Serialize;
use utoipa::ToSchema;

use super::visit::SignedIn;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::Query;
use crate::routes::App;

#[derive(Serialize, ToSchema)]
pub(crate) struct View {
    account: i64,
    sign_in_name: String,
    name: String,
    roles: Vec<AccountRole>,
    /// The number of the role that is picked.
    role: Option<i64>,
    /// Nothing else can be done before another password is chosen.
    must_change_password: bool,
    /// Signing in needs a code beside the password.
    second_factor: bool,
    csrf_token: String,
    /// After so many minutes without a request the session is over.
    idle_minutes: i64,
    /// Then it is over in any case.
    expires_at: DateTime<Utc>,
}

impl View {
    pub(super) fn new(session: Session, roles: Vec<AccountRole>) -> View {
        View {
            account: session.account,
            sign_in_name: session.sign_in_name,
            name: session.name,
            roles,
            role: session.acts_as.map(|role| role.id),
            must_change_password: session.first_password,
            second_factor: session.second_factor,
            csrf_token: session.csrf_token,
            idle_minutes: IDLE_TIMEOUT.num_minutes(),
            expires_at: session.expires_at,
        }
    }

    /// The role that can be picked, where none is and there is no other.
    pub(super) fn only_role(&self) -> Option<i64> {
        match (self.role, &self.roles[..]) {
            (None, [only]) => Some(only.id),
            _ => None,
        }
    }
}

pub(crate) async fn get(
    State(app): State<App>,
    SignedIn { visit, session }: SignedIn,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<View>, ApiError> {
    let roles = roles_of(&mut *app.connection().await?, session.account, visit.now).await?;
    Ok(Json(View::new(session, roles)))
}
