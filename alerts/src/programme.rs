//! Programmes: the rules from which a patient's care plan begins.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::Definition;

/// A named set of rules that a care plan copies, and a clinician then adjusts. Programmes are data:
/// `alerts/programmes/*.json`, each number with its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programme {
    /// The name by which it is asked for, and which `care_plan_rule.programme` keeps.
    pub name: String,
    /// Counts the changes of the file; a plan made from an earlier version keeps what it copied.
    pub version: u32,
    /// What the care team sees it called.
    pub title: String,
    /// Its rules, most urgent first.
    pub rules: Vec<ProgrammeRule>,
}

/// A rule of a programme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgrammeRule {
    /// Names the rule within a care plan across its versions: lower-case words joined by dashes.
    pub code: String,
    /// A plan may adjust the rule but not leave it out.
    pub always_on: bool,
    /// What it says.
    pub definition: Definition,
}

/// The embedded files. A test reads every one.
const FILES: [&str; 2] = [
    include_str!("../programmes/hypertension.json"),
    include_str!("../programmes/diabetes.json"),
];

static PROGRAMMES: LazyLock<Vec<Programme>> = LazyLock::new(|| {
    let read =
        |file: &&str| serde_json::from_str(file).expect("a test of this crate reads every embedded file");
    FILES.iter().map(read).collect()
});

impl Programme {
    /// The programme of this name.
    pub fn named(name: &str) -> Option<&'static Programme> {
        PROGRAMMES.iter().find(|programme| programme.name == name)
    }

    /// The names of all programmes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PROGRAMMES.iter().map(|programme| programme.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_embedded_file_reads_and_names_are_unique() {
        assert_eq!(
            Programme::names().collect::<Vec<_>>(),
            ["hypertension", "diabetes"]
        );
        assert_eq!(Programme::named("asthma"), None);
        for programme in Programme::names().map(|name| Programme::named(name).unwrap()) {
            let codes: BTreeSet<&str> = programme.rules.iter().map(|rule| rule.code.as_str()).collect();
            assert_eq!(codes.len(), programme.rules.len(), "{}", programme.name);
            for code in codes {
                assert!(
                    code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                    "{code}"
                );
            }
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_clinical_notes() {
        let rules = |name| {
            let programme = Programme::named(name).unwrap();
            let lines = programme.rules.iter().map(|rule| {
                let Definition {
                    severity, condition, ..
                } = &rule.definition;
                let bounds = condition
                    .limits()
                    .iter()
                    .map(|limit| format!("{} {:?}", limit.metric, limit.bound));
                let hold = condition.timing().hold.num_minutes();
                format!(
                    "{severity}: {} for {hold} min",
                    bounds.collect::<Vec<_>>().join(" or ")
                )
            });
            lines.collect::<Vec<_>>()
        };
        assert_eq!(
            rules("hypertension"),
            ["high: systolic AtLeast(180.0) or diastolic AtLeast(120.0) for 0 min"]
        );
        assert_eq!(
            rules("diabetes"),
            [
                "high: glucose Below(3.0) for 0 min",
                "medium: glucose Below(3.9) for 15 min",
                "medium: glucose Above(13.9) for 120 min",
            ]
        );
        assert!(Programme::named("diabetes").unwrap().rules[0].always_on);
    }
}
