//! `GET /patients/{patient}/care-plan`: the rules of a plan in words, and where each comes from. `POST` of the same begins a
//! programme; `POST /patients/{patient}/care-plan/try` tries one on the patient's last weeks.

mod numbers;
pub(crate) mod remove;
pub(crate) mod rule;
mod trial;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use homeward_alerts::dry_run::TrialRule;
use homeward_alerts::{Definition, Programme, Severity, condition_in_words};
use homeward_record::PatientId;
use homeward_store::plans::PlanVersion;

use self::trial::{Trial, tried};
use super::head::Head;
use crate::access::{Action, Exchange};
use crate::alerts::act::{TEXT_LENGTH, text};
use crate::care_plan::begin::{begin, named};
use crate::error::ApiError;
use crate::pages::problems::Problems;
use crate::pages::view::see;
use crate::pages::{Form, Moment, Who, page};
use crate::request::Path;
use crate::routes::App;

#[derive(Template)]
#[template(path = "pages/patient/care_plan/plan.html")]
struct Shown<'a> {
    who: Option<Who>,
    /// The most urgent first.
    rules: Vec<RuleShown>,
    /// Those that the plan has no more.
    former: Vec<RuleShown>,
    may_try: bool,
    may_change: bool,
    programmes: Vec<ProgrammeOption>,
    problems: Problems,
    reason: &'a str,
    trial: Option<Trial>,
    head: Head,
}

/// A rule as the plan shows it.
struct RuleShown {
    code: String,
    name: String,
    severity: String,
    /// When it raises an alert, and when that is over.
    condition: String,
    guidance: String,
    /// From which programme it was taken.
    programme: Option<String>,
    always_on: bool,
    version: i32,
    author: String,
    reason: String,
    since: Moment,
    /// Until when it is, or was, in force, and who ended it.
    until: Option<Moment>,
    removed: Option<String>,
}

struct ProgrammeOption {
    name: &'static str,
    title: &'static str,
    picked: bool,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    show(&exchange, patient, &Form::empty(), Problems::default(), None).await
}

pub(crate) async fn post(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let mut problems = Problems::default();
    let programme = programme_of(&form, &mut problems);
    let reason = why(&form, "reason", &mut problems);
    let (Some(programme), Some(reason)) = (programme, reason) else {
        return show(&exchange, patient, &form, problems, None).await;
    };
    begin(&exchange, patient, programme, &reason).await?;
    Ok(see(&format!("/patients/{patient}/care-plan")))
}

pub(crate) async fn try_out(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let mut problems = Problems::default();
    let mut trial = None;
    if let Some(programme) = programme_of(&form, &mut problems) {
        let rules = TrialRule::of_programme(programme);
        match tried(&app, patient, rules, exchange.now()).await {
            Ok(tried) => trial = Some(tried),
            Err(error) => not_tried(&mut problems, "programme", error)?,
        }
    }
    show(&exchange, patient, &form, problems, trial).await
}

fn programme_of(form: &Form, problems: &mut Problems) -> Option<&'static Programme> {
    let programme = named(form.text("programme")).map_err(|_| "choose a programme");
    problems.take("programme", programme)
}

/// The reason for a change, as it is typed into a field; else it is noted that there has to be one.
fn why(form: &Form, field: &str, problems: &mut Problems) -> Option<String> {
    let typed = text(field, form.text(field), TEXT_LENGTH);
    problems.take(field, typed.map_err(|_| "say why, in at most 2,000 characters"))
}

/// Notes why rules could not be tried, where that is nothing's fault.
fn not_tried(problems: &mut Problems, field: &str, error: ApiError) -> Result<(), ApiError> {
    match error {
        ApiError::Busy(why) => problems.note(field, why),
        ApiError::TooMuch(why) => problems.note(field, why),
        other => return Err(other),
    }
    Ok(())
}

async fn show(
    exchange: &Exchange,
    patient: PatientId,
    form: &Form,
    problems: Problems,
    trial: Option<Trial>,
) -> Result<Response, ApiError> {
    let head = Head::of(exchange, patient).await?;
    let now = exchange.now();
    let (mut in_force, others): (Vec<&PlanVersion>, Vec<&PlanVersion>) =
        head.plan.iter().partition(|version| version.is_in_force(now));
    in_force.sort_by_key(|version| (severity_of(version), version.code.clone()));
    // Of each rule that the plan has no more, the last version.
    let mut former: Vec<&PlanVersion> = Vec::new();
    for version in others {
        let is_in_force = in_force.iter().any(|other| other.code == version.code);
        former.retain(|other| other.code != version.code);
        if !is_in_force {
            former.push(version);
        }
    }
    let programmes = Programme::names().filter_map(Programme::named);
    let template = Shown {
        who: Who::of(exchange),
        rules: in_force.into_iter().map(shown).collect(),
        former: former.into_iter().map(shown).collect(),
        may_try: exchange.includes(Action::TryRules),
        may_change: exchange.includes(Action::ChangeCarePlan) && !head.break_glass,
        programmes: programmes
            .map(|programme| ProgrammeOption {
                name: &programme.name,
                title: &programme.title,
                picked: programme.name == form.text("programme"),
            })
            .collect(),
        reason: form.text("reason"),
        trial,
        problems,
        head,
    };
    Ok(page(template.problems.status(), &template))
}

/// How urgent a rule is; what this version of the code cannot read comes last.
fn severity_of(version: &PlanVersion) -> Severity {
    Definition::parse(&version.definition).map_or(Severity::Info, |definition| definition.severity)
}

fn shown(version: &PlanVersion) -> RuleShown {
    let definition = Definition::parse(&version.definition).ok();
    let programme = version.programme.as_deref().map(|name| {
        let title = Programme::named(name).map(|programme| programme.title.as_str());
        title.unwrap_or(name).to_owned()
    });
    let said = |said: fn(&Definition) -> String| definition.as_ref().map(said);
    RuleShown {
        code: version.code.clone(),
        name: said(|definition| definition.name.clone()).unwrap_or_else(|| version.code.clone()),
        severity: said(|definition| definition.severity.to_string()).unwrap_or_default(),
        condition: said(|definition| condition_in_words(&definition.condition)).unwrap_or_default(),
        guidance: said(|definition| definition.guidance.clone()).unwrap_or_default(),
        programme,
        always_on: version.always_on,
        version: version.version,
        author: version.author.clone(),
        reason: version.reason.clone(),
        since: Moment::new(version.valid_from),
        until: version.valid_until.map(Moment::new),
        removed: version
            .removal
            .as_ref()
            .map(|removal| format!("{}: {}", removal.by, removal.reason)),
    }
}
