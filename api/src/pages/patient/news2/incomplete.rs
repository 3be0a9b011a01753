//! A line of the list of scores to which something is missing.

use homeward_alerts::metric_in_words;
use homeward_alerts::summary::news2::{News2Score, News2Stretch};

use super::{Total, cell, total};
use crate::pages::Moment;

/// What scores said for a time.
pub(super) struct Line {
    pub(super) from: Moment,
    /// When it was last so, where that is later.
    pub(super) until: Option<Moment>,
    pub(super) total: Total,
    /// What was measured, as of the last: "Heart rate 96 (scores 1)".
    pub(super) known: String,
}

impl Line {
    pub(super) fn of(stretch: &News2Stretch) -> Line {
        let last = stretch.last.point.at;
        Line {
            from: Moment::short(stretch.from),
            until: (last > stretch.from).then(|| Moment::short(last)),
            total: total(&stretch.last.point),
            known: known(&stretch.last),
        }
    }

    /// The same of one set.
    pub(super) fn of_set(set: &News2Score) -> Line {
        Line {
            from: Moment::short(set.point.at),
            until: None,
            total: total(&set.point),
            known: known(set),
        }
    }
}

fn known(set: &News2Score) -> String {
    let known = set.parameters.iter().filter_map(|parameter| {
        let told = cell(parameter)?;
        let (name, _) = metric_in_words(parameter.metric);
        Some(match told.score {
            Some(score) => format!("{name} {} (scores {score})", told.value),
            None => format!("{name} {} (not scored)", told.value),
        })
    });
    known.collect::<Vec<_>>().join(", ")
}
