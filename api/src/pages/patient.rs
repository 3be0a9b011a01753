//! The pages about one patient.

pub(crate) mod alerts;
pub(crate) mod care_plan;
mod charts;
pub(crate) mod corrections;
pub(crate) mod devices;
pub(crate) mod head;
pub(crate) mod news2;
pub(crate) mod notes;
mod range;
pub(crate) mod readings;
pub(crate) mod review;
pub(crate) mod show;
mod timeline;
mod trends;
pub(in crate::pages) mod values;
