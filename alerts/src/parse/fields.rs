use std::fmt::Display;
use std::ops::RangeInclusive;

use homeward_record::Metric;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::DefinitionError;

/// The longest duration a rule may count, in seconds: 31 days. A longer one asks about a trend, which is
/// not what an alert is for.
const LONGEST_SECONDS: u32 = 31 * 24 * 60 * 60;

/// The fields of one JSON object and where it stands.
pub(super) struct Fields<'a> {
    path: &'a str,
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn of_any(json: &'a Value, path: &'a str) -> Result<Fields<'a>, DefinitionError> {
        match json {
            Value::Object(object) => Ok(Fields { path, object }),
            _ if path.is_empty() => Err(error("definition", "expected an object")),
            _ => Err(error(path, "expected an object")),
        }
    }

    pub(super) fn of(json: &'a Value, path: &'a str, known: &[&str]) -> Result<Fields<'a>, DefinitionError> {
        let fields = Fields::of_any(json, path)?;
        match fields.object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => {
                let problem = format!("unknown field; known here are {}", known.join(", "));
                Err(error(fields.path(unknown), problem))
            }
            None => Ok(fields),
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn value(&self, name: &str) -> Result<&'a Value, DefinitionError> {
        self.object
            .get(name)
            .ok_or_else(|| error(self.path(name), "missing"))
    }

    pub(super) fn required<T: Deserialize<'a>>(&self, name: &str) -> Result<T, DefinitionError> {
        T::deserialize(self.value(name)?).map_err(|source| error(self.path(name), source))
    }

    pub(super) fn text(&self, name: &str, longest: usize) -> Result<String, DefinitionError> {
        let text: String = self.required(name)?;
        if text.trim().is_empty() {
            return Err(error(self.path(name), "is blank"));
        }
        if text.chars().count() > longest {
            return Err(error(
                self.path(name),
                format!("is longer than {longest} characters"),
            ));
        }
        Ok(text)
    }

    /// A value that a metric can have.
    pub(super) fn plausible(&self, name: &str, metric: Metric) -> Result<f64, DefinitionError> {
        let number: f64 = self.required(name)?;
        let plausible = metric.plausible();
        if plausible.contains(&number) {
            return Ok(number);
        }
        let problem = format!(
            "{number} is no plausible value of {metric}, which is in {} from {} to {}",
            metric.unit(),
            plausible.start(),
            plausible.end()
        );
        Err(error(self.path(name), problem))
    }

    /// [`Fields::plausible`] for a field that may be left out.
    pub(super) fn number(&self, name: &str, metric: Metric) -> Result<Option<f64>, DefinitionError> {
        match self.object.contains_key(name) {
            true => self.plausible(name, metric).map(Some),
            false => Ok(None),
        }
    }

    pub(super) fn given(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    /// An optional field.
    pub(super) fn optional<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, DefinitionError> {
        match self.object.contains_key(name) {
            true => self.required(name).map(Some),
            false => Ok(None),
        }
    }

    /// A number within a range, that `what` names.
    pub(super) fn within<T>(&self, name: &str, range: RangeInclusive<T>) -> Result<T, DefinitionError>
    where
        T: Deserialize<'a> + PartialOrd + Display,
    {
        let number: T = self.required(name)?;
        if range.contains(&number) {
            return Ok(number);
        }
        let problem = format!("{number} is not from {} to {}", range.start(), range.end());
        Err(error(self.path(name), problem))
    }

    /// [`Fields::within`] for a field that may be left out.
    pub(super) fn optional_within<T>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, DefinitionError>
    where
        T: Deserialize<'a> + PartialOrd + Display,
    {
        match self.object.contains_key(name) {
            true => self.within(name, range).map(Some),
            false => Ok(None),
        }
    }

    /// The items of a list that is not empty, each read by `read`, which gets its path.
    pub(super) fn list<T>(
        &self,
        name: &str,
        mut read: impl FnMut(&'a Value, &str) -> Result<T, DefinitionError>,
    ) -> Result<Vec<T>, DefinitionError> {
        let path = self.path(name);
        let Value::Array(values) = self.value(name)? else {
            return Err(error(path, "expected a list"));
        };
        if values.is_empty() {
            return Err(error(path, "expected at least one"));
        }
        let indexed = values.iter().enumerate();
        indexed
            .map(|(index, value)| read(value, &format!("{path}[{index}]")))
            .collect()
    }

    /// The one of these fields that is given, by `read` from its name.
    pub(super) fn one_of<T>(
        &self,
        names: &[&str],
        mut read: impl FnMut(&str) -> Result<T, DefinitionError>,
    ) -> Result<T, DefinitionError> {
        let mut given = names.iter().filter(|name| self.object.contains_key(**name));
        match (given.next(), given.next()) {
            (Some(name), None) => read(name),
            _ => Err(error(
                self.path,
                format!("expected exactly one of {}", names.join(", ")),
            )),
        }
    }

    pub(super) fn seconds(&self, name: &str) -> Result<u32, DefinitionError> {
        match self.required(name)? {
            0 => Err(error(self.path(name), "must be positive")),
            seconds if seconds > LONGEST_SECONDS => Err(error(
                self.path(name),
                format!("is longer than {LONGEST_SECONDS}"),
            )),
            seconds => Ok(seconds),
        }
    }

    pub(super) fn seconds_or_zero(&self, name: &str) -> Result<u32, DefinitionError> {
        match self.object.get(name) {
            None => Ok(0),
            Some(zero) if zero.as_u64() == Some(0) => Ok(0),
            Some(_) => self.seconds(name),
        }
    }
}

pub(super) fn error(field: impl Into<String>, problem: impl Display) -> DefinitionError {
    DefinitionError {
        field: field.into(),
        problem: problem.to_string(),
    }
}
