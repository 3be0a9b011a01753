//! What a passport says.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value as Json;

use super::bundle::Bundle;
use super::people::{continued, device, instant, patient, use_of};
use super::{Kept, KeptCorrection, kept_in};
use crate::decode::DecodeContext;
use crate::fhir::ObservationId;
use crate::{NhsNumber, Reading};

/// Why nothing of a passport is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {text}")]
pub struct PassportError {
    place: String,
    text: String,
}

impl PassportError {
    pub(super) fn whole(text: impl Into<String>) -> PassportError {
        PassportError {
            place: "the file".to_owned(),
            text: text.into(),
        }
    }

    /// That an entry of the Bundle is malformed; they are counted from 0.
    pub fn entry(index: usize, kind: &str, text: impl Into<String>) -> PassportError {
        PassportError {
            place: format!("entry[{index}] ({kind:.60})"),
            text: text.into(),
        }
    }
}

/// What a passport, or a page of one, says. Places are those of entries in the Bundle, counted from 0.
#[derive(Clone, Debug)]
pub struct ReadPassport {
    /// The identifier of the document.
    pub document: Option<String>,
    /// The document that this one is a further page of.
    pub continues: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// Whose it is.
    pub patient: ReadPatient,
    /// What measured the patient. The last is for readings of which no device is said, if there are any.
    pub devices: Vec<ReadDevice>,
    /// The readings.
    pub readings: Vec<ReadReading>,
    /// The versions of rules, each with its place: JSON.
    pub rules: Vec<(usize, String)>,
    /// What the rules remember: JSON.
    pub memory: Option<String>,
    /// The episodes, each with its place: JSON.
    pub episodes: Vec<(usize, String)>,
    /// Who marked readings as entered in error.
    pub corrections: Vec<ReadCorrection>,
    /// Since when the patient does not want the record to be used for research, if that is so.
    pub opted_out: Option<DateTime<Utc>>,
    /// What is not taken.
    pub left_out: Vec<LeftOut>,
}

/// A patient as a passport names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPatient {
    /// The NHS number.
    pub nhs_number: NhsNumber,
    /// The name.
    pub name: String,
    /// The date of birth.
    pub born: NaiveDate,
}

/// A device as a passport names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadDevice {
    /// By what it is known: systems and values. Of the one that is not said there are none.
    pub identifiers: Vec<(String, String)>,
    /// What it is.
    pub kind: String,
    /// How far its clock face is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it measured the patient: beginnings and ends. None are said by other suppliers.
    pub uses: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
}

/// A reading of a passport.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadReading {
    /// Its place.
    pub entry: usize,
    /// Of which of the devices.
    pub device: usize,
    /// The reading.
    pub reading: Reading,
    /// When the record that made the passport received it, where it keeps that exactly.
    pub received_at: Option<DateTime<Utc>>,
    /// Somebody marked it so.
    pub entered_in_error: bool,
}

/// Who marked a reading as entered in error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadCorrection {
    /// Of which of the devices.
    pub device: usize,
    /// Which reading, by whom, why and when.
    pub kept: KeptCorrection,
}

/// Something that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its place.
    pub entry: usize,
    /// What kind of resource it is.
    pub kind: String,
    /// Why.
    pub why: String,
}

/// Reads a passport. What is of another supplier, and not known here, is left out with its reason; what is malformed
/// refuses the whole.
pub fn read_passport(bytes: &[u8], context: &DecodeContext) -> Result<ReadPassport, PassportError> {
    let bundle = Bundle::read(bytes)?;
    let mut reading = InReading::begin(&bundle)?;
    for (index, kind) in bundle.kinds() {
        match kind {
            // Looked at already.
            "Patient" | "Device" | "DeviceUseStatement" => {}
            "Composition" => {
                let composition = bundle.resource(index)?;
                reading.passport.continues = continued(&composition);
                let author = composition["author"][0]["display"].as_str();
                reading.passport.author = author.map(|name| name.chars().take(100).collect());
            }
            "Observation" => reading.observation(index, context)?,
            "CarePlan" => reading.kept(index, Kept::Rule)?,
            "DetectedIssue" => reading.kept(index, Kept::Episode)?,
            "Consent" => reading.consent(index)?,
            "Provenance" => reading.provenance(index)?,
            _ => reading.leave_out(index, "is of no type that is taken over"),
        }
    }
    Ok(reading.finish())
}

/// A passport that is being read.
pub(super) struct InReading<'b> {
    pub(super) bundle: &'b Bundle<'b>,
    pub(super) passport: ReadPassport,
    /// The place of the Patient.
    pub(super) patient: usize,
    /// By the place of a Device, which of the devices it is.
    devices: HashMap<usize, usize>,
    /// Which of the devices is for readings of which none is said.
    nameless: Option<usize>,
}

impl<'b> InReading<'b> {
    fn begin(bundle: &'b Bundle<'b>) -> Result<InReading<'b>, PassportError> {
        let of_kind = |wanted: &'static str| {
            let found = bundle.kinds().filter(move |(_, kind)| *kind == wanted);
            found.map(|(index, _)| index)
        };
        let mut patients = of_kind("Patient");
        let index = patients
            .next()
            .ok_or_else(|| PassportError::whole("it has no Patient: whose is it?"))?;
        if let Some(other) = patients.next() {
            let text = "is another Patient: a passport is of one";
            return Err(PassportError::entry(other, "Patient", text));
        }
        let mut reading = InReading {
            bundle,
            passport: ReadPassport {
                document: bundle.document.clone(),
                continues: None,
                author: None,
                patient: patient(index, &bundle.resource(index)?)?,
                devices: Vec::new(),
                readings: Vec::new(),
                rules: Vec::new(),
                memory: None,
                episodes: Vec::new(),
                corrections: Vec::new(),
                opted_out: None,
                left_out: Vec::new(),
            },
            patient: index,
            devices: HashMap::new(),
            nameless: None,
        };
        for index in of_kind("Device") {
            let read = device(index, &bundle.resource(index)?)?;
            reading.devices.insert(index, reading.passport.devices.len());
            reading.passport.devices.push(read);
        }
        for index in of_kind("DeviceUseStatement") {
            let used = bundle.resource(index)?;
            let device = bundle
                .find(&used["device"])
                .and_then(|place| reading.devices.get(&place));
            match device.copied() {
                Some(device) => {
                    let period = use_of(index, &used)?;
                    reading.passport.devices[device].uses.push(period);
                }
                None => reading.leave_out(index, "is about no Device of the Bundle"),
            }
        }
        Ok(reading)
    }

    fn finish(mut self) -> ReadPassport {
        self.passport.left_out.sort_by_key(|left| left.entry);
        self.passport
    }

    pub(super) fn leave_out(&mut self, entry: usize, why: impl Into<String>) {
        self.passport.left_out.push(LeftOut {
            entry,
            kind: self.bundle.kind(entry).to_owned(),
            why: why.into(),
        });
    }

    /// Which of the devices a reference means; none where it names no Device of the Bundle.
    pub(super) fn device_of(&mut self, reference: &Json) -> usize {
        let named = self
            .bundle
            .find(reference)
            .and_then(|place| self.devices.get(&place));
        if let Some(device) = named {
            return *device;
        }
        *self.nameless.get_or_insert_with(|| {
            self.passport.devices.push(ReadDevice {
                identifiers: Vec::new(),
                kind: "not said".to_owned(),
                utc_offset_minutes: 0,
                revoked_at: None,
                uses: Vec::new(),
            });
            self.passport.devices.len() - 1
        })
    }

    /// Takes what a resource of a Homeward carries exactly. Of others, there is no place for it here.
    fn kept(&mut self, index: usize, kept: Kept) -> Result<(), PassportError> {
        let resource = self.bundle.resource(index)?;
        let memory = kept_in(&resource, Kept::Memory).next();
        self.passport.memory = self.passport.memory.take().or(memory.map(str::to_owned));
        let into = match kept {
            Kept::Rule => &mut self.passport.rules,
            _ => &mut self.passport.episodes,
        };
        let before = into.len();
        into.extend(kept_in(&resource, kept).map(|text| (index, text.to_owned())));
        if into.len() == before {
            let why = match kept {
                Kept::Rule => "says nothing by which readings could be judged here",
                _ => "is of another system's rules",
            };
            self.leave_out(index, why);
        }
        Ok(())
    }

    /// Takes that the patient has opted out of research. Other choices are about organisations of the other record.
    fn consent(&mut self, index: usize) -> Result<(), PassportError> {
        let resource = self.bundle.resource(index)?;
        let is_research = resource["scope"]["coding"][0]["code"] == "research";
        if !is_research || self.bundle.find(&resource["patient"]) != Some(self.patient) {
            self.leave_out(index, "is a choice that the patient has to make here");
            return Ok(());
        }
        if resource["status"] == "active" && resource["provision"]["type"] == "deny" {
            let since = instant(&resource["provision"]["period"]["start"]).or(instant(&resource["dateTime"]));
            let wrong = "says since when in neither provision.period nor dateTime";
            let since = since.ok_or_else(|| PassportError::entry(index, "Consent", wrong))?;
            self.passport.opted_out = Some(self.passport.opted_out.map_or(since, |other| other.min(since)));
        }
        Ok(())
    }

    fn provenance(&mut self, index: usize) -> Result<(), PassportError> {
        let resource = self.bundle.resource(index)?;
        let Some(text) = kept_in(&resource, Kept::Correction).next() else {
            // Of a Homeward, the rest of the passport says the same.
            if self.passport.author.as_deref() != Some("Homeward") {
                self.leave_out(index, "is of no type that is taken over");
            }
            return Ok(());
        };
        let wrong = |text: String| PassportError::entry(index, "Provenance", text);
        let kept: KeptCorrection = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let target = resource["target"][0]["reference"].as_str().unwrap_or_default();
        let id = target
            .rsplit('/')
            .next()
            .and_then(|id| id.parse::<ObservationId>().ok());
        let id = id.ok_or_else(|| wrong("its target is no Observation of a Homeward".to_owned()))?;
        let device = Json::from(format!("Device/{}", id.device));
        let device = self.device_of(&serde_json::json!({"reference": device}));
        self.passport.corrections.push(ReadCorrection { device, kept });
        Ok(())
    }
}
