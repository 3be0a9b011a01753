//! How often may ask who has shown nothing that is good: so that a flood of strangers neither keeps the record busy nor
//! keeps others out.
//!
//! They are counted by the network that they come from, in which there may be one person or a whole surgery, and in three
//! ways. Requests that show nothing at all — the pages on which one signs in, above all — have a large allowance. Tokens
//! and sessions that turn out to be wrong have a small one, and links and codes of others have one like it: once it is
//! used up, whatever is not known to be good is answered 429 before the record is asked.
//!
//! Whoever has signed in is not counted: what they show was good before ([`Known`]), and goes its way however many others
//! in the same network guess. Only who has not signed in yet has to wait there; what comes of guessing names and
//! passwords is told in [`crate::sign_in`].
//!
//! It is kept in this process alone, and takes some megabytes at most, from however many addresses it comes.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use homeward_store::admin::secret_hash;

use super::Origin;
use super::rate_limit::whole_seconds;
use super::session::SESSION_COOKIE;
use crate::error::ApiError;

/// The number by which a network is counted: drawn from its address with a key that nobody knows, so that nobody finds
/// another one with the same number. Two may share one by chance, and an allowance with it.
type Number = u16;

/// How many tokens and sessions are remembered to have been good, in two halves.
const HALF_KNOWN: usize = 16_384;

/// How many requests strangers may send, and how many may be wrong, in a minute from one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowances {
    /// Requests that show nothing.
    pub requests: NonZeroU32,
    /// Tokens, sessions and links that are wrong.
    pub wrong: NonZeroU32,
}

/// What is known of strangers.
pub(crate) struct Strangers {
    numbers: std::hash::RandomState,
    requests: Limiter,
    credentials: Wrong,
    links: Wrong,
    known: Mutex<Known>,
}

type Limiter = RateLimiter<Number, HashMapStateStore<Number>, DefaultClock>;

impl Strangers {
    /// With nobody counted yet.
    pub(crate) fn new(allowances: Allowances) -> Strangers {
        Strangers {
            numbers: std::hash::RandomState::new(),
            requests: RateLimiter::hashmap(Quota::per_minute(allowances.requests)),
            credentials: Wrong::new(allowances.wrong),
            links: Wrong::new(allowances.wrong),
            known: Mutex::default(),
        }
    }

    /// Counts a request that shows nothing.
    pub(crate) fn count_request(&self, origin: Option<Origin>) -> Result<(), ApiError> {
        let taken = self.requests.check_key(&self.number(origin));
        taken.map_err(|not_until| crowded(not_until.wait_time_from(self.requests.clock().now())))
    }

    /// Has `find` ask the record whose token or session it is that a request shows, unless too many were wrong; and
    /// remembers what comes of it.
    pub(crate) async fn meet<T>(
        &self,
        origin: Option<Origin>,
        shown: Option<&str>,
        find: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let Some(shown) = shown else {
            self.count_request(origin)?;
            return Err(ApiError::NoToken);
        };
        let (shown, number) = (secret_hash(shown), self.number(origin));
        let known = self.known().contains(&shown);
        if !known {
            self.credentials.let_in(number)?;
        }
        let found = find.await;
        match &found {
            // Also who may not do what they ask for has shown who they are.
            Ok(_) | Err(ApiError::Forbidden(_)) => self.known().insert(shown),
            // What was good once is over now and then, and is no guess.
            Err(ApiError::BadToken | ApiError::NoSession) if known => self.known().remove(&shown),
            Err(ApiError::BadToken | ApiError::NoSession) => self.credentials.count(number)?,
            Err(_) => {}
        }
        found
    }

    /// Remembers the session that an answer begins, if it does.
    pub(crate) fn note_begun(&self, headers: &HeaderMap) {
        let cookies = headers.get_all(SET_COOKIE).iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        let mut secrets = cookies.filter_map(|text| text.strip_prefix(SESSION_COOKIE)?.strip_prefix('='));
        let secret = secrets.find_map(|text| text.split(';').next().filter(|secret| !secret.is_empty()));
        if let Some(secret) = secret {
            self.known().insert(secret_hash(secret));
        }
    }

    /// Makes sure that not too many links or codes from there were wrong.
    pub(crate) fn let_link_in(&self, origin: Option<Origin>) -> Result<(), ApiError> {
        self.links.let_in(self.number(origin))
    }

    /// Counts a link or code that is wrong.
    pub(crate) fn count_wrong_link(&self, origin: Option<Origin>) -> Result<(), ApiError> {
        self.links.count(self.number(origin))
    }

    fn number(&self, origin: Option<Origin>) -> Number {
        let hash = self.numbers.hash_one(origin.map(Origin::network));
        (hash & u64::from(Number::MAX)) as Number
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What turned out to be wrong, by network. Only that is counted, so what is good costs nothing.
struct Wrong {
    limiter: Limiter,
    /// Those that have used up their allowance, and until when.
    until: Mutex<HashMap<Number, Instant>>,
}

impl Wrong {
    fn new(per_minute: NonZeroU32) -> Wrong {
        Wrong {
            limiter: RateLimiter::hashmap(Quota::per_minute(per_minute)),
            until: Mutex::default(),
        }
    }

    /// Makes sure that there is something left of an allowance, and takes nothing from it.
    fn let_in(&self, number: Number) -> Result<(), ApiError> {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(end) = until.get(&number) else {
            return Ok(());
        };
        let wait = end.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            until.remove(&number);
            return Ok(());
        }
        Err(crowded(wait))
    }

    /// Takes one from an allowance.
    fn count(&self, number: Number) -> Result<(), ApiError> {
        let Err(not_until) = self.limiter.check_key(&number) else {
            return Ok(());
        };
        let wait = not_until.wait_time_from(self.limiter.clock().now());
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.insert(number, Instant::now() + wait);
        Err(crowded(wait))
    }
}

fn crowded(wait: Duration) -> ApiError {
    ApiError::CrowdedNetwork {
        seconds: whole_seconds(wait),
    }
}

/// Hashes of tokens and sessions that were good when they were last shown. It lets nobody in: the record is asked each
/// time. Those that were not shown for longest are forgotten first, half of them at a time.
#[derive(Default)]
struct Known {
    lately: HashSet<[u8; 32]>,
    before: HashSet<[u8; 32]>,
}

impl Known {
    fn contains(&self, hash: &[u8; 32]) -> bool {
        self.lately.contains(hash) || self.before.contains(hash)
    }

    fn insert(&mut self, hash: [u8; 32]) {
        if self.lately.len() >= HALF_KNOWN && !self.lately.contains(&hash) {
            self.before = std::mem::take(&mut self.lately);
        }
        self.lately.insert(hash);
    }

    fn remove(&mut self, hash: &[u8; 32]) {
        self.lately.remove(hash);
        self.before.remove(hash);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::{ACCEPT, AUTHORIZATION, COOKIE, RETRY_AFTER};
    use axum::http::request::Builder;
    use axum::http::{Method, Request};
    use homeward_store::access::Role;
    use serde_json::json;

    use super::*;
    use crate::testing::{Answer, PASSWORD, TOKEN, TestApp};

    fn few(requests: u32, wrong: u32) -> Allowances {
        Allowances {
            requests: NonZeroU32::new(requests).unwrap(),
            wrong: NonZeroU32::new(wrong).unwrap(),
        }
    }

    /// A request of the network with this number.
    fn from(network: u8, path: &str) -> Builder {
        let origin = Origin([192, 0, 2, network].into());
        Request::get(path).extension(origin)
    }

    fn with_token(network: u8, token: &str) -> Builder {
        from(network, "/api/v1/alerts").header(AUTHORIZATION, format!("Bearer {token}"))
    }

    fn with_session(network: u8, secret: &str) -> Builder {
        from(network, "/api/v1/session").header(COOKIE, format!("{SESSION_COOKIE}={secret}"))
    }

    fn asks_to_wait(answer: &Answer) -> bool {
        let told = answer.headers.get(RETRY_AFTER).is_some();
        assert_eq!(told, answer.status == 429, "{}", answer.show());
        told
    }

    #[tokio::test]
    async fn wrong_tokens_and_sessions_hold_up_nobody_who_has_signed_in() {
        let mut requests = None;
        let app = TestApp::start_with(|state| {
            state.strangers = few(1_000, 3);
            requests = Some(state.requests.clone());
        })
        .await;
        let account = app.add_account("mei").await;
        app.grant(account, Role::PrivacyOfficer, None, None).await;
        let unused = app.token_of(Role::PrivacyOfficer, None, None).await;
        assert_eq!(app.send(with_token(1, TOKEN)).await.status, 200);
        for wrong in ["a", "b"] {
            assert_eq!(app.send(with_token(1, wrong)).await.status, 401);
        }
        assert_eq!(app.send(with_session(1, "c")).await.status, 401);
        for request in [with_token(1, "d"), with_session(1, "e"), with_token(1, &unused)] {
            assert!(asks_to_wait(&app.send(request).await));
        }
        // Whoever was let in before goes on, whoever comes from elsewhere is not concerned, and signing in works.
        assert_eq!(app.send(with_token(1, TOKEN)).await.status, 200);
        assert_eq!(app.send(with_token(2, &unused)).await.status, 403);
        assert_eq!(app.send(with_token(1, &unused)).await.status, 403);
        let sign_in = from(1, "/api/v1/sign-in").method(Method::POST);
        let body = json!({"name": "mei", "password": PASSWORD});
        let signed_in = app.send_with(sign_in, &body).await;
        let cookie = signed_in.headers["set-cookie"].to_str().unwrap();
        let secret = cookie.split([';', '=']).nth(1).unwrap();
        assert_eq!(app.send(with_session(1, secret)).await.status, 200);
        // What was good and is over is not taken for a guess, once.
        sqlx::query("UPDATE sign_in_session SET ended_at = created_at")
            .execute(app.pool())
            .await
            .unwrap();
        assert_eq!(app.send(with_session(1, secret)).await.status, 401);
        assert!(asks_to_wait(&app.send(with_session(1, secret)).await));
        // Nothing is asked of the record then.
        requests.unwrap().close().await;
        assert!(asks_to_wait(&app.send(with_token(1, "f")).await));
        assert_eq!(app.send(with_token(2, "f")).await.status, 503);
    }

    #[tokio::test]
    async fn strangers_wait_on_a_plain_page_and_who_has_signed_in_does_not() {
        let app = TestApp::start_with(|state| state.strangers = few(3, 1_000)).await;
        for _ in 0..3 {
            assert_eq!(app.send(from(1, "/sign-in")).await.status, 200);
        }
        for path in ["/sign-in", "/worklist", "/api/v1/identity-providers/x/callback"] {
            let answer = app.send(from(1, path).header(ACCEPT, "text/html")).await;
            assert!(asks_to_wait(&answer), "{path}");
            assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
            assert!(
                answer.body.contains("Too many requests come from your network"),
                "{}",
                answer.body
            );
        }
        let answer = app.send(from(1, "/api/v1/alerts")).await;
        assert!(asks_to_wait(&answer));
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        // Those who run the process are told how it is, and the rest of the world is not concerned.
        assert_eq!(app.send(from(1, "/healthz")).await.status, 200);
        assert_eq!(app.send(from(1, "/readyz")).await.status, 200);
        assert_eq!(app.send(from(2, "/sign-in")).await.status, 200);
        assert_eq!(app.send(with_token(1, TOKEN)).await.status, 200);
    }

    #[tokio::test]
    async fn wrong_links_are_counted_apart() {
        let app = TestApp::start_with(|state| state.strangers = few(1_000, 2)).await;
        for _ in 0..2 {
            assert_eq!(app.send(from(1, "/share/guess")).await.status, 404);
        }
        let page = app
            .send(from(1, "/share/guess").header(ACCEPT, "text/html"))
            .await;
        assert!(asks_to_wait(&page) && page.body.contains("<h1"), "{}", page.body);
        assert_eq!(app.send(from(2, "/share/guess")).await.status, 404);
        assert_eq!(app.send(with_token(1, "wrong")).await.status, 401);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_who_comes_again_stays() {
        let mut known = Known::default();
        let hash = |number: usize| secret_hash(&number.to_string());
        for number in 0..4 * HALF_KNOWN {
            known.insert(hash(number));
            if number % 100 == 0 {
                known.insert(hash(0));
            }
        }
        assert!(known.lately.len() + known.before.len() <= 2 * HALF_KNOWN);
        assert!(known.contains(&hash(0)) && known.contains(&hash(4 * HALF_KNOWN - 1)));
        assert!(!known.contains(&hash(1)));
        known.remove(&hash(0));
        assert!(!known.contains(&hash(0)));
    }

    #[test]
    fn networks_are_told_apart() {
        let strangers = Strangers::new(few(1, 1));
        let number = |address: &str| strangers.number(Some(Origin(address.parse().unwrap())));
        assert_eq!(number("2001:db8::1"), number("2001:db8::ff:2"));
        let numbers: HashSet<Number> = (0..=255).map(|last| number(&format!("192.0.2.{last}"))).collect();
        // A few may share one by chance.
        assert!(numbers.len() > 250, "{}", numbers.len());
    }
}
