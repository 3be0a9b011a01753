//! Two weeks of glucose, drawn here so that they print as they stand: the shares of the ranges, the profile of a day with
//! its percentiles, and each day by itself. All that is drawn is told in words or in a table too.
//!
//! `{{ report|safe }}` puts it into a page.

use std::collections::BTreeMap;
use std::fmt::Write;

use askama::Template;
use chrono::{NaiveDate, Timelike};
use homeward_alerts::summary::glucose_targets::ShareTarget;
use homeward_alerts::summary::{Hypo, Profile, SUFFICIENT_PERCENT, Sample};
use homeward_alerts::{Bound, Percent, Share, count_in_words, metric_in_words};
use homeward_record::Metric;

use super::moment::{Moment, ZONE};
use crate::glucose_summary::Summary;

/// The drawing of a day's profile, in units of its own; what is right of `LEFT` and above `BOTTOM` is the day.
const WIDTH: f64 = 720.0;
const LEFT: f64 = 76.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 260.0;
/// The same of a single day.
const DAY_WIDTH: f64 = 144.0;
const DAY_HEIGHT: f64 = 48.0;

/// Glucose as far as it is drawn, in mmol/L. What is beyond is drawn at the edge; the table has it as it is.
const LOWEST: f64 = 2.0;
const HIGHEST: f64 = 20.0;

const MINUTES_OF_A_DAY: f64 = 24.0 * 60.0;

/// Of a day, each part of so many minutes is a point, and parts without readings break the line.
const PART_MINUTES: u32 = 15;

/// Readings of a day from which its drawing says something.
const LEAST_OF_A_DAY: usize = 12;

#[derive(Template)]
#[template(path = "components/glucose.html")]
pub(crate) struct GlucoseReport<'a> {
    /// Why the figures do not speak for the time, or the plan's rule does not judge them.
    cautions: Vec<String>,
    figures: Vec<(&'static str, String)>,
    ranges: Vec<RangeShown>,
    targets: Vec<TargetShown>,
    profile: &'a [Profile],
    drawing: Drawing,
    /// The profile in words.
    course: String,
    days: Vec<Day>,
    hypos: Vec<HypoShown>,
}

/// A range of glucose, and how much of the bar it has.
struct RangeShown {
    name: &'static str,
    words: String,
    percent: String,
    /// From where to how far the bar is drawn.
    from: String,
    width: String,
}

struct TargetShown {
    words: String,
    met: String,
}

/// A profile as lines and areas.
struct Drawing {
    aim: Band,
    runs: Vec<Run>,
    hours: Vec<(String, &'static str)>,
    values: Vec<(String, String)>,
}

/// A range from the left to the right.
struct Band {
    y: String,
    height: String,
}

/// Parts of the day that follow each other.
struct Run {
    wide: String,
    narrow: String,
    median: String,
}

struct Day {
    name: String,
    told: String,
    lines: Vec<String>,
    aim: Band,
}

struct HypoShown {
    from: Moment,
    words: String,
}

impl<'a> GlucoseReport<'a> {
    /// The report of a summary and the samples that it was made of.
    pub(crate) fn of(summary: &'a Summary, samples: &[Sample]) -> GlucoseReport<'a> {
        let figures = &summary.figures;
        let aim = summary.targets.aim();
        GlucoseReport {
            cautions: cautions(summary),
            figures: told(summary),
            ranges: ranges(summary),
            targets: targets(summary),
            profile: &figures.profile,
            drawing: drawing(&figures.profile, aim),
            course: course(&figures.profile),
            days: days(samples, aim),
            hypos: figures.hypos.iter().rev().map(hypo).collect(),
        }
    }
}

fn cautions(summary: &Summary) -> Vec<String> {
    let figures = &summary.figures;
    let too_few = (!figures.sufficient).then(|| {
        format!(
            "There are readings for {:.0} % of the time. With less than {SUFFICIENT_PERCENT:.0} % the figures do not speak \
             for all of it.",
            figures.active_percent
        )
    });
    let too_many = summary.targets.expect_too_many.then(|| {
        "The rule of time in range in the care plan expects readings more often than this sensor measures, and so raises no \
         alert: set in the plan how often it measures."
            .to_owned()
    });
    too_few.into_iter().chain(too_many).collect()
}

/// A time of the day: `03:30`.
fn clock(minute: &u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn told(summary: &Summary) -> Vec<(&'static str, String)> {
    let figures = &summary.figures;
    let told = [
        (
            "Readings",
            Some(format!(
                "{} ({:.0} % of the time{})",
                count_in_words(figures.readings as u64),
                figures.active_percent,
                interval_in_words(&figures.interval_minutes)
            )),
        ),
        ("Mean", figures.mean.map(|mean| format!("{mean:.1} mmol/L"))),
        (
            "GMI",
            figures
                .gmi_mmol_per_mol
                .zip(figures.gmi_percent)
                .map(|(gmi, percent)| format!("{gmi:.0} mmol/mol ({percent:.1} %)")),
        ),
        (
            "Variation (CV)",
            figures.cv_percent.map(|cv| format!("{cv:.0} %")),
        ),
    ];
    told.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// How often the sensors measured.
fn interval_in_words(minutes: &[u32]) -> String {
    let minutes: Vec<String> = minutes.iter().map(u32::to_string).collect();
    match &minutes[..] {
        [] => String::new(),
        [one] if one == "1" => ", one every minute".to_owned(),
        several => format!(", one every {} minutes", several.join(" or ")),
    }
}

fn ranges(summary: &Summary) -> Vec<RangeShown> {
    let (low, high) = summary.targets.aim();
    let mut from = 0.0;
    let shown = summary.figures.ranges.iter().map(|range| {
        let words = match range.name {
            "very_low" => "Very low, below 3.0 mmol/L".to_owned(),
            "low" => format!("Low, below {low:.1} mmol/L"),
            "in_range" => format!("In range, {low:.1} to {high:.1} mmol/L"),
            "high" => format!("High, above {high:.1} mmol/L"),
            _ => "Very high, above 13.9 mmol/L".to_owned(),
        };
        let width = range.percent / 100.0 * WIDTH;
        from += width;
        RangeShown {
            name: range.name,
            words,
            percent: percent(range.percent),
            from: unit(from - width),
            width: unit(width),
        }
    });
    shown.collect()
}

/// A share in percent, of which nothing that is there is told as nothing.
fn percent(value: f64) -> String {
    match value {
        0.0 => "0 %".to_owned(),
        ..1.0 => "under 1 %".to_owned(),
        _ => format!("{value:.0} %"),
    }
}

fn targets(summary: &Summary) -> Vec<TargetShown> {
    let judged = &summary.targets.judged;
    let shares = judged.shares.iter().map(|target| TargetShown {
        words: target_in_words(target),
        met: met_in_words(target.met, Some(target.percent)),
    });
    let variation = TargetShown {
        words: format!(
            "Variation (CV) of at most {:.0} %",
            judged.variation.at_most_percent
        ),
        met: met_in_words(judged.variation.met, judged.variation.percent),
    };
    shares.chain([variation]).collect()
}

/// Whether a target is met, and with what: to a tenth, for a share that is rounded to its target may miss it.
fn met_in_words(met: Option<bool>, percent: Option<f64>) -> String {
    let with = percent.map_or_else(String::new, |percent| format!(", {percent:.1} %"));
    match met {
        Some(true) => format!("met{with}"),
        Some(false) => format!("not met{with}"),
        None => "too few readings to say".to_owned(),
    }
}

fn target_in_words(target: &ShareTarget) -> String {
    let limit = match target.limit {
        Percent::OverPercent(limit) => format!("At most {limit} %"),
        Percent::UnderPercent(limit) => format!("At least {limit} %"),
    };
    let share = match target.share {
        Share::Within { from, to } => format!("between {from:.1} and {to:.1}"),
        Share::Beyond(Bound::Below(bound)) => format!("below {bound:.1}"),
        Share::Beyond(Bound::AtMost(bound)) => format!("at or below {bound:.1}"),
        Share::Beyond(Bound::AtLeast(bound)) => format!("at or above {bound:.1}"),
        Share::Beyond(Bound::Above(bound)) => format!("above {bound:.1}"),
    };
    format!(
        "{limit} of readings {share} {}",
        metric_in_words(Metric::Glucose).1
    )
}

/// Where the medians of the day are lowest and highest.
fn course(profile: &[Profile]) -> String {
    let by_median = |one: &&Profile, other: &&Profile| one.p50.total_cmp(&other.p50);
    let (Some(lowest), Some(highest)) = (profile.iter().min_by(by_median), profile.iter().max_by(by_median))
    else {
        return "There are no readings.".to_owned();
    };
    format!(
        "Half of the readings are below the line, the median: it is lowest at {}, {:.1} mmol/L, and highest at {}, \
         {:.1} mmol/L. Half of the readings are in the dark area, nine out of ten in the light one.",
        clock(&lowest.minute),
        lowest.p50,
        clock(&highest.minute),
        highest.p50
    )
}

fn drawing(profile: &[Profile], aim: (f64, f64)) -> Drawing {
    let value = |value: f64| (unit(y(value)), format!("{value}"));
    let hour = |(hour, text): (u32, &'static str)| (unit(x(60.0 * f64::from(hour))), text);
    Drawing {
        aim: band(aim, y),
        runs: runs(profile).into_iter().map(run).collect(),
        hours: [(0, "00"), (6, "06"), (12, "12"), (18, "18"), (24, "24")]
            .map(hour)
            .to_vec(),
        values: [5.0, 10.0, 15.0, 20.0].map(value).to_vec(),
    }
}

/// Splits a profile where parts of the day are missing.
fn runs(profile: &[Profile]) -> Vec<&[Profile]> {
    profile
        .chunk_by(|one, next| next.minute - one.minute <= 30)
        .collect()
}

fn run(parts: &[Profile]) -> Run {
    let line = |value: fn(&Profile) -> f64| -> Vec<String> {
        // A part's point is in its middle.
        let point = |part: &Profile| {
            format!(
                "{},{}",
                unit(x(f64::from(part.minute) + 15.0)),
                unit(y(value(part)))
            )
        };
        parts.iter().map(point).collect()
    };
    let area = |low, high| {
        let mut points = line(high);
        points.extend(line(low).into_iter().rev());
        points.join(" ")
    };
    Run {
        wide: area(|part| part.p5, |part| part.p95),
        narrow: area(|part| part.p25, |part| part.p75),
        median: line(|part| part.p50).join(" "),
    }
}

/// Each day of the patient's calendar with readings, the latest first.
fn days(samples: &[Sample], aim: (f64, f64)) -> Vec<Day> {
    let mut days: BTreeMap<NaiveDate, Vec<(u32, f64)>> = BTreeMap::new();
    for sample in samples {
        let local = ZONE.local(sample.at);
        let minute = local.num_seconds_from_midnight() / 60;
        days.entry(local.date()).or_default().push((minute, sample.value));
    }
    let day = |(date, readings): (NaiveDate, Vec<(u32, f64)>)| {
        let within = Share::Within {
            from: aim.0,
            to: aim.1,
        };
        let in_range = readings
            .iter()
            .filter(|(_, value)| within.has(Metric::Glucose, *value))
            .count();
        let told = match readings.len() {
            1 => "1 reading".to_owned(),
            n @ ..LEAST_OF_A_DAY => format!("{n} readings"),
            n => format!("{} in range", percent(100.0 * in_range as f64 / n as f64)),
        };
        Day {
            name: date.format("%a %-d %b").to_string(),
            told,
            lines: lines(&readings),
            aim: band(aim, y_of_day),
        }
    };
    days.into_iter().rev().map(day).collect()
}

/// The means of a day's parts as lines, which break where parts have no readings.
fn lines(readings: &[(u32, f64)]) -> Vec<String> {
    let mut parts: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for (minute, value) in readings {
        let (sum, n) = parts.entry(minute / PART_MINUTES).or_default();
        *sum += value;
        *n += 1.0;
    }
    let mut lines: Vec<String> = Vec::new();
    let mut last = None;
    for (part, (sum, n)) in parts {
        if last.is_none_or(|last| part > last + 4) {
            lines.push(String::new());
        }
        last = Some(part);
        let minute = f64::from(part * PART_MINUTES) + f64::from(PART_MINUTES) / 2.0;
        let across = minute / MINUTES_OF_A_DAY * DAY_WIDTH;
        if let Some(line) = lines.last_mut() {
            // A string takes all.
            let _ = write!(line, "{},{} ", unit(across), unit(y_of_day(sum / n)));
        }
    }
    lines
}

fn hypo(hypo: &Hypo) -> HypoShown {
    let minutes = (hypo.to - hypo.from).num_minutes();
    let very = if hypo.level == 2 { ", very low" } else { "" };
    HypoShown {
        from: Moment::short(hypo.from),
        words: format!("for {minutes} minutes, lowest {:.1} mmol/L{very}", hypo.lowest),
    }
}

fn x(minute: f64) -> f64 {
    LEFT + minute / MINUTES_OF_A_DAY * (WIDTH - LEFT - 16.0)
}

fn y(value: f64) -> f64 {
    BOTTOM - height(value) * (BOTTOM - TOP)
}

fn y_of_day(value: f64) -> f64 {
    DAY_HEIGHT - height(value) * DAY_HEIGHT
}

/// How high a value is drawn, from 0 to 1.
fn height(value: f64) -> f64 {
    (value.clamp(LOWEST, HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
}

fn band((from, to): (f64, f64), y: fn(f64) -> f64) -> Band {
    Band {
        y: unit(y(to)),
        height: unit(y(from) - y(to)),
    }
}

/// A length or place as drawings write it.
fn unit(length: f64) -> String {
    format!("{length:.1}")
}

#[cfg(test)]
mod tests {
    use homeward_record::DeviceId;

    use super::*;

    fn part(minute: u32, median: f64) -> Profile {
        Profile {
            minute,
            n: 14,
            p5: median - 2.0,
            p25: median - 1.0,
            p50: median,
            p75: median + 1.0,
            p95: median + 30.0,
        }
    }

    #[test]
    fn a_profile_breaks_where_there_are_no_readings_and_stays_within_its_drawing() {
        let profile = [part(0, 6.0), part(30, 7.0), part(120, 5.0)];
        let drawn = drawing(&profile, (3.9, 10.0));
        assert_eq!(drawn.runs.len(), 2);
        assert_eq!(drawn.runs[0].median, "82.5,205.8 95.6,192.2");
        let top = format!(",{}", unit(TOP));
        assert!(drawn.runs[0].wide.contains(&top), "{}", drawn.runs[0].wide);
        assert!(course(&profile).contains("lowest at 02:00, 5.0 mmol/L, and highest at 00:30"));
    }

    #[test]
    fn what_there_is_of_a_range_is_not_told_as_nothing() {
        let told = [0.0, 0.2, 0.99, 1.2, 71.5].map(percent);
        assert_eq!(told, ["0 %", "under 1 %", "under 1 %", "1 %", "72 %"]);
    }

    #[test]
    fn a_share_that_is_rounded_to_its_target_is_not_told_as_met() {
        assert_eq!(percent(69.6), "70 %");
        assert_eq!(met_in_words(Some(false), Some(69.6)), "not met, 69.6 %");
        assert_eq!(met_in_words(Some(true), Some(71.0)), "met, 71.0 %");
        assert_eq!(met_in_words(None, Some(71.0)), "too few readings to say");
    }

    #[test]
    fn it_is_said_how_often_sensors_measure() {
        let told = [&[][..], &[1], &[15], &[5, 15]].map(interval_in_words);
        assert_eq!(
            told,
            [
                "",
                ", one every minute",
                ", one every 15 minutes",
                ", one every 5 or 15 minutes"
            ]
        );
    }

    #[test]
    fn days_are_those_of_the_patient() {
        let sample = |at: &str, value| Sample {
            at: at.parse().unwrap(),
            device: DeviceId(1),
            value,
        };
        // In the summer midnight is at eleven of UTC.
        let samples = [
            sample("2026-07-01T22:50:00Z", 6.0),
            sample("2026-07-01T23:10:00Z", 12.0),
            sample("2026-07-02T09:00:00Z", 7.0),
        ];
        let told: Vec<_> = days(&samples, (3.9, 10.0))
            .iter()
            .map(|day| (day.name.clone(), day.told.clone(), day.lines.len()))
            .collect();
        assert_eq!(
            told,
            [
                ("Thu 2 Jul".to_owned(), "2 readings".to_owned(), 2),
                ("Wed 1 Jul".to_owned(), "1 reading".to_owned(), 1),
            ]
        );
    }
}
