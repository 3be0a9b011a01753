//! What a patient's readings come to over days and weeks, by the protocols that rules judge by too. Pure.

pub mod blood_pressure;
mod glucose;
mod glucose_active;
pub mod glucose_targets;
pub mod news2;
pub mod practice;

pub use glucose::{
    ADULT_RANGE, GlucoseSummary, Hypo, Profile, Range, SUFFICIENT_PERCENT, Sample, summarise_glucose,
};
