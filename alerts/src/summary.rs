//! What a patient's readings come to over days and weeks, by the protocols that rules judge by too. Pure.

mod glucose;

pub use glucose::{GlucoseSummary, Hypo, Profile, Range, SUFFICIENT_PERCENT, Sample, summarise_glucose};
