//! The pages about one patient.

pub(crate) mod head;
pub(crate) mod notes;
pub(crate) mod show;
