//! `POST /patients/{patient}/care-plan/rules/{code}/remove`: takes a rule out of a plan, in the version that was looked at.

use axum::extract::State;
use axum::response::Response;
use homeward_alerts::plans::{PlanError, TakingOut, take_out};

use super::rule::RulePage;
use super::why;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::Form;
use crate::pages::problems::Problems;
use crate::pages::view::see;
use crate::request::Path;
use crate::routes::App;

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let page = RulePage::of(&exchange, &path)?;
    let mut problems = Problems::default();
    let why = why(&form, "why", &mut problems);
    let version = form
        .text("version")
        .parse::<i32>()
        .map_err(|_| "say which version of the rule is meant");
    let (Some(why), Some(version)) = (why, problems.take("why", version)) else {
        return page.show(&form, problems, None).await;
    };
    let taking_out = TakingOut {
        patient: page.patient,
        code: page.code,
        version,
        author: exchange.actor(),
        reason: &why,
    };
    let taken_out = take_out(&mut *exchange.connection().await, &taking_out, &app.clock).await;
    match taken_out {
        Ok(_) => Ok(see(&format!("/patients/{}/care-plan", page.patient))),
        Err(PlanError::Stale { .. }) => page.show_meanwhile(&form, problems).await,
        Err(error) => {
            problems.refused("why", error.into())?;
            page.show(&form, problems, None).await
        }
    }
}
