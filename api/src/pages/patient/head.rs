//! The head of every page about one patient: who it is, why the reader may see them, and where the other pages are.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use homeward_record::PatientId;
use homeward_store::access::{Basis, Role, basis_for, visible_to};
use homeward_store::patients::{Person, find_person};
use homeward_store::plans::{PlanVersion, load_versions};

use super::super::view::Link;
use crate::access::{Action, Exchange};
use crate::error::ApiError;
use crate::series::unknown;
use crate::share::programmes;

/// Shown by `{% include "pages/patient/head.html" %}`, as the field `head` of a page.
pub(crate) struct Head {
    pub(crate) patient: PatientId,
    pub(crate) name: String,
    /// The day and the age.
    pub(crate) born: String,
    /// As it is written: `999 000 0018`.
    pub(crate) nhs_number: String,
    /// The titles of the programmes.
    pub(crate) programmes: Vec<String>,
    /// The practice where the patient is registered.
    pub(crate) practice: Option<String>,
    /// Why the reader may see this.
    pub(crate) why: &'static str,
    /// Whether that is for a stated reason alone, with which nothing may be changed.
    pub(crate) break_glass: bool,
    /// Whether a patient who reads this was named by others to see theirs.
    pub(crate) others: bool,
    pub(crate) links: Vec<Link>,
    /// The day of birth, for what hangs on it.
    pub(crate) birthday: NaiveDate,
    /// All versions of the rules of the care plan, for pages that say something of them.
    pub(crate) plan: Vec<PlanVersion>,
}

/// The pages about a patient: what follows `/patients/{patient}`, what one calls it, and what it takes to see it.
const PAGES: [(&str, &str, Action); 7] = [
    ("", "Overview", Action::ReadReadings),
    ("/alerts", "Alerts", Action::ReadAlerts),
    ("/readings", "Readings", Action::ReadReadings),
    ("/news2", "NEWS2", Action::ReadReadings),
    ("/care-plan", "Care plan", Action::ReadCarePlan),
    ("/devices", "Devices", Action::ReadDevices),
    ("/review", "Review", Action::ReadReadings),
];

/// What a patient calls them, and what they are to somebody whom the patient has named.
const OWN_PAGES: [(&str, [&str; 2], Action); 7] = [
    ("", ["My readings", "Readings"], Action::ReadReadings),
    (
        "/alerts",
        ["What my team was told", "What the team was told"],
        Action::ReadAlerts,
    ),
    ("/devices", ["My devices", "Devices"], Action::ReadDevices),
    ("/goal", ["My steps", "Steps"], Action::ReadStepGoal),
    ("/choices", ["My choices", "Choices"], Action::ReadChoices),
    ("/passport", ["My passport", "Passport"], Action::ReadShares),
    ("/access-log", ["Who looked", "Who looked"], Action::ReadAccessLog),
];

impl Head {
    /// The head for the page that was asked for. Whom the caller does not see is refused like nobody.
    pub(crate) async fn of(exchange: &Exchange, patient: PatientId) -> Result<Head, ApiError> {
        let acts_as = &exchange.principal().acts_as;
        let mut connection = exchange.connection().await;
        let person = find_person(&mut connection, patient).await?;
        let person = person.ok_or_else(|| unknown(patient))?;
        let plan = load_versions(&mut connection, patient, None).await?;
        let basis = basis_for(&mut connection, acts_as.id, patient, exchange.now()).await?;
        let own = acts_as.role == Role::Patient;
        let others = own
            && visible_to(&mut connection, acts_as.id, exchange.now())
                .await?
                .len()
                > 1;
        let pages = match own {
            true => {
                let said = usize::from(acts_as.patient != Some(patient));
                OWN_PAGES
                    .map(|(page, text, action)| (page, text[said], action))
                    .to_vec()
            }
            false => {
                let log = [("/access-log", "Who looked", Action::ReadAccessLog)];
                PAGES.into_iter().chain(log).collect()
            }
        };
        let links = pages.into_iter().filter(|page| exchange.includes(page.2));
        Ok(Head {
            patient,
            born: born(&person, exchange.now()),
            birthday: person.born,
            nhs_number: spaced(&person.nhs_number),
            name: person.name,
            programmes: programmes(&plan, exchange.now()),
            plan,
            practice: person.practice.map(|(_, name)| name),
            why: why(basis),
            break_glass: basis == Some(Basis::BreakGlass),
            others,
            links: links
                .map(|(page, text, _)| {
                    let href = format!("/patients/{patient}{page}");
                    // Pages below one are about the same.
                    let below = !page.is_empty() && exchange.path().starts_with(&format!("{href}/"));
                    Link {
                        current: below || exchange.path() == href,
                        href,
                        text,
                    }
                })
                .collect(),
        })
    }
}

/// The day of birth, and the age.
pub(crate) fn born(person: &Person, now: DateTime<Utc>) -> String {
    let age = now.date_naive().years_since(person.born).unwrap_or(0);
    let born = person.born;
    format!(
        "{} {} {} ({age} years)",
        born.day(),
        born.format("%B"),
        born.year()
    )
}

/// An NHS number as it is written.
pub(crate) fn spaced(number: &str) -> String {
    match (number.get(..3), number.get(3..6), number.get(6..)) {
        (Some(first), Some(second), Some(third)) => format!("{first} {second} {third}"),
        _ => number.to_owned(),
    }
}

fn why(basis: Option<Basis>) -> &'static str {
    match basis {
        Some(Basis::Own) => "This is your own record.",
        Some(Basis::Proxy) => "The patient has named you to see this. The patient sees that you have looked.",
        Some(Basis::Registration) => {
            "You may see this because the patient is registered with your practice. The patient sees that you have looked."
        }
        Some(Basis::Enrolment) => {
            "You may see this because your team looks after the patient. The patient sees that you have looked."
        }
        Some(Basis::BreakGlass) => {
            "You may see this because you stated a reason, which is being looked into. The patient sees that you have looked."
        }
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups() {
        assert_eq!(spaced("9990000018"), "999 000 0018");
        assert_eq!(spaced("12"), "12");
    }
}
