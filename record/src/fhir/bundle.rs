//! The Observations of a Bundle.

use super::observation;
use crate::decode::collect::{Collector, Fault, quote};
use crate::decode::json::Node;
use crate::decode::{MAX_READINGS, Reason};

/// The types whose entries are resources to store; the others are answers, histories and documents.
const TYPES: [&str; 3] = ["transaction", "batch", "collection"];

/// Takes each entry for itself, or refuses the Bundle.
pub(super) fn read(bundle: &Node<'_>, collector: &mut Collector<'_>) -> Result<(), Fault> {
    bundle.require("type")?.one_of(&TYPES)?;
    if bundle.get("implicitRules")?.is_some() {
        let text = "the message follows rules of its own, which this version does not know";
        return Err(bundle.fault_in("implicitRules", Reason::Unsupported, text));
    }
    let entries = bundle.list("entry")?;
    if entries.is_empty() {
        return Err(bundle.fault_in("entry", Reason::InvalidField, "holds no resource"));
    }
    if entries.len() > MAX_READINGS {
        let text = format!("holds {}; the most is {MAX_READINGS}", entries.len());
        return Err(bundle.fault_in("entry", Reason::TooLarge, text));
    }
    for (index, entry) in entries.iter().enumerate() {
        let taken = resource(entry)
            .and_then(|resource| observation::read(&resource))
            .and_then(|measured| measured.measure(collector));
        if let Err(fault) = taken {
            collector.reject_in_full(Some(index), fault);
        }
    }
    Ok(())
}

/// The Observation that an entry asks to create.
fn resource<'j>(entry: &Node<'j>) -> Result<Node<'j>, Fault> {
    observation::no_modifiers(entry)?;
    if let Some(request) = entry.get("request")? {
        let method = request.require("method")?;
        let given = method.text()?;
        if given != "POST" {
            let text = format!(
                "{} is not taken: an Observation is created by POST, and a stored one is never changed",
                quote(given)
            );
            return Err(method.fault(Reason::Unsupported, text));
        }
    }
    let resource = entry.require("resource")?;
    let kind = resource.require("resourceType")?;
    match kind.text()? {
        "Observation" => Ok(resource),
        other => Err(kind.fault(
            Reason::Unsupported,
            format!("{} is not an Observation", quote(other)),
        )),
    }
}
