use homeward_record::Metric;

use super::About;
use super::time::seconds;
use super::words::{exact, number, quantity, subject, unit};
use crate::Mark;
use crate::kinds::{Direction, NOISE, Rate};

/// Decimals of a rate: glucose moves by hundredths of a mmol/L in a minute.
const DECIMALS: usize = 2;

/// "Glucose 5.1 mmol/L and falling by 0.21 mmol/L a minute since 10:02 GMT (limit 0.17); at this rate below
/// 4.4 mmol/L within 20 minutes"
pub(super) fn sentence(kind: &Rate, about: &About<'_>) -> Option<String> {
    let Mark {
        metric, at, value, ..
    } = about.latest;
    let limit = kind.direction.amount();
    let fits = |figure: &f64| metric == kind.metric && *figure >= limit - NOISE;
    let figure = about.latest.figure.filter(fits)?;
    let unit = match metric {
        // Beats a minute, by which they change in a minute.
        Metric::HeartRate | Metric::RespiratoryRate => "",
        metric => unit(metric),
    };
    let rate = |figure| {
        let number = number(figure, DECIMALS, |told| fits(&told));
        format!("{number}{unit} a minute")
    };
    let (falling, fastest, beyond, already) = match kind.direction {
        Direction::Fall(_) => ("falling", "fastest fall", "below", value < kind.toward),
        Direction::Rise(_) => ("rising", "fastest rise", "above", value > kind.toward),
    };
    let calendar = about.calendar();
    let from: Option<Mark> = about.detail("from");
    let from = from.map_or(about.onset.at, |from| from.at);
    let begun = if from > about.onset.at {
        format!(
            " since {}, now by {}",
            calendar.time(about.onset.at),
            rate(figure)
        )
    } else {
        format!(" by {} since {}", rate(figure), calendar.time(from))
    };
    let toward = exact(metric, kind.toward);
    let ahead = if already {
        format!("already {beyond} {toward}")
    } else {
        format!(
            "at this rate {beyond} {toward} within {}",
            seconds(kind.ahead_seconds)
        )
    };
    let mut sentence = format!(
        "{} {} and {falling}{begun} (limit {}); {ahead}",
        subject(metric),
        quantity(metric, value, |told| !already
            || match kind.direction {
                Direction::Fall(_) => told < kind.toward,
                Direction::Rise(_) => told > kind.toward,
            }),
        number(limit, DECIMALS, |told| told == limit),
    );
    if let Some(worst) = about.worst.figure.filter(|worst| *worst > figure)
        && about.worst.at != at
    {
        sentence += &format!("; {fastest} {} at {}", rate(worst), calendar.time(about.worst.at));
    }
    Some(sentence + &about.ending())
}
