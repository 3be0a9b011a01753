//! CarePlan and Consent: what is watched for, and who may use what is seen.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::build::{concept, instant, reference, set};
use super::codes::LOINC;
use crate::{PatientId, RuleId};

const CONSENT_SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const ROLE: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";

/// A patient's care plan.
#[derive(Clone, Debug)]
pub struct CarePlan<'r> {
    /// Whose it is; a patient has one.
    pub patient: PatientId,
    /// When its first rule came into force.
    pub since: DateTime<Utc>,
    /// The rules in force.
    pub rules: &'r [PlannedRule<'r>],
}

/// A rule of a care plan.
#[derive(Clone, Debug)]
pub struct PlannedRule<'r> {
    /// Its present version.
    pub id: RuleId,
    /// What it watches for, in one sentence.
    pub sentence: &'r str,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when, where it is for a time only.
    pub until: Option<DateTime<Utc>>,
}

/// The CarePlan resource: each rule is an activity of the team.
pub fn care_plan(plan: &CarePlan<'_>) -> Json {
    let activity: Vec<_> = plan
        .rules
        .iter()
        .map(|rule| {
            let mut period = json!({"start": instant(rule.since)});
            set(&mut period, "end", rule.until.map(|at| instant(at).into()));
            json!({
                "id": rule.id.to_string(),
                "detail": {
                    "status": "in-progress",
                    "description": rule.sentence,
                    "scheduledPeriod": period,
                },
            })
        })
        .collect();
    let mut resource = json!({
        "resourceType": "CarePlan",
        "id": plan.patient.to_string(),
        "status": "active",
        "intent": "plan",
        "title": "Monitoring at home",
        "subject": reference("Patient", plan.patient),
        "period": {"start": instant(plan.since)},
    });
    set(
        &mut resource,
        "activity",
        (!activity.is_empty()).then(|| activity.into()),
    );
    resource
}

/// What a patient allows or forbids.
#[derive(Clone, Debug)]
pub struct Consent<'r> {
    /// What names it in the record.
    pub id: &'r str,
    /// Whose data it is about.
    pub patient: PatientId,
    /// What use it is about.
    pub usage: DataUse<'r>,
    /// Whether that is allowed.
    pub permitted: bool,
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when: another choice took its place, or will.
    pub until: Option<DateTime<Utc>>,
    /// That has happened.
    pub is_over: bool,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// What it rests on: `the patient's own choice`, `national data opt-out`.
    pub basis: &'r str,
}

/// A use of a patient's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataUse<'r> {
    /// Research and planning: beyond the patient's own care.
    Research,
    /// Sharing with an organisation for care: its identifier and name.
    Sharing(i64, &'r str),
}

/// The Consent resource.
pub fn consent(consent: &Consent<'_>) -> Json {
    let (scope, display) = match consent.usage {
        DataUse::Research => ("research", "Research"),
        DataUse::Sharing(..) => ("patient-privacy", "Privacy Consent"),
    };
    let (kind, rule) = match consent.permitted {
        true => ("permit", concept(ACT_CODE, "OPTIN", "opt-in")),
        false => ("deny", concept(ACT_CODE, "OPTOUT", "opt-out")),
    };
    let mut period = json!({"start": instant(consent.from)});
    set(&mut period, "end", consent.until.map(|at| instant(at).into()));
    let mut provision = json!({"type": kind, "period": period});
    if let DataUse::Sharing(id, name) = consent.usage {
        let mut organisation = reference("Organization", id);
        organisation["display"] = name.into();
        provision["actor"] = json!([{
            "role": concept(ROLE, "IRCP", "information recipient"),
            "reference": organisation,
        }]);
    }
    let mut policy = rule;
    policy["text"] = consent.basis.into();
    json!({
        "resourceType": "Consent",
        "id": consent.id,
        "status": if consent.is_over { "inactive" } else { "active" },
        "scope": concept(CONSENT_SCOPE, scope, display),
        "category": [concept(LOINC, "59284-0", "Consent Document")],
        "patient": reference("Patient", consent.patient),
        "dateTime": instant(consent.recorded_at),
        "policyRule": policy,
        "provision": provision,
    })
}
