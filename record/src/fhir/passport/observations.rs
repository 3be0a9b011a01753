//! The readings of a passport: exactly as another Homeward kept them, or as FHIR says them.

use serde_json::Value as Json;

use super::read::{InReading, PassportError, ReadReading};
use super::{Kept, KeptReading, kept_in};
use crate::decode::collect::whole_microseconds;
use crate::decode::{DecodeContext, MAX_CLOCK_AHEAD, decode};
use crate::fhir::build::instant;
use crate::{Metric, PayloadKind, Reading};

/// Statuses under which what an Observation says is what was measured.
const RIGHT: [&str; 3] = ["final", "amended", "corrected"];

impl InReading<'_> {
    /// Takes the readings of an Observation.
    pub(super) fn observation(&mut self, index: usize, context: &DecodeContext) -> Result<(), PassportError> {
        let resource = self.bundle.resource(index)?;
        if self.bundle.find(&resource["subject"]) != Some(self.patient) {
            self.leave_out(
                index,
                "is about somebody or something else than the Patient of the Bundle",
            );
            return Ok(());
        }
        if resource["derivedFrom"].is_array() {
            self.leave_out(index, "is worked out from other Observations");
            return Ok(());
        }
        let kept: Vec<&str> = kept_in(&resource, Kept::Reading).collect();
        if kept.is_empty() {
            self.plain(index, resource, context);
            return Ok(());
        }
        let entered_in_error = resource["status"] == "entered-in-error";
        let device = self.device_of(&resource["device"]);
        for text in kept {
            let wrong = |text: String| PassportError::entry(index, "Observation", text);
            let kept: KeptReading = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            check(&kept, &resource, context).map_err(|text| wrong(text.to_owned()))?;
            self.passport.readings.push(ReadReading {
                entry: index,
                device,
                reading: Reading {
                    metric: kept.metric,
                    at: kept.at,
                    value: kept.value,
                    context: kept.context,
                },
                received_at: Some(kept.received_at),
                entered_in_error,
            });
        }
        Ok(())
    }

    /// Takes what an Observation of another supplier says, as if a device had sent it.
    fn plain(&mut self, index: usize, mut resource: Json, context: &DecodeContext) {
        let status = resource["status"].as_str().unwrap_or_default();
        let entered_in_error = status == "entered-in-error";
        if RIGHT.contains(&status) || entered_in_error {
            // To a device's word the record says that a stored reading is never changed: here none is stored yet.
            resource["status"] = "final".into();
        }
        let upload = decode(PayloadKind::Fhir, resource.to_string().as_bytes(), context);
        if let Some(rejection) = upload.rejected.first() {
            self.leave_out(index, rejection.detail.clone());
        }
        let device = match upload.readings.is_empty() {
            true => return,
            false => self.device_of(&resource["device"]),
        };
        for reading in upload.readings {
            self.passport.readings.push(ReadReading {
                entry: index,
                device,
                reading,
                received_at: None,
                entered_in_error,
            });
        }
    }
}

/// What is kept exactly has to be what the Observation says for everybody: whoever changed one of them without the
/// other did not mean this.
fn check(kept: &KeptReading, resource: &Json, context: &DecodeContext) -> Result<(), &'static str> {
    if !kept.metric.plausible().contains(&kept.value) {
        return Err("a kept value is none that a living person can have");
    }
    if kept.at > context.received_at + MAX_CLOCK_AHEAD
        || kept.received_at > context.received_at + MAX_CLOCK_AHEAD
    {
        return Err("a kept reading is of the future");
    }
    if whole_microseconds(kept.at) != kept.at {
        return Err("a kept time is finer than a microsecond");
    }
    let said = [
        &resource["effectiveDateTime"],
        &resource["effectivePeriod"]["end"],
    ];
    let at = instant(kept.at);
    if !said.iter().any(|said| **said == at.as_str()) {
        return Err("the kept time is another than the effective one");
    }
    if matches!(kept.metric, Metric::Consciousness | Metric::IrregularPulse) {
        return Ok(());
    }
    let components = resource["component"].as_array().into_iter().flatten();
    let mut values = std::iter::once(resource).chain(components);
    match values.any(|part| part["valueQuantity"]["value"].as_f64() == Some(kept.value)) {
        true => Ok(()),
        false => Err("the kept value is another than that of the Observation"),
    }
}
