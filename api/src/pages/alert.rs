//! `POST /worklist/{alert}/acknowledge` and `…/close`: what the buttons of the worklist do.

use axum::response::Response;
use homeward_store::episodes::Action;

use super::form::Form;
use super::view::see;
use crate::access::Exchange;
use crate::alerts::act::{TEXT_LENGTH, act_on, text};
use crate::error::ApiError;
use crate::request::Path;

pub(crate) async fn acknowledge(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    act_on(&exchange, &path, &Action::Acknowledge).await.map(drop)?;
    Ok(see("/worklist"))
}

pub(crate) async fn close(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let reason = text("reason", form.text("reason"), TEXT_LENGTH)?;
    act_on(&exchange, &path, &Action::Close { reason })
        .await
        .map(drop)?;
    Ok(see("/worklist"))
}
