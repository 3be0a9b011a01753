//! A slow second opinion on episodes.
//!
//! It reads the programmes' own JSON, and works out from a patient's whole series which episodes there have
//! to be. It shares no code with what judges readings as they come.

mod stored;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde_json::Value;

pub(crate) use self::stored::*;

/// A reading that comes longer than this after its measurement pages nobody.
const LATE_AFTER: TimeDelta = TimeDelta::minutes(15);

/// One reading of a patient's series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) metric: Metric,
    pub(crate) at: DateTime<Utc>,
    pub(crate) value: f64,
}

/// A rule of a programme.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) code: String,
    limits: Vec<Limit>,
    /// How long readings must breach before it counts; zero for a threshold.
    hold: TimeDelta,
    /// None for a threshold, which knows no gap.
    max_gap: Option<TimeDelta>,
    clear_after: TimeDelta,
}

/// A bound of one metric. With `sign` 1 too much of it breaches, with -1 too little.
#[derive(Debug)]
struct Limit {
    metric: Metric,
    sign: f64,
    bound: f64,
    inclusive: bool,
    clear: Option<f64>,
}

/// An episode that a series makes.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    pub(crate) onset: Sample,
    pub(crate) latest: Sample,
    pub(crate) worst: Sample,
    /// The readings from the one that raised it on that breach what it is about.
    pub(crate) members: Vec<Sample>,
    pub(crate) cleared: bool,
}

/// The rules of a programme, read from its file.
pub(crate) fn programme(name: &str) -> Vec<Rule> {
    let json = match name {
        "diabetes" => include_str!("../../alerts/programmes/diabetes.json"),
        "hypertension" => include_str!("../../alerts/programmes/hypertension.json"),
        _ => panic!("no programme {name:?} is known here"),
    };
    rules(&serde_json::from_str(json).unwrap())
}

/// The rules of a plan in the form of a programme's file.
pub(crate) fn rules(plan: &Value) -> Vec<Rule> {
    plan["rules"].as_array().unwrap().iter().map(Rule::read).collect()
}

impl Rule {
    fn read(json: &Value) -> Rule {
        let condition = &json["definition"]["condition"];
        let seconds = |name: &str| condition[name].as_i64().map(TimeDelta::seconds);
        let sustained = match condition["kind"].as_str() {
            Some("threshold") => false,
            Some("sustained") => true,
            kind => panic!("no condition {kind:?} is known here"),
        };
        Rule {
            code: json["code"].as_str().unwrap().to_owned(),
            limits: condition["limits"]
                .as_array()
                .unwrap()
                .iter()
                .map(Limit::read)
                .collect(),
            hold: seconds("for_seconds").unwrap_or_default(),
            max_gap: sustained.then(|| seconds("max_gap_seconds").unwrap()),
            clear_after: seconds("clear_after_seconds").unwrap_or_default(),
        }
    }

    /// Whether one reading suffices.
    pub(crate) fn is_threshold(&self) -> bool {
        self.max_gap.is_none()
    }

    /// Whether a reading is beyond one of the limits.
    pub(crate) fn is_breached_by(&self, sample: &Sample) -> bool {
        self.excess(sample) > f64::NEG_INFINITY
    }

    /// How far a reading is beyond the limit that it breaches, as a share of the limit.
    pub(crate) fn excess(&self, sample: &Sample) -> f64 {
        let breached = self.limits.iter().find(|limit| limit.is_breached_by(sample));
        breached.map_or(f64::NEG_INFINITY, |limit| {
            (sample.value - limit.bound).abs() / limit.bound
        })
    }

    /// The first of the readings that are furthest beyond their limits.
    pub(crate) fn worst<'a>(&self, samples: impl IntoIterator<Item = &'a Sample>) -> Sample {
        let worse = |worst: &'a Sample, next: &'a Sample| {
            if self.excess(next) > self.excess(worst) {
                next
            } else {
                worst
            }
        };
        *samples
            .into_iter()
            .reduce(worse)
            .expect("an episode has readings")
    }
}

impl Limit {
    fn read(json: &Value) -> Limit {
        let bounds = [
            ("below", -1.0, false),
            ("at_most", -1.0, true),
            ("at_least", 1.0, true),
            ("above", 1.0, false),
        ];
        let (bound, sign, inclusive) = bounds
            .into_iter()
            .find_map(|(name, sign, inclusive)| Some((json[name].as_f64()?, sign, inclusive)))
            .unwrap();
        Limit {
            metric: serde_json::from_value(json["metric"].clone()).unwrap(),
            sign,
            bound,
            inclusive,
            clear: json["clear"].as_f64(),
        }
    }

    fn is_breached_by(&self, sample: &Sample) -> bool {
        let beyond = self.sign * (sample.value - self.bound);
        sample.metric == self.metric && (beyond > 0.0 || (self.inclusive && beyond == 0.0))
    }

    fn is_back(&self, sample: &Sample) -> bool {
        let back = self
            .clear
            .is_none_or(|clear| self.sign * (sample.value - clear) <= 0.0);
        sample.metric == self.metric && back && !self.is_breached_by(sample)
    }
}

/// The episodes that a rule makes of a series in the order of time (systolic before diastolic).
pub(crate) fn episodes(rule: &Rule, series: &[Sample]) -> Vec<Episode> {
    let views: Vec<View> = rule
        .limits
        .iter()
        .map(|limit| View::new(rule, limit, series))
        .collect();
    let open: Vec<bool> = (0..series.len())
        .map(|n| views.iter().any(|view| view.met[n]))
        .collect();
    let mut episodes = Vec::new();
    let mut n = 0;
    while n < series.len() {
        let begin = n;
        while n < series.len() && open[n] {
            n += 1;
        }
        if n > begin {
            episodes.push(episode(rule, &views, series, begin..n));
        }
        n += 1;
    }
    episodes
}

fn episode(rule: &Rule, views: &[View], series: &[Sample], span: std::ops::Range<usize>) -> Episode {
    let raised = span.start;
    let first = views.iter().find_map(|view| view.completes[raised]);
    let mut members = Vec::new();
    // The readings that led to a limit's being met count for the worst, too.
    let mut counted = Vec::new();
    for n in span.clone() {
        for view in views.iter().filter(|view| view.breaches[n] && view.met[n]) {
            members.push(series[n]);
            match view.completes[n] {
                Some(first) if n == 0 || !view.met[n - 1] => {
                    counted.extend((first..=n).filter(|n| view.breaches[*n]).map(|n| series[n]));
                }
                _ => counted.push(series[n]),
            }
        }
    }
    Episode {
        onset: series[first.expect("the reading that raises an episode completes its condition")],
        latest: *members.last().expect("an episode has readings"),
        worst: rule.worst(&counted),
        members,
        cleared: span.end < series.len(),
    }
}

/// How one limit sees a series: for each of its readings, also those of other metrics.
struct View {
    breaches: Vec<bool>,
    /// Where the unbroken row of breaching readings that ends here began, if it is long enough.
    completes: Vec<Option<usize>>,
    /// Whether the limit is met once the reading is known.
    met: Vec<bool>,
}

impl View {
    fn new(rule: &Rule, limit: &Limit, series: &[Sample]) -> View {
        let own: Vec<usize> = (0..series.len())
            .filter(|n| series[*n].metric == limit.metric)
            .collect();
        let breaches: Vec<bool> = series.iter().map(|sample| limit.is_breached_by(sample)).collect();
        let back: Vec<bool> = series.iter().map(|sample| limit.is_back(sample)).collect();
        let mut completes = vec![None; series.len()];
        let mut met = vec![false; series.len()];
        for (position, n) in own.iter().enumerate() {
            let row = &own[..=position];
            completes[*n] = row_of(series, row, &breaches, rule.max_gap, rule.hold);
            let cleared = row_of(series, row, &back, None, rule.clear_after).is_some();
            let before = position.checked_sub(1).is_some_and(|last| met[own[last]]);
            met[*n] = completes[*n].is_some() || (before && !cleared);
        }
        // Between its own readings nothing changes for a limit.
        for n in 1..series.len() {
            if series[n].metric != limit.metric {
                met[n] = met[n - 1];
            }
        }
        View {
            breaches,
            completes,
            met,
        }
    }
}

/// The beginning of the longest row of good readings that ends with the last of `own`, if it lasts for at
/// least `least`. No two neighbours in it are further apart than `max_gap`.
fn row_of(
    series: &[Sample],
    own: &[usize],
    good: &[bool],
    max_gap: Option<TimeDelta>,
    least: TimeDelta,
) -> Option<usize> {
    let last = *own.last()?;
    let mut begin = None;
    for n in own.iter().rev() {
        let next = begin.unwrap_or(last);
        let gap = series[next].at - series[*n].at;
        if !good[*n] || max_gap.is_some_and(|max| gap > max) {
            break;
        }
        begin = Some(*n);
    }
    begin.filter(|begin| series[last].at - series[*begin].at >= least)
}

/// When the record received each reading of a series.
pub(crate) type Arrivals = HashMap<(Metric, DateTime<Utc>), DateTime<Utc>>;

/// Whether a reading arrived too late to page anybody.
pub(crate) fn is_late(sample: &Sample, arrivals: &Arrivals) -> bool {
    arrivals[&(sample.metric, sample.at)] - sample.at > LATE_AFTER
}
