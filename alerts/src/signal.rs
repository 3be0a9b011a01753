use serde_json::Value;

use crate::{Limit, Mark, Observation};

/// What a moment tells a channel of a condition. A channel to which it tells nothing gets no signal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Signal {
    /// The condition holds.
    Breach(Box<Breach>),
    /// Neither does it hold, nor is it far enough from it to count as over.
    Between,
    /// It is over.
    Back,
}

/// A moment at which a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Breach {
    /// With what it began.
    pub(crate) onset: Mark,
    /// The reading of this moment.
    pub(crate) latest: Mark,
    /// How far that is beyond the limit, as a share of it.
    pub(crate) excess: f64,
    /// The worst reading since the onset, with its excess.
    pub(crate) worst: (Mark, f64),
    /// Whether a reading of this moment that breaches arrived on time.
    pub(crate) on_time: bool,
    /// Whether a reading since the onset did.
    pub(crate) run_on_time: bool,
    /// What an explanation needs beside the readings.
    pub(crate) detail: Option<Value>,
}

impl Breach {
    /// A breach that begins and ends with one reading.
    pub(crate) fn at(mark: Mark, excess: f64, on_time: bool) -> Breach {
        Breach {
            onset: mark,
            latest: mark,
            excess,
            worst: (mark, excess),
            on_time,
            run_on_time: on_time,
            detail: None,
        }
    }
}

/// What the observations of a moment mean for a limit.
pub(crate) fn of_limit(limit: &Limit, moment: &[Observation]) -> Option<Signal> {
    let mut breach: Option<Breach> = None;
    let (mut any, mut all_back) = (false, true);
    for observation in moment
        .iter()
        .filter(|observation| observation.metric == limit.metric)
    {
        any = true;
        all_back &= limit.is_cleared_by(observation.value);
        if !limit.is_breached_by(observation.value) {
            continue;
        }
        let excess = limit.bound.excess(observation.value);
        let on_time = observation.is_on_time();
        match &mut breach {
            Some(breach) if excess <= breach.excess => {
                breach.on_time |= on_time;
                breach.run_on_time |= on_time;
            }
            breach => {
                let before = breach.as_ref().is_some_and(|breach| breach.on_time);
                *breach = Some(Breach::at(observation.mark(), excess, on_time || before));
            }
        }
    }
    match breach {
        Some(breach) => Some(Signal::Breach(Box::new(breach))),
        None if !any => None,
        None if all_back => Some(Signal::Back),
        None => Some(Signal::Between),
    }
}

/// The earlier of two where they are equal, else the greater: `(what, by)`.
pub(crate) fn worse<T>(first: (T, f64), second: (T, f64)) -> (T, f64) {
    if second.1 > first.1 { second } else { first }
}
