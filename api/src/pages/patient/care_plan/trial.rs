//! What rules would have raised over a patient's last weeks, before they are put into the plan.

use chrono::{DateTime, Utc};
use homeward_alerts::dry_run::{
    Figures, ListedEpisode, Listing, Proposal, Replaces, Report, Scope, TrialRule, USUAL_TIME,
};
use homeward_record::PatientId;

use crate::dry_run::run;
use crate::error::ApiError;
use crate::pages::Moment;
use crate::routes::App;

/// How many alerts each list shows, the latest: with more, the number says enough.
const MOST: usize = 20;

/// How many episodes the report lists: all, but for a rule that nobody would put into a plan.
const LISTED: usize = 10_000;

/// Shown by `{% include "pages/patient/care_plan/trial.html" %}`, as the field `trial` of a page.
pub(super) struct Trial {
    pub(super) says: String,
    /// Those of the present plan that would be told no more, and those that would be told and were not.
    pub(super) lists: Vec<List>,
    /// Rules of which nothing can be said so, and why.
    pub(super) not_tried: Vec<String>,
}

pub(super) struct List {
    pub(super) title: &'static str,
    pub(super) alerts: Vec<Told>,
    /// How many more there are.
    pub(super) more: usize,
}

pub(super) struct Told {
    pub(super) at: Moment,
    pub(super) severity: String,
    pub(super) text: String,
}

/// Tries rules on a patient whom the caller may see, in the place of those of the same codes.
pub(super) async fn tried(
    app: &App,
    patient: PatientId,
    rules: Vec<TrialRule>,
    now: DateTime<Utc>,
) -> Result<Trial, ApiError> {
    let proposal = Proposal {
        rules,
        replaces: Replaces::Rules,
        scope: Scope::Patient(patient),
        from: now - USUAL_TIME,
        to: now,
        now,
        listing: Listing { most: LISTED },
    };
    Ok(Trial::of(&run(app, proposal).await?))
}

impl Trial {
    fn of(report: &Report) -> Trial {
        let gone = report.only_current.iter().collect();
        let new = report
            .episodes
            .iter()
            .filter(|episode| !episode.in_both)
            .collect();
        let lists = [
            list("These would not be told any more", gone),
            list("These would be told, and were not", new),
        ];
        let not_tried = report
            .rules
            .iter()
            .filter_map(|rule| Some(format!("{}: {}", rule.name, rule.not_tried?)));
        Trial {
            says: in_words(&report.proposed, &report.current),
            lists: lists.into_iter().filter(|list| !list.alerts.is_empty()).collect(),
            not_tried: not_tried.collect(),
        }
    }
}

/// What a proposal comes to, beside the present rules.
fn in_words(proposed: &Figures, current: &Figures) -> String {
    let days = USUAL_TIME.num_days();
    let Some(daily) = proposed.alerts_per_patient_day else {
        return format!("In the last {days} days there are no readings that it would have looked at.");
    };
    let alerts = |n: u64| match n {
        1 => "1 alert".to_owned(),
        n => format!("{n} alerts"),
    };
    let mut told = format!(
        "In the last {days} days it would have raised {} instead of {}: {daily:.1} a day. Published programmes report \
         0.1 to 0.5 a day for all rules of a patient together.",
        alerts(proposed.alerts.all),
        current.alerts.all
    );
    if proposed.late.all + current.late.all > 0 {
        told += &format!(
            " Beside these, {} instead of {} of readings that came late, which page nobody.",
            alerts(proposed.late.all),
            current.late.all
        );
    }
    told
}

fn list(title: &'static str, mut episodes: Vec<&ListedEpisode>) -> List {
    episodes.sort_by_key(|episode| std::cmp::Reverse(episode.onset.at));
    let more = episodes.len().saturating_sub(MOST);
    let told = |episode: &ListedEpisode| Told {
        at: Moment::short(episode.onset.at),
        severity: episode.severity.to_string(),
        text: episode.text.clone(),
    };
    List {
        title,
        alerts: episodes.into_iter().take(MOST).map(told).collect(),
        more,
    }
}

#[cfg(test)]
mod tests {
    use homeward_alerts::dry_run::Severities;

    use super::*;

    fn figures(all: u64, daily: Option<f64>) -> Figures {
        Figures {
            alerts: Severities {
                all,
                ..Severities::default()
            },
            alerts_per_patient_day: daily,
            ..Figures::default()
        }
    }

    #[test]
    fn a_proposal_is_told_beside_what_there_is() {
        assert!(
            in_words(&figures(3, Some(0.16)), &figures(11, Some(0.4)))
                .starts_with("In the last 30 days it would have raised 3 alerts instead of 11: 0.2 a day.")
        );
        let mut late = figures(0, Some(0.0));
        late.late.all = 8;
        assert!(
            in_words(&figures(0, Some(0.0)), &late).ends_with(
                "Beside these, 0 alerts instead of 8 of readings that came late, which page nobody."
            )
        );
        assert_eq!(
            in_words(&figures(0, None), &figures(0, None)),
            "In the last 30 days there are no readings that it would have looked at."
        );
    }
}
