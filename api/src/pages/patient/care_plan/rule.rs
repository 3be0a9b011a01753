//! `GET /patients/{patient}/care-plan/rules/{code}`: a rule of a plan with its history, and the form of its numbers. `POST`
//! of the same puts what the form says into the plan; `POST …/try` tries it on the patient's last weeks.
//!
//! The form says which version it was made from. If somebody else has changed the rule meanwhile, that is shown in words,
//! with what was typed, which can be sent again.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use homeward_alerts::dry_run::TrialRule;
use homeward_alerts::plans::{Change, PlanError, adjust};
use homeward_alerts::{Definition, condition_in_words};
use homeward_record::PatientId;
use homeward_store::plans::PlanVersion;
use serde_json::Value;

use super::super::head::Head;
use super::numbers::{Field, differences, edited, fields};
use super::trial::{Trial, tried};
use super::{RuleShown, not_tried, shown, why};
use crate::access::{Action, Exchange};
use crate::alerts::SEVERITIES;
use crate::error::ApiError;
use crate::pages::moment::{ZONE, end_of};
use crate::pages::problems::Problems;
use crate::pages::view::see;
use crate::pages::{Form, Moment, Who, page};
use crate::request::Path;
use crate::routes::App;

#[derive(Template)]
#[template(path = "pages/patient/care_plan/rule.html")]
struct Shown<'a> {
    who: Option<Who>,
    rule: RuleShown,
    /// Whether the plan has it.
    in_force: bool,
    may_try: bool,
    may_change: bool,
    problems: Problems,
    /// What somebody else did meanwhile.
    meanwhile: Vec<String>,
    trial: Option<Trial>,
    /// The version that the form is meant to change; empty where the rule is put back.
    version: String,
    made_from: i32,
    severities: Vec<(&'static str, bool)>,
    numbers: Vec<Typed>,
    guidance: String,
    /// The last day on which the change holds, as it was typed; none where a rule cannot be changed for a time.
    until: Option<String>,
    reason: &'a str,
    history: Vec<HistoryEntry>,
    head: Head,
}

/// A number of the form, as it is or as it was typed.
struct Typed {
    field: Field,
    value: String,
}

/// A version of the rule.
struct HistoryEntry {
    version: i32,
    since: Moment,
    until: Option<Moment>,
    author: String,
    reason: String,
    /// What it changed.
    changes: Vec<String>,
    /// Who ended it by taking the rule out, and why.
    removed: Option<String>,
}

/// The rule as a form would have it.
struct Draft {
    /// The version that it is meant to change; none where the rule is put back.
    version: Option<i32>,
    json: Value,
    /// What that says, if it makes sense.
    definition: Option<Definition>,
}

/// What a form was made from.
struct Base {
    /// The version whose numbers it shows, in their units.
    made_from: i32,
    definition: Value,
    /// The version that it is meant to change; none where the rule is put back.
    version: Option<i32>,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let page = RulePage::of(&exchange, &path)?;
    page.show(&Form::empty(), Problems::default(), None).await
}

pub(crate) async fn try_out(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let page = RulePage::of(&exchange, &path)?;
    let mut problems = Problems::default();
    let draft = page.draft(&form, &mut problems).await?;
    let mut trial = None;
    if let Some(definition) = draft.definition {
        let rule = TrialRule {
            code: page.code.into(),
            definition: definition.into(),
        };
        match tried(&app, page.patient, vec![rule], exchange.now()).await {
            Ok(tried) => trial = Some(tried),
            Err(error) => not_tried(&mut problems, "severity", error)?,
        }
    }
    page.show(&form, problems, trial).await
}

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let page = RulePage::of(&exchange, &path)?;
    let mut problems = Problems::default();
    let draft = page.draft(&form, &mut problems).await?;
    let reason = why(&form, "reason", &mut problems);
    let until = problems.take("until", end_of(form.text("until")));
    let (Some(_), Some(reason), Some(until)) = (draft.definition, reason, until) else {
        return page.show(&form, problems, None).await;
    };
    let change = Change {
        patient: page.patient,
        code: page.code,
        version: draft.version,
        definition: &draft.json,
        until,
        author: exchange.actor(),
        reason: &reason,
    };
    let adjusted = adjust(&mut *exchange.connection().await, &change, &app.clock).await;
    match adjusted {
        Ok(_) => Ok(see(&format!(
            "/patients/{}/care-plan/rules/{}",
            page.patient, page.code
        ))),
        Err(PlanError::Stale { .. }) => page.show_meanwhile(&form, problems).await,
        Err(PlanError::Definition(error)) => {
            problems.note(&error.field, error.problem);
            page.show(&form, problems, None).await
        }
        Err(PlanError::Until(detail)) => {
            problems.note("until", detail);
            page.show(&form, problems, None).await
        }
        Err(error) => Err(error.into()),
    }
}

/// What a definition says, unless that makes no sense: then it is noted, at its field.
fn parsed(json: &Value, problems: &mut Problems) -> Option<Definition> {
    if !problems.is_empty() {
        return None;
    }
    match Definition::parse(json) {
        Ok(definition) => Some(definition),
        Err(error) => {
            problems.note(&error.field, error.problem);
            None
        }
    }
}

/// The page of a rule.
pub(super) struct RulePage<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) patient: PatientId,
    pub(super) code: &'a str,
}

impl<'a> RulePage<'a> {
    pub(super) fn of(exchange: &'a Exchange, path: &'a Path) -> Result<RulePage<'a>, ApiError> {
        Ok(RulePage {
            exchange,
            patient: path.value("patient")?,
            code: path.text("code"),
        })
    }

    /// The versions of the rule, the first first.
    fn versions<'h>(&self, head: &'h Head) -> Result<Vec<&'h PlanVersion>, ApiError> {
        let of_code = |version: &&PlanVersion| version.code == self.code;
        let versions: Vec<_> = head.plan.iter().filter(of_code).collect();
        match versions.is_empty() {
            true => Err(ApiError::NotFound(
                "the plan has never had such a rule".to_owned(),
            )),
            false => Ok(versions),
        }
    }

    /// What the form was made from: the version that it names, or the last.
    fn base(&self, head: &Head, form: &Form) -> Result<Base, ApiError> {
        let versions = self.versions(head)?;
        let number = |name: &str| form.text(name).parse::<i32>().ok();
        let version = number("version");
        let named = number("made_from").or(version);
        let named = versions.iter().find(|other| Some(other.version) == named);
        let base = named.or(versions.last());
        let base = base.ok_or_else(|| ApiError::NotFound("there is no such version".to_owned()))?;
        Ok(Base {
            made_from: base.version,
            definition: base.definition.clone(),
            version,
        })
    }

    /// The rule as a form would have it. What is wrong with it is noted.
    async fn draft(&self, form: &Form, problems: &mut Problems) -> Result<Draft, ApiError> {
        let head = Head::of(self.exchange, self.patient).await?;
        let base = self.base(&head, form)?;
        let json = edited(&base.definition, form, problems);
        Ok(Draft {
            version: base.version,
            definition: parsed(&json, problems),
            json,
        })
    }

    /// Shows the page: with what was typed and what is wrong with it, if anything was.
    pub(super) async fn show(
        &self,
        form: &Form,
        problems: Problems,
        trial: Option<Trial>,
    ) -> Result<Response, ApiError> {
        let status = problems.status();
        self.answer(form, problems, trial, status).await
    }

    /// Shows the page with what was typed, and what somebody else changed meanwhile.
    pub(super) async fn show_meanwhile(&self, form: &Form, problems: Problems) -> Result<Response, ApiError> {
        self.answer(form, problems, None, StatusCode::CONFLICT).await
    }

    async fn answer(
        &self,
        form: &Form,
        problems: Problems,
        trial: Option<Trial>,
        status: StatusCode,
    ) -> Result<Response, ApiError> {
        let head = Head::of(self.exchange, self.patient).await?;
        let versions = self.versions(&head)?;
        let now = self.exchange.now();
        let in_force = versions.iter().copied().find(|version| version.is_in_force(now));
        let last = versions.last().copied();
        let shown_version = in_force
            .or(last)
            .ok_or_else(|| ApiError::NotFound("there is no such version".to_owned()))?;
        let was_sent = form.has("severity");
        let base = match was_sent {
            true => self.base(&head, form)?,
            false => Base {
                made_from: shown_version.version,
                definition: shown_version.definition.clone(),
                version: in_force.map(|version| version.version),
            },
        };
        let meanwhile = match status {
            StatusCode::CONFLICT => meanwhile(&versions, &base, in_force),
            _ => Vec::new(),
        };
        // What is sent after a conflict was looked at is meant for what there is now.
        let version = match status {
            StatusCode::CONFLICT => in_force.map(|version| version.version),
            _ => base.version,
        };
        let text = |name: &str| match was_sent {
            true => form.text(name).to_owned(),
            false => base.definition[name].as_str().unwrap_or_default().to_owned(),
        };
        let severity = text("severity");
        let template = Shown {
            who: Who::of(self.exchange),
            rule: shown(shown_version),
            in_force: in_force.is_some(),
            may_try: self.exchange.includes(Action::TryRules),
            may_change: self.exchange.includes(Action::ChangeCarePlan) && !head.break_glass,
            meanwhile,
            trial,
            version: version.map(|version| version.to_string()).unwrap_or_default(),
            made_from: base.made_from,
            severities: SEVERITIES.map(|(name, _)| (name, name == severity)).to_vec(),
            numbers: fields(&base.definition)
                .into_iter()
                .map(|field| Typed {
                    value: match was_sent {
                        true => form.text(&field.path).to_owned(),
                        false => field.shown(),
                    },
                    field,
                })
                .collect(),
            guidance: text("guidance"),
            until: (base.definition["condition"]["kind"] != "silence").then(|| match was_sent {
                true => form.text("until").to_owned(),
                false => in_force.map_or_else(String::new, last_day),
            }),
            reason: form.text("reason"),
            history: history(&versions),
            problems,
            head,
        };
        Ok(page(status, &template))
    }
}

/// The last day of a version that ends by itself, as a field has it.
fn last_day(version: &PlanVersion) -> String {
    let last = version
        .valid_until
        .map(|until| until - TimeDelta::microseconds(1));
    last.map_or_else(String::new, |last| ZONE.date(last).to_string())
}

/// What somebody else did since a version was read.
fn meanwhile(versions: &[&PlanVersion], base: &Base, in_force: Option<&PlanVersion>) -> Vec<String> {
    let read = base.version.unwrap_or_default();
    let Some(in_force) = in_force else {
        let removal = versions.last().and_then(|last| last.removal.as_ref());
        let who = removal.map_or_else(String::new, |removal| {
            format!(" by {}: {}", removal.by, removal.reason)
        });
        return vec![format!(
            "The rule was taken out of the plan{who}. Saving puts it back."
        )];
    };
    let mut told = vec![format!(
        "Version {} is in force, by {}: {}.",
        in_force.version, in_force.author, in_force.reason
    )];
    told.extend(differences(&base.definition, &in_force.definition));
    if read == in_force.version {
        told.truncate(1);
    }
    told
}

/// The versions, the last first, each with what it changed.
fn history(versions: &[&PlanVersion]) -> Vec<HistoryEntry> {
    let entry = |(index, version): (usize, &&PlanVersion)| {
        let former = index.checked_sub(1).and_then(|index| versions.get(index));
        HistoryEntry {
            version: version.version,
            since: Moment::new(version.valid_from),
            until: version.valid_until.map(Moment::new),
            author: version.author.clone(),
            reason: version.reason.clone(),
            changes: former.map_or_else(
                || first_in_words(version),
                |former| differences(&former.definition, &version.definition),
            ),
            removed: version
                .removal
                .as_ref()
                .map(|removal| format!("{}: {}", removal.by, removal.reason)),
        }
    };
    let mut entries: Vec<HistoryEntry> = versions.iter().enumerate().map(entry).collect();
    entries.reverse();
    entries
}

/// What the first version says.
fn first_in_words(version: &PlanVersion) -> Vec<String> {
    let definition = Definition::parse(&version.definition).ok();
    definition
        .map(|definition| condition_in_words(&definition.condition))
        .into_iter()
        .collect()
}
