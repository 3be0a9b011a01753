//! Whom a page speaks to: the patient, or somebody whom the patient has named.

use homeward_record::PatientId;

use super::is_own;
use crate::access::Exchange;

/// The words for the patient. Verbs are the same for both: you have, they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Voice {
    /// Whether it is the patient who reads.
    pub(super) own: bool,
    pub(super) you: &'static str,
    pub(super) your: &'static str,
    /// The same at the beginning of a sentence.
    pub(super) first_you: &'static str,
    pub(super) first_your: &'static str,
}

impl Voice {
    pub(super) const OWN: Voice = Voice {
        own: true,
        you: "you",
        your: "your",
        first_you: "You",
        first_your: "Your",
    };

    pub(super) const PROXY: Voice = Voice {
        own: false,
        you: "they",
        your: "their",
        first_you: "They",
        first_your: "Their",
    };

    /// How to speak to the caller about a patient.
    pub(super) fn of(exchange: &Exchange, patient: PatientId) -> Voice {
        match is_own(exchange, patient) {
            true => Voice::OWN,
            false => Voice::PROXY,
        }
    }
}
