//! Courses of blood-pressure measurements at home (NICE NG136), on the patient's calendar.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde_json::{Value, json};

use crate::testing::{Judged, judge};

type Reading = (Metric, DateTime<Utc>, f64);

/// The limits of 135/85, over courses of seven days in London.
fn rule() -> Value {
    json!({
        "kind": "home_average",
        "limits": [
            {"metric": "systolic", "at_least": 135},
            {"metric": "diastolic", "at_least": 85},
        ],
        "days": 7,
        "min_days": 4,
        "zone": "Europe/London",
    })
}

/// A time as a clock on the wall shows it, with its offset.
fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn measure(at: DateTime<Utc>, systolic: f64, diastolic: f64) -> [Reading; 2] {
    [
        (Metric::Systolic, at, systolic),
        (Metric::Diastolic, at, diastolic),
    ]
}

/// A day of November as NICE asks for it: two measurements in the morning and two in the evening, a minute
/// apart. In November London's clocks show UTC.
fn full_day(day: i64, systolic: f64, diastolic: f64) -> Vec<Reading> {
    let midnight = at("2026-11-01T00:00:00Z") + TimeDelta::days(day - 1);
    let minutes = [8 * 60, 8 * 60 + 1, 20 * 60, 20 * 60 + 1];
    minutes
        .into_iter()
        .flat_map(|minute| measure(midnight + TimeDelta::minutes(minute), systolic, diastolic))
        .collect()
}

/// Full days, each with this systolic pressure, from the first of November on.
fn full_days(systolic: &[f64]) -> Vec<Reading> {
    (1..)
        .zip(systolic)
        .flat_map(|(day, systolic)| full_day(day, *systolic, 75.0))
        .collect()
}

fn episodes(readings: &[Reading]) -> Vec<Judged> {
    judge(rule(), readings)
}

fn only(readings: &[Reading]) -> Judged {
    let mut episodes = episodes(readings);
    assert_eq!(episodes.len(), 1);
    episodes.remove(0)
}

fn detail(days: u32, days_with_fewer_than_two: u32, readings: u32) -> Option<Value> {
    Some(json!({
        "days": days,
        "days_with_fewer_than_two": days_with_fewer_than_two,
        "readings": readings,
    }))
}

/// Measurements of 150/75 at these times. Checks that they make an episode, and without the last none.
fn judged_with_the_last(times: &[&str]) -> Judged {
    let readings: Vec<Reading> = times
        .iter()
        .flat_map(|time| measure(at(time), 150.0, 75.0))
        .collect();
    let without_the_last = &readings[..readings.len() - 2];
    assert_eq!(episodes(without_the_last).len(), 0, "too early: {times:?}");
    only(&readings)
}

#[test]
fn a_complete_course() {
    let episode = only(&full_days(&[120.0, 140.0, 138.0, 136.0, 134.0, 132.0, 136.0]));
    // The first day is in the course, and not in the average.
    assert_eq!(episode.onset.at, at("2026-11-02T08:00:00Z"));
    assert_eq!(
        (episode.onset.metric, episode.onset.value),
        (Metric::Systolic, 140.0)
    );
    assert_eq!(episode.latest.at, at("2026-11-07T20:01:00Z"));
    assert_eq!(episode.figure, Some(136.0));
    assert_eq!(episode.detail, detail(7, 0, 24));
    // It was worst when it was first judged: with the first measurement of the fourth day.
    assert_eq!(episode.worst.at, at("2026-11-04T08:00:00Z"));
    assert_eq!(episode.worst_figure, Some((8.0 * 139.0 + 136.0) / 9.0));
    assert_eq!(episode.cleared_at, None);
}

#[test]
fn an_average_at_the_limit_and_just_below() {
    // The second to the seventh day are six: 24 measurements.
    let mut readings = full_days(&[180.0, 135.0, 135.0, 135.0, 135.0, 135.0, 135.0]);
    assert_eq!(only(&readings).figure, Some(135.0));
    // One of a day that was not judged yet, lower by one.
    let second_day = readings
        .iter_mut()
        .find(|(_, time, _)| *time == at("2026-11-02T08:00:00Z"));
    second_day.unwrap().2 = 134.0;
    assert_eq!(episodes(&readings).len(), 0);
}

#[test]
fn what_was_measured_on_the_first_day_does_not_count() {
    assert_eq!(
        episodes(&full_days(&[210.0, 130.0, 130.0, 130.0, 130.0])).len(),
        0
    );
    assert_eq!(
        only(&full_days(&[90.0, 140.0, 140.0, 140.0, 140.0])).figure,
        Some(140.0)
    );
}

#[test]
fn either_number_suffices() {
    let days = |systolic, diastolic| -> Vec<Reading> {
        (1..=5)
            .flat_map(|day| full_day(day, systolic, diastolic))
            .collect()
    };
    let episode = only(&days(120.0, 85.0));
    assert_eq!(
        (episode.onset.metric, episode.latest.metric),
        (Metric::Diastolic, Metric::Diastolic)
    );
    assert_eq!((episode.figure, episode.detail), (Some(85.0), detail(5, 0, 16)));
    assert_eq!(episodes(&days(134.0, 84.0)).len(), 0);
    // Of both, the one that is further beyond its limit is told: 100 of 85 against 140 of 135.
    let episode = only(&days(140.0, 100.0));
    assert_eq!(
        (episode.latest.metric, episode.figure),
        (Metric::Diastolic, Some(100.0))
    );
    assert_eq!(
        episode.onset.metric,
        Metric::Systolic,
        "the first limit of equal onsets"
    );
}

#[test]
fn the_target_from_the_age_of_80() {
    let mut over_80 = rule();
    over_80["limits"][0]["at_least"] = json!(145);
    let raised = |systolic: f64| !judge(over_80.clone(), &full_days(&[systolic; 5])).is_empty();
    assert_eq!((raised(144.0), raised(145.0)), (false, true));
}

#[test]
fn a_short_course_is_not_judged() {
    let readings = full_days(&[190.0, 190.0, 190.0]);
    assert_eq!(episodes(&readings).len(), 0);
    // A fourth day within the seven makes it long enough, with its first measurement.
    for (day, judged) in [(4, 1), (7, 1), (8, 0)] {
        let mut readings = readings.clone();
        readings.extend(full_day(day, 190.0, 75.0).into_iter().take(2));
        assert_eq!(
            episodes(&readings).len(),
            judged,
            "with a measurement on day {day}"
        );
    }
}

#[test]
fn the_first_day_with_measurements_is_dropped_whenever_it_is() {
    // Nothing on the first of November: the second is the first day of the course.
    let on = |days: std::ops::RangeInclusive<i64>| -> Vec<Reading> {
        days.flat_map(|day| full_day(day, 150.0, 75.0)).collect()
    };
    assert_eq!(episodes(&on(2..=4)).len(), 0);
    let episode = only(&on(2..=6));
    assert_eq!(episode.onset.at, at("2026-11-03T08:00:00Z"));
    assert_eq!(episode.detail, detail(5, 0, 16));
    // A first day with one measurement is a first day, too.
    let mut readings: Vec<Reading> = full_day(1, 150.0, 75.0).into_iter().take(2).collect();
    readings.extend(on(2..=4));
    assert_eq!(only(&readings).onset.at, at("2026-11-02T08:00:00Z"));
    assert_eq!(only(&readings).detail, detail(4, 0, 12));
}

#[test]
fn a_single_daily_measurement_is_judged_and_said() {
    let mornings: Vec<Reading> = (1..=7)
        .flat_map(|day| full_day(day, 150.0, 75.0).into_iter().take(2))
        .collect();
    let episode = only(&mornings);
    assert_eq!((episode.figure, episode.detail), (Some(150.0), detail(7, 6, 6)));
    // One day of one among full ones.
    let mut readings = full_days(&[150.0; 5]);
    readings.extend(full_day(6, 150.0, 75.0).into_iter().take(2));
    assert_eq!(only(&readings).detail, detail(6, 1, 17));
}

#[test]
fn measurements_less_than_a_minute_apart_are_one() {
    for (seconds, short_days) in [(59, 3), (60, 0)] {
        let readings: Vec<Reading> = (1..=4)
            .flat_map(|day| {
                let first = at("2026-11-01T08:00:00Z") + TimeDelta::days(day - 1);
                let second = first + TimeDelta::seconds(seconds);
                [measure(first, 150.0, 75.0), measure(second, 150.0, 75.0)].concat()
            })
            .collect();
        // Both are in the average all the same.
        assert_eq!(
            only(&readings).detail,
            detail(4, short_days, 6),
            "{seconds} s apart"
        );
    }
}

#[test]
fn the_next_course_begins_after_seven_days() {
    let mut readings = full_days(&[150.0; 7]);
    // The first three days of the next course say nothing: what is open stays open.
    for day in 8..=10 {
        readings.extend(full_day(day, 120.0, 75.0));
        assert_eq!(only(&readings).cleared_at, None, "day {day}");
    }
    readings.extend(full_day(11, 120.0, 75.0));
    let episode = only(&readings);
    assert_eq!(episode.cleared_at, Some(at("2026-11-11T08:00:00Z")));
    assert_eq!(episode.latest.at, at("2026-11-07T20:01:00Z"));
    // A third one, weeks later, is a course of its own, and may raise anew.
    for day in 25..=28 {
        readings.extend(full_day(day, 160.0, 75.0));
    }
    let episodes = episodes(&readings);
    assert_eq!(episodes.len(), 2);
    assert_eq!(episodes[1].onset.at, at("2026-11-26T08:00:00Z"));
    assert_eq!(episodes[1].figure, Some(160.0));
}

#[test]
fn days_of_march_when_the_clocks_go_forward() {
    // The 29th has 23 hours. By UTC the times of 00:30 would belong to the day before, and the last one here
    // to the third day, not the fourth.
    let episode = judged_with_the_last(&[
        "2026-03-28T23:30:00+00:00",
        "2026-03-29T23:30:00+01:00",
        "2026-03-30T00:30:00+01:00",
        "2026-03-31T00:30:00+01:00",
    ]);
    assert_eq!(episode.onset.at, at("2026-03-29T23:30:00+01:00"));
    assert_eq!(episode.detail, detail(4, 3, 3));
}

#[test]
fn days_of_october_when_the_clocks_go_back() {
    // The 25th has 25 hours. By UTC this would be a course of four days with its last but one time; so it
    // would by an hour more than UTC.
    let episode = judged_with_the_last(&[
        "2026-10-24T00:30:00+01:00",
        "2026-10-25T00:30:00+01:00",
        "2026-10-25T23:30:00+00:00",
        "2026-10-26T23:30:00+00:00",
        "2026-10-27T00:30:00+00:00",
    ]);
    assert_eq!(episode.onset.at, at("2026-10-25T00:30:00+01:00"));
    // Two on the 25th, one on the 26th and on the 27th.
    assert_eq!(episode.detail, detail(4, 2, 4));
}

#[test]
fn a_course_across_a_clock_change_ends_at_the_patients_midnight() {
    // The first days are the 25th of March and the 20th of October; seven days later a course is over.
    for (days, last, next) in [
        (
            [
                "2026-03-25T08:00:00+00:00",
                "2026-03-26T08:00:00+00:00",
                "2026-03-28T08:00:00+00:00",
            ],
            "2026-03-31T23:30:00+01:00",
            "2026-04-01T00:30:00+01:00",
        ),
        (
            [
                "2026-10-20T08:00:00+01:00",
                "2026-10-21T08:00:00+01:00",
                "2026-10-23T08:00:00+01:00",
            ],
            "2026-10-26T23:30:00+00:00",
            "2026-10-27T00:30:00+00:00",
        ),
    ] {
        let [first, second, third] = days;
        let episode = judged_with_the_last(&[first, second, third, last]);
        assert_eq!(episode.detail, detail(4, 3, 3), "{last}");
        let times = [first, second, third, next];
        let readings: Vec<Reading> = times
            .iter()
            .flat_map(|time| measure(at(time), 150.0, 75.0))
            .collect();
        assert_eq!(episodes(&readings).len(), 0, "{next} begins another course");
    }
}
