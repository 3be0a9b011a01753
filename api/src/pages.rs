//! Pages for people: rendered here, complete without scripts; scripts only tell of what has changed since.
//!
//! A page is a route like any other: it has an action and passes [`crate::access::pass`], or is open to those who are in
//! no role yet. What a page's form sends goes through the same code as the interface for programs; then the browser is
//! led back to a page. [`outcomes`] turns refusals into pages, and leads whoever is not signed in to where one signs in.

pub(crate) mod access_log;
pub(crate) mod admin;
pub(crate) mod alert;
pub(crate) mod assets;
pub(crate) mod break_glass;
mod chart;
mod compress;
mod form;
mod glucose;
pub(crate) mod home;
mod moment;
pub(crate) mod own;
pub(crate) mod password;
pub(crate) mod patient;
pub(crate) mod patients;
pub(crate) mod practice;
pub(crate) mod pressure;
mod problems;
pub(crate) mod refused;
pub(crate) mod role;
pub(crate) mod sign_in;
mod spark;
#[cfg(test)]
mod tests;
mod view;
pub(crate) mod worklist;

pub(crate) use assets::path_of as asset;
pub(crate) use compress::compress;
pub(crate) use form::{Form, form_token};
pub(crate) use moment::Moment;
pub(crate) use patient::values::number as number_in_words;
pub(crate) use view::{Who, outcomes, page};
