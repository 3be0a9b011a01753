//! `GET /patients/{patient}/goal`: how many steps a week a patient wants to take, how this week goes, and the last ones.
//! `POST` sets the goal, `POST …/goal/stop` ends it. It encourages, and never scolds.

use askama::Template;
use axum::response::Response;
use homeward_alerts::count_in_words;
use homeward_record::PatientId;

use super::charts;
use super::not_a_patient;
use super::voice::Voice;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::chart::Chart;
use crate::pages::patient::head::Head;
use crate::pages::problems::Problems;
use crate::pages::view::see;
use crate::pages::{Form, Who, page};
use crate::request::Path;
use crate::step_goal::change::set;
use crate::step_goal::{StepWeek, view};

/// What is suggested to whoever has no goal, 4,000 steps a day: this product's choice of a beginning, which everybody
/// may change.
const SUGGESTED_A_WEEK: i32 = 28_000;

/// The one field of the form.
const FIELD: &str = "steps_a_week";

#[derive(Template)]
#[template(path = "pages/own/goal.html")]
struct Page {
    head: Head,
    who: Option<Who>,
    voice: Voice,
    goal: Option<String>,
    /// What this week comes to, in words.
    says: String,
    /// How much of the goal that is, at most 100.
    percent: Option<i64>,
    chart: Chart,
    earlier: Vec<Week>,
    /// What was typed, or stands there to begin with.
    typed: String,
    problems: Problems,
}

/// A week that is over.
struct Week {
    /// Its Monday.
    from: String,
    steps: String,
    goal: Option<String>,
    reached: bool,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if let Some(elsewhere) = not_a_patient(&exchange, patient) {
        return Ok(elsewhere);
    }
    show(&exchange, patient, None, Problems::default()).await
}

pub(crate) async fn post(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let typed = form.text(FIELD);
    // As people write numbers: 35,000 or 35 000.
    let digits: String = typed
        .chars()
        .filter(|letter| *letter != ',' && !letter.is_whitespace())
        .collect();
    let mut problems = Problems::default();
    match digits.parse() {
        Ok(steps) => {
            if let Err(error) = set(&exchange, patient, Some(steps)).await {
                problems.refused(FIELD, error)?;
            }
        }
        Err(_) => problems.note(FIELD, "type a whole number of steps"),
    }
    match problems.is_empty() {
        true => Ok(see(&format!("/patients/{patient}/goal"))),
        false => show(&exchange, patient, Some(typed), problems).await,
    }
}

/// `POST …/goal/stop`.
pub(crate) async fn stop(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    set(&exchange, patient, None).await?;
    Ok(see(&format!("/patients/{patient}/goal")))
}

/// The page, with what was typed and what is wrong with it.
async fn show(
    exchange: &Exchange,
    patient: PatientId,
    typed: Option<&str>,
    problems: Problems,
) -> Result<Response, ApiError> {
    let head = Head::of(exchange, patient).await?;
    let voice = Voice::of(exchange, patient);
    let seen = view(&mut *exchange.connection().await, patient, exchange.now()).await?;
    let week = &seen.this_week;
    let goal = seen.goal.as_ref().and_then(|goal| goal.steps_a_week);
    let usual = || steps_in_words(goal.unwrap_or(SUGGESTED_A_WEEK).into());
    let status = problems.status();
    let earlier = seen.earlier_weeks.iter().filter(|week| week.steps > 0);
    let template = Page {
        head,
        who: Who::of(exchange),
        voice,
        goal: goal.map(|goal| steps_in_words(goal.into())),
        says: encourage(voice, week),
        percent: goal.map(|goal| (100 * week.steps / i64::from(goal)).min(100)),
        chart: chart(week),
        earlier: earlier.map(earlier_week).collect(),
        typed: typed.map_or_else(usual, str::to_owned),
        problems,
    };
    Ok(page(status, &template))
}

fn earlier_week(week: &StepWeek) -> Week {
    Week {
        from: week.monday.format("%-d %B").to_string(),
        steps: steps_in_words(week.steps),
        goal: week.steps_a_week.map(|goal| steps_in_words(goal.into())),
        reached: week.reached == Some(true),
    }
}

fn chart(week: &StepWeek) -> Chart {
    let days = week.days.iter().map(|day| (day.date, day.steps));
    let says = format!("{} steps since Monday.", steps_in_words(week.steps));
    charts::steps("week", "This week by day", days, says)
}

/// What a week that goes on comes to, in words that make one go on too.
fn encourage(voice: Voice, week: &StepWeek) -> String {
    let steps = steps_in_words(week.steps);
    let Some(goal) = week.steps_a_week else {
        return match week.steps {
            0 => "No steps are counted yet this week.".to_owned(),
            _ => format!("{} have taken {steps} steps so far this week.", voice.first_you),
        };
    };
    let left = i64::from(goal) - week.steps;
    let percent = 100 * week.steps / i64::from(goal);
    match percent {
        _ if week.steps == 0 => "A new week. Every step counts.".to_owned(),
        100.. => format!("{steps} steps so far. The goal of this week is reached. Well done!"),
        75.. => format!(
            "{steps} steps so far. Nearly there: {} to go.",
            steps_in_words(left)
        ),
        50.. => format!(
            "{steps} steps so far. That is more than half. {} to go.",
            steps_in_words(left)
        ),
        _ => format!("{steps} steps so far. A good start. Every step counts."),
    }
}

fn steps_in_words(steps: i64) -> String {
    count_in_words(steps.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn a_week_is_told_so_that_one_goes_on() {
        let say = |steps, goal| {
            let week = StepWeek {
                monday: NaiveDate::default(),
                steps,
                steps_a_week: goal,
                reached: None,
                days: Vec::new(),
            };
            encourage(Voice::OWN, &week)
        };
        let told = [
            say(0, None),
            say(12_345, None),
            say(0, Some(35_000)),
            say(9_000, Some(35_000)),
            say(17_500, Some(35_000)),
            say(30_000, Some(35_000)),
            say(35_000, Some(35_000)),
            say(70_000, Some(35_000)),
        ];
        assert_snapshot!(told.join("\n"), @r"
        No steps are counted yet this week.
        You have taken 12,345 steps so far this week.
        A new week. Every step counts.
        9,000 steps so far. A good start. Every step counts.
        17,500 steps so far. That is more than half. 17,500 to go.
        30,000 steps so far. Nearly there: 5,000 to go.
        35,000 steps so far. The goal of this week is reached. Well done!
        70,000 steps so far. The goal of this week is reached. Well done!
        ");
    }
}
