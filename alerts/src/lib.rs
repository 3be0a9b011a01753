//! Judging readings against care plans.
//!
//! A care plan is a set of rules; a [`Definition`] is what one rule says. The engine is one pure function,
//! [`step`]: it takes a rule, what the rule remembers ([`RuleState`]) and one [`Observation`], and answers
//! with what the rule remembers now and what is to be done about it ([`Effect`]). No I/O, no clock, no
//! async: ingest feeds it the new readings of a patient in the order in which they are committed, and
//! commits the effects together with the readings.
//!
//! Rules judge the time of *measurement*. A reading that arrives in order of measurement runs the live
//! track, which raises, continues and clears the one open episode of a rule; a reading that was overtaken
//! by a newer one runs the late track, which only adds to the history. [`step`] says it in full.

mod definition;
mod effect;
mod explain;
mod late;
mod live;
mod observation;
mod parse;
mod programme;
mod run;
mod severity;
mod state;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use definition::{Bound, Condition, Definition, Limit, Side};
pub use effect::Effect;
pub use explain::explain;
pub use homeward_record::Point;
pub use live::step;
pub use observation::{LATE_AFTER, Observation};
pub use parse::DefinitionError;
pub use programme::{Programme, ProgrammeRule};
pub use severity::Severity;
pub use state::{RuleState, StateError};
