//! Which alerts the worklist shows: what the query says, and the links and fields that change it.

use homeward_alerts::{Programme, Severity};
use homeward_store::alerts::{EpisodeFilter, EpisodeStatus, Open, Place};
use homeward_store::assigned::Assigned;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access_log::capital;
use crate::alerts::SEVERITIES;
use crate::error::ApiError;
use crate::request::{choose_some, parsed};

/// What is on the worklist: all but what is closed.
pub(super) const OPEN: [EpisodeStatus; 3] = [
    EpisodeStatus::Raised,
    EpisodeStatus::Acknowledged,
    EpisodeStatus::Cleared,
];

/// The query. A field that is left empty, as forms send it, is not asked.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    mine: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    severity: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    programme: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    after: Option<Place>,
    /// Whether somebody looks at what is answered: a list that is renewed behind another window is not looked at.
    #[serde(default, deserialize_with = "parsed")]
    pub(super) unseen: Option<bool>,
}

/// What it says.
#[derive(Clone)]
pub(super) struct Filters {
    mine: bool,
    /// All of them: not asked.
    severities: Vec<Severity>,
    programme: Option<&'static Programme>,
    pub(super) after: Option<Place>,
}

/// A link that changes the filter.
pub(super) struct Choice {
    pub(super) href: String,
    pub(super) text: String,
    /// How many alerts there are so.
    pub(super) count: Option<i64>,
    pub(super) current: bool,
}

/// A programme that can be chosen.
pub(super) struct Chosen {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) current: bool,
}

impl Filters {
    pub(super) fn of(parameters: Parameters) -> Result<Filters, ApiError> {
        let asked = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mine = match asked(parameters.mine).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                let detail = format!("{other:?} is none of true, false");
                return Err(ApiError::parameter("mine", detail));
            }
        };
        let programme = match asked(parameters.programme) {
            None => None,
            Some(name) => Some(Programme::named(&name).ok_or_else(|| {
                let names: Vec<&str> = Programme::names().collect();
                ApiError::parameter("programme", format!("{name:?} is none of {}", names.join(", ")))
            })?),
        };
        Ok(Filters {
            mine,
            severities: choose_some("severity", asked(parameters.severity).as_deref(), &SEVERITIES)?,
            programme,
            after: parameters.after,
        })
    }

    /// What the record is asked for, for a reader of this name.
    pub(super) fn of_episodes(&self, reader: &str) -> EpisodeFilter {
        EpisodeFilter {
            statuses: OPEN.to_vec(),
            severities: self.severities.iter().map(ToString::to_string).collect(),
            assigned: self.mine.then(|| Assigned::ToWhoeverActs(reader.to_owned())),
            programme: self.programme.map(|programme| programme.name.clone()),
            ..EpisodeFilter::default()
        }
    }

    /// The same for every severity: what the counts beside the links are of.
    pub(super) fn of_every_severity(&self) -> Filters {
        Filters {
            severities: SEVERITIES.map(|(_, severity)| severity).to_vec(),
            after: None,
            ..self.clone()
        }
    }

    fn asks_for_severities(&self) -> bool {
        self.severities.len() < SEVERITIES.len()
    }

    pub(super) fn shows(&self, severity: &str) -> bool {
        self.severities.iter().any(|shown| shown.to_string() == severity)
    }

    /// Whether something is left out.
    pub(super) fn leaves_out(&self) -> bool {
        self.mine || self.asks_for_severities() || self.programme.is_some()
    }

    /// The query that says it, with its question mark; empty where nothing is asked.
    pub(super) fn query(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        if self.mine {
            pairs.append_pair("mine", "true");
        }
        if self.asks_for_severities() {
            let names: Vec<String> = self.severities.iter().map(ToString::to_string).collect();
            pairs.append_pair("severity", &names.join(","));
        }
        if let Some(programme) = self.programme {
            pairs.append_pair("programme", &programme.name);
        }
        if let Some(after) = self.after {
            pairs.append_pair("after", &after.to_string());
        }
        let query = pairs.finish();
        // The comma between severities is plain in a query.
        let query = query.replace("%2C", ",");
        if query.is_empty() {
            query
        } else {
            format!("?{query}")
        }
    }

    /// The same page of the list after a place.
    pub(super) fn after(&self, after: Option<Place>) -> Filters {
        Filters {
            after,
            ..self.clone()
        }
    }

    /// Links to each severity, with how many alerts have it.
    pub(super) fn severity_choices(&self, counts: &[Open]) -> Vec<Choice> {
        let count = |severity: &str| {
            let of = counts.iter().filter(|open| open.severity == severity);
            of.map(|open| open.count).sum()
        };
        let all = self.of_every_severity();
        let mut choices = vec![Choice {
            href: format!("/worklist{}", all.query()),
            text: "All".to_owned(),
            count: Some(counts.iter().map(|open| open.count).sum()),
            current: !self.asks_for_severities(),
        }];
        choices.extend(SEVERITIES.map(|(name, severity)| {
            let only = Filters {
                severities: vec![severity],
                after: None,
                ..self.clone()
            };
            Choice {
                href: format!("/worklist{}", only.query()),
                text: capital(name),
                count: Some(count(name)),
                current: self.asks_for_severities() && self.shows(name),
            }
        }));
        choices
    }

    /// Links to everybody's alerts and to the reader's.
    pub(super) fn whose_choices(&self) -> [Choice; 2] {
        [(false, "Everybody's"), (true, "Mine")].map(|(mine, text)| {
            let other = Filters {
                mine,
                after: None,
                ..self.clone()
            };
            Choice {
                href: format!("/worklist{}", other.query()),
                text: text.to_owned(),
                count: None,
                current: self.mine == mine,
            }
        })
    }

    /// The programmes.
    pub(super) fn programme_choices(&self) -> Vec<Chosen> {
        let programmes = Programme::names().filter_map(Programme::named);
        programmes
            .map(|programme| Chosen {
                name: &programme.name,
                title: &programme.title,
                current: self.programme.is_some_and(|chosen| chosen.name == programme.name),
            })
            .collect()
    }

    /// What the form of the programmes has to send along.
    pub(super) fn kept(&self) -> Vec<(&'static str, String)> {
        let mut kept = Vec::new();
        if self.mine {
            kept.push(("mine", "true".to_owned()));
        }
        if self.asks_for_severities() {
            let names: Vec<String> = self.severities.iter().map(ToString::to_string).collect();
            kept.push(("severity", names.join(",")));
        }
        kept
    }
}
