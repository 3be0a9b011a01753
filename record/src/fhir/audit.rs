//! AuditEvent and Provenance: who looked at or changed what, and where it comes from.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::build::{coding, concept, instant, reference, set};
use crate::{DeviceId, PatientId};

const AUDIT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const ENTITY_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const DATA_OPERATION: &str = "http://terminology.hl7.org/CodeSystem/v3-DataOperation";
const ACT_STATUS: &str = "http://terminology.hl7.org/CodeSystem/v3-ActStatus";
const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";

/// One access to a patient's record.
#[derive(Clone, Debug)]
pub struct Access<'r> {
    /// Its number in the log.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What was done.
    pub kind: AccessKind,
    /// By whom, as the log names them.
    pub who: &'r str,
    /// In which role.
    pub role: &'r str,
    /// For which organisation.
    pub organisation: Option<&'r str>,
    /// Whose record; none where it was nobody's in particular.
    pub patient: Option<PatientId>,
    /// What was looked at or changed, in plain English.
    pub what: &'r str,
    /// What entitled to it.
    pub reason: AccessReason<'r>,
    /// The network address that it came from.
    pub from_address: Option<&'r str>,
    /// Whether it was let through.
    pub allowed: bool,
}

/// What was done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// It was read.
    Read,
    /// Something was added.
    Create,
    /// Something was changed.
    Update,
    /// Something was removed.
    Delete,
}

/// What entitled somebody to an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessReason<'r> {
    /// Care: a registration or an enrolment.
    Care,
    /// The patient's own record.
    Own,
    /// Break-glass, with the reason that was stated.
    BreakGlass(&'r str),
    /// Research, from which the patient has not opted out; with what it is for.
    Research(&'r str),
    /// Administration, which reads no clinical data.
    Administration,
}

/// The AuditEvent resource.
pub fn audit_event(access: &Access<'_>) -> Json {
    let (action, interaction) = match access.kind {
        AccessKind::Read => ("R", "read"),
        AccessKind::Create => ("C", "create"),
        AccessKind::Update => ("U", "update"),
        AccessKind::Delete => ("D", "delete"),
    };
    let mut agent = json!({
        "who": {"display": access.who},
        "requestor": true,
        "role": [{"text": access.role}],
    });
    // 2: an address of the internet protocol.
    let network = access
        .from_address
        .map(|address| json!({"address": address, "type": "2"}));
    set(&mut agent, "network", network);
    let mut agents = vec![agent];
    let organisation = |name| json!({"who": {"display": name}, "requestor": false});
    agents.extend(access.organisation.map(organisation));
    let mut entity = json!({"description": access.what});
    if let Some(patient) = access.patient {
        entity["what"] = reference("Patient", patient);
        entity["role"] = coding(ENTITY_ROLE, "1", "Patient");
    }
    json!({
        "resourceType": "AuditEvent",
        "id": access.id.to_string(),
        "type": coding(AUDIT_TYPE, "rest", "RESTful Operation"),
        "subtype": [coding(INTERACTION, interaction, interaction)],
        "action": action,
        "recorded": instant(access.at),
        // 4: it was refused, and nothing happened.
        "outcome": if access.allowed { "0" } else { "4" },
        "purposeOfEvent": [purpose(access.reason)],
        "agent": agents,
        "source": {"observer": {"display": "Homeward"}},
        "entity": [entity],
    })
}

fn purpose(reason: AccessReason<'_>) -> Json {
    match reason {
        AccessReason::Care => concept(REASON, "TREAT", "treatment"),
        AccessReason::Own => concept(REASON, "PATRQT", "patient requested"),
        AccessReason::Administration => concept(REASON, "HOPERAT", "healthcare operations"),
        AccessReason::BreakGlass(stated) => stating(concept(REASON, "BTG", "break the glass"), stated),
        AccessReason::Research(stated) => stating(concept(REASON, "HRESCH", "healthcare research"), stated),
    }
}

fn stating(mut purpose: Json, stated: &str) -> Json {
    purpose["text"] = stated.into();
    purpose
}

/// Where resources come from.
#[derive(Clone, Debug)]
pub struct Origin<'r> {
    /// The identifier of the Provenance.
    pub id: &'r str,
    /// References to the resources: `Observation/…`.
    pub targets: &'r [String],
    /// When the record took them.
    pub recorded_at: DateTime<Utc>,
    /// What was done.
    pub activity: Activity,
    /// Why, where somebody said so.
    pub reason: Option<&'r str>,
    /// Who or what made them. There is one at least.
    pub sources: &'r [Source<'r>],
}

/// What was done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It was made.
    Created,
    /// It was changed.
    Changed,
    /// It was ended.
    Ended,
    /// It was marked as never right.
    Nullified,
}

impl Activity {
    fn concept(self) -> Json {
        let (system, code, display) = match self {
            Activity::Created => (DATA_OPERATION, "CREATE", "create"),
            Activity::Changed => (DATA_OPERATION, "UPDATE", "revise"),
            Activity::Ended => (DATA_OPERATION, "DELETE", "delete"),
            Activity::Nullified => (ACT_STATUS, "nullified", "nullified"),
        };
        concept(system, code, display)
    }
}

/// Who or what made a resource.
#[derive(Clone, Copy, Debug)]
pub enum Source<'r> {
    /// A device measured it.
    Device(DeviceId),
    /// Somebody wrote it.
    Person(&'r str),
    /// It was taken over from another supplier's record.
    Import(&'r str),
}

/// The Provenance resource.
pub fn provenance(origin: &Origin<'_>) -> Json {
    let agent = |source: &Source<'_>| {
        let (code, display, who) = match *source {
            Source::Device(id) => ("author", "Author", reference("Device", id)),
            Source::Person(name) => ("author", "Author", json!({"display": name})),
            Source::Import(name) => ("transmitter", "Transmitter", json!({"display": name})),
        };
        json!({"type": concept(PARTICIPANT, code, display), "who": who})
    };
    let target: Vec<_> = origin
        .targets
        .iter()
        .map(|target| json!({"reference": target}))
        .collect();
    let agents: Vec<_> = origin.sources.iter().map(agent).collect();
    let mut resource = json!({
        "resourceType": "Provenance",
        "id": origin.id,
        "target": target,
        "recorded": instant(origin.recorded_at),
        "activity": origin.activity.concept(),
        "agent": agents,
    });
    let reason = origin.reason.map(|text| json!([{"text": text}]));
    set(&mut resource, "reason", reason);
    resource
}
