//! `GET /fhir/R4/Observation/$stats?subject&code&statistic&period`: figures over a patient's readings, without those that
//! are marked as entered in error.
//!
//! `code` (or `code` and `system`) says of what; of the blood-pressure panel, each pressure has its figures. `statistic`
//! (several with commas between them, or repeated; all): `average`, `maximum`, `minimum`, `count`, `std-dev` (of a
//! sample). The time is `period`, two FHIR dates with a slash between them, of which either may be missing, or
//! `duration`, in hours until now; without them it is all time.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use homeward_record::fhir::{self, Coded, Statistic, Statistics, coded};
use homeward_store::observations::{Figures, figures_of};

use crate::access::Exchange;
use crate::error::ApiError;
use crate::fhir::answer::Resource;
use crate::fhir::parameters::{Search, Token, alternatives, always, date_span};

/// `GET /fhir/R4/Observation/$stats`.
pub(crate) async fn get(exchange: Exchange, search: Search) -> Result<Resource, ApiError> {
    let known = [
        "subject",
        "patient",
        "code",
        "system",
        "statistic",
        "period",
        "duration",
    ];
    let search = search.take(&known)?;
    let window = period(&search, exchange.now())?;
    let asked = statistics(&search)?;
    let codes = codes(&search)?;
    let mut told = Vec::new();
    let patient = search.visible_patient(&exchange, &["subject", "patient"]).await?;
    let Some(patient) = patient else {
        return Ok(Resource(fhir::statistics(&[])));
    };
    let mut connection = exchange.connection().await;
    for of in &codes {
        let pressures = [Metric::Systolic, Metric::Diastolic];
        let of_panel = pressures
            .into_iter()
            .filter(|_| of.panel)
            .map(|metric| (metric, None));
        let of_code = of.metrics.iter().map(|metric| (*metric, of.coding.as_ref()));
        for (metric, coding) in of_code.chain(of_panel).filter(|(metric, _)| is_number(*metric)) {
            let words = || {
                of.samples
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>()
            };
            let samples = (metric == Metric::Glucose).then(words);
            let figures = figures_of(&mut connection, patient, metric, samples.as_deref(), window).await?;
            told.push((metric, coding, figure(&figures, &asked)));
        }
    }
    let ends = (window.0, window.1.min(exchange.now().max(window.0)));
    let statistics: Vec<Statistics<'_>> = told
        .iter()
        .map(|(metric, coding, figures)| Statistics {
            patient,
            metric: *metric,
            coding: *coding,
            period: ends,
            figures,
        })
        .collect();
    Ok(Resource(fhir::statistics(&statistics)))
}

/// Whether figures over such readings say anything: the others are levels, or yes and no.
fn is_number(metric: Metric) -> bool {
    !matches!(metric, Metric::Consciousness | Metric::IrregularPulse)
}

fn figure(figures: &Figures, asked: &[Statistic]) -> Vec<(Statistic, Option<f64>)> {
    let value = |statistic: &Statistic| match statistic {
        Statistic::Average => figures.average,
        Statistic::Maximum => figures.maximum,
        Statistic::Minimum => figures.minimum,
        Statistic::Count => Some(figures.count as f64),
        Statistic::StdDev => figures.deviation,
    };
    asked
        .iter()
        .map(|statistic| (*statistic, value(statistic)))
        .collect()
}

fn codes(search: &Search) -> Result<Vec<Coded>, ApiError> {
    let system = search.one("system")?;
    let tokens = search.all("code").flat_map(Token::list);
    let found: Vec<Coded> = tokens
        .map(|token| coded(token.system.as_deref().or(system), token.code.as_deref()))
        .collect();
    match found.is_empty() {
        true => Err(ApiError::parameter(
            "code",
            "is missing: figures are of one code, or several",
        )),
        false => Ok(found),
    }
}

fn statistics(search: &Search) -> Result<Vec<Statistic>, ApiError> {
    let named = |text: String| {
        let found = Statistic::ALL
            .into_iter()
            .find(|statistic| statistic.code() == text);
        found.ok_or_else(|| {
            let all = Statistic::ALL.map(Statistic::code).join(", ");
            ApiError::parameter("statistic", format!("{text:?} is none of {all}"))
        })
    };
    let asked: Vec<Statistic> = search
        .all("statistic")
        .flat_map(alternatives)
        .map(named)
        .collect::<Result<_, _>>()?;
    Ok(match asked.is_empty() {
        true => Statistic::ALL.to_vec(),
        false => asked,
    })
}

fn period(search: &Search, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), ApiError> {
    let (first, last) = always();
    let expected = "expected two dates, such as 2026-11-01/2026-11-22";
    let wrong = || ApiError::parameter("period", expected);
    match (
        search.one("period")?,
        search.value::<f64>("duration", "expected hours")?,
    ) {
        (Some(_), Some(_)) => Err(ApiError::parameter(
            "duration",
            "is given beside period; there may be one",
        )),
        (Some(period), None) => {
            let (from, until) = period.split_once('/').ok_or_else(wrong)?;
            let end = |text: &str| date_span(text).ok_or_else(wrong);
            let from = if from.is_empty() { first } else { end(from)?.0 };
            let until = if until.is_empty() { last } else { end(until)?.1 };
            if from < until {
                Ok((from, until))
            } else {
                Err(wrong())
            }
        }
        (None, Some(hours)) if hours > 0.0 && hours < 1e6 => {
            // Whole microseconds, as the record has them.
            Ok((now - TimeDelta::microseconds((hours * 3.6e9) as i64), now))
        }
        (None, Some(_)) => Err(ApiError::parameter("duration", "expected hours")),
        (None, None) => Ok((first, last)),
    }
}
