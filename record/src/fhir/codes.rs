//! What codes mean here, and which ones are written.
//!
//! Sources: for LOINC and SNOMED CT (UK) the project's table of codes; for IEEE 11073-10101 (MDC) the
//! nomenclature, as the HL7 Personal Health Device guide uses it: a term's 32-bit code is its partition
//! times 65,536 plus its number. Codes that are marked with a question mark come from a secondary copy and
//! are still to be checked by a clinician.

use serde_json::{Value as Json, json};

use super::build::coding;
use crate::Metric;

pub(super) const LOINC: &str = "http://loinc.org";
pub(super) const SNOMED: &str = "http://snomed.info/sct";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
pub(super) const MDC: &str = "urn:iso:std:iso:11073:10101";
/// Bits of IEEE 11073 bit strings as codes: the MDC code of the string, a point, and the bit.
pub(super) const BITS: &str = "http://hl7.org/fhir/uv/phd/CodeSystem/ASN1ToHL7";
/// The same, where terminology.hl7.org has taken it over.
const BITS_OF_HL7: &str = "http://terminology.hl7.org/CodeSystem/ASN1ToHL7";
/// Why there is no value.
pub(super) const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
/// Yes and no as codes.
pub(super) const YES_NO: &str = "http://terminology.hl7.org/CodeSystem/v2-0136";

/// What the code of an Observation or of one of its components says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    /// A reading of this metric, of glucose perhaps with what it was measured in.
    Reading(Metric, Option<&'static str>),
    /// Blood pressure, whose numbers are in components.
    BloodPressure,
    /// Glucose of a control solution.
    Control,
    /// A relation to a meal, as a code of [`MEALS`].
    Meal,
    /// Where the sample was taken, which may be a control solution.
    SampleLocation,
    /// A doubt that the device has of the measurement, set or not.
    Caution(&'static str),
}

const fn reading(metric: Metric) -> Meaning {
    Meaning::Reading(metric, None)
}

const fn glucose(sample: &'static str) -> Meaning {
    Meaning::Reading(Metric::Glucose, Some(sample))
}

/// The codes that are understood.
const MEANINGS: [(&str, &str, Meaning); 60] = [
    (LOINC, "85354-9", Meaning::BloodPressure),
    (LOINC, "55284-4", Meaning::BloodPressure),
    (SNOMED, "75367002", Meaning::BloodPressure),
    (MDC, "150020", Meaning::BloodPressure),
    (LOINC, "8480-6", reading(Metric::Systolic)),
    (SNOMED, "72313002", reading(Metric::Systolic)),
    (MDC, "150021", reading(Metric::Systolic)),
    (LOINC, "8462-4", reading(Metric::Diastolic)),
    (SNOMED, "1091811000000102", reading(Metric::Diastolic)),
    (MDC, "150022", reading(Metric::Diastolic)),
    (LOINC, "8867-4", reading(Metric::HeartRate)),
    (SNOMED, "364075005", reading(Metric::HeartRate)),
    // Of an ECG, of a pulse oximeter, of a cuff.
    (MDC, "147842", reading(Metric::HeartRate)),
    (MDC, "149530", reading(Metric::HeartRate)),
    (MDC, "149546", reading(Metric::HeartRate)),
    (LOINC, "2708-6", reading(Metric::Spo2)),
    (LOINC, "59408-5", reading(Metric::Spo2)),
    (SNOMED, "431314004", reading(Metric::Spo2)),
    (MDC, "150456", reading(Metric::Spo2)),
    (LOINC, "9279-1", reading(Metric::RespiratoryRate)),
    (SNOMED, "86290005", reading(Metric::RespiratoryRate)),
    (MDC, "151562", reading(Metric::RespiratoryRate)),
    (LOINC, "8310-5", reading(Metric::BodyTemperature)),
    (SNOMED, "276885007", reading(Metric::BodyTemperature)),
    (MDC, "150364", reading(Metric::BodyTemperature)),
    (LOINC, "29463-7", reading(Metric::BodyWeight)),
    // ?
    (SNOMED, "27113001", reading(Metric::BodyWeight)),
    (MDC, "188736", reading(Metric::BodyWeight)),
    // ?
    (LOINC, "55423-8", reading(Metric::Steps)),
    (LOINC, "41950-7", reading(Metric::Steps)),
    (LOINC, "3151-8", reading(Metric::SupplementalOxygen)),
    (SNOMED, "1104441000000107", reading(Metric::Consciousness)),
    // Of a home meter, in moles and in mass: in blood, and no more is said.
    (LOINC, "15074-8", reading(Metric::Glucose)),
    (LOINC, "2339-0", reading(Metric::Glucose)),
    (SNOMED, "997671000000106", reading(Metric::Glucose)),
    (LOINC, "14743-9", glucose("capillary_blood")),
    (LOINC, "41653-7", glucose("capillary_blood")),
    (LOINC, "14749-6", glucose("plasma")),
    (LOINC, "2345-7", glucose("plasma")),
    // ?
    (LOINC, "99504-3", glucose("interstitial")),
    (MDC, "160184", glucose("capillary_blood")),
    (MDC, "160188", glucose("capillary_plasma")),
    (MDC, "160192", glucose("venous_blood")),
    (MDC, "160196", glucose("venous_plasma")),
    (MDC, "160200", glucose("arterial_blood")),
    (MDC, "160204", glucose("arterial_plasma")),
    (MDC, "160208", Meaning::Control),
    (MDC, "160212", glucose("interstitial")),
    (MDC, "160364", glucose("blood")),
    (MDC, "160368", glucose("plasma")),
    (MDC, "8417864", Meaning::Meal),
    (MDC, "8417844", Meaning::SampleLocation),
    // Of the status of a cuff's measurement.
    (BITS, "8410608.0", Meaning::Caution("body_moved")),
    (BITS, "8410608.1", Meaning::Caution("cuff_loose")),
    (BITS, "8410608.2", reading(Metric::IrregularPulse)),
    (BITS, "8410608.5", Meaning::Caution("wrong_position")),
    (BITS_OF_HL7, "8410608.0", Meaning::Caution("body_moved")),
    (BITS_OF_HL7, "8410608.1", Meaning::Caution("cuff_loose")),
    (BITS_OF_HL7, "8410608.2", reading(Metric::IrregularPulse)),
    (BITS_OF_HL7, "8410608.5", Meaning::Caution("wrong_position")),
];

/// What a code means; nothing where it is none of ours.
pub(super) fn meaning(system: &str, code: &str) -> Option<Meaning> {
    let found = |(s, c, _): &&(&str, &str, Meaning)| *s == system && *c == code;
    MEANINGS.iter().find(found).map(|(.., meaning)| *meaning)
}

/// Relations to a meal: MDC code, display, and the record's word. The code of bedtime? is disputed between
/// copies of the nomenclature.
pub(super) const MEALS: [(&str, &str, &str); 5] = [
    ("8417868", "MDC_CTXT_GLU_MEAL_PREPRANDIAL", "before"),
    ("8417872", "MDC_CTXT_GLU_MEAL_POSTPRANDIAL", "after"),
    ("8417876", "MDC_CTXT_GLU_MEAL_FASTING", "fasting"),
    ("8417880", "MDC_CTXT_GLU_MEAL_CASUAL", "casual"),
    ("8417908", "MDC_CTXT_GLU_MEAL_BEDTIME", "bedtime"),
];
pub(super) const MEAL_CONTEXT: (&str, &str) = ("8417864", "MDC_CTXT_GLU_MEAL");
/// The sample location that says that there was no sample: a control solution.
pub(super) const CONTROL_LOCATION: &str = "8417860";

/// What glucose was measured in: the record's word, MDC code and display.
pub(super) const SAMPLES: [(&str, &str, &str); 9] = [
    ("capillary_blood", "160184", "MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD"),
    ("capillary_plasma", "160188", "MDC_CONC_GLU_CAPILLARY_PLASMA"),
    ("venous_blood", "160192", "MDC_CONC_GLU_VENOUS_WHOLEBLOOD"),
    ("venous_plasma", "160196", "MDC_CONC_GLU_VENOUS_PLASMA"),
    ("arterial_blood", "160200", "MDC_CONC_GLU_ARTERIAL_WHOLEBLOOD"),
    ("arterial_plasma", "160204", "MDC_CONC_GLU_ARTERIAL_PLASMA"),
    ("interstitial", "160212", "MDC_CONC_GLU_ISF"),
    ("blood", "160364", "MDC_CONC_GLU_UNDETERMINED_WHOLEBLOOD"),
    ("plasma", "160368", "MDC_CONC_GLU_UNDETERMINED_PLASMA"),
];

/// The levels of consciousness in the order of their stored values, in SNOMED CT ? .
pub(super) const LEVELS: [(&str, &str); 5] = [
    ("248234008", "Mentally alert"),
    ("130987000", "Acute confusion"),
    ("300202002", "Responds to voice"),
    ("450847001", "Responds to pain"),
    ("422768004", "Unresponsive"),
];

/// The code under which a reading is written: LOINC first, SNOMED CT (UK) second, and for glucose the MDC
/// code of its sample, which neither of them tells as finely.
pub(super) fn code_of(metric: Metric, sample: Option<&str>) -> Json {
    let (text, codings): (&str, &[(&str, &str, &str)]) = match metric {
        Metric::HeartRate => (
            "Heart rate",
            &[
                (LOINC, "8867-4", "Heart rate"),
                (SNOMED, "364075005", "Heart rate"),
            ],
        ),
        Metric::Spo2 => (
            "Oxygen saturation",
            &[
                (LOINC, "2708-6", "Oxygen saturation in Arterial blood"),
                (
                    LOINC,
                    "59408-5",
                    "Oxygen saturation in Arterial blood by Pulse oximetry",
                ),
                (SNOMED, "431314004", "Peripheral oxygen saturation"),
            ],
        ),
        Metric::RespiratoryRate => (
            "Respiratory rate",
            &[
                (LOINC, "9279-1", "Respiratory rate"),
                (SNOMED, "86290005", "Respiratory rate"),
            ],
        ),
        Metric::BodyTemperature => (
            "Body temperature",
            &[
                (LOINC, "8310-5", "Body temperature"),
                (SNOMED, "276885007", "Core body temperature"),
            ],
        ),
        Metric::Systolic => (
            "Systolic blood pressure",
            &[
                (LOINC, "8480-6", "Systolic blood pressure"),
                (SNOMED, "72313002", "Systolic arterial pressure"),
            ],
        ),
        Metric::Diastolic => (
            "Diastolic blood pressure",
            &[
                (LOINC, "8462-4", "Diastolic blood pressure"),
                (SNOMED, "1091811000000102", "Diastolic arterial pressure"),
            ],
        ),
        Metric::Glucose => return glucose_code(sample),
        Metric::Steps => (
            "Steps",
            &[(LOINC, "55423-8", "Number of steps in unspecified time Pedometer")],
        ),
        Metric::BodyWeight => (
            "Body weight",
            &[
                (LOINC, "29463-7", "Body weight"),
                (SNOMED, "27113001", "Body weight"),
            ],
        ),
        Metric::Consciousness => (
            "Level of consciousness (ACVPU)",
            &[(
                SNOMED,
                "1104441000000107",
                "ACVPU (Alert Confusion Voice Pain Unresponsive) scale score",
            )],
        ),
        Metric::SupplementalOxygen => (
            "Supplemental oxygen",
            &[(LOINC, "3151-8", "Inhaled oxygen flow rate")],
        ),
        Metric::IrregularPulse => (
            "Irregular pulse seen by the cuff",
            &[(BITS, "8410608.2", "irregular-pulse")],
        ),
    };
    let codings: Vec<Json> = codings.iter().map(|(s, c, d)| coding(s, c, d)).collect();
    json!({"coding": codings, "text": text})
}

fn glucose_code(sample: Option<&str>) -> Json {
    let found = sample.and_then(|sample| SAMPLES.iter().find(|(name, ..)| *name == sample));
    let mut codings = Vec::new();
    match found {
        Some(("interstitial", ..)) => {
            codings.push(coding(LOINC, "99504-3", "Glucose in Interstitial fluid"));
        }
        Some((name, ..)) if name.ends_with("plasma") => {
            codings.push(coding(
                LOINC,
                "14749-6",
                "Glucose [Moles/volume] in Serum or Plasma",
            ));
        }
        _ => {
            codings.push(coding(LOINC, "15074-8", "Glucose [Moles/volume] in Blood"));
            codings.push(coding(SNOMED, "997671000000106", "Blood glucose level"));
        }
    }
    codings.extend(found.map(|(_, code, display)| coding(MDC, code, display)));
    json!({"coding": codings, "text": "Glucose"})
}

/// The code of a blood-pressure panel.
pub(super) fn blood_pressure() -> Json {
    json!({
        "coding": [
            coding(LOINC, "85354-9", "Blood pressure panel with all children optional"),
            coding(SNOMED, "75367002", "Blood pressure"),
        ],
        "text": "Blood pressure",
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_code_means_one_thing_and_is_read_as_it_is_written() {
        let keys: HashSet<_> = MEANINGS.iter().map(|(s, c, _)| (s, c)).collect();
        assert_eq!(keys.len(), MEANINGS.len());
        for metric in Metric::ALL {
            let code = code_of(metric, None);
            for coding in code["coding"].as_array().unwrap() {
                let text = |field: &str| coding[field].as_str().unwrap();
                assert_eq!(
                    meaning(text("system"), text("code")),
                    Some(reading(metric)),
                    "{coding}"
                );
            }
        }
        for (name, code, _) in SAMPLES {
            assert_eq!(meaning(MDC, code), Some(glucose(name)));
        }
    }
}
