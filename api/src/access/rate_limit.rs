//! How often a caller may ask: so that one program that runs wild leaves room for everybody else.
//!
//! Each caller — a token, or a role that somebody holds — has an allowance of requests a minute, all of which may come
//! at once. Answers say what is left of it in the headers of draft-ietf-httpapi-ratelimit-headers:
//! `RateLimit-Policy: "caller";q=1200;w=60` and `RateLimit: "caller";r=1199;t=1`. Who has none left is answered 429 with
//! `Retry-After`.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::error::ApiError;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How many callers are remembered before those are forgotten who have their whole allowance again. Each takes some
/// forty bytes.
const REMEMBERED: usize = 10_000;

/// The allowances of all callers.
pub(crate) struct RateLimits {
    per_minute: NonZeroU32,
    callers: RateLimiter<i64, HashMapStateStore<i64>, DefaultClock, StateInformationMiddleware>,
}

/// What is left of a caller's allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    per_minute: NonZeroU32,
    left: u32,
}

impl RateLimits {
    /// Allows each caller so many requests a minute.
    pub(crate) fn new(per_minute: NonZeroU32) -> RateLimits {
        let callers = RateLimiter::hashmap(Quota::per_minute(per_minute));
        RateLimits {
            per_minute,
            callers: callers.with_middleware(),
        }
    }

    /// Takes one request from a caller's allowance.
    pub(super) fn take(&self, caller: i64) -> Result<Allowance, ApiError> {
        if self.callers.len() > REMEMBERED {
            self.callers.retain_recent();
        }
        match self.callers.check_key(&caller) {
            Ok(snapshot) => Ok(Allowance {
                per_minute: self.per_minute,
                left: snapshot.remaining_burst_capacity(),
            }),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.callers.clock().now());
                Err(ApiError::TooOften {
                    seconds: whole_seconds(wait),
                })
            }
        }
    }
}

impl Allowance {
    /// Says it in the headers of an answer.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        let all = self.per_minute.get();
        // When another request is added to what is left.
        let seconds = whole_seconds(Duration::from_secs(60) / all);
        headers.insert(POLICY, value(format!("\"caller\";q={all};w=60")));
        headers.insert(LIMIT, value(format!("\"caller\";r={};t={seconds}", self.left)));
    }
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("it is of letters, digits and marks")
}

/// Rounded up: who waits that long waits long enough.
pub(super) fn whole_seconds(wait: Duration) -> i64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{TOKEN, TestApp};

    #[tokio::test]
    async fn who_asks_too_often_waits_and_nobody_else_does() {
        let app = TestApp::start_with(|state| state.requests_per_minute = NonZeroU32::new(3).unwrap()).await;
        let patient = app.add_patient().await;
        let other = app
            .token_of(homeward_store::access::Role::Patient, None, Some(patient))
            .await;
        let mut told = Vec::new();
        for _ in 0..4 {
            let answer = app.get("/api/v1/alerts").await;
            let header = |name: &str| {
                let value = answer.headers.get(name);
                value.map_or("none".to_owned(), |value| value.to_str().unwrap().to_owned())
            };
            told.push((answer.status.as_u16(), header("ratelimit"), header("retry-after")));
            if answer.status == 429 {
                let problem: Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(problem["type"], "urn:homeward:problem:too-often");
            } else {
                assert_eq!(header("ratelimit-policy"), "\"caller\";q=3;w=60");
            }
        }
        assert_eq!(
            told,
            [
                (200, "\"caller\";r=2;t=20".to_owned(), "none".to_owned()),
                (200, "\"caller\";r=1;t=20".to_owned(), "none".to_owned()),
                (200, "\"caller\";r=0;t=20".to_owned(), "none".to_owned()),
                (429, "none".to_owned(), "20".to_owned()),
            ]
        );
        let answer = app
            .send_as(&other, &axum::http::Method::GET, "/api/v1/alerts", None)
            .await;
        assert_eq!(answer.status, 200, "{TOKEN} has used up its own allowance alone");
    }
}
