//! `GET /patients/{patient}/choices`: with whom a patient shares the record, whether research may use it, and what that
//! means. `GET …/choices/sharing/{organisation}` and `…/choices/research` say what changes, `POST` to them changes it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::PatientId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::voice::Voice;
use super::{is_own, not_a_patient};
use crate::access::Exchange;
use crate::choices::research::{self, opt};
use crate::choices::sharing::{self, share};
use crate::choices::{OfSource, WithOrganisation, view};
use crate::error::ApiError;
use crate::pages::patient::head::Head;
use crate::pages::view::see;
use crate::pages::{Form, Moment, Who, page};
use crate::request::{Path, Query, parsed};

#[derive(Template)]
#[template(path = "pages/own/choices.html")]
struct Page {
    head: Head,
    who: Option<Who>,
    voice: Voice,
    /// What was just changed.
    done: Option<&'static str>,
    sharing: Vec<With>,
    research: Research,
}

/// An organisation and whether it may see the record.
struct With {
    id: i64,
    name: String,
    kind: &'static str,
    /// Why it could: what it is to the patient now.
    reason: &'static str,
    shared: bool,
    since: Option<Moment>,
    /// What was chosen for later.
    later: Option<(bool, Moment)>,
    history: Vec<Chosen>,
}

struct Chosen {
    allowed: bool,
    from: Moment,
    by: String,
}

struct Research {
    allowed: bool,
    opted_out: bool,
    nationally: bool,
    history: Vec<Chosen>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// What was just changed: one of [`DONE`].
    #[serde(default, deserialize_with = "parsed")]
    done: Option<String>,
}

/// What is said after a change, by what the address calls it.
const DONE: [(&str, &str); 4] = [
    ("shared", "Sharing is on again."),
    ("not-shared", "Sharing is off. It holds from now on."),
    ("opted-out", "Research may not use the record from now on."),
    ("opted-in", "Research may use the record."),
];

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if let Some(elsewhere) = not_a_patient(&exchange, patient) {
        return Ok(elsewhere);
    }
    let head = Head::of(&exchange, patient).await?;
    let chosen = view(&mut *exchange.connection().await, patient, exchange.now()).await?;
    let done = parameters.done.unwrap_or_default();
    let research = &chosen.research;
    let template = Page {
        head,
        who: Who::of(&exchange),
        voice: Voice::of(&exchange, patient),
        done: DONE.iter().find(|(name, _)| *name == done).map(|(_, text)| *text),
        research: Research {
            allowed: research.allowed,
            opted_out: research.patient.opted_out,
            nationally: research.national_data_opt_out.opted_out,
            history: history_of(&research.patient),
        },
        sharing: chosen.sharing.iter().map(with).collect(),
    };
    Ok(page(StatusCode::OK, &template))
}

fn with(one: &WithOrganisation) -> With {
    let reason = match one.reasons[..] {
        [] => "It does not look after you now.",
        ["enrolment"] => "It looks after you at home.",
        ["registration"] => "You are registered there.",
        _ => "You are registered there, and it looks after you at home.",
    };
    With {
        id: one.organisation.id,
        name: one.organisation.name.clone(),
        kind: kind_in_words(&one.organisation.kind),
        reason,
        shared: one.shared,
        since: one.told.from.map(Moment::new),
        later: one
            .told
            .next
            .as_ref()
            .map(|next| (next.chosen.shared, Moment::new(next.from))),
        history: one
            .told
            .history
            .iter()
            .map(|choice| Chosen {
                allowed: choice.chosen.shared,
                from: Moment::new(choice.from),
                by: choice.by.clone(),
            })
            .collect(),
    }
}

fn history_of(source: &OfSource) -> Vec<Chosen> {
    let chosen = source.told.history.iter().map(|choice| Chosen {
        allowed: !choice.chosen.opted_out,
        from: Moment::new(choice.from),
        by: choice.by.clone(),
    });
    chosen.collect()
}

/// What an organisation is.
fn kind_in_words(kind: &str) -> &'static str {
    match kind {
        "care_team" => "Care team",
        "gp_practice" => "GP practice",
        "hospital" => "Hospital",
        "ambulance" => "Ambulance service",
        _ => "Organisation",
    }
}

/// Asks whether something is to change, and says what follows.
#[derive(Template)]
#[template(path = "pages/own/choices_confirm.html")]
struct Confirm {
    head: Head,
    who: Option<Who>,
    title: String,
    /// What follows, point by point.
    follows: Vec<&'static str>,
    /// Where the form is sent.
    action: String,
    /// The field that says what is chosen.
    field: (&'static str, &'static str),
    button: &'static str,
    /// Something is taken away from others.
    warns: bool,
}

const STOPS_SHARING: [&str; 4] = [
    "From then on nobody there can open your record. They will not find you.",
    "They can no longer see your readings or your alerts, so they cannot act on them.",
    "In an emergency somebody can still open your record for a stated reason. You will see that here.",
    "You can turn it on again at any time.",
];
const SHARES: [&str; 2] = [
    "The people there can open your record again, as long as they look after you or you are registered there.",
    "You will see who looked and when. You can turn it off again at any time.",
];
const OPTS_OUT: [&str; 3] = [
    "From now on your readings are not used for research or planning.",
    "What was handed on before cannot be called back.",
    "Your own care stays the same. You can change this again at any time.",
];
const OPTS_IN: [&str; 3] = [
    "Researchers can use your readings without your name, NHS number, date of birth and dates.",
    "If you have opted out nationally, that still holds.",
    "You can change this again at any time.",
];

/// `GET …/choices/sharing/{organisation}`.
pub(crate) async fn confirm_sharing(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let organisation: i64 = path.value("organisation")?;
    let chosen = view(&mut *exchange.connection().await, patient, exchange.now()).await?;
    let found = chosen
        .sharing
        .into_iter()
        .find(|one| one.organisation.id == organisation);
    let Some(one) = found.filter(|_| is_own(&exchange, patient)) else {
        return Ok(see(&format!("/patients/{patient}/choices")));
    };
    let name = &one.organisation.name;
    let template = Confirm {
        head: Head::of(&exchange, patient).await?,
        who: Who::of(&exchange),
        title: match one.shared {
            true => format!("Stop sharing your record with {name}?"),
            false => format!("Share your record with {name} again?"),
        },
        follows: match one.shared {
            true => STOPS_SHARING.to_vec(),
            false => SHARES.to_vec(),
        },
        action: format!("/patients/{patient}/choices/sharing/{organisation}"),
        field: ("shared", if one.shared { "false" } else { "true" }),
        button: if one.shared { "Stop sharing" } else { "Share again" },
        warns: one.shared,
    };
    Ok(page(StatusCode::OK, &template))
}

/// `POST …/choices/sharing/{organisation}`.
pub(crate) async fn choose_sharing(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let shared = yes_or_no(&form, "shared")?;
    let asked = sharing::Asked { shared, from: None };
    share(&exchange, patient, path.value("organisation")?, &asked).await?;
    let done = if shared { "shared" } else { "not-shared" };
    Ok(see(&format!("/patients/{patient}/choices?done={done}")))
}

/// `GET …/choices/research`.
pub(crate) async fn confirm_research(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if !is_own(&exchange, patient) {
        return Ok(see(&format!("/patients/{patient}/choices")));
    }
    let chosen = view(&mut *exchange.connection().await, patient, exchange.now()).await?;
    let in_it = !chosen.research.patient.opted_out;
    let template = Confirm {
        head: Head::of(&exchange, patient).await?,
        who: Who::of(&exchange),
        title: match in_it {
            true => "Stop research from using your record?".to_owned(),
            false => "Let research use your record?".to_owned(),
        },
        follows: match in_it {
            true => OPTS_OUT.to_vec(),
            false => OPTS_IN.to_vec(),
        },
        action: format!("/patients/{patient}/choices/research"),
        field: ("opted_out", if in_it { "true" } else { "false" }),
        button: if in_it {
            "Opt out of research"
        } else {
            "Let research use it"
        },
        warns: false,
    };
    Ok(page(StatusCode::OK, &template))
}

/// `POST …/choices/research`.
pub(crate) async fn choose_research(
    exchange: Exchange,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let opted_out = yes_or_no(&form, "opted_out")?;
    let asked = research::Asked {
        opted_out,
        from: None,
    };
    opt(&exchange, patient, &asked).await?;
    let done = if opted_out { "opted-out" } else { "opted-in" };
    Ok(see(&format!("/patients/{patient}/choices?done={done}")))
}

fn yes_or_no(form: &Form, field: &str) -> Result<bool, ApiError> {
    form.text(field)
        .parse()
        .map_err(|_| ApiError::parameter(field, "expected true or false"))
}
