//! FHIR R4 (4.0.1), in both directions: Observations and Bundles of devices to readings, and the record's
//! resources to JSON.
//!
//! Reading is strict where a value could be taken for what it is not: an unknown element, a modifier
//! extension, a status other than final, a comparator, a unit that is not UCUM, two codings that disagree
//! refuse the Observation with the path of what is wrong. It is lenient where FHIR says so: extensions that
//! it does not know, and codings beside the one it knows, are passed over. Whose reading it is follows from
//! the device's credential, so `subject` and `device` are not looked at.
//!
//! A Bundle is taken entry by entry, also one of type `transaction`: what is right in a message is kept, here
//! as on every topic.
//!
//! The elements are those that this product reads and writes, by hand. The one crate with R4 types and no
//! demands on its users, fhirkit 0.1, takes minutes to compile, and its types are large (an Extension has
//! 4.5 KB): a message of 64 KiB could cost the intake half a second and 100 MB.

mod audit;
mod build;
mod bundle;
mod care;
mod codes;
mod episode;
mod observation;
mod passport;
mod patient;
#[cfg(test)]
mod round_trip;
mod search;
mod server;
mod summary;
#[cfg(test)]
mod tests;

pub use self::audit::{Access, AccessKind, AccessReason, Activity, Origin, Source, audit_event, provenance};
pub use self::care::{CarePlan, Consent, DataUse, PlannedRule, care_plan, consent};
pub use self::episode::{Episode, EpisodeAction, EpisodeState, Urgency, detected_issue, flag};
pub use self::observation::{
    Interpretation, OBSERVATION_CATEGORY, ObservationId, Observed, ParseObservationIdError, Status,
    category_of, kept_observations, observations,
};
pub use self::passport::{
    DEVICE_IDENTIFIER, DeviceUse, Kept, KeptCorrection, KeptReading, LeftOut, PassportError, ReadCorrection,
    ReadDevice, ReadPassport, ReadPatient, ReadReading, device_use, keep, keep_device, read_passport,
};
pub use self::patient::{
    Device, NHS_NUMBER, Patient, Verification, device, device_metric, patient, this_software,
};
pub use self::search::{Coded, Statistic, Statistics, coded, statistics};
pub use self::server::{
    Capabilities, Issue, Page, Passport, ServedType, capability_statement, collection, operation_outcome,
    passport, searchset,
};
pub use self::summary::{HOME_AVERAGE, HomeAverage, NEWS2, News2Score, SummaryId, home_average, news2};

use crate::decode::collect::{Collector, quote};
use crate::decode::json::{Json, Node};
use crate::decode::{DecodeContext, Reason, Upload};

/// Reads a message: an Observation or a Bundle of them.
pub(crate) fn decode(payload: &[u8], context: &DecodeContext) -> Upload {
    let json = match Json::parse(payload) {
        Ok(json) => json,
        Err(refused) => return refused,
    };
    let top = Node::top(&json);
    let mut collector = Collector::new(context, 4);
    let taken = top.require("resourceType").and_then(|kind| match kind.text()? {
        "Observation" => observation::read(&top)?.measure(&mut collector),
        "Bundle" => bundle::read(&top, &mut collector),
        other => {
            let text = format!("{} is neither an Observation nor a Bundle", quote(other));
            Err(kind.fault(Reason::Unsupported, text))
        }
    });
    if let Err(fault) = taken {
        collector.reject_in_full(None, fault);
    }
    collector.finish()
}
