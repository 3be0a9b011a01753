//! Judging readings against care plans.
//!
//! A care plan is a set of rules; a [`Definition`] is what one rule says. The engine is one pure function,
//! [`step`]: it takes a rule, what the rule remembers ([`Memory`]) and a moment (the [`Observation`]s of one
//! time), and answers with what became of the rule's episode. No I/O, no clock, no async.
//!
//! Rules judge the time of *measurement*: the episodes of a rule are a function of the set of readings,
//! whatever the order in which they arrived. [`Track`] sees to that: readings that come in order go straight
//! through [`step`]; for one that a newer reading has overtaken the rule goes back to what it remembered before
//! that time and judges again from there, and [`reconcile`] finds what that changes in the record.

pub mod carry_over;
mod channel;
mod checkpoints;
mod course;
mod definition;
pub mod dry_run;
mod explain;
pub mod judging;
mod kinds;
mod limit;
pub mod notify;
mod observation;
pub mod outgoing;
mod parse;
pub mod plans;
mod programme;
mod reconcile;
mod rule;
mod severity;
mod signal;
pub mod summary;
pub mod timers;
mod track;

#[cfg(test)]
mod fixture;
#[cfg(test)]
#[path = "../../tests/oracle/mod.rs"]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod testing;

pub use checkpoints::Checkpoint;
pub use definition::{Definition, Level, Role};
pub use explain::{About, condition_in_words, count_in_words, explain, metric_in_words, reading_in_words};
pub use homeward_record::Point;
pub use kinds::{
    Change, Changes, Condition, Direction, Figure, HomeAverage, News2, Percent, Rate, Repeated, Scale, Share,
    Silence, Sustained, Threshold, TimeInRange, Unless, Zone,
};
pub use limit::{Bound, Limit, Side};
pub use observation::{LATE_AFTER, Mark, Observation};
pub use parse::DefinitionError;
pub use programme::{Programme, ProgrammeRule};
pub use reconcile::{Amendment, Change as EpisodeChange, Reconciliation, Stored, reconcile};
pub use rule::{Episode, Memory, Outcome, Rule, step};
pub use severity::Severity;
pub use track::{ALLOWED_LATENESS, Again, Judged, Track, Version, moments, undisturbed_before};
