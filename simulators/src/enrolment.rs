//! Enrolment files: which devices take part, and with which secrets.

use std::fmt;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use chrono::TimeDelta;
use homeward_record::DeviceId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::physiology::{Device, DeviceKind};

/// A device of a simulated fleet: one line of JSON in the enrolment file, which `homeward` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The device: its user name and client id at the broker.
    pub device_id: DeviceId,
    /// Its password there.
    pub secret: Secret,
    /// What it measures.
    pub kind: DeviceKind,
    /// Which simulated patient it measures. Devices with the same number are one patient's.
    pub patient: u64,
    /// Seconds between heart rates of a watch or values of a glucose sensor, where not the usual 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u32>,
}

/// A device that replays a recorded series: one line of JSON in the enrolment file. Other fields may stand
/// beside these, so that a fleet's file serves as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectEnrolment {
    /// The device: its user name and client id at the broker.
    pub device_id: DeviceId,
    /// Its password there.
    pub secret: Secret,
    /// The series' subject that it measures; without it, the next one that no other line names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// A device's password. Not shown by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Enrolment {
    /// The device as the physiology knows it.
    pub fn device(&self) -> Device {
        Device {
            kind: self.kind,
            every: self.every_s.map(|s| TimeDelta::seconds(i64::from(s.max(1)))),
        }
    }
}

/// Reads an enrolment file, or the standard input where the path is `-`.
pub fn read_file<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let name = if path == Path::new("-") {
        "the standard input".into()
    } else {
        path.display().to_string()
    };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|content| text = content)
    };
    read.with_context(|| format!("reading the enrolment from {name}"))?;
    read_lines(&text).with_context(|| format!("reading the enrolment from {name}"))
}

/// Reads one enrolment a line. Empty lines do not count.
pub fn read_lines<T: DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    let mut enrolments = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        // The position that serde gives is one within this line; the text of the line holds a secret.
        let enrolment =
            serde_json::from_str(line).with_context(|| format!("line {number} is no enrolment"))?;
        enrolments.push(enrolment);
    }
    if enrolments.is_empty() {
        bail!("it enrols no device: expected a line of JSON for each, with device_id and secret");
    }
    Ok(enrolments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_a_line_for_each_device() {
        let text = r#"
            {"device_id": 17, "secret": "s3", "kind": "cgm", "patient": 4}

            {"device_id": 18, "secret": "s4", "kind": "smartwatch", "patient": 4, "every_s": 60}
        "#;
        let fleet: Vec<Enrolment> = read_lines(text).unwrap();
        assert_eq!(fleet.len(), 2);
        assert_eq!(fleet[0].device(), Device::new(DeviceKind::Cgm));
        assert_eq!(fleet[1].device().every, Some(TimeDelta::minutes(1)));
        let again = serde_json::to_string(&fleet[0]).unwrap();
        assert_eq!(read_lines::<Enrolment>(&again).unwrap()[0], fleet[0]);
        let subjects: Vec<SubjectEnrolment> = read_lines(text).unwrap();
        assert_eq!(
            (subjects[1].device_id, &subjects[1].subject),
            (DeviceId(18), &None)
        );
    }

    #[test]
    fn a_wrong_line_is_named_and_no_secret_is_shown() {
        let text = r#"{"device_id": 17, "secret": "s3", "kind": "cgm", "patient": 4}
                      {"device_id": 18, "secret": "hush", "kind": "toaster", "patient": 4}"#;
        let error = format!("{:#}", read_lines::<Enrolment>(text).unwrap_err());
        assert!(
            error.starts_with("line 2 is no enrolment: unknown variant `toaster`"),
            "{error}"
        );
        assert!(!error.contains("hush"));
        assert!(read_lines::<Enrolment>(" \n").is_err());
        assert!(!format!("{:?}", Secret("hush".into())).contains("hush"));
    }
}
