//! Reading a condition's JSON. A test that gets it wrong should stop, so everything here panics.

use chrono::TimeDelta;
use chrono_tz::Tz;
use homeward_record::Metric;
use serde_json::Value;

pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key} in {object}"))
}

pub(crate) fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object[key]
        .as_array()
        .unwrap_or_else(|| panic!("no list {key} in {object}"))
}

pub(crate) fn metric(object: &Value) -> Metric {
    let name = text(object, "metric");
    name.parse()
        .unwrap_or_else(|()| panic!("no metric is called {name}"))
}

pub(crate) fn zone(object: &Value) -> Tz {
    let name = text(object, "zone");
    name.parse()
        .unwrap_or_else(|_| panic!("no zone is called {name}"))
}

pub(crate) fn optional_number(object: &Value, key: &str) -> Option<f64> {
    let value = object.get(key).filter(|value| !value.is_null())?;
    Some(
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{key} is not a number in {object}")),
    )
}

pub(crate) fn number(object: &Value, key: &str) -> f64 {
    optional_number(object, key).unwrap_or_else(|| panic!("no number {key} in {object}"))
}

pub(crate) fn optional_whole(object: &Value, key: &str) -> Option<i64> {
    let value = object.get(key).filter(|value| !value.is_null())?;
    Some(
        value
            .as_i64()
            .unwrap_or_else(|| panic!("{key} is not a whole number in {object}")),
    )
}

pub(crate) fn whole(object: &Value, key: &str) -> i64 {
    optional_whole(object, key).unwrap_or_else(|| panic!("no whole number {key} in {object}"))
}

/// A count of things, as a size.
pub(crate) fn count(object: &Value, key: &str) -> usize {
    usize::try_from(whole(object, key)).unwrap_or_else(|_| panic!("{key} is negative in {object}"))
}

pub(crate) fn optional_seconds(object: &Value, key: &str) -> Option<TimeDelta> {
    optional_whole(object, key).map(TimeDelta::seconds)
}

pub(crate) fn seconds(object: &Value, key: &str) -> TimeDelta {
    TimeDelta::seconds(whole(object, key))
}
