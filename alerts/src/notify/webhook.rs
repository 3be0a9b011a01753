//! Calling webhooks.

use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};

use super::signature;
use crate::outgoing::{self, Caller};

/// The header that numbers a message: the same with each attempt, so that its receiver can tell a repetition.
const DELIVERY: &str = "homeward-delivery";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Call(#[from] outgoing::CallError),
    #[error("it answered {0}")]
    Status(StatusCode),
}

/// Posts a body. Any answer from 200 to 299 means that it was received; what it says is not read.
pub(super) async fn post(
    caller: &Caller,
    url: &str,
    message: i64,
    signature: &str,
    body: String,
) -> Result<(), CallError> {
    outgoing::check_url(url).map_err(outgoing::CallError::Url)?;
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(DELIVERY, message)
        .header(signature::HEADER, signature)
        .body(Bytes::from(body))
        .expect("a URL, numbers and hexadecimal digits make a request");
    let status = caller.call(request, 0).await?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(CallError::Status(status))
    }
}
