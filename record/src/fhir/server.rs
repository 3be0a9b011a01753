//! What a server says: Bundles, its capabilities, and what went wrong.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::build::{concept, instant, reference, set};
use super::codes::LOINC;
use crate::PatientId;

/// The system of identifiers that are URIs themselves.
const URI: &str = "urn:ietf:rfc:3986";

/// A page of what a search found.
#[derive(Clone, Debug)]
pub struct Page<'r> {
    /// How many resources match altogether, where that is known.
    pub total: Option<u64>,
    /// Relation and address: `self`, `next`, …
    pub links: &'r [(&'r str, String)],
    /// The address of the server's FHIR root, without a slash at its end.
    pub base: &'r str,
    /// The resources that match.
    pub matches: Vec<Json>,
    /// Resources that were asked for beside them.
    pub included: Vec<Json>,
}

/// The Bundle of a search.
pub fn searchset(page: Page<'_>) -> Json {
    let entry = |resource: Json, mode: &str| json!({"fullUrl": full_url(page.base, &resource), "resource": resource, "search": {"mode": mode}});
    let matches = page.matches.into_iter().map(|resource| entry(resource, "match"));
    let included = page
        .included
        .into_iter()
        .map(|resource| entry(resource, "include"));
    let entries: Vec<_> = matches.chain(included).collect();
    let links: Vec<_> = page
        .links
        .iter()
        .map(|(relation, url)| json!({"relation": relation, "url": url}))
        .collect();
    let mut bundle = json!({"resourceType": "Bundle", "type": "searchset"});
    set(&mut bundle, "total", page.total.map(Into::into));
    set(&mut bundle, "link", (!links.is_empty()).then(|| links.into()));
    set(
        &mut bundle,
        "entry",
        (!entries.is_empty()).then(|| entries.into()),
    );
    bundle
}

/// A Bundle of resources with nothing said about them.
pub fn collection(base: &str, resources: Vec<Json>) -> Json {
    let entries: Vec<_> = resources
        .into_iter()
        .map(|resource| json!({"fullUrl": full_url(base, &resource), "resource": resource}))
        .collect();
    let mut bundle = json!({"resourceType": "Bundle", "type": "collection"});
    set(
        &mut bundle,
        "entry",
        (!entries.is_empty()).then(|| entries.into()),
    );
    bundle
}

/// A patient passport: everything of one patient, to hand to another supplier.
#[derive(Clone, Debug)]
pub struct Passport<'r> {
    /// A UUID that no other passport has, in its usual spelling.
    pub uuid: &'r str,
    /// Whose it is.
    pub patient: PatientId,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Who made it.
    pub author: &'r str,
    /// The address of the server's FHIR root, without a slash at its end.
    pub base: &'r str,
    /// Its sections: title and resources. The first resource of the first is the Patient.
    pub sections: Vec<(&'r str, Vec<Json>)>,
    /// The UUID of the document that this one is a further page of.
    pub continues: Option<&'r str>,
    /// Where the next page is.
    pub next: Option<String>,
}

/// The Bundle of a passport: a FHIR document, whose Composition comes first. A further page is a document too, which
/// appends to the first.
pub fn passport(passport: Passport<'_>) -> Json {
    let mut sections = Vec::with_capacity(passport.sections.len());
    let mut entries = Vec::new();
    for (title, resources) in passport.sections {
        let references: Vec<_> = resources
            .iter()
            .map(|resource| json!({"reference": full_url(passport.base, resource)}))
            .collect();
        let mut section = json!({"title": title});
        let empty = "http://terminology.hl7.org/CodeSystem/list-empty-reason";
        match references.is_empty() {
            true => section["emptyReason"] = concept(empty, "nilknown", "Nil Known"),
            false => section["entry"] = references.into(),
        }
        sections.push(section);
        let entry =
            |resource: Json| json!({"fullUrl": full_url(passport.base, &resource), "resource": resource});
        entries.extend(resources.into_iter().map(entry));
    }
    let urn = |uuid: &str| format!("urn:uuid:{uuid}");
    let mut composition = json!({
        "resourceType": "Composition",
        "id": passport.uuid,
        "status": "final",
        "type": concept(LOINC, "60591-5", "Patient summary Document"),
        "subject": reference("Patient", passport.patient),
        "date": instant(passport.at),
        "author": [{"display": passport.author}],
        "title": "Patient passport",
        "section": sections,
    });
    let appended =
        |uuid| json!([{"code": "appends", "targetIdentifier": {"system": URI, "value": urn(uuid)}}]);
    set(&mut composition, "relatesTo", passport.continues.map(appended));
    entries.insert(0, json!({"fullUrl": urn(passport.uuid), "resource": composition}));
    let mut bundle = json!({
        "resourceType": "Bundle",
        "identifier": {"system": URI, "value": urn(passport.uuid)},
        "type": "document",
        "timestamp": instant(passport.at),
        "entry": entries,
    });
    let link = passport.next.map(|url| json!([{"relation": "next", "url": url}]));
    set(&mut bundle, "link", link);
    bundle
}

/// What the server can do.
#[derive(Clone, Debug)]
pub struct Capabilities<'r> {
    /// The version of the software.
    pub version: &'r str,
    /// When that was released.
    pub date: DateTime<Utc>,
    /// The address of the server's FHIR root.
    pub base: &'r str,
    /// The resource types that it serves.
    pub resources: &'r [ServedType<'r>],
}

/// A resource type that the server serves.
#[derive(Clone, Debug)]
pub struct ServedType<'r> {
    /// `Observation`, …
    pub name: &'r str,
    /// Interactions: `read`, `search-type`, `create`.
    pub interactions: &'r [&'r str],
    /// Search parameters: name and type (`token`, `reference`, `date`).
    pub parameters: &'r [(&'r str, &'r str)],
    /// Operations: name without its `$`, and the address of its definition.
    pub operations: &'r [(&'r str, &'r str)],
    /// What `_include` takes: `Observation:device`.
    pub includes: &'r [&'r str],
}

/// The CapabilityStatement resource.
pub fn capability_statement(capabilities: &Capabilities<'_>) -> Json {
    let resource = |served: &ServedType<'_>| {
        let codes: Vec<_> = served
            .interactions
            .iter()
            .map(|code| json!({"code": code}))
            .collect();
        let parameters: Vec<_> = served
            .parameters
            .iter()
            .map(|(name, kind)| json!({"name": name, "type": kind}))
            .collect();
        let operations: Vec<_> = served
            .operations
            .iter()
            .map(|(name, definition)| json!({"name": name, "definition": definition}))
            .collect();
        let mut resource = json!({"type": served.name});
        set(
            &mut resource,
            "interaction",
            (!codes.is_empty()).then(|| codes.into()),
        );
        set(
            &mut resource,
            "searchInclude",
            (!served.includes.is_empty()).then(|| json!(served.includes)),
        );
        set(
            &mut resource,
            "searchParam",
            (!parameters.is_empty()).then(|| parameters.into()),
        );
        set(
            &mut resource,
            "operation",
            (!operations.is_empty()).then(|| operations.into()),
        );
        resource
    };
    let resources: Vec<_> = capabilities.resources.iter().map(resource).collect();
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(capabilities.date),
        "kind": "instance",
        "software": {"name": "Homeward", "version": capabilities.version},
        "implementation": {"description": "The patient record of Homeward", "url": capabilities.base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": resources}],
    })
}

/// One thing that went wrong.
#[derive(Clone, Debug)]
pub struct Issue<'r> {
    /// A code of FHIR's issue types: `not-found`, `invalid`, `forbidden`, …
    pub code: &'r str,
    /// What was wrong, in plain English.
    pub text: &'r str,
    /// Where, as a FHIRPath; none where it is the request as a whole.
    pub place: Option<&'r str>,
}

/// The OperationOutcome resource. FHIR wants at least one issue.
pub fn operation_outcome(issues: &[Issue<'_>]) -> Json {
    let issue = |issue: &Issue<'_>| {
        let mut said = json!({
            "severity": "error",
            "code": issue.code,
            "diagnostics": issue.text,
        });
        set(&mut said, "expression", issue.place.map(|place| json!([place])));
        said
    };
    let issues: Vec<_> = issues.iter().map(issue).collect();
    json!({"resourceType": "OperationOutcome", "issue": issues})
}

/// Where a resource is: its type and identifier under the server's root.
fn full_url(base: &str, resource: &Json) -> String {
    let part = |element: &str| resource[element].as_str().unwrap_or_default().to_owned();
    format!("{base}/{}/{}", part("resourceType"), part("id"))
}
