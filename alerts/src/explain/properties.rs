//! What holds for every explanation, whatever stands in the record.

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::json;

use super::words::quantity;
use super::*;
use crate::oracle::series;
use crate::testing::rule;
use crate::{Bound, Limit, Programme, parse};

fn metric() -> impl Strategy<Value = Metric> {
    prop::sample::select(&Metric::ALL[..])
}

/// A plausible value of a metric, with few decimals or many.
fn value_of(metric: Metric) -> impl Strategy<Value = f64> {
    let plausible = metric.plausible();
    let (low, high) = (*plausible.start(), *plausible.end());
    prop_oneof![
        low..=high,
        (low..=high).prop_map(move |value| (value * 10.0).round().clamp(low * 10.0, high * 10.0) / 10.0),
    ]
}

fn bound() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["below", "at_most", "at_least", "above"][..])
}

/// A limit, or a list of one or two.
fn limits() -> impl Strategy<Value = Value> {
    let limit = metric().prop_flat_map(|metric| {
        (bound(), value_of(metric)).prop_map(move |(bound, value)| json!({"metric": metric, bound: value}))
    });
    prop::collection::vec(limit, 1..=2).prop_map(Value::from)
}

fn seconds() -> impl Strategy<Value = u32> {
    1..2_678_400_u32
}

fn direction(suffix: &'static str) -> impl Strategy<Value = String> {
    prop::sample::select(&["rise", "fall"][..]).prop_map(move |name| format!("{name}{suffix}"))
}

/// JSON of conditions, of which many can be read.
fn conditions() -> impl Strategy<Value = Value> {
    let threshold = limits().prop_map(|limits| json!({"kind": "threshold", "limits": limits}));
    let sustained = (limits(), seconds(), prop::option::of(metric())).prop_map(|(limits, hold, unless)| {
        let mut json =
            json!({"kind": "sustained", "limits": limits, "for_seconds": hold, "max_gap_seconds": hold});
        if let Some(metric) = unless {
            let bound = *metric.plausible().start();
            json["unless"] = json!({"metric": metric, "above": bound, "within_seconds": hold});
        }
        json
    });
    let repeated = (limits(), 1..=100_u32, 1..=100_u32, seconds()).prop_map(|(limits, times, of, within)| {
        json!({"kind": "repeated", "limits": limits, "times": times, "of": of, "within_seconds": within})
    });
    let change = (metric(), direction(""), 0.000_1..100.0, seconds()).prop_map(
        |(metric, direction, amount, within)| {
            json!({"kind": "change",
                "changes": [{"metric": metric, direction: amount, "within_seconds": within}]})
        },
    );
    let toward = metric().prop_flat_map(|metric| (Just(metric), value_of(metric)));
    let rate = (toward, direction("_per_minute"), 0.000_1..100.0, seconds()).prop_map(
        |((metric, toward), direction, rate, ahead)| {
            json!({"kind": "rate", "metric": metric, direction: rate, "over_seconds": 960, "min_span_seconds": 540,
                "toward": toward, "ahead_seconds": ahead})
        },
    );
    let pressure = (40.0..=200.0, 20.0..=200.0, bound());
    let home_average = (pressure, 2..=31_u32).prop_map(|((systolic, diastolic, bound), days)| {
        json!({"kind": "home_average", "limits": [
                {"metric": "systolic", bound: systolic}, {"metric": "diastolic", bound: diastolic}],
            "days": days, "min_days": 2, "zone": "Pacific/Kiritimati"})
    });
    let share = prop_oneof![
        (bound(), value_of(Metric::Glucose))
            .prop_map(|(bound, value)| json!({bound: value, "over_percent": 1.25})),
        (value_of(Metric::Glucose), 0.0..=100.0)
            .prop_map(|(from, under)| json!({"from": from, "to": 50.0, "under_percent": under})),
    ];
    let time_in_range = (prop::collection::vec(share, 1..4), 1..=31_u32).prop_map(|(figures, days)| {
        json!({"kind": "time_in_range", "metric": "glucose", "figures": figures, "days": days,
            "min_active_percent": 70, "interval_seconds": 300, "zone": "Pacific/Kiritimati"})
    });
    let news2 = (1..=2, 1..=20, 1..=3).prop_map(|(scale, total, single)| {
        json!({"kind": "news2", "scale": scale, "total_at_least": total, "single_at_least": single})
    });
    let silence = (metric(), seconds(), 1..=100_u32).prop_map(|(metric, every, times)| {
        json!({"kind": "silence", "metric": metric, "expected_every_seconds": every, "times": times})
    });
    let known: Vec<Value> = series::KINDS
        .into_iter()
        .flat_map(series::conditions)
        .chain(Programme::names().flat_map(|name| {
            let rules = &Programme::named(name).unwrap().rules;
            rules
                .iter()
                .map(|rule| serde_json::to_value(&rule.definition.condition).unwrap())
        }))
        .collect();
    prop_oneof![
        prop::sample::select(known),
        threshold,
        sustained,
        repeated,
        change,
        rate,
        home_average,
        time_in_range,
        news2,
        silence,
    ]
}

fn definitions() -> impl Strategy<Value = Definition> {
    conditions().prop_filter_map("is not read", |json| {
        parse::condition(&json).is_ok().then(|| rule(json))
    })
}

/// A time of these years, or any that there can be.
fn times() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![
        4 => 1_780_000_000..1_800_000_000_i64,
        1 => -8_000_000_000_000..8_000_000_000_000_i64,
    ]
    .prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
}

fn marks(of: &Definition) -> impl Strategy<Value = Mark> + use<> {
    let metrics = of.metrics();
    let metric = prop_oneof![4 => prop::sample::select(metrics), 1 => metric()];
    let value = metric.prop_flat_map(|metric| {
        (
            Just(metric),
            prop_oneof![6 => value_of(metric), 1 => any::<f64>(), 1 => Just(-0.0)],
        )
    });
    let figure = prop_oneof![
        1 => Just(None),
        4 => (0.0..200.0).prop_map(Some),
        1 => any::<f64>().prop_map(Some),
    ];
    (value, times(), figure).prop_map(|((metric, value), at, figure)| Mark {
        metric,
        at,
        value,
        figure,
    })
}

/// What kinds note, and what they do not.
fn details(of: &Definition) -> impl Strategy<Value = Option<Value>> + use<> {
    let figures = match &of.condition {
        Condition::TimeInRange(kind) => serde_json::to_value(kind.figures[0]).unwrap(),
        _ => json!("of another kind"),
    };
    let scores = prop::collection::vec(0..=3_u8, 7);
    let from = (marks(of), seconds());
    let noted = (from, scores, any::<u32>(), 0.0..=100.0).prop_map(
        move |((from, within), scores, count, percent)| {
            let scores: serde_json::Map<String, Value> = crate::kinds::NEWS2_METRICS
                .iter()
                .zip(&scores)
                .filter(|(_, score)| **score > 0)
                .map(|(metric, score)| (metric.to_string(), json!(score)))
                .collect();
            let missing: Vec<_> = crate::kinds::NEWS2_METRICS
                .iter()
                .filter(|metric| !scores.contains_key(metric.name()))
                .collect();
            Some(json!({
                "from": from, "within_seconds": within, "scale": 1, "scores": scores, "missing": missing,
                "days": count % 40, "days_with_fewer_than_two": count % 40, "readings": count % 100_000,
                "active_percent": percent, "figure": figures,
            }))
        },
    );
    let senseless = prop::sample::select(vec![
        json!(null),
        json!(7),
        json!([]),
        json!({}),
        json!({"from": null, "scores": [], "missing": {}, "days": -1, "readings": "many", "figure": 3}),
        json!({"scores": {"heart_rate": 1e300, "spo2": u64::MAX}, "missing": ["mood"], "days": 0, "readings": 0}),
    ]);
    prop_oneof![1 => Just(None), 6 => noted, 1 => senseless.prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_episode_can_be_explained_in_one_short_sentence(
        (definition, [onset, latest, worst], detail, cleared_at) in definitions().prop_flat_map(|definition| {
            let marks = [marks(&definition), marks(&definition), marks(&definition)];
            let details = details(&definition);
            (Just(definition), marks, details, prop::option::of(times()))
        }),
    ) {
        let about = About { onset, latest, worst, detail: detail.as_ref(), cleared_at };
        let sentence = explain(&definition, &about);
        prop_assert!(sentence.chars().count() <= LONGEST, "{} characters: {sentence}", sentence.chars().count());
        prop_assert!(sentence.ends_with('.') && !sentence.contains(". "), "{sentence}");
        prop_assert!(!sentence.contains("  ") && !sentence.contains('\n'), "{sentence}");
    }

    #[test]
    fn what_breaches_looks_as_if_it_did(
        (metric, bound, value) in metric().prop_flat_map(|metric| {
            (Just(metric), value_of(metric), value_of(metric), -0.1..0.1, any::<bool>()).prop_map(
                |(metric, bound, other, near, is_near)| (metric, bound, if is_near { bound + near } else { other }),
            )
        }),
    ) {
        for bound in [Bound::Below(bound), Bound::AtMost(bound), Bound::AtLeast(bound), Bound::Above(bound)] {
            let limit = Limit { metric, bound, clear: None };
            let number = |text: &str| match text {
                // What a cuff saw is told in words alone.
                "seen" => 1.0,
                "not seen" => 0.0,
                text => text.split(' ').next().unwrap().parse::<f64>().unwrap(),
            };
            let told_bound = super::words::exact(metric, bound.value());
            prop_assert_eq!(number(&told_bound), bound.value());
            if limit.is_breached_by(value) {
                let told = quantity(metric, value, |told| limit.is_breached_by(told));
                prop_assert!(limit.is_breached_by(number(&told)), "{told} is not {bound:?}");
            }
        }
    }
}
