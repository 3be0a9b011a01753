//! A Bundle taken apart without being held as a whole: its entries stay text until they are looked at.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::read::PassportError;

/// The entries that one Bundle may have: some times what a page of a passport has.
const MOST_ENTRIES: usize = 200_000;

/// A Bundle, and where its resources are.
pub(super) struct Bundle<'b> {
    /// Its identifier, of a document.
    pub(super) document: Option<String>,
    entries: Vec<Entry<'b>>,
    /// By the address that references give, which entry it is.
    places: HashMap<String, usize>,
}

/// A resource of a Bundle.
pub(super) struct Entry<'b> {
    pub(super) kind: String,
    text: &'b RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline<'b> {
    resource_type: String,
    #[serde(default, borrow)]
    identifier: Option<&'b RawValue>,
    #[serde(default, borrow)]
    entry: Vec<&'b RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryOutline<'b> {
    #[serde(default)]
    full_url: Option<String>,
    #[serde(default, borrow)]
    resource: Option<&'b RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceOutline {
    resource_type: String,
    #[serde(default)]
    id: Option<String>,
}

impl<'b> Bundle<'b> {
    pub(super) fn read(bytes: &'b [u8]) -> Result<Bundle<'b>, PassportError> {
        let whole =
            |error: serde_json::Error| PassportError::whole(format!("it is no Bundle of JSON: {error}"));
        let outline: Outline<'b> = serde_json::from_slice(bytes).map_err(whole)?;
        if outline.resource_type != "Bundle" {
            let text = format!("it is a {:.60}, and no Bundle", outline.resource_type);
            return Err(PassportError::whole(text));
        }
        if outline.entry.len() > MOST_ENTRIES {
            let text = format!(
                "it has {} entries; the most is {MOST_ENTRIES}",
                outline.entry.len()
            );
            return Err(PassportError::whole(text));
        }
        let identifier: Option<Json> = outline
            .identifier
            .and_then(|text| serde_json::from_str(text.get()).ok());
        let document = identifier.and_then(|identifier| Some(identifier["value"].as_str()?.to_owned()));
        let mut bundle = Bundle {
            document,
            entries: Vec::with_capacity(outline.entry.len()),
            places: HashMap::new(),
        };
        for (index, text) in outline.entry.into_iter().enumerate() {
            bundle.add(index, text)?;
        }
        Ok(bundle)
    }

    fn add(&mut self, index: usize, text: &'b RawValue) -> Result<(), PassportError> {
        let malformed = |error: serde_json::Error| PassportError::entry(index, "entry", error.to_string());
        let entry: EntryOutline<'b> = serde_json::from_str(text.get()).map_err(malformed)?;
        let resource = entry
            .resource
            .ok_or_else(|| PassportError::entry(index, "entry", "has no resource"))?;
        let outline: ResourceOutline = serde_json::from_str(resource.get()).map_err(malformed)?;
        let kind = outline.resource_type;
        let named = outline.id.map(|id| format!("{kind}/{id}"));
        for address in entry.full_url.into_iter().chain(named) {
            self.places.entry(address).or_insert(index);
        }
        self.entries.push(Entry { kind, text: resource });
        Ok(())
    }

    /// The kinds of the resources, by their places.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (usize, &str)> {
        self.entries
            .iter()
            .enumerate()
            .map(|(index, entry)| (index, entry.kind.as_str()))
    }

    /// A resource.
    pub(super) fn resource(&self, index: usize) -> Result<Json, PassportError> {
        let entry = &self.entries[index];
        serde_json::from_str(entry.text.get())
            .map_err(|error| PassportError::entry(index, &entry.kind, error.to_string()))
    }

    /// The place of the resource that a reference means: by its address, or by type and identifier at the end of it.
    pub(super) fn find(&self, reference: &Json) -> Option<usize> {
        let address = reference["reference"].as_str()?;
        let mut parts = address.rsplit('/');
        let short = parts
            .next()
            .zip(parts.next())
            .map(|(id, kind)| format!("{kind}/{id}"));
        let found = self.places.get(address);
        found.or_else(|| self.places.get(&short?)).copied()
    }

    pub(super) fn kind(&self, index: usize) -> &str {
        &self.entries[index].kind
    }
}
