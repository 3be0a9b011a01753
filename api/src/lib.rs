//! The HTTP interface: REST under `/api/v1`, the same record as FHIR R4 under `/fhir/R4`, live streams, and pages for
//! people.
//!
//! `routes.rs` lists all that there is: `api_routes`, each with its action, for whoever acts in a role by a bearer token or
//! a session; and `open_routes`, for people who are in no role yet, for whoever has the link of a shared summary, and for
//! those who run the process. A route has a file of its name, with its parameters, handler and tests.
//!
//! Errors are problem documents (RFC 9457). Times are RFC 3339 in UTC, values in the stored units of their metrics, named
//! by UCUM codes.

mod access;
mod access_log;
mod alerts;
mod assignee;
mod blood_pressure_summary;
mod break_glass;
mod care_plan;
mod choices;
mod corrections;
mod devices;
mod dry_run;
mod entering;
mod error;
mod etag;
mod fhir;
mod glucose_summary;
mod guesses;
mod health;
mod metrics;
mod news2;
mod notes;
mod openapi;
mod pages;
mod passport_shares;
pub mod password;
mod patients;
mod practice_overview;
mod qr;
mod readings;
mod request;
mod routes;
mod series;
mod serve;
mod share;
mod sign_in;
mod step_goal;
mod streams;
mod tasks;
mod trends;

#[cfg(test)]
mod query_plans;
#[cfg(test)]
mod testing;

pub use access::{Allowances, is_scope};
pub use entering::{Enter, Entered, Entering, Entry, NotEntered, Replay, Replayed};
pub use serve::{ApiState, MAX_CONNECTIONS, serve};
pub use sign_in::IdentityProvider;
