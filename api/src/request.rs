//! What requests bring: parameters of the path and of the query, bodies, and what is wrong with them.

use std::fmt::{self, Display};
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use homeward_alerts::Zone;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::error::ApiError;

/// The parameters in the path.
pub(crate) struct Path(Vec<(String, String)>);

impl Path {
    /// A parameter's text, as the route names it.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, text)| text)
    }

    /// A parameter's value.
    pub(crate) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, ApiError> {
        self.text(name)
            .parse()
            .map_err(|error: T::Err| ApiError::parameter(name, error.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path, ApiError> {
        let parameters = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::parameter("path", "the path is not UTF-8"))?;
        let owned = |(name, value): (&str, &str)| {
            storable(name, value)?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(Path(
            parameters.iter().map(owned).collect::<Result<_, ApiError>>()?,
        ))
    }
}

/// The parameters of the query, as the fields of `T`. Unknown and repeated parameters are refused by name,
/// so that a mistyped filter does not go unnoticed.
///
/// `T` denies unknown fields, and reads each by [`parsed`].
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Query<T>, ApiError> {
        Query::of(&parts.uri).map(Query)
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// The parameters of an address.
    pub(crate) fn of(uri: &Uri) -> Result<T, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| ApiError::parameter("query", "the query is not of the form name=value&…"))?;
        for (name, value) in &pairs.0 {
            storable(name, value)?;
        }
        let parameters = Parameters {
            pairs: pairs.0.into_iter(),
            value: None,
        };
        let wrong = |error: ParameterError| {
            ApiError::parameter(
                error.parameter.unwrap_or_else(|| "query".to_owned()),
                error.detail,
            )
        };
        T::deserialize(parameters).map_err(wrong)
    }
}

/// The body, a JSON object with the fields of `T`, which denies unknown ones. Its content type is not asked for.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, ApiError> {
        let WholeBody(bytes) = WholeBody::from_request(request, state).await?;
        serde_json::from_slice(&bytes)
            .map(Body)
            .map_err(|error| ApiError::Body(format!("the body is not the JSON that is expected: {error}")))
    }
}

/// Makes sure that the record can have a text: of all characters it takes, it has none for U+0000.
pub(crate) fn storable(name: &str, text: &str) -> Result<(), ApiError> {
    match text.contains('\0') {
        true => Err(ApiError::parameter(
            name,
            "it has a character in it that stands for nothing (U+0000)",
        )),
        false => Ok(()),
    }
}

/// The bytes of the body.
pub(crate) struct WholeBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for WholeBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<WholeBody, ApiError> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLong,
            _ => ApiError::Body("the body did not arrive whole".to_owned()),
        })?;
        Ok(WholeBody(bytes))
    }
}

/// Reads an optional field of a query by its `FromStr`:
/// `#[serde(default, deserialize_with = "parsed")]`.
pub(crate) fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

/// Feeds the parameters to a struct's `Deserialize`, so that an error knows whose it is.
struct Parameters {
    pairs: std::vec::IntoIter<(String, String)>,
    value: Option<(String, String)>,
}

impl<'de> Deserializer<'de> for Parameters {
    type Error = ParameterError;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Parameters {
    type Error = ParameterError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ParameterError> {
        let Some((name, value)) = self.pairs.next() else {
            return Ok(None);
        };
        let key = seed.deserialize(name.as_str().into_deserializer())?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ParameterError> {
        let (name, value) = self.value.take().unwrap_or_default();
        let read = seed.deserialize(value.into_deserializer());
        read.map_err(|error: ParameterError| ParameterError {
            parameter: Some(name),
            ..error
        })
    }
}

#[derive(Debug)]
struct ParameterError {
    parameter: Option<String>,
    detail: String,
}

impl Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for ParameterError {}

impl de::Error for ParameterError {
    fn custom<T: Display>(message: T) -> ParameterError {
        ParameterError {
            parameter: None,
            detail: message.to_string(),
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> ParameterError {
        let detail = match expected {
            [] => "there is no such parameter: this path takes none".to_owned(),
            names => format!("there is no such parameter; there are {}", names.join(", ")),
        };
        ParameterError {
            parameter: Some(field.to_owned()),
            detail,
        }
    }

    fn duplicate_field(field: &'static str) -> ParameterError {
        ParameterError {
            parameter: Some(field.to_owned()),
            detail: "the parameter is given twice".to_owned(),
        }
    }
}

/// An instant in a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Instant(pub(crate) DateTime<Utc>);

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Instant {}

impl FromStr for Instant {
    type Err = &'static str;

    /// RFC 3339. The space that a `+` turns into, where it is not escaped, is taken for the `+` it was.
    fn from_str(text: &str) -> Result<Instant, &'static str> {
        let text = match text.rsplit_once(' ') {
            Some((time, offset)) if time.len() >= "2026-11-22T08:00:00".len() => &format!("{time}+{offset}"),
            _ => text,
        };
        DateTime::parse_from_rfc3339(text)
            .map(|at| Instant(at.with_timezone(&Utc).trunc_subsecs(6)))
            .map_err(|_| "expected a time with offset, such as 2026-11-22T08:00:00Z")
    }
}

/// The window of time from `from` until before `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
}

impl Window {
    /// The length of a window of which the query leaves a side open.
    const DEFAULT_LENGTH: TimeDelta = TimeDelta::hours(24);

    /// The window that a query names: without `to` it ends now, or a day after a `from` in the future;
    /// without `from` it is of a day.
    pub(crate) fn new(
        from: Option<Instant>,
        to: Option<Instant>,
        now: DateTime<Utc>,
    ) -> Result<Window, ApiError> {
        let to = match (from, to) {
            (_, Some(Instant(to))) => to,
            (Some(Instant(from)), None) if from >= now => from + Window::DEFAULT_LENGTH,
            _ => now,
        };
        let from = from.map_or(to - Window::DEFAULT_LENGTH, |Instant(from)| from);
        if from >= to {
            return Err(ApiError::parameter("from", "from must be before to"));
        }
        Ok(Window { from, to })
    }

    /// The window of a summary: without `to` it ends now, without `from` it is `usual` long, and it is no longer
    /// than `longest`.
    pub(crate) fn of_summary(
        from: Option<Instant>,
        to: Option<Instant>,
        now: DateTime<Utc>,
        (usual, longest): (TimeDelta, TimeDelta),
    ) -> Result<Window, ApiError> {
        let to = to.unwrap_or(Instant(now));
        let from = from.unwrap_or(Instant(to.0 - usual));
        let window = Window::new(Some(from), Some(to), now)?;
        if window.to - window.from > longest {
            let detail = format!("a summary is over {} days at most", longest.num_days());
            return Err(ApiError::parameter("from", detail));
        }
        Ok(window)
    }
}

/// Makes a struct `Parameters` of a query for a window of time: `from`, `to`, and the others that are named, each of
/// which may be left out.
macro_rules! window_parameters {
    ($($name:ident: $kind:ident),*) => {
        #[derive(serde::Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct Parameters {
            #[serde(default, deserialize_with = "crate::request::parsed")]
            #[param(inline)]
            from: Option<crate::request::Instant>,
            #[serde(default, deserialize_with = "crate::request::parsed")]
            #[param(inline)]
            to: Option<crate::request::Instant>,
            $(
                #[serde(default, deserialize_with = "crate::request::parsed")]
                $name: Option<$kind>,
            )*
        }
    };
}
pub(crate) use window_parameters;

/// The time zone of a patient's days by its IANA name; without a name, where patients live.
pub(crate) fn zone(name: Option<&str>) -> Result<Zone, ApiError> {
    let Some(name) = name else {
        return Ok(Zone::PATIENTS);
    };
    Zone::named(name)
        .ok_or_else(|| ApiError::parameter("zone", format!("{name:?} is not the name of a time zone")))
}

/// How many items a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit<const DEFAULT: i64, const MAX: i64>(pub(crate) i64);

impl<const DEFAULT: i64, const MAX: i64> PartialSchema for Limit<DEFAULT, MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX))
            .default(Some(DEFAULT.into()))
            .into()
    }
}

impl<const DEFAULT: i64, const MAX: i64> ToSchema for Limit<DEFAULT, MAX> {}

impl<const DEFAULT: i64, const MAX: i64> Default for Limit<DEFAULT, MAX> {
    fn default() -> Self {
        Limit(DEFAULT)
    }
}

impl<const DEFAULT: i64, const MAX: i64> FromStr for Limit<DEFAULT, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(limit) if (1..=MAX).contains(&limit) => Ok(Limit(limit)),
            _ => Err(format!("expected a whole number from 1 to {MAX}")),
        }
    }
}

impl<const DEFAULT: i64, const MAX: i64> Limit<DEFAULT, MAX> {
    /// One more than a page has: whether there is one tells whether another page follows.
    pub(crate) fn and_one(self) -> i64 {
        self.0 + 1
    }

    /// Cuts what was found down to a page. Answers the last item of it, if another page follows.
    pub(crate) fn cut<T>(self, found: &mut Vec<T>) -> Option<&T> {
        let most = usize::try_from(self.0).unwrap_or(usize::MAX);
        let more = found.len() > most;
        found.truncate(most);
        found.last().filter(|_| more)
    }
}

/// Looks a name up among those that a parameter may have.
pub(crate) fn choose<T: Copy>(parameter: &str, text: &str, all: &[(&str, T)]) -> Result<T, ApiError> {
    let found = all.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let detail = format!("{text:?} is none of {}", names.join(", "));
        ApiError::parameter(parameter, detail)
    })
}

/// Looks the names of a list up, which commas separate; without a list, all that there are.
pub(crate) fn choose_some<T: Copy>(
    parameter: &str,
    list: Option<&str>,
    all: &[(&str, T)],
) -> Result<Vec<T>, ApiError> {
    match list {
        Some(list) => list.split(',').map(|text| choose(parameter, text, all)).collect(),
        None => Ok(all.iter().map(|(_, value)| *value).collect()),
    }
}
