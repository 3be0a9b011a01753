//! Observations: the readings of the record. The two pressures of a measurement, and what the cuff said of the pulse,
//! are one; every other reading is one for itself.

mod interpret;
pub(crate) mod lastn;
pub(crate) mod read;
pub(crate) mod search;
pub(crate) mod stats;

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use homeward_record::fhir::{
    OBSERVATION_CATEGORY, ObservationId, Observed, Status, category_of, coded, observations,
};
use homeward_record::{DeviceId, Metric, PatientId, Reading};
use homeward_store::history::StoredReading;
use homeward_store::observations::{Wanted, page_of_readings};
use serde_json::Value as Json;
use sqlx::PgConnection;

use self::interpret::Limits;
use super::parameters::{Search, Token, always, window};
use crate::error::ApiError;

/// The metrics that one Observation tells together.
const PANEL: [Metric; 3] = [Metric::Systolic, Metric::Diastolic, Metric::IrregularPulse];

/// What is written of a reading's status.
const STATUS: &str = "http://hl7.org/fhir/observation-status";

/// Which Observations are asked for.
#[derive(Clone, Debug)]
struct Filter {
    metrics: BTreeSet<Metric>,
    /// Of glucose; an empty word stands for none. `None`: all.
    samples: Option<BTreeSet<&'static str>>,
    codes: Vec<Vec<Token>>,
    entered_in_error: Option<bool>,
    window: (DateTime<Utc>, DateTime<Utc>),
}

impl Filter {
    /// All Observations.
    fn all() -> Filter {
        Filter {
            metrics: BTreeSet::from(Metric::ALL),
            samples: None,
            codes: Vec::new(),
            entered_in_error: None,
            window: always(),
        }
    }

    /// What the parameters `code`, `category`, `status` and `date` ask for.
    fn read(search: &Search) -> Result<Filter, ApiError> {
        let mut filter = Filter {
            window: window("date", search.all("date"))?,
            ..Filter::all()
        };
        for value in search.all("code") {
            filter.keep_coded(Token::list(value));
        }
        for value in search.all("category") {
            let tokens = Token::list(value);
            let of_category = |metric: &Metric| {
                let category = category_of(*metric);
                tokens
                    .iter()
                    .any(|token| token.fits(OBSERVATION_CATEGORY, category))
            };
            filter.metrics.retain(of_category);
        }
        for value in search.all("status") {
            let tokens = Token::list(value);
            let asked = |code| tokens.iter().any(|token| token.fits(STATUS, code));
            match (asked("final"), asked("entered-in-error"), filter.entered_in_error) {
                (true, true, _) => {}
                (true, false, None | Some(false)) => filter.entered_in_error = Some(false),
                (false, true, None | Some(true)) => filter.entered_in_error = Some(true),
                _ => filter.metrics.clear(),
            }
        }
        Ok(filter)
    }

    /// Keeps what carries one of these codes.
    fn keep_coded(&mut self, tokens: Vec<Token>) {
        let (mut metrics, mut samples) = (BTreeSet::new(), BTreeSet::new());
        for token in &tokens {
            let found = coded(token.system.as_deref(), token.code.as_deref());
            // A pressure's own code is in a component: `code` does not find that.
            let alone = |metric: &Metric| !matches!(metric, Metric::Systolic | Metric::Diastolic);
            metrics.extend(found.metrics.into_iter().filter(alone));
            metrics.extend(PANEL.into_iter().filter(|_| found.panel));
            samples.extend(found.samples);
        }
        self.metrics.retain(|metric| metrics.contains(metric));
        self.samples = Some(match self.samples.take() {
            Some(earlier) => &earlier & &samples,
            None => samples,
        });
        self.codes.push(tokens);
    }

    fn wanted(&self, patient: PatientId) -> Wanted {
        let mut metrics = self.metrics.clone();
        // A cuff's irregular pulse is a panel with its pressures, and else one for itself: only together they tell.
        if PANEL.iter().any(|metric| metrics.contains(metric)) {
            metrics.extend(PANEL);
        }
        let samples = self.samples.as_ref();
        Wanted {
            patient,
            metrics: metrics.into_iter().collect(),
            samples: samples.map(|samples| samples.iter().map(|word| (*word).to_owned()).collect()),
            window: self.window,
            entered_in_error: self.entered_in_error,
        }
    }

    /// Whether an Observation that was made of what is wanted is asked for.
    fn keeps(&self, observation: &Json) -> bool {
        let code = &observation["code"];
        let fits = |tokens: &Vec<Token>| tokens.iter().any(|token| token.fits_concept(code));
        self.codes.iter().all(fits)
    }
}

/// The place of an Observation among those of one patient, in the order of time, device and metric: opaque to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    at: DateTime<Utc>,
    device: DeviceId,
    metric: Metric,
}

impl Place {
    fn text(self) -> String {
        format!(
            "{}.{}.{}",
            self.at.timestamp_micros(),
            self.device,
            self.metric.code()
        )
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let place = || {
            let mut parts = text.split('.');
            let micros: i64 = parts.next()?.parse().ok()?;
            let at = DateTime::from_timestamp_micros(micros)?;
            let place = Place {
                at,
                device: parts.next()?.parse().ok()?,
                metric: Metric::from_code(parts.next()?.parse().ok()?)?,
            };
            let (first, last) = always();
            (first <= at && at < last && parts.next().is_none()).then_some(place)
        };
        place().ok_or(())
    }
}

/// A page of Observations.
struct Listed {
    observations: Vec<(DeviceId, Json)>,
    /// After which the next page begins; none on the last.
    next: Option<Place>,
}

/// At most `count` Observations of a patient, in the order of time, device and metric, or the latest first, after a
/// place.
async fn list(
    connection: &mut PgConnection,
    patient: PatientId,
    filter: &Filter,
    backwards: bool,
    after: Option<Place>,
    count: usize,
) -> Result<Listed, ApiError> {
    let mut listed = Listed {
        observations: Vec::new(),
        next: None,
    };
    if filter.metrics.is_empty() || filter.window.0 >= filter.window.1 {
        return Ok(listed);
    }
    let limits = Limits::load(connection, patient).await?;
    // Enough for one Observation more than the page has: each is of three readings at most, and what one device measured
    // at one time is of as many readings as there are metrics.
    let limit = PANEL.len() * (count + 1) + 2 * Metric::ALL.len();
    let begin = after.map(|place| (place.at, place.device));
    let wanted = filter.wanted(patient);
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let readings = page_of_readings(connection, &wanted, backwards, begin, rows).await?;
    let whole = readings.len() < limit;
    let mut groups: Vec<&[StoredReading]> = readings
        .chunk_by(|one, other| (one.at, one.device) == (other.at, other.device))
        .collect();
    if !whole {
        // Of the last, some may be missing.
        groups.pop();
    }
    let mut last = None;
    for group in groups {
        for (id, observation) in told(patient, group, &limits) {
            let place = Place {
                at: id.at,
                device: id.device,
                metric: id.metric,
            };
            let is_past = after.is_some_and(|after| {
                (after.at, after.device) == (place.at, place.device) && place.metric <= after.metric
            });
            if is_past || !filter.keeps(&observation) {
                continue;
            }
            if listed.observations.len() == count {
                listed.next = last;
                return Ok(listed);
            }
            listed.observations.push((id.device, observation));
            last = Some(place);
        }
    }
    if !whole {
        // Among so many there were not enough that were asked for: the next page goes on behind them.
        listed.next = readings
            .iter()
            .rev()
            .find(|reading| {
                let end = readings.last();
                end.is_none_or(|end| (end.at, end.device) != (reading.at, reading.device))
            })
            .map(|reading| Place {
                at: reading.at,
                device: reading.device,
                metric: Metric::IrregularPulse,
            });
    }
    Ok(listed)
}

/// The Observations of what one device measured at one time, by their metric.
fn told(patient: PatientId, group: &[StoredReading], limits: &Limits) -> Vec<(ObservationId, Json)> {
    let readings: Vec<Reading> = group
        .iter()
        .map(|stored| Reading {
            metric: stored.metric,
            at: stored.at,
            value: stored.value,
            context: stored.context.clone(),
        })
        .collect();
    let observed: Vec<Observed<'_>> = group
        .iter()
        .zip(&readings)
        .map(|(stored, reading)| Observed {
            patient,
            device: stored.device,
            reading,
            received_at: stored.received_at,
            interpretation: limits.interpret(stored),
            status: match stored.entered_in_error {
                true => Status::EnteredInError,
                false => Status::Final,
            },
        })
        .collect();
    let identified = |observation: Json| {
        let id = observation["id"].as_str().and_then(|id| id.parse().ok());
        id.map(|id: ObservationId| (id, observation))
    };
    let mut told: Vec<_> = observations(&observed)
        .into_iter()
        .filter_map(identified)
        .collect();
    told.sort_by_key(|(id, _)| id.metric);
    told
}

/// All Observations of a patient within a time, oldest first; `None` where there are more than `most`.
pub(super) async fn all_of(
    connection: &mut PgConnection,
    patient: PatientId,
    window: (DateTime<Utc>, DateTime<Utc>),
    most: usize,
) -> Result<Option<Vec<Json>>, ApiError> {
    let filter = Filter {
        window,
        ..Filter::all()
    };
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = list(connection, patient, &filter, false, after, 2_000).await?;
        found.extend(page.observations.into_iter().map(|(_, observation)| observation));
        if found.len() > most {
            return Ok(None);
        }
        after = page.next;
        if after.is_none() {
            return Ok(Some(found));
        }
    }
}
