use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Point;
use crate::run::{self, Runs};

/// What a rule remembers of a patient between readings. The default knows nothing.
///
/// Its JSON form is what the record keeps; it lacks the time of the latest judged reading, which the stored
/// readings tell ([`RuleState::resume`]), so that an ordinary reading costs the record no second write.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct RuleState {
    /// The latest time of measurement judged so far: what is before it has been overtaken.
    #[serde(skip)]
    pub(crate) latest: Option<DateTime<Utc>>,
    pub(crate) memory: Memory,
}

/// The part of a state that is saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// The open episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Open>,
    /// The limits of the live track that are not quiet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) runs: Runs,
    /// The late track, unless it is quiet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) late: Option<Box<Late>>,
}

/// The open episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    pub(crate) onset: Point,
    pub(crate) latest: Point,
    pub(crate) worst: Point,
    /// No breaching reading of it has arrived on time so far.
    pub(crate) late: bool,
}

/// The late track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Late {
    /// The latest time of measurement that the track has judged.
    pub(crate) latest_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) episode: Option<LateEpisode>,
    pub(crate) runs: Runs,
}

/// The late episode that readings may still extend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LateEpisode {
    pub(crate) onset_at: DateTime<Utc>,
    pub(crate) worst: Point,
}

/// A saved state could not be read: it was not written by this version or one before it.
#[derive(Debug, thiserror::Error)]
#[error("the saved state of a rule could not be read")]
pub struct StateError(#[from] serde_json::Error);

impl RuleState {
    /// The state from which to judge on.
    ///
    /// `saved` is the JSON form last saved, if any was. `latest_reading_at` is the latest time of
    /// measurement among the patient's stored readings of the rule's metrics *that have been judged*: ask
    /// for it before the readings that are to be judged now are stored. A state that was saved whenever
    /// [`RuleState::needs_saving`] said so, resumed with this time, goes on as if it had never been away.
    pub fn resume(
        saved: Option<Value>,
        latest_reading_at: Option<DateTime<Utc>>,
    ) -> Result<RuleState, StateError> {
        let memory: Memory = saved.map(serde_json::from_value).transpose()?.unwrap_or_default();
        let latest = latest_reading_at.max(memory.latest_at());
        Ok(RuleState { latest, memory })
    }

    /// Whether the record has to be told, given the state `before` the readings just judged.
    pub fn needs_saving(&self, before: &RuleState) -> bool {
        self.memory != before.memory
    }

    /// Whether the rule has an open episode.
    pub fn has_open_episode(&self) -> bool {
        self.memory.open.is_some()
    }
}

impl Memory {
    /// The latest time that the memory itself proves to have been judged, also when the readings are gone.
    fn latest_at(&self) -> Option<DateTime<Utc>> {
        let open = self.open.as_ref().map(|open| open.latest.at);
        open.max(run::latest_at(&self.runs))
    }
}
