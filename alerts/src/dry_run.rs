//! Trying rules on history before they page anyone: which episodes they would have raised, how many that is for
//! each day of a patient, and which of them the present plans would have raised as well.
//!
//! [`Trial`] judges one patient's history, purely; [`Sums`] add trials up in any order; [`dry_run`] reads the
//! histories and runs the trials, several at a time. All of it judges by [`crate::step`], as live readings are
//! judged, and writes nothing.
//!
//! A rule is tried as if it had been in force for a while when the time begins that it is tried over: it judges
//! some of the history from before ([`Trial::read_from`]), but only what it raises within the time counts.

mod figures;
mod plan;
mod report;
mod run;
mod sums;
mod trial;

use chrono::TimeDelta;

pub use figures::{Difference, Figures, Severities};
pub use report::{ListedEpisode, ListedReading, Report, RuleReport};
pub use run::{DryRunError, Limits, Progress, Proposal, Replaces, Scope, dry_run, patients_of};
pub use sums::{Listing, Sums};
pub use trial::{Outcome, RuleOutcome, Trial, TrialRule, Tried, TriedEpisode};

/// The time that rules are tried over, up to the present, if nothing else is asked for: long enough to see what is
/// rare, short enough to be about the patients as they are.
pub const USUAL_TIME: TimeDelta = TimeDelta::days(30);
