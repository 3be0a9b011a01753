//! How it is said why messages were refused, and what became of those that were tried once more.

use homeward_record::decode::Reason;
use homeward_store::rejected::Fault;

use crate::access_log::capital;

/// Every reason, as the record has it.
pub(super) const REASONS: [Reason; 14] = [
    Reason::NotAssigned,
    Reason::Malformed,
    Reason::TooLarge,
    Reason::Unsupported,
    Reason::InvalidField,
    Reason::InvalidUnit,
    Reason::Implausible,
    Reason::NoTime,
    Reason::InFuture,
    Reason::TooOld,
    Reason::NotMeasured,
    Reason::ControlSolution,
    Reason::NotAuthorized,
    Reason::Unstorable,
];

/// What is wrong and where; what is wrong with many readings, of which it is not said with which, is said once.
pub(super) fn faults_in_words(faults: &[Fault]) -> Vec<String> {
    let mut counted: Vec<(String, u32)> = Vec::new();
    for fault in faults {
        let (what, _) = in_words(fault.reason);
        let words = match fault.index {
            Some(index) => format!("Reading {}: {what}", index + 1),
            None => capital(what),
        };
        match counted.iter_mut().find(|(known, _)| *known == words) {
            Some((_, times)) => *times += 1,
            None => counted.push((words, 1)),
        }
    }
    let told = counted.into_iter().map(|(words, times)| match times {
        1 => words,
        times => format!("{words} ({times} times)"),
    });
    told.collect()
}

/// The reason as the record has it.
pub(super) fn name_of(reason: Reason) -> String {
    let name = serde_json::to_value(reason).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// The reason with this name.
pub(super) fn reason_named(name: &str) -> Option<Reason> {
    REASONS.into_iter().find(|known| name_of(*known) == name)
}

/// What a reason means, and what can be done.
pub(super) fn in_words(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Malformed => (
            "it cannot be read as what its topic says",
            "The device or its gateway sends something else than it should: ask its maker.",
        ),
        Reason::TooLarge => (
            "it is larger than a message may be",
            "Have the gateway send less at once.",
        ),
        Reason::Unsupported => (
            "its format or measurement is not taken by this version",
            "A later version may take it: try it once more then.",
        ),
        Reason::InvalidField => (
            "a field is missing, or not one of the values it may have",
            "The device or its gateway sends something else than it should: ask its maker.",
        ),
        Reason::InvalidUnit => (
            "the unit is not one of those that the measurement may have",
            "Set the unit of the device, or ask its maker.",
        ),
        Reason::Implausible => (
            "no living person can have that value",
            "Have the device looked at. The patient may have to measure anew.",
        ),
        Reason::NoTime => (
            "it has no time, or one without a time zone",
            "Say how far the clock face of the device is ahead of UTC when you register it.",
        ),
        Reason::InFuture => (
            "it is from the future",
            "The clock of the device is wrong: set it. A time that was wrong then is not believed later.",
        ),
        Reason::TooOld => (
            "it is older than the record keeps readings",
            "Nothing has to be done, unless the clock of the device is wrong.",
        ),
        Reason::NotMeasured => (
            "the device itself says that it is no measurement",
            "Nothing has to be done: it was a test, or a measurement that failed.",
        ),
        Reason::ControlSolution => (
            "a control solution was measured, not a patient",
            "Nothing has to be done.",
        ),
        Reason::NotAssigned => (
            "the device was with nobody when it measured",
            "Give the device to its patient from that day on, then try the message once more.",
        ),
        Reason::NotAuthorized => (
            "the topic is not one of this device",
            "Check the number that the device was set up with.",
        ),
        Reason::Unstorable => (
            "the record could not store it",
            "Look at the log of the process, then try it once more.",
        ),
    }
}

/// What became of those that were tried once more.
pub(super) fn outcome_in_words(stored: u32, left: u32, busy: u32) -> String {
    let messages = |count: u32| match count {
        1 => "1 message is".to_owned(),
        count => format!("{count} messages are"),
    };
    let mut sentences = format!("{} in the record now", messages(stored));
    if left > 0 {
        sentences += &format!("; {} refused still", messages(left));
    }
    if busy > 0 {
        sentences += &format!(
            "; {} not tried, for there is too much to do: try again shortly",
            messages(busy)
        );
    }
    sentences + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_words_and_is_found_by_its_name() {
        for reason in REASONS {
            let name = name_of(reason);
            assert_eq!(reason_named(&name), Some(reason));
            let same = REASONS
                .iter()
                .filter(|other| in_words(**other).0 == in_words(reason).0);
            assert_eq!(same.count(), 1, "{name}");
        }
        assert_eq!(reason_named("y"), None);
    }

    #[test]
    fn faults_are_told_with_their_places() {
        let fault = |index, reason| Fault { index, reason };
        let told = faults_in_words(&[
            fault(Some(2), Reason::Implausible),
            fault(None, Reason::NotAssigned),
            fault(None, Reason::NotAssigned),
        ]);
        assert_eq!(
            told,
            [
                "Reading 3: no living person can have that value",
                "The device was with nobody when it measured (2 times)",
            ]
        );
    }

    #[test]
    fn outcomes_are_told_in_a_sentence() {
        assert_eq!(outcome_in_words(1, 0, 0), "1 message is in the record now.");
        assert_eq!(
            outcome_in_words(3, 1, 2),
            "3 messages are in the record now; 1 message is refused still; 2 messages are not tried, for there is too much \
             to do: try again shortly."
        );
    }
}
