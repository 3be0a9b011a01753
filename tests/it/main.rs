//! End-to-end tests: the real binary, its broker and API, and a real TimescaleDB.
#![cfg(test)]

mod accounts;
mod alerts;
mod answers;
mod browser;
mod client;
mod committing;
mod contacts;
mod credentials;
mod dry_run;
mod entering;
mod episodes;
mod export;
mod fault;
mod formats;
mod front;
mod hand_over;
mod harness;
mod history;
mod judged;
mod libraries;
mod limits;
mod malformed;
mod notifications;
mod once;
mod openapi;
mod openid;
#[path = "../oracle/mod.rs"]
mod oracle;
mod overtaking;
mod passport;
mod plans;
mod publishing;
mod rejected;
mod replay;
mod research;
mod second_copy;
mod secrets;
mod smoke;
mod stopping;
mod subscribing;
mod trends;
mod wills;
