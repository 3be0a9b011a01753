//! End-to-end tests: the real binary, its broker and API, and a real TimescaleDB.
#![cfg(test)]

mod credentials;
mod fault;
mod harness;
mod limits;
mod malformed;
mod oracle;
mod publishing;
mod replay;
mod smoke;
mod subscribing;
mod trends;
mod wills;
