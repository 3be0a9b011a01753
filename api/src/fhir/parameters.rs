//! The parameters of a search, as FHIR has them: repeated ones all hold, of a list with commas one does.

use std::fmt::Write;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, SubsecRound, TimeDelta, Utc};
use homeward_record::PatientId;
use serde_json::Value as Json;

use crate::access::Exchange;
use crate::error::ApiError;

/// What every search and operation takes. `_after` is the place of a page, and opaque to callers.
const COMMON: [&str; 3] = ["_format", "_count", "_after"];

/// The spellings of the one form of answers. A plus sign that was not escaped has become a space.
const FORMS: [&str; 4] = [
    "json",
    "application/json",
    "application/fhir+json",
    "application/fhir json",
];

/// The parameters of a request: after [`Search::take`], those that are known.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pairs: Vec<(String, String)>,
    /// The request asks that what is not known is refused.
    strict: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Search {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Search, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::parameter("query", "the query is not of the form name=value&…"))?;
        let mut pairs = pairs.0;
        if let Some((name, _)) = pairs.iter().find(|(_, value)| value.contains(char::is_control)) {
            return Err(ApiError::parameter(name, "has control characters in it"));
        }
        // A parameter without a value says nothing.
        pairs.retain(|(_, value)| !value.is_empty());
        let strict = prefers(&parts.headers, "handling=strict");
        Ok(Search { pairs, strict })
    }
}

/// Whether a request says that it prefers something (RFC 7240): `handling=strict`, `respond-async`.
pub(super) fn prefers(headers: &HeaderMap, what: &str) -> bool {
    let preferred = headers.get_all("prefer").iter();
    preferred
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|part| part.trim().eq_ignore_ascii_case(what))
}

impl Search {
    /// Keeps the parameters that are known; `known` and those that every search takes. The others are refused or left
    /// out, as the request prefers; but not a known one with a modifier that is not, which would change what it means.
    pub(super) fn take(mut self, known: &[&str]) -> Result<Search, ApiError> {
        let is_known = |name: &str| known.contains(&name) || COMMON.contains(&name);
        for (name, value) in &self.pairs {
            if is_known(name) {
                continue;
            }
            let changed = name.split_once(':').is_some_and(|(name, _)| is_known(name));
            if changed {
                return Err(ApiError::parameter(name, "this modifier is not known"));
            }
            if self.strict {
                let detail = format!("there is no such parameter; there are {}", known.join(", "));
                return Err(ApiError::parameter(name, detail));
            }
            tracing::debug!(length = value.len(), "a search parameter was left out");
        }
        self.pairs.retain(|(name, _)| is_known(name));
        match self.one("_format")? {
            Some(form) if !FORMS.contains(&form) => {
                Err(ApiError::Form("answers are application/fhir+json".to_owned()))
            }
            _ => Ok(self),
        }
    }

    /// All values of a parameter.
    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        let found = self.pairs.iter().filter(move |(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that may be given once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut values = self.pairs.iter().filter(|(found, _)| found == name);
        let first = values.next().map(|(_, value)| value.as_str());
        match values.next() {
            Some(_) => Err(ApiError::parameter(name, "the parameter is given twice")),
            None => Ok(first),
        }
    }

    /// The value of such a parameter, read by its `FromStr`.
    pub(super) fn value<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, ApiError> {
        let text = self.one(name)?;
        let read = |text: &str| text.parse().map_err(|_| ApiError::parameter(name, expected));
        text.map(read).transpose()
    }

    /// Whose data is asked for, by one of these parameters; `None` where what is given can be nobody's number.
    pub(super) fn patient(&self, names: &[&str]) -> Result<Option<PatientId>, ApiError> {
        for name in names {
            if let Some(text) = self.one(name)? {
                if text.contains(',') {
                    return Err(ApiError::parameter(*name, "a search is about one patient"));
                }
                let id = text.rsplit_once("Patient/").map_or(text, |(_, id)| id);
                return Ok(id.parse().ok());
            }
        }
        let detail = format!("a search is about one patient: {}=", names[0]);
        Err(ApiError::parameter(names[0], detail))
    }

    /// The same, if the caller may see them: the request is about them from then on.
    pub(super) async fn visible_patient(
        &self,
        exchange: &Exchange,
        names: &[&str],
    ) -> Result<Option<PatientId>, ApiError> {
        match self.patient(names)? {
            Some(patient) if exchange.turn_to(patient).await? => Ok(Some(patient)),
            _ => Ok(None),
        }
    }

    /// How many resources a page may have. More than `most` is taken for `most`, as FHIR allows.
    pub(super) fn count(&self, usual: usize, most: usize) -> Result<usize, ApiError> {
        let expected = "expected a whole number from 1 on";
        match self.value::<usize>("_count", expected)? {
            Some(0) => Err(ApiError::parameter("_count", expected)),
            given => Ok(given.unwrap_or(usual).min(most)),
        }
    }

    /// Where the page begins: what [`Search::query`] was given.
    pub(super) fn after(&self) -> Option<&str> {
        self.all("_after").next()
    }

    /// The same, read.
    pub(super) fn place<T: FromStr>(&self) -> Result<Option<T>, ApiError> {
        self.value("_after", "expected the next link of an earlier page")
    }

    /// The query of the same search, with its question mark, for the page that begins `after`.
    pub(super) fn query(&self, after: Option<&str>) -> String {
        let mut query = String::new();
        let pairs = self
            .pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs = pairs.filter(|(name, _)| *name != "_after");
        for (name, value) in pairs.chain(after.map(|after| ("_after", after))) {
            query.push(if query.is_empty() { '?' } else { '&' });
            escape(&mut query, name);
            query.push('=');
            escape(&mut query, value);
        }
        query
    }
}

/// Writes a text for a query. What FHIR uses between parts stays readable.
fn escape(query: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => query.push(byte.into()),
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b',' | b'$' => query.push(byte.into()),
            _ => write!(query, "%{byte:02X}").expect("a string takes all that is written"),
        }
    }
}

/// The parts of a value with commas between them; a backslash takes its meaning from what follows.
pub(super) fn alternatives(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        let part = parts.last_mut().expect("there is a part from the beginning");
        match letter {
            ',' => parts.push(String::new()),
            '\\' => part.extend(letters.next()),
            other => part.push(other),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A code, perhaps of one system: `code`, `system|code`, `system|` or `|code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// None: of any; empty: of none.
    pub(super) system: Option<String>,
    /// None: any.
    pub(super) code: Option<String>,
}

impl Token {
    /// The tokens of a value, of which one has to fit.
    pub(super) fn list(value: &str) -> Vec<Token> {
        alternatives(value).iter().map(|text| Token::read(text)).collect()
    }

    fn read(text: &str) -> Token {
        let (system, code) = match text.rsplit_once('|') {
            Some((system, code)) => (Some(system.to_owned()), code),
            None => (None, text),
        };
        Token {
            system,
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
        }
    }

    /// Whether it is this code of this system.
    pub(super) fn fits(&self, system: &str, code: &str) -> bool {
        self.system.as_deref().is_none_or(|asked| asked == system)
            && self.code.as_deref().is_none_or(|asked| asked == code)
    }

    /// Whether a concept has such a coding.
    pub(super) fn fits_concept(&self, concept: &Json) -> bool {
        let mut codings = concept["coding"].as_array().into_iter().flatten();
        codings.any(|coding| {
            let text = |field: &str| coding[field].as_str().unwrap_or_default();
            self.fits(text("system"), text("code"))
        })
    }
}

/// Times that a record can have: before and after these there are none.
const ALWAYS: (NaiveDate, NaiveDate) = (
    NaiveDate::from_ymd_opt(1900, 1, 1).expect("a date of the calendar"),
    NaiveDate::from_ymd_opt(2200, 1, 1).expect("a date of the calendar"),
);

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(chrono::NaiveTime::MIN).and_utc()
}

/// From the beginning of all times to their end.
pub(super) fn always() -> (DateTime<Utc>, DateTime<Utc>) {
    (midnight(ALWAYS.0), midnight(ALWAYS.1))
}

/// The window in which all of these dates hold: `ge2026-11-22`, `lt2026-11-22T08:00:00Z`. A date without a time of day
/// is one of UTC, and lasts as long as it says.
pub(super) fn window<'s>(
    name: &str,
    dates: impl Iterator<Item = &'s str>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), ApiError> {
    let (mut from, mut until) = always();
    for text in dates {
        let split = text.find(|letter: char| letter.is_ascii_digit()).unwrap_or(0);
        let (prefix, date) = text.split_at(split);
        let span = date_span(date).ok_or_else(|| {
            let detail = "expected a date such as ge2026-11-22, or a time with offset";
            ApiError::parameter(name, detail)
        })?;
        match prefix {
            "" | "eq" => (from, until) = (from.max(span.0), until.min(span.1)),
            "ge" => from = from.max(span.0),
            "gt" | "sa" => from = from.max(span.1),
            "le" => until = until.min(span.1),
            "lt" | "eb" => until = until.min(span.0),
            _ => {
                let detail = "expected one of eq, ge, gt, le, lt, sa and eb before the date";
                return Err(ApiError::parameter(name, detail));
            }
        }
    }
    Ok((from, until))
}

/// The span of a date or time of FHIR: of a year, a month, a day, a minute, a second, or less.
pub(super) fn date_span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (from, until) = match text.len() {
        4 => {
            let first = NaiveDate::from_ymd_opt(text.parse().ok()?, 1, 1)?;
            (midnight(first), midnight(first.with_year(first.year() + 1)?))
        }
        7 => {
            let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
            (
                midnight(first),
                midnight(first.checked_add_months(Months::new(1))?),
            )
        }
        10 => {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            (midnight(day), midnight(day.succ_opt()?))
        }
        _ => time_span(text)?,
    };
    let (first, last) = always();
    (first <= from && until <= last).then_some((from, until))
}

fn time_span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    // A plus sign that was not escaped.
    let text = &text.replace(' ', "+");
    let minute = "2026-11-22T08:00".len();
    let (time, offset) = text.split_at_checked(minute)?;
    if !offset.starts_with(':') {
        NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M").ok()?;
        let at = DateTime::parse_from_rfc3339(&format!("{time}:00{offset}")).ok()?;
        let at = at.with_timezone(&Utc);
        return Some((at, at + TimeDelta::minutes(1)));
    }
    let at = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    let at = at.trunc_subsecs(6);
    let length = match text.contains('.') {
        true => TimeDelta::microseconds(1),
        false => TimeDelta::seconds(1),
    };
    Some((at, at + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn dates_are_as_long_as_they_say() {
        let of = |dates: &[&str]| window("date", dates.iter().copied()).ok();
        let day = |from: &str, until: &str| Some((at(from), at(until)));
        let (first, last) = always();
        assert_eq!(of(&["2026"]), day("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"));
        assert_eq!(
            of(&["2026-12"]),
            day("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
        );
        assert_eq!(
            of(&["eq2026-11-22"]),
            day("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")
        );
        assert_eq!(
            of(&["2026-11-22T08:00+01:00"]),
            day("2026-11-22T07:00:00Z", "2026-11-22T07:01:00Z")
        );
        assert_eq!(
            of(&["2026-11-22T08:00:05 01:00"]),
            day("2026-11-22T07:00:05Z", "2026-11-22T07:00:06Z")
        );
        assert_eq!(
            of(&["2026-11-22T08:00:05.25Z"]),
            day("2026-11-22T08:00:05.25Z", "2026-11-22T08:00:05.250001Z")
        );
        assert_eq!(of(&["ge2026-11-22"]), Some((at("2026-11-22T00:00:00Z"), last)));
        assert_eq!(of(&["gt2026-11-22"]), Some((at("2026-11-23T00:00:00Z"), last)));
        assert_eq!(of(&["le2026-11-22"]), Some((first, at("2026-11-23T00:00:00Z"))));
        assert_eq!(of(&["lt2026-11-22"]), Some((first, at("2026-11-22T00:00:00Z"))));
        assert_eq!(
            of(&["ge2026-11-20", "lt2026-11-22"]),
            day("2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z")
        );
        for wrong in [
            "",
            "ne2026",
            "yesterday",
            "2026-13",
            "2026-11-22T08:00",
            "2026-11-22T08:00:05",
            "0001",
            "9999",
            "20é",
        ] {
            assert_eq!(of(&[wrong]), None, "{wrong}");
        }
    }

    #[test]
    fn lists_and_tokens() {
        assert_eq!(alternatives(r"a,b\,c,,d\\e"), ["a", "b,c", r"d\e"]);
        let fits = |text: &str| {
            Token::list(text)
                .iter()
                .any(|token| token.fits("http://loinc.org", "8867-4"))
        };
        for text in [
            "8867-4",
            "http://loinc.org|8867-4",
            "http://loinc.org|",
            "x,8867-4",
        ] {
            assert!(fits(text), "{text}");
        }
        for text in ["|8867-4", "http://snomed.info/sct|8867-4", "8867", ""] {
            assert!(!fits(text), "{text}");
        }
    }
}
