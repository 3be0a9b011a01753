//! Messages made up by chance: what is right comes back as it was written, and what is wrong goes alone.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::decode::Reason;
use crate::decode::properties::{check_decode, context};
use crate::{Context, Metric, PayloadKind, Reading, unit};

/// A measurement in JSON, and the readings that it is; without their time.
type Measurement = (Json, Vec<Reading>);

fn reading(metric: Metric, value: f64) -> Reading {
    Reading {
        metric,
        at: DateTime::UNIX_EPOCH,
        value,
        context: Context::default(),
    }
}

fn plain() -> impl Strategy<Value = Measurement> {
    let metrics = [
        Metric::HeartRate,
        Metric::Spo2,
        Metric::RespiratoryRate,
        Metric::BodyTemperature,
        Metric::BodyWeight,
        Metric::SupplementalOxygen,
    ];
    let of = |metric: Metric| (Just(metric), metric.plausible(), any::<bool>());
    prop::sample::select(metrics.to_vec())
        .prop_flat_map(of)
        .prop_map(|(metric, value, with_unit)| {
            let mut json = json!({"type": metric.name(), "value": value});
            if with_unit {
                json["unit"] = metric.unit().into();
            }
            (json, vec![reading(metric, value)])
        })
}

/// Values in the other unit of a type, well within what is plausible.
fn converted() -> impl Strategy<Value = Measurement> {
    type Conversion = fn(f64) -> f64;
    let types: [(_, _, _, Conversion, _); 3] = [
        (
            Metric::BodyTemperature,
            "[degF]",
            80.0..110.0,
            unit::fahrenheit_to_celsius,
            "body_temperature",
        ),
        (
            Metric::BodyWeight,
            "[lb_av]",
            1.0..1_000.0,
            unit::pounds_to_kg,
            "body_weight",
        ),
        (
            Metric::Glucose,
            "mg/dL",
            10.0..900.0,
            unit::mg_per_dl_to_mmol_per_l,
            "glucose",
        ),
    ];
    prop::sample::select(types.to_vec())
        .prop_flat_map(|(metric, unit, values, convert, name)| (Just((metric, unit, convert, name)), values))
        .prop_map(|((metric, unit, convert, name), value)| {
            let json = json!({"type": name, "value": value, "unit": unit});
            (json, vec![reading(metric, convert(value))])
        })
}

fn blood_pressure() -> impl Strategy<Value = Measurement> {
    let pressures = (120.0..300.0f64, 20.0..119.0f64, any::<bool>());
    let beside = (prop::option::of(20.0..300.0f64), prop::option::of(any::<bool>()));
    (pressures, beside).prop_map(|((systolic, diastolic, kpa), (pulse, irregular))| {
        // In kPa, the same pressures rounded as a cuff would.
        let tenths = |value: f64| (value * 10.0 / unit::MMHG_PER_KPA).floor() / 10.0;
        let (given, stored) = match kpa {
            false => ((systolic, diastolic), (systolic, diastolic)),
            true => {
                let (systolic, diastolic) = (tenths(systolic), tenths(diastolic).max(3.0));
                (
                    (systolic, diastolic),
                    (unit::kpa_to_mmhg(systolic), unit::kpa_to_mmhg(diastolic)),
                )
            }
        };
        let mut json = json!({"type": "blood_pressure", "systolic": given.0, "diastolic": given.1,
                              "pulse": pulse, "irregular_pulse": irregular});
        if kpa {
            json["unit"] = "kPa".into();
        }
        let mut readings = vec![
            reading(Metric::Systolic, stored.0),
            reading(Metric::Diastolic, stored.1),
        ];
        readings.extend(pulse.map(|value| reading(Metric::HeartRate, value)));
        readings.extend(irregular.map(|seen| reading(Metric::IrregularPulse, f64::from(u8::from(seen)))));
        (json, readings)
    })
}

fn glucose() -> impl Strategy<Value = Measurement> {
    let samples = ["interstitial", "capillary_blood", "venous_blood", "plasma"];
    let meals = ["before", "after", "fasting", "casual", "bedtime"];
    (
        Metric::Glucose.plausible(),
        prop::option::of(prop::sample::select(samples.to_vec())),
        prop::option::of(prop::sample::select(meals.to_vec())),
    )
        .prop_map(|(value, sample, meal)| {
            let json = json!({"type": "glucose", "value": value, "sample": sample, "meal": meal});
            let mut reading = reading(Metric::Glucose, value);
            reading.context.sample = sample.map(Into::into);
            reading.context.meal = meal.map(Into::into);
            (json, vec![reading])
        })
}

fn steps() -> impl Strategy<Value = Measurement> {
    (0..=100_000u32, 1..=86_400_000_000i64).prop_map(|(count, length)| {
        let mut reading = reading(Metric::Steps, count.into());
        // Made absolute with the reading's own time.
        reading.context.from = Some(DateTime::UNIX_EPOCH - TimeDelta::microseconds(length));
        (json!({"type": "steps", "value": count}), vec![reading])
    })
}

fn consciousness() -> impl Strategy<Value = Measurement> {
    (0..5usize).prop_map(|level| {
        let letter = ["A", "C", "V", "P", "U"][level];
        let json = json!({"type": "consciousness", "value": letter});
        (json, vec![reading(Metric::Consciousness, level as f64)])
    })
}

fn measurement() -> impl Strategy<Value = Measurement> {
    prop_oneof![
        plain(),
        converted(),
        blood_pressure(),
        glucose(),
        steps(),
        consciousness()
    ]
}

/// Gives the measurement its time, spelled with any offset.
fn dated((mut json, mut readings): Measurement, at: DateTime<Utc>, quarters: i32) -> Measurement {
    let offset = chrono::FixedOffset::east_opt(quarters * 900).unwrap();
    let spell = |time: DateTime<Utc>| {
        time.with_timezone(&offset)
            .to_rfc3339_opts(SecondsFormat::AutoSi, true)
    };
    json["at"] = spell(at).into();
    for reading in &mut readings {
        reading.at = at;
        if let Some(from) = &mut reading.context.from {
            *from = at + (*from - DateTime::UNIX_EPOCH);
            json["from"] = spell(*from).into();
        }
    }
    (json, readings)
}

/// Measurements of different times, in any order.
fn message() -> impl Strategy<Value = Vec<Measurement>> {
    let item = (measurement(), 0..1_000_000i64, -56..=56i32);
    prop::collection::vec(item, 1..30)
        .prop_map(|items| {
            let times = (0..).map(|second| context().received_at - TimeDelta::seconds(second));
            items
                .into_iter()
                .zip(times)
                .map(|((measurement, micros, quarters), time)| {
                    dated(measurement, time - TimeDelta::microseconds(micros), quarters)
                })
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn payload(items: &[Json]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "readings": items })).unwrap()
}

/// What is no measurement at all, whatever is around it.
fn wrong() -> impl Strategy<Value = Json> {
    let at = "2026-11-22T08:00:00Z";
    prop::sample::select(vec![
        json!(null),
        json!(5),
        json!([]),
        json!(["spo2", at, 97]),
        json!({}),
        json!({"type": "spo2", "at": at}),
        json!({"type": "spo2", "at": at, "value": "97"}),
        json!({"type": "spo2", "at": at, "value": 970}),
        json!({"type": "spo2", "at": at, "value": 97, "unit": "1"}),
        json!({"type": "spo2", "at": at, "value": 97, "finger": "left"}),
        json!({"type": "spo2", "at": "2026-11-22T08:00:00", "value": 97}),
        json!({"type": "spo2", "at": "2036-11-22T08:00:00Z", "value": 97}),
        json!({"type": "blood_pressure", "at": at, "systolic": 120, "diastolic": 80, "pulse": 1}),
        json!({"type": "glucose", "at": at, "value": 5.5, "sample": "control_solution"}),
        json!({"type": "ecg", "at": at, "value": 1}),
    ])
}

proptest! {
    #[test]
    fn what_is_right_comes_back(message in message()) {
        let (items, readings): (Vec<_>, Vec<_>) = message.into_iter().unzip();
        let upload = check_decode(PayloadKind::Readings, &payload(&items), &context());
        prop_assert_eq!(upload.rejected, []);
        prop_assert_eq!(upload.readings, readings.concat());
    }

    #[test]
    fn what_is_wrong_goes_alone(
        message in message(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), wrong()), 1..5),
    ) {
        let (mut items, readings): (Vec<_>, Vec<_>) = message.into_iter().unzip();
        for (place, item) in wrong {
            items.insert(place.index(items.len() + 1), item);
        }
        let upload = check_decode(PayloadKind::Readings, &payload(&items), &context());
        prop_assert_eq!(upload.readings, readings.concat());
        for rejection in &upload.rejected {
            let index = rejection.index.unwrap();
            let place = format!("readings[{index}]");
            prop_assert!(rejection.detail.starts_with(&place));
            prop_assert!(rejection.reason != Reason::Malformed);
            items[index] = Json::Null;
        }
        let left = items.iter().filter(|item| !item.is_null()).count();
        prop_assert_eq!(left + upload.rejected.len(), items.len());
    }

    /// Also where a message was damaged, both ways of reading agree, and all the properties hold.
    #[test]
    fn damage_is_contained(
        message in message(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        let items: Vec<_> = message.into_iter().map(|(item, _)| item).collect();
        let mut payload = payload(&items);
        for (place, byte, how) in damage {
            let place = place.index(payload.len());
            match how {
                0 => payload[place] = byte,
                1 => payload[place] = b"\"{}[],:\\0e-"[usize::from(byte) % 11],
                2 => { payload.remove(place); }
                _ => payload.insert(place, b"\"{}[],:\\0e-"[usize::from(byte) % 11]),
            }
        }
        check_decode(PayloadKind::Readings, &payload, &context());
    }

    /// Fields and values put together at random.
    #[test]
    fn any_fields_are_read_or_refused(text in any_message()) {
        check_decode(PayloadKind::Readings, text.as_bytes(), &context());
    }
}

/// Measurements out of any fields and values, most of them wrong in some way, some of them right.
fn any_message() -> impl Strategy<Value = String> {
    const OPTIONAL: [&str; 12] = [
        r#""from":"2026-11-22T07:00:00+00:00""#,
        r#""from":null"#,
        r#""unit":"mg/dL""#,
        r#""unit":"kPa""#,
        r#""unit":"\ud800""#,
        r#""systolic":150,"diastolic":-0.0"#,
        r#""systolic":30,"diastolic":1e1"#,
        r#""pulse":72"#,
        r#""irregular_pulse":true"#,
        r#""sample":"interstitial""#,
        r#""meal":"bef\u006fre""#,
        r#""colour":[{"\u0000":1e999}]"#,
    ];
    const TYPES: [&str; 8] = [
        r#""spo2""#,
        r#""blood_pressure""#,
        r#""glucose""#,
        r#""steps""#,
        r#""consciousness""#,
        r#""supplemental_\u006fxygen""#,
        "null",
        "7",
    ];
    const TIMES: [&str; 4] = [
        r#""2026-11-22T08:00:00Z""#,
        r#""2026-11-22T07:59:60.9999999Z""#,
        r#""2026-11-22T08:00:00""#,
        "{}",
    ];
    const VALUES: [&str; 9] = [
        "72",
        "-0.0",
        "5.5e0",
        "1e999",
        "1e-400",
        "18446744073709551616",
        r#""A""#,
        "null",
        "[]",
    ];
    let item = (
        prop::sample::select(&TYPES[..]),
        prop::sample::select(&TIMES[..]),
        prop::sample::select(&VALUES[..]),
        prop::collection::vec(prop::sample::select(&OPTIONAL[..]), 0..3),
    )
        .prop_map(|(kind, at, value, optional)| {
            let optional: String = optional.iter().map(|field| format!(",{field}")).collect();
            format!(r#"{{"value":{value},"type":{kind},"at":{at}{optional}}}"#)
        });
    prop::collection::vec(item, 0..6).prop_map(|items| format!("{{\"readings\":[{}]}}", items.join(",")))
}
