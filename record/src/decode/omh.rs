//! Open mHealth: a data point `{"header": …, "body": …}`, or its body alone.
//!
//! Source: the schemas of openmhealth/schemas and IEEE 1752.1, those versions that share the field names of
//! blood-glucose 4, blood-pressure 4, body-temperature 4, body-weight 3, heart-rate 2, oxygen-saturation 2,
//! respiratory-rate 2 and step-count 3. A body that comes alone says what it is by its fields only, so a
//! field that its schema does not have is refused.
//!
//! **A descriptive statistic is no reading.** "A measurement value without a descriptive statistic is
//! interpreted as being the result of an individual measurement", say the schemas; one with it sums up
//! measurements of an interval. Such a document is read and checked whole, and then refused as not measured
//! (and kept, as all that is refused): the lowest glucose of four months, stored as if it had been measured
//! at their end, would page somebody for nothing, and distort every trend. So is any value but a count of
//! steps that covers more than [`LONGEST_MEASUREMENT`].

mod body;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
mod time;

use chrono::{DateTime, TimeDelta, Utc};

use self::body::{Body, Kind};
use self::time::TimeFrame;
use super::collect::{Collector, Fault, quote};
use super::json::{Json, Node};
use super::{DecodeContext, Reason, Upload};

/// The longest interval that one measurement of a value takes; what covers more is a summary. The figure is
/// this product's: a cuff takes a minute, a counted respiratory rate as long, and a rule that looks at the
/// last ten minutes must not take half of them for one moment.
pub(crate) const LONGEST_MEASUREMENT: TimeDelta = TimeDelta::minutes(5);

pub(super) fn decode(payload: &[u8], context: &DecodeContext) -> Upload {
    let json = match Json::parse(payload) {
        Ok(json) => json,
        Err(refused) => return refused,
    };
    let mut collector = Collector::new(context, 2);
    let taken = read(&Node::top(&json)).and_then(|body| measure(body, &mut collector));
    if let Err(fault) = taken {
        collector.reject_in_full(None, fault);
    }
    collector.finish()
}

/// Reads a document: all that it says, whether or not it is a reading.
fn read(document: &Node<'_>) -> Result<Body, Fault> {
    let whole = document.get("header")?.is_some() || document.get("body")?.is_some();
    if !whole {
        return Body::read(document);
    }
    let (header, body) = (document.require("header")?, document.require("body")?);
    document.only(|name| name == "header" || name == "body", "a data point")?;
    let mut read = Body::read(&body)?;
    check_schema(&header, read.kind)?;
    if self_reported(&header)? {
        read.context.cautions.push("self_reported".into());
    }
    Ok(read)
}

/// The body's fields and the header's schema have to say the same.
fn check_schema(header: &Node<'_>, kind: Kind) -> Result<(), Fault> {
    let name = header.require("schema_id")?.require("name")?;
    let given = name.text()?;
    if given == kind.schema() {
        return Ok(());
    }
    let text = format!("is {}, but the body is a {}", quote(given), kind.schema());
    Err(name.fault(Reason::InvalidField, text))
}

/// Whether the patient told the value: the header of Open mHealth says it in its provenance, that of
/// IEEE 1752.1 itself.
fn self_reported(header: &Node<'_>) -> Result<bool, Fault> {
    let places = [Some(header.clone()), header.get("acquisition_provenance")?];
    for place in places.into_iter().flatten() {
        if let Some(modality) = place.get("modality")? {
            return Ok(modality.one_of(&["sensed", "self-reported"])? == "self-reported");
        }
    }
    Ok(false)
}

/// Takes what the document measured, or says why it is no reading.
fn measure(body: Body, collector: &mut Collector<'_>) -> Result<(), Fault> {
    if let Some(statistic) = body.statistic {
        let text = format!(
            "{statistic} sums up the measurements of an interval: the record takes each of them, and no \
             rule may take a summary for one"
        );
        return Err(Fault::new(
            body.path_of("descriptive_statistic"),
            Reason::NotMeasured,
            text,
        ));
    }
    let mut context = body.context.clone();
    let (field, at) = moment(&body, &mut context.from)?;
    let field = body.path_of(field);
    collector.measurement((&field, at), &body.values(), context)
}

/// When it was measured, of an interval its end; and the field that says so.
fn moment(body: &Body, from: &mut Option<DateTime<Utc>>) -> Result<(&'static str, DateTime<Utc>), Fault> {
    let (begin, end) = match body.time {
        TimeFrame::At(at) => return Ok(("effective_time_frame.date_time", at)),
        TimeFrame::Interval(begin, end) => (begin, end),
        TimeFrame::PartOfDay => {
            let text = "a part of a day is no time of a measurement";
            let field = body.path_of("effective_time_frame.time_interval.part_of_day");
            return Err(Fault::new(field, Reason::NoTime, text));
        }
    };
    let field = "effective_time_frame.time_interval";
    if begin >= end {
        let text = "the interval has to begin before it ends";
        return Err(Fault::new(body.path_of(field), Reason::InvalidField, text));
    }
    if body.kind != Kind::StepCount && end - begin > LONGEST_MEASUREMENT {
        let minutes = LONGEST_MEASUREMENT.num_minutes();
        let text = format!("covers more than {minutes} minutes: a summary, and no measurement");
        return Err(Fault::new(body.path_of(field), Reason::NotMeasured, text));
    }
    *from = Some(begin);
    Ok((field, end))
}
