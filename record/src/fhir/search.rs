//! What a code of a search finds among readings, and what statistics over readings look like.

use std::collections::BTreeSet;
use std::iter::once;

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::build::{coding, instant, reference, set};
use super::codes::{ABSENT, SAMPLES, UCUM, blood_pressure, code_of};
use crate::{Metric, PatientId};

const STATISTICS: &str = "http://terminology.hl7.org/CodeSystem/observation-statistics";

/// The readings that carry a code, as this product writes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coded {
    /// What they measure. The pressures are there where the code is that of one of them, which no Observation carries:
    /// it is in the component of a panel.
    pub metrics: BTreeSet<Metric>,
    /// Of glucose, the samples: the record's words, an empty one for a reading without.
    pub samples: BTreeSet<&'static str>,
    /// Whether it is the code of the blood-pressure panel.
    pub panel: bool,
    /// The code in full, as it is written.
    pub coding: Option<Json>,
}

/// What carries a code: in one system or in any, or any code of a system.
pub fn coded(system: Option<&str>, code: Option<&str>) -> Coded {
    let mut written: Option<Json> = None;
    let mut says = |concept: &Json| {
        let codings = concept["coding"].as_array().into_iter().flatten();
        let mut fitting = codings.filter(|coding| {
            code.is_none_or(|code| coding["code"] == code)
                && system.is_none_or(|system| coding["system"] == system)
        });
        let first = fitting.next().cloned();
        let any = first.is_some();
        written = written.take().or(first);
        any
    };
    let mut metrics = BTreeSet::new();
    let mut samples = BTreeSet::new();
    for metric in Metric::ALL
        .into_iter()
        .filter(|metric| *metric != Metric::Glucose)
    {
        if says(&code_of(metric, None)) {
            metrics.insert(metric);
        }
    }
    for sample in once("").chain(SAMPLES.iter().map(|(word, ..)| *word)) {
        if says(&code_of(Metric::Glucose, Some(sample))) {
            metrics.insert(Metric::Glucose);
            samples.insert(sample);
        }
    }
    let panel = says(&blood_pressure());
    Coded {
        metrics,
        samples,
        panel,
        coding: written,
    }
}

/// A statistic of `Observation/$stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The mean.
    Average,
    /// The greatest value.
    Maximum,
    /// The least value.
    Minimum,
    /// How many readings count.
    Count,
    /// The standard deviation of a sample (n − 1).
    StdDev,
}

impl Statistic {
    /// Every statistic.
    pub const ALL: [Statistic; 5] = [
        Statistic::Average,
        Statistic::Maximum,
        Statistic::Minimum,
        Statistic::Count,
        Statistic::StdDev,
    ];

    /// The code in FHIR's code system of statistics.
    pub fn code(self) -> &'static str {
        match self {
            Statistic::Average => "average",
            Statistic::Maximum => "maximum",
            Statistic::Minimum => "minimum",
            Statistic::Count => "count",
            Statistic::StdDev => "std-dev",
        }
    }

    fn display(self) -> &'static str {
        match self {
            Statistic::Average => "Average",
            Statistic::Maximum => "Maximum",
            Statistic::Minimum => "Minimum",
            Statistic::Count => "Count",
            Statistic::StdDev => "Standard Deviation",
        }
    }
}

/// Statistics over the readings of one metric.
#[derive(Clone, Debug)]
pub struct Statistics<'r> {
    /// Whose they are.
    pub patient: PatientId,
    /// What was measured.
    pub metric: Metric,
    /// The code that was asked for, of a pressure its own.
    pub coding: Option<&'r Json>,
    /// From when until when.
    pub period: (DateTime<Utc>, DateTime<Utc>),
    /// The figures, in the metric's stored unit; none where too few readings count.
    pub figures: &'r [(Statistic, Option<f64>)],
}

/// The Observation that tells statistics, and the Parameters around those of one request.
pub fn statistics(of: &[Statistics<'_>]) -> Json {
    let parameters: Vec<_> = of
        .iter()
        .map(|one| json!({"name": "statistics", "resource": statistics_of(one)}))
        .collect();
    let mut resource = json!({"resourceType": "Parameters"});
    set(
        &mut resource,
        "parameter",
        (!parameters.is_empty()).then(|| parameters.into()),
    );
    resource
}

fn statistics_of(of: &Statistics<'_>) -> Json {
    let written = code_of(of.metric, None);
    let code = match of.coding {
        Some(coding) => json!({"coding": [coding], "text": written["text"]}),
        None => written,
    };
    let component = |(statistic, figure): &(Statistic, Option<f64>)| {
        let unit = match statistic {
            Statistic::Count => "1",
            _ => of.metric.unit(),
        };
        let mut component =
            json!({"code": {"coding": [coding(STATISTICS, statistic.code(), statistic.display())]}});
        let quantity = |value| json!({"value": value, "unit": unit, "system": UCUM, "code": unit});
        let absent = || json!({"coding": [coding(ABSENT, "not-applicable", "Not Applicable")]});
        set(&mut component, "valueQuantity", figure.map(quantity));
        set(&mut component, "dataAbsentReason", figure.is_none().then(absent));
        component
    };
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": code,
        "subject": reference("Patient", of.patient),
        "effectivePeriod": {"start": instant(of.period.0), "end": instant(of.period.1)},
        "component": of.figures.iter().map(component).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_finds_what_is_written_under_it() {
        let loinc = Some("http://loinc.org");
        let metrics = |system, code| coded(system, Some(code)).metrics.into_iter().collect::<Vec<_>>();
        assert_eq!(metrics(loinc, "8867-4"), [Metric::HeartRate]);
        assert_eq!(metrics(None, "364075005"), [Metric::HeartRate]);
        assert_eq!(metrics(loinc, "364075005"), []);
        assert_eq!(metrics(loinc, "8480-6"), [Metric::Systolic]);
        assert_eq!(metrics(loinc, "718-7"), []);
        let panel = coded(None, Some("85354-9"));
        assert!(panel.panel && panel.metrics.is_empty());
        let interstitial = coded(loinc, Some("99504-3"));
        assert_eq!(interstitial.samples, BTreeSet::from(["interstitial"]));
        assert_eq!(
            interstitial.coding.unwrap()["display"],
            "Glucose in Interstitial fluid"
        );
        let blood = coded(None, Some("15074-8")).samples;
        assert!(blood.contains("") && blood.contains("capillary_blood") && !blood.contains("interstitial"));
        let all = coded(loinc, None);
        assert!(all.panel && all.samples.len() == SAMPLES.len() + 1 && all.metrics.len() > 8);
    }
}
