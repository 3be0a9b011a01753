//! Patient, Device, DeviceUseStatement and Composition of a passport.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value as Json;

use super::UTC_OFFSET;
use super::read::{PassportError, ReadDevice, ReadPatient};
use crate::fhir::patient::NHS_NUMBER;

/// The longest name of a person, or word for a device, in characters.
const LONGEST: usize = 200;

/// Reads the Patient.
pub(super) fn patient(index: usize, resource: &Json) -> Result<ReadPatient, PassportError> {
    let wrong = |text: String| PassportError::entry(index, "Patient", text);
    let identifiers = resource["identifier"].as_array().into_iter().flatten();
    let mut numbers = identifiers.filter(|identifier| identifier["system"] == NHS_NUMBER);
    let number = numbers
        .next()
        .and_then(|identifier| identifier["value"].as_str())
        .ok_or_else(|| wrong(format!("has no identifier of the system {NHS_NUMBER}")))?;
    let nhs_number = number.parse().map_err(|error| wrong(format!("{error}")))?;
    let born = resource["birthDate"].as_str().unwrap_or_default();
    let born: NaiveDate = born
        .parse()
        .map_err(|_| wrong("birthDate: expected a whole date, as 1948-07-05".to_owned()))?;
    let name = resource["name"].as_array().into_iter().flatten().find_map(name);
    let name = name.ok_or_else(|| wrong("has no name".to_owned()))?;
    Ok(ReadPatient {
        nhs_number,
        name,
        born,
    })
}

/// A HumanName as one text; a name of former times is none.
fn name(name: &Json) -> Option<String> {
    if name["use"] == "old" {
        return None;
    }
    let text = match name["text"].as_str() {
        Some(text) => text.to_owned(),
        None => {
            let given = name["given"].as_array().into_iter().flatten();
            let parts = given.chain(std::iter::once(&name["family"]));
            let parts: Vec<&str> = parts.filter_map(Json::as_str).collect();
            parts.join(" ")
        }
    };
    short(&text)
}

/// A text without what is none, unless nothing is left.
fn short(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST)
        .collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Reads a Device.
pub(super) fn device(index: usize, resource: &Json) -> Result<ReadDevice, PassportError> {
    let wrong = |text: &str| PassportError::entry(index, "Device", text);
    let listed = resource["identifier"].as_array().into_iter().flatten();
    let mut identifiers: Vec<(String, String)> = listed
        .filter_map(|identifier| {
            let system = identifier["system"].as_str().unwrap_or_default();
            Some((short(system)?, short(identifier["value"].as_str()?)?))
        })
        .collect();
    if identifiers.is_empty() {
        let id = resource["id"].as_str().and_then(short);
        let id = id.ok_or_else(|| wrong("has neither an identifier nor an id"))?;
        identifiers.push(("urn:ietf:rfc:3986".to_owned(), format!("Device/{id}")));
    }
    let names = [
        &resource["type"]["text"],
        &resource["type"]["coding"][0]["display"],
        &resource["deviceName"][0]["name"],
        &resource["modelNumber"],
    ];
    let kind = names.into_iter().filter_map(Json::as_str).find_map(short);
    let extensions = resource["extension"].as_array().into_iter().flatten();
    let mut offsets = extensions.filter(|extension| extension["url"] == UTC_OFFSET);
    let offset = match offsets.next() {
        Some(extension) => extension["valueInteger"]
            .as_i64()
            .and_then(|minutes| i32::try_from(minutes).ok()),
        None => Some(0),
    };
    let offset = offset.filter(|minutes| minutes.abs() <= 1_080);
    let revoked = &resource["note"][0]["time"];
    let revoked_at = (resource["status"] == "inactive")
        .then(|| instant(revoked))
        .flatten();
    Ok(ReadDevice {
        identifiers,
        kind: kind.unwrap_or_else(|| "device".to_owned()),
        utc_offset_minutes: offset.ok_or_else(|| wrong("is further from UTC than any clock"))?,
        revoked_at,
        uses: Vec::new(),
    })
}

/// Reads the period of a DeviceUseStatement.
pub(super) fn use_of(
    index: usize,
    resource: &Json,
) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), PassportError> {
    let wrong = |text: &str| PassportError::entry(index, "DeviceUseStatement", text);
    let period = &resource["timingPeriod"];
    let from =
        instant(&period["start"]).ok_or_else(|| wrong("timingPeriod.start: expected a time with offset"))?;
    let until = match &period["end"] {
        Json::Null => None,
        end => Some(instant(end).ok_or_else(|| wrong("timingPeriod.end: expected a time with offset"))?),
    };
    if until.is_some_and(|until| until <= from) {
        return Err(wrong("timingPeriod: has to begin before it ends"));
    }
    Ok((from, until))
}

/// A time of the store: whole microseconds.
pub(super) fn instant(text: &Json) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text.as_str()?).ok()?;
    DateTime::from_timestamp_micros(at.timestamp_micros())
}

/// The document that a Composition continues.
pub(super) fn continued(composition: &Json) -> Option<String> {
    let related = composition["relatesTo"].as_array().into_iter().flatten();
    let mut appended = related.filter(|related| related["code"] == "appends");
    Some(appended.next()?["targetIdentifier"]["value"].as_str()?.to_owned())
}
