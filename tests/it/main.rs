//! End-to-end tests: the real binary, its broker and API, and a real TimescaleDB.
#![cfg(test)]

mod fault;
mod harness;
mod oracle;
mod replay;
mod smoke;
mod trends;
