//! The HTTP interface.
//!
//! | route | answers |
//! |---|---|
//! | `GET`, `POST /api/v1/patients` | finds patients; puts one into the record |
//! | `GET`, `PUT /api/v1/patients/{patient}` | who a patient is; changes that |
//! | `GET /api/v1/patients/{patient}/enrolments` | the teams that look after a patient |
//! | `PUT`, `DELETE /api/v1/patients/{patient}/enrolments/{team}` | enrols a patient; ends that |
//! | `GET /api/v1/patients/{patient}/devices` | what measures a patient |
//! | `POST /api/v1/devices` | registers a device |
//! | `POST /api/v1/devices/{device}/assignments`, `…/revoke` | gives it to a patient; lets it in no more |
//! | `GET`, `POST /api/v1/patients/{patient}/notes` | what was written down; writes something down |
//! | `GET`, `POST /api/v1/tasks` | what a team has to do; adds something |
//! | `GET /api/v1/tasks/workload` | how much that is |
//! | `GET`, `PUT /api/v1/tasks/{task}`, `POST …/done`, `…/cancel` | a task; changes it; ends it |
//! | `GET /api/v1/patients/{patient}/trends/{type}` | a series over a window, summed up by buckets of time |
//! | `GET /api/v1/patients/{patient}/glucose-summary` | time in range and the profile of a day |
//! | `GET /api/v1/patients/{patient}/blood-pressure-summary` | courses of measurements at home |
//! | `GET /api/v1/patients/{patient}/news2` | the early warning score and its course |
//! | `GET /api/v1/patients/{patient}/readings` | readings one by one, newest first |
//! | `GET /api/v1/patients/{patient}/care-plan` | the rules of a patient's plan |
//! | `POST /api/v1/patients/{patient}/care-plan` | puts a programme's rules into it |
//! | `PUT /api/v1/patients/{patient}/care-plan/{code}` | adjusts a rule of it, or adds one |
//! | `DELETE /api/v1/patients/{patient}/care-plan/{code}` | takes a rule out of it |
//! | `GET /api/v1/patients/{patient}/access-log` | who has seen or changed the record, and why |
//! | `GET /api/v1/patients/{patient}/choices` | with whom the record is shared, and whether research may use it |
//! | `PUT /api/v1/patients/{patient}/choices/sharing/{organisation}`, `…/research` | chooses that |
//! | `GET`, `POST /api/v1/patients/{patient}/passport-shares` | summaries that a patient shares by a link and a code |
//! | `DELETE /api/v1/patients/{patient}/passport-shares/{share}` | revokes one |
//! | `GET`, `POST /share/{secret}` | such a summary, for whoever has the link and the code: a page, or JSON |
//! | `POST /api/v1/break-glass` | opens the record of a patient without a relationship, for a stated reason |
//! | `GET /api/v1/break-glass`, `POST /api/v1/break-glass/{id}/review` | what a privacy officer has to look into |
//! | `GET /api/v1/practice-overview` | the patients of each programme, counted |
//! | `GET /api/v1/alerts` | episodes, latest first |
//! | `GET /api/v1/alerts/{alert}` | an episode, and everything that happened to it |
//! | `POST /api/v1/alerts/{alert}/acknowledge` | takes an episode up |
//! | `POST /api/v1/alerts/{alert}/assign` | makes it somebody's business |
//! | `POST /api/v1/alerts/{alert}/comment` | says something about it |
//! | `POST /api/v1/alerts/{alert}/snooze` | lets nobody be paged for it for a while |
//! | `POST /api/v1/alerts/{alert}/close` | puts it away once its condition has cleared |
//! | `GET /api/v1/alerts/stream` | what happens to episodes, as it happens (server-sent events) |
//! | `POST /api/v1/rules/dry-run` | what rules would have raised: nobody is paged |
//! | `POST /api/v1/sign-in` | signs in with name and password |
//! | `GET /api/v1/identity-providers`, `…/{provider}/sign-in`, `…/callback` | signs in through one |
//! | `GET`, `DELETE /api/v1/session` | who is signed in; signs out |
//! | `POST /api/v1/session/role` | picks the role in which to act |
//! | `POST /api/v1/account/password` | chooses another password |
//! | `POST`, `PUT`, `DELETE /api/v1/account/second-factor` | offers a second factor, takes it, and gives it up |
//! | `GET /fhir/R4/…` | the same record as FHIR R4 resources: `metadata` says which |
//! | `POST /fhir/R4/Observation` | a reading enters the record |
//! | `GET /`, `/sign-in`, `/password`, `/role`, `/worklist`, … | pages for people |
//! | `GET /admin`, … | pages for those who look after people and devices |
//! | `GET /healthz`, `/readyz`, `/metrics` | for those who run the process |
//!
//! Everything else under `/api` and `/fhir/R4` needs a bearer token, or a session in which a role is picked. Errors are problem
//! documents (RFC 9457). Times are RFC 3339 in UTC, values in the stored units of their metrics, named by UCUM codes.

mod access;
mod access_log;
mod alerts;
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

pub use entering::{Enter, Entered, Entering, Entry, NotEntered, Replay, Replayed};
pub use serve::{ApiState, serve};
pub use sign_in::IdentityProvider;
