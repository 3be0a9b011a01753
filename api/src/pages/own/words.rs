//! A patient's readings in plain words. Nothing here diagnoses: it says what was measured, what is aimed at, and when the
//! team is told.

mod aims;

use chrono::{DateTime, Utc};
use homeward_alerts::summary::blood_pressure::{HomeCourse, LEAST_DAYS};
use homeward_alerts::{Bound, Percent, Share, count_in_words, reading_in_words};
use homeward_record::Metric;

use super::Voice;
use super::charts::{Daily, digits};
use crate::glucose_summary;
use crate::pages::Moment;
use crate::pages::pressure::telling;
use crate::share::Latest;

pub(super) use aims::Aims;

/// What is said of one kind of readings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// How it stands, in two or three words.
    pub(super) tag: Option<Tag>,
    pub(super) sentences: Vec<String>,
}

/// How something stands; the colour only helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) text: &'static str,
    pub(super) colour: &'static str,
}

pub(super) const ON_TARGET: Tag = Tag {
    text: "On target",
    colour: "green",
};
const OFF_TARGET: Tag = Tag {
    text: "Not on target",
    colour: "yellow",
};
const NOT_ENOUGH: Tag = Tag {
    text: "Not enough readings",
    colour: "grey",
};

/// Blood pressure of the last seven days, against a target below which both numbers should be.
pub(super) fn pressure(voice: Voice, courses: &[HomeCourse], aims: &Aims) -> Said {
    let Some(course) = telling(courses) else {
        let none = "There are no blood pressure readings from the last 7 days.";
        return not_enough(vec![none.to_owned()]);
    };
    let target = aims
        .pressure
        .unwrap_or((course.target.systolic_below, course.target.diastolic_below));
    let average = course.average.filter(|_| course.target.met.is_some());
    let average = average.and_then(|average| Some((average.systolic?, average.diastolic?)));
    let Some((systolic, diastolic)) = average else {
        let days: usize = courses.iter().map(|course| course.sufficiency.days).sum();
        let on = if days == 1 { "day" } else { "days" };
        return not_enough(vec![format!(
            "There are blood pressure readings on {days} {on} of the last 7. It takes at least {LEAST_DAYS} days to work out an average."
        )]);
    };
    let met = systolic < target.0 && diastolic < target.1;
    let mut sentences = vec![format!(
        "{} blood pressure at home, averaged over the last 7 days, is {}/{}.",
        voice.first_your,
        beside(systolic, target.0),
        beside(diastolic, target.1),
    )];
    let target = format!("{} target of {:.0}/{:.0}", voice.your, target.0, target.1);
    sentences.push(match met {
        true => format!("That is within {target}."),
        false => format!(
            "That is not yet within {target}. {} team can see this too.",
            voice.first_your
        ),
    });
    if course.sufficiency.days_with_fewer_than_two > 0 {
        let better =
            "On some days there was only one reading. Two in the morning and two in the evening are best.";
        sentences.push(better.to_owned());
    }
    Said {
        tag: Some(if met { ON_TARGET } else { OFF_TARGET }),
        sentences,
    }
}

/// A whole number, or with its decimals where the whole one would stand on the wrong side of a target.
fn beside(value: f64, target: f64) -> String {
    match (value.round() < target) == (value < target) {
        true => format!("{value:.0}"),
        false => format!("{value:.1}"),
    }
}

/// Glucose of the last fourteen days, against the time in range that the plan aims at.
pub(super) fn glucose(voice: Voice, summary: Option<&glucose_summary::Summary>) -> Said {
    let Some(summary) = summary else {
        let none = "There are no glucose readings from the last 14 days.";
        return not_enough(vec![none.to_owned()]);
    };
    let figures = &summary.figures;
    let within = summary.targets.judged.shares.iter().find_map(|share| {
        let Share::Within { from, to } = share.share else {
            return None;
        };
        Some((share, from, to))
    });
    let (Some((share, from, to)), true) = (within, figures.sufficient) else {
        return not_enough(vec![format!(
            "There are {} glucose readings from the last 14 days. That is not enough to say how {} days are as a whole.",
            count_in_words(u64::try_from(figures.readings).unwrap_or(u64::MAX)),
            voice.your,
        )]);
    };
    let (Percent::UnderPercent(limit) | Percent::OverPercent(limit)) = share.limit;
    let mut sentences = vec![format!(
        "In the last 14 days, {} glucose was in range {} % of the time. In range is from {from:.1} to {to:.1} mmol/L.",
        voice.your,
        beside(share.percent, limit),
    )];
    let target = match share.limit {
        Percent::UnderPercent(least) => format!("{} target is {least:.0} % or more.", voice.first_your),
        Percent::OverPercent(most) => format!("{} target is {most:.0} % or less.", voice.first_your),
    };
    sentences.push(target);
    sentences.push(match figures.hypos.len() {
        0 => "It was not low for 15 minutes or longer at any time.".to_owned(),
        1 => "It was low for 15 minutes or longer once.".to_owned(),
        times => format!("It was low for 15 minutes or longer {times} times."),
    });
    Said {
        tag: share.met.map(|met| if met { ON_TARGET } else { OFF_TARGET }),
        sentences,
    }
}

/// A series of which there is no target: what it was in the last days, and what it is.
pub(super) fn range(
    voice: Voice,
    (metric, noun): (Metric, &str),
    days: i64,
    daily: &[Daily],
    latest: Option<&Latest>,
) -> Said {
    let mut sentences = Vec::new();
    let spread = spread(metric, daily);
    sentences
        .extend(spread.map(|spread| format!("In the last {days} days, {} {noun} was {spread}.", voice.your)));
    sentences.extend(latest.map(|latest| {
        format!(
            "The latest reading is {}, from {}.",
            latest.words.1,
            Moment::short(latest.at).text()
        )
    }));
    Said { tag: None, sentences }
}

/// "between 52 and 128 beats a minute".
pub(super) fn spread(metric: Metric, daily: &[Daily]) -> Option<String> {
    let low = daily.iter().map(|day| day.low).reduce(f64::min)?;
    let high = daily.iter().map(|day| day.high).reduce(f64::max)?;
    let digits = digits(metric);
    let (low, top) = (format!("{low:.digits$}"), format!("{high:.digits$}"));
    let (_, high) = reading_in_words(metric, high);
    Some(match low == top {
        true => high,
        false => format!("between {low} and {high}"),
    })
}

/// When the team is told of the heart rate.
pub(super) fn heart_told(voice: Voice, aims: &Aims) -> Option<String> {
    let limits: Vec<String> = aims.heart.iter().map(|bound| beyond(*bound)).collect();
    let limits = limits.join(" or ");
    (!limits.is_empty()).then(|| {
        format!(
            "{} team is told when it stays {limits} beats a minute while {} rest.",
            voice.first_your, voice.you
        )
    })
}

/// When the team is told of the oxygen level.
pub(super) fn oxygen_told(voice: Voice, aims: &Aims) -> Option<String> {
    let bound = aims.oxygen?;
    Some(format!(
        "{} team is told when it is {} %.",
        voice.first_your,
        beyond(bound)
    ))
}

fn beyond(bound: Bound) -> String {
    match bound {
        Bound::Below(value) => format!("below {value:.0}"),
        Bound::AtMost(value) => format!("at or below {value:.0}"),
        Bound::AtLeast(value) => format!("at or above {value:.0}"),
        Bound::Above(value) => format!("above {value:.0}"),
    }
}

/// Weight: the latest, how it has changed since the first of these days, and when the team is told.
pub(super) fn weight(
    voice: Voice,
    days: i64,
    measured: &[(DateTime<Utc>, f64)],
    latest: Option<&Latest>,
    aims: &Aims,
) -> Said {
    let mut sentences = Vec::new();
    sentences.extend(latest.map(|latest| {
        format!(
            "{} weight is {}, measured on {}.",
            voice.first_your,
            latest.words.1,
            Moment::short(latest.at).text()
        )
    }));
    if let (Some((_, first)), Some((_, last))) = (measured.first(), measured.last())
        && measured.len() > 1
    {
        let tenths = (last * 10.0).round() - (first * 10.0).round();
        let change = if tenths > 0.0 {
            format!("{:.1} kg more than", tenths / 10.0)
        } else if tenths < 0.0 {
            format!("{:.1} kg less than", -tenths / 10.0)
        } else {
            "the same as".to_owned()
        };
        sentences.push(format!(
            "That is {change} at the first measurement of the last {days} days."
        ));
    }
    sentences.extend(aims.gain.map(|(kilograms, days)| {
        format!(
            "{} team is told when it rises by {kilograms:.0} kg or more in {days} days.",
            voice.first_your
        )
    }));
    Said { tag: None, sentences }
}

/// Steps of whole days, and of today.
pub(super) fn steps(voice: Voice, days: i64, whole: &[i64], today: i64) -> Said {
    let mut sentences = Vec::new();
    if !whole.is_empty() {
        let sum: i64 = whole.iter().sum();
        let mean = sum / i64::try_from(whole.len()).unwrap_or(i64::MAX);
        sentences.push(format!(
            "In the last {days} days, {} took {} steps a day on average.",
            voice.you,
            count_in_words(mean.unsigned_abs())
        ));
    }
    sentences.push(format!(
        "Today there are {} steps so far.",
        count_in_words(today.unsigned_abs())
    ));
    Said { tag: None, sentences }
}

fn not_enough(sentences: Vec<String>) -> Said {
    Said {
        tag: Some(NOT_ENOUGH),
        sentences,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeDelta};
    use homeward_alerts::Observation;
    use homeward_alerts::summary::blood_pressure::summarise_blood_pressure;
    use homeward_record::DeviceId;
    use insta::assert_snapshot;

    use super::*;
    use crate::pages::moment::ZONE;
    use crate::testing::{at, now};

    /// The course of a measurement at eight in the evening of each of the last days, with two where that is so.
    fn course(days: i64, systolic: f64, diastolic: f64, twice: bool) -> Option<HomeCourse> {
        let mut readings = Vec::new();
        let times = if twice { 2 } else { 1 };
        for day in (0..days).rev() {
            for minute in 0..times {
                let at = at("2026-11-21T20:00:00Z") - TimeDelta::days(day) + TimeDelta::minutes(minute);
                for (metric, value) in [(Metric::Systolic, systolic), (Metric::Diastolic, diastolic)] {
                    readings.push(Observation {
                        metric,
                        at,
                        value,
                        device: DeviceId(1),
                        received_at: at,
                    });
                }
            }
        }
        summarise_blood_pressure(&readings, NaiveDate::default(), ZONE).pop()
    }

    fn say(said: Said) -> String {
        let tag = said.tag.map_or("–", |tag| tag.text);
        format!("[{tag}] {}", said.sentences.join(" "))
            .trim_end()
            .to_owned()
    }

    #[test]
    fn blood_pressure_is_said_with_its_target_or_why_not() {
        let plan = Aims::default();
        let stricter = Aims {
            pressure: Some((130.0, 80.0)),
            ..Aims::default()
        };
        let told: Vec<String> = [
            pressure(Voice::OWN, &[], &plan),
            pressure(Voice::OWN, course(1, 128.0, 79.0, true).as_slice(), &plan),
            pressure(Voice::OWN, course(3, 128.0, 79.0, true).as_slice(), &plan),
            pressure(Voice::OWN, course(5, 128.0, 79.0, true).as_slice(), &plan),
            pressure(Voice::OWN, course(5, 128.0, 79.0, false).as_slice(), &plan),
            // Rounded, it would stand at the target that it is below.
            pressure(Voice::OWN, course(5, 134.8, 79.0, true).as_slice(), &plan),
            pressure(Voice::OWN, course(5, 128.0, 85.0, true).as_slice(), &plan),
            pressure(Voice::PROXY, course(5, 131.0, 79.0, true).as_slice(), &stricter),
        ]
        .into_iter()
        .map(say)
        .collect();
        assert_snapshot!(told.join("\n"), @r"
        [Not enough readings] There are no blood pressure readings from the last 7 days.
        [Not enough readings] There are blood pressure readings on 1 day of the last 7. It takes at least 4 days to work out an average.
        [Not enough readings] There are blood pressure readings on 3 days of the last 7. It takes at least 4 days to work out an average.
        [On target] Your blood pressure at home, averaged over the last 7 days, is 128/79. That is within your target of 135/85.
        [On target] Your blood pressure at home, averaged over the last 7 days, is 128/79. That is within your target of 135/85. On some days there was only one reading. Two in the morning and two in the evening are best.
        [On target] Your blood pressure at home, averaged over the last 7 days, is 134.8/79. That is within your target of 135/85.
        [Not on target] Your blood pressure at home, averaged over the last 7 days, is 128/85. That is not yet within your target of 135/85. Your team can see this too.
        [Not on target] Their blood pressure at home, averaged over the last 7 days, is 131/79. That is not yet within their target of 130/80. Their team can see this too.
        ");
    }

    fn day(low: f64, high: f64) -> Daily {
        Daily {
            date: NaiveDate::default(),
            low,
            mean: (low + high) / 2.0,
            high,
        }
    }

    #[test]
    fn other_series_are_said_as_they_are() {
        let latest = |metric, value| Latest {
            metric,
            value,
            unit: metric.unit(),
            at: now() - TimeDelta::hours(2),
            words: reading_in_words(metric, value),
        };
        let aims = Aims {
            oxygen: Some(Bound::AtMost(94.0)),
            heart: vec![Bound::Above(120.0), Bound::Below(40.0)],
            gain: Some((2.0, 3)),
            ..Aims::default()
        };
        let heart = (Metric::HeartRate, "heart rate");
        let (one, two) = (latest(Metric::HeartRate, 72.0), latest(Metric::BodyWeight, 82.44));
        let measured = [(now() - TimeDelta::days(6), 81.83), (now(), 82.44)];
        let mut told = vec![
            say(range(
                Voice::OWN,
                heart,
                7,
                &[day(52.0, 90.0), day(60.0, 128.0)],
                Some(&one),
            )),
            say(range(Voice::PROXY, heart, 30, &[day(61.7, 62.2)], None)),
            say(range(Voice::OWN, heart, 7, &[], None)),
            say(weight(Voice::OWN, 7, &measured, Some(&two), &aims)),
            say(weight(Voice::OWN, 7, &measured[..1], None, &Aims::default())),
            say(steps(Voice::PROXY, 14, &[4_000, 5_001], 1_200)),
            say(steps(Voice::OWN, 7, &[], 0)),
        ];
        told.extend(heart_told(Voice::OWN, &aims));
        told.extend(oxygen_told(Voice::PROXY, &aims));
        told.extend(heart_told(Voice::OWN, &Aims::default()));
        assert_snapshot!(told.join("\n"), @r"
        [–] In the last 7 days, your heart rate was between 52 and 128 beats a minute. The latest reading is 72 beats a minute, from 22 Nov, 10:00.
        [–] In the last 30 days, their heart rate was 62 beats a minute.
        [–]
        [–] Your weight is 82.4 kg, measured on 22 Nov, 10:00. That is 0.6 kg more than at the first measurement of the last 7 days. Your team is told when it rises by 2 kg or more in 3 days.
        [–]
        [–] In the last 14 days, they took 4,500 steps a day on average. Today there are 1,200 steps so far.
        [–] Today there are 0 steps so far.
        Your team is told when it stays above 120 or below 40 beats a minute while you rest.
        Their team is told when it is at or below 94 %.
        ");
    }
}
