//! Programmes: the rules from which a patient's care plan begins.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::Definition;

/// A named set of rules that a care plan copies, and a clinician then adjusts. Programmes are data:
/// `alerts/programmes/*.json`, each number with its source; their README has the format and a table of all.
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
const FILES: [&str; 9] = [
    include_str!("../programmes/hypertension.json"),
    include_str!("../programmes/hypertension-over-80.json"),
    include_str!("../programmes/diabetes-type-1.json"),
    include_str!("../programmes/diabetes-type-2.json"),
    include_str!("../programmes/diabetes-older.json"),
    include_str!("../programmes/diabetes-pregnancy.json"),
    include_str!("../programmes/virtual-ward.json"),
    include_str!("../programmes/copd.json"),
    include_str!("../programmes/heart-failure.json"),
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

    const HYPERTENSION: [&str; 2] = ["hypertension", "hypertension-over-80"];
    const DIABETES: [&str; 4] = [
        "diabetes-type-1",
        "diabetes-type-2",
        "diabetes-older",
        "diabetes-pregnancy",
    ];
    const EARLY_WARNING: [&str; 2] = ["virtual-ward", "copd"];

    fn programmes() -> impl Iterator<Item = &'static Programme> {
        Programme::names().map(|name| Programme::named(name).unwrap())
    }

    fn rules() -> impl Iterator<Item = (&'static str, &'static ProgrammeRule)> {
        programmes().flat_map(|programme| programme.rules.iter().map(|rule| (programme.name.as_str(), rule)))
    }

    #[test]
    fn every_embedded_file_reads_and_names_are_unique() {
        let names: Vec<&str> = Programme::names().collect();
        let mut expected = HYPERTENSION.to_vec();
        expected.extend(DIABETES);
        expected.extend(EARLY_WARNING);
        expected.push("heart-failure");
        assert_eq!(names, expected);
        assert_eq!(Programme::named("asthma"), None);
        for programme in programmes() {
            let codes: BTreeSet<&str> = programme.rules.iter().map(|rule| rule.code.as_str()).collect();
            assert_eq!(codes.len(), programme.rules.len(), "{}", programme.name);
            let severities = programme.rules.iter().map(|rule| rule.definition.severity);
            assert!(severities.is_sorted(), "{}: most urgent first", programme.name);
        }
        for (_, rule) in rules() {
            let words = rule
                .code
                .split('-')
                .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(words, "{}", rule.code);
        }
    }

    #[test]
    fn very_low_glucose_alone_is_always_on_and_told_again() {
        for (programme, rule) in rules() {
            let very_low = rule.code == "glucose-very-low";
            assert_eq!(rule.always_on, very_low, "{programme} {}", rule.code);
            let repeat = very_low.then_some(900);
            assert_eq!(
                rule.definition.repeat_seconds, repeat,
                "{programme} {}",
                rule.code
            );
        }
    }

    #[test]
    fn one_code_means_one_thing_in_programmes_that_a_patient_may_have_together() {
        let alternatives: [&[&str]; 3] = [&HYPERTENSION, &DIABETES, &EARLY_WARNING];
        let family = |programme: &'static str| {
            let family = alternatives.iter().find(|family| family.contains(&programme));
            family.map_or(programme, |family| family[0])
        };
        for (one, rule) in rules() {
            for (other, same) in rules() {
                if rule.code == same.code && family(one) != family(other) {
                    assert_eq!(
                        rule.definition, same.definition,
                        "{} of {one} and {other}",
                        rule.code
                    );
                }
            }
        }
    }

    #[test]
    fn every_source_says_what_is_this_products_choice_and_what_awaits_a_check() {
        let mut awaiting = BTreeSet::new();
        for (programme, rule) in rules() {
            let source = &rule.definition.source;
            assert!(
                source.contains("this product's choice"),
                "{programme} {}: at least where it clears is one",
                rule.code
            );
            if source.contains("awaits a clinician's check") {
                awaiting.insert((programme, rule.code.as_str()));
            }
        }
        let expected = BTreeSet::from([
            ("diabetes-older", "glucose-time-in-range"),
            ("diabetes-pregnancy", "glucose-falling-fast"),
            ("diabetes-pregnancy", "glucose-time-in-range"),
            ("diabetes-type-1", "glucose-falling-fast"),
            ("heart-failure", "weight-gain"),
        ]);
        assert_eq!(awaiting, expected);
    }

    #[test]
    fn guidance_never_diagnoses() {
        for (programme, rule) in rules() {
            let Definition { name, guidance, .. } = &rule.definition;
            let text = format!("{name} {guidance}");
            for word in [
                "AF",
                "fibrillation",
                "diagnos",
                "hypertensi",
                "hypoglyc",
                "hyperglyc",
                "sepsis",
            ] {
                assert!(!text.contains(word), "{word} in {programme} {}", rule.code);
            }
        }
        let said = |programme, code| {
            let rules = &Programme::named(programme).unwrap().rules;
            let rule = rules.iter().find(|rule| rule.code == code).unwrap();
            rule.definition.guidance.as_str()
        };
        let crisis = said("hypertension", "blood-pressure-crisis");
        assert!(crisis.starts_with("Repeat now, and assess for symptoms."));
        let irregular = said("hypertension", "irregular-pulse");
        assert!(irregular.starts_with("Consider a manual pulse check and ECG."));
    }

    #[test]
    fn the_table_for_clinicians_names_every_programme_and_rule() {
        let table = include_str!("../programmes/README.md");
        for (programme, rule) in rules() {
            assert!(table.contains(programme), "{programme}");
            assert!(table.contains(&format!("`{}`", rule.code)), "{}", rule.code);
        }
    }
}
