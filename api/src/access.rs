//! Who calls, what they may do, and that it is written down.
//!
//! Every route under `/api` and `/fhir` has an [`Action`] and passes [`exchange::pass`]: it finds out who calls, asks
//! [`may`] — the one place that decides — and lets the handler work in a transaction that sees only whom the caller
//! may see. When the handler has succeeded, the log of reads and changes gets its row and the transaction commits,
//! before anything is answered; when it has not, nothing has happened.
//!
//! Each caller has an allowance of requests ([`rate_limit`]), and whoever is none has one with all others who are none in
//! the same network ([`strangers`]). A request that is sent twice under a key is done once ([`idempotency`]).
//!
//! A caller shows a bearer token, or the cookie of a session in which a role is picked: see [`crate::sign_in`].

mod action;
mod exchange;
mod idempotency;
mod may;
mod origin;
mod principal;
mod rate_limit;
mod session;
mod strangers;
#[cfg(test)]
mod tests;

pub(crate) use action::{Action, in_words};
pub(crate) use exchange::{Exchange, pass};
pub(crate) use idempotency::{IDEMPOTENCY_KEY, ShownOnce};
pub use may::is_scope;
pub(crate) use may::{Decide, does, may};
pub(crate) use origin::Origin;
pub(crate) use principal::{Principal, Subject};
pub(crate) use rate_limit::RateLimits;
pub(crate) use session::{CSRF_HEADER, SESSION_COOKIE, from_our_page, secret_of, session_of};
pub use strangers::Allowances;
pub(crate) use strangers::Strangers;
