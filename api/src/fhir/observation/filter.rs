//! Which Observations a search is about.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use homeward_record::fhir::{OBSERVATION_CATEGORY, category_of, coded};
use homeward_record::{Metric, PatientId};
use homeward_store::observations::Wanted;
use serde_json::Value as Json;

use super::PANEL;
use super::summaries::Kind;
use crate::error::ApiError;
use crate::fhir::parameters::{Search, Token, always, window};

/// What is written of a reading's status.
const STATUS: &str = "http://hl7.org/fhir/observation-status";

/// Which Observations are asked for.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) metrics: BTreeSet<Metric>,
    /// Of glucose; an empty word stands for none. `None`: all.
    pub(super) samples: Option<BTreeSet<&'static str>>,
    /// The codes, and whether one of a component will do.
    pub(super) codes: Vec<(Vec<Token>, bool)>,
    pub(super) entered_in_error: Option<bool>,
    pub(super) window: (DateTime<Utc>, DateTime<Utc>),
    /// What of which readings come to is asked for, by a code or a category.
    pub(super) summaries: BTreeSet<Kind>,
    pub(super) statuses: Vec<Vec<Token>>,
    /// They are for a passport.
    pub(super) exactly: bool,
    /// Those that arrived after the first time, if there is one, and until the second.
    pub(super) arrived: Option<(Option<DateTime<Utc>>, DateTime<Utc>)>,
}

impl Filter {
    /// All Observations.
    pub(super) fn all() -> Filter {
        Filter {
            metrics: BTreeSet::from(Metric::ALL),
            samples: None,
            codes: Vec::new(),
            entered_in_error: None,
            window: always(),
            summaries: BTreeSet::new(),
            statuses: Vec::new(),
            exactly: false,
            arrived: None,
        }
    }

    /// What the parameters `code`, `combo-code`, `category`, `status` and `date` ask for.
    pub(super) fn read(search: &Search) -> Result<Filter, ApiError> {
        let mut filter = Filter {
            window: window("date", search.all("date"))?,
            ..Filter::all()
        };
        // They are worked out when they are asked for, and so only then.
        let named = ["code", "combo-code", "category"];
        if named.into_iter().any(|name| search.all(name).next().is_some()) {
            filter.summaries = BTreeSet::from(Kind::ALL);
        }
        for value in search.all("code") {
            filter.keep_coded(Token::list(value), false);
        }
        for value in search.all("combo-code") {
            filter.keep_coded(Token::list(value), true);
        }
        for value in search.all("category") {
            let tokens = Token::list(value);
            let fits = |category| {
                tokens
                    .iter()
                    .any(|token| token.fits(OBSERVATION_CATEGORY, category))
            };
            filter.metrics.retain(|metric| fits(category_of(*metric)));
            filter.summaries.retain(|kind| fits(kind.category()));
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
            filter.statuses.push(tokens);
        }
        Ok(filter)
    }

    /// Keeps what carries one of these codes, perhaps in a component.
    fn keep_coded(&mut self, tokens: Vec<Token>, combined: bool) {
        let (mut metrics, mut samples) = (BTreeSet::new(), BTreeSet::new());
        let is_pressure = |metric: &Metric| matches!(metric, Metric::Systolic | Metric::Diastolic);
        for token in &tokens {
            let found = coded(token.system.as_deref(), token.code.as_deref());
            // A pressure's own code is in a component: `code` does not find that.
            let in_component = combined && found.metrics.iter().any(is_pressure);
            metrics.extend(found.metrics.into_iter().filter(|metric| !is_pressure(metric)));
            metrics.extend(PANEL.into_iter().filter(|_| found.panel || in_component));
            samples.extend(found.samples);
        }
        self.metrics.retain(|metric| metrics.contains(metric));
        self.samples = Some(match self.samples.take() {
            Some(earlier) => &earlier & &samples,
            None => samples,
        });
        let fits = |kind: &Kind| {
            let mut codes = kind.codes().iter();
            codes.any(|(system, code)| tokens.iter().any(|token| token.fits(system, code)))
        };
        self.summaries.retain(fits);
        self.codes.push((tokens, combined));
    }

    pub(super) fn wanted(&self, patient: PatientId) -> Wanted {
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

    /// Whether a reading that arrived at this time is asked for.
    pub(super) fn takes(&self, received_at: DateTime<Utc>) -> bool {
        self.arrived.is_none_or(|(since, until)| {
            received_at <= until && since.is_none_or(|since| since < received_at)
        })
    }

    /// Whether an Observation that was made of what is wanted is asked for.
    pub(super) fn keeps(&self, observation: &Json) -> bool {
        let fits = |(tokens, combined): &(Vec<Token>, bool)| {
            let fits = |part: &Json| tokens.iter().any(|token| token.fits_concept(&part["code"]));
            let mut components = observation["component"].as_array().into_iter().flatten();
            fits(observation) || (*combined && components.any(fits))
        };
        self.codes.iter().all(fits)
    }

    /// Whether something that readings come to, of a kind that is asked for, is.
    pub(super) fn keeps_summary(&self, at: DateTime<Utc>, summary: &Json) -> bool {
        let status = summary["status"].as_str().unwrap_or_default();
        let fits = |tokens: &Vec<Token>| tokens.iter().any(|token| token.fits(STATUS, status));
        self.window.0 <= at && at < self.window.1 && self.statuses.iter().all(fits)
    }
}
