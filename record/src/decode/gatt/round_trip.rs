//! Characteristics made up by chance: a device's encoder, and what has to come back from its bytes.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use proptest::prelude::*;

use crate::decode::properties::{check_decode, context};
use crate::decode::{DecodeContext, Reason, Upload};
use crate::{Metric, PayloadKind, unit};

fn captured() -> DateTime<Utc> {
    context().received_at - TimeDelta::milliseconds(1_500)
}

/// A device's encoder.
struct Encoder(Vec<u8>);

impl Encoder {
    fn new(flags: &[bool]) -> Encoder {
        let bits = flags.iter().zip(0..).map(|(set, bit)| u8::from(*set) << bit);
        Encoder(vec![bits.sum()])
    }

    fn bytes(mut self, bytes: impl IntoIterator<Item = u8>) -> Encoder {
        self.0.extend(bytes);
        self
    }

    /// An SFLOAT of tenths.
    fn tenths(self, value: Option<u16>) -> Encoder {
        let raw = value.map_or(0x07ff, |tenths| 0xf000 | tenths);
        self.bytes(raw.to_le_bytes())
    }

    fn time(self, time: Option<NaiveDateTime>) -> Encoder {
        let Some(time) = time else { return self };
        let year = u16::try_from(time.year()).unwrap();
        let rest = [
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
        ];
        self.bytes(year.to_le_bytes())
            .bytes(rest.map(|part| u8::try_from(part).unwrap()))
    }

    fn optional<const N: usize>(self, bytes: Option<[u8; N]>) -> Encoder {
        self.bytes(bytes.into_iter().flatten())
    }

    fn decode(&self, characteristic: u16) -> Upload {
        let kind = PayloadKind::Gatt {
            characteristic,
            captured: Some(captured()),
        };
        // A payload that lacks its last byte, or has one more, is never taken.
        for wrong in [&self.0[..self.0.len() - 1], &[self.0.as_slice(), &[0]].concat()] {
            let upload = check_decode(kind, wrong, &context());
            assert_eq!(upload.rejected[0].reason, Reason::Malformed);
        }
        check_decode(kind, &self.0, &context())
    }
}

/// A device's local time of a time within the record.
fn local_time() -> impl Strategy<Value = Option<NaiveDateTime>> {
    let local = |back| (context().received_at + context().utc_offset - TimeDelta::seconds(back)).naive_utc();
    prop::option::of((0..100_000_000i64).prop_map(local))
}

/// Checks that this was measured, at this local time or else when it was captured.
fn expect(
    upload: &Upload,
    local: Option<NaiveDateTime>,
    expected: &[(Metric, f64)],
) -> Result<(), TestCaseError> {
    let at = local.map_or(captured(), |local| local.and_utc() - context().utc_offset);
    prop_assert_eq!(&upload.rejected, &[]);
    let values: Vec<_> = upload
        .readings
        .iter()
        .map(|reading| (reading.metric, reading.value))
        .collect();
    prop_assert_eq!(values.as_slice(), expected);
    prop_assert!(upload.readings.iter().all(|reading| reading.at == at));
    Ok(())
}

fn tenths(value: u16) -> f64 {
    f64::from(value) / 10.0
}

proptest! {
    #[test]
    fn blood_pressure(
        kpa: bool,
        (systolic, diastolic) in (110..=203u16, 30..=109u16),
        time in local_time(),
        pulse in prop::option::of(prop::option::of(200..=2047u16)),
        user in prop::option::of(any::<[u8; 1]>()),
        status in prop::option::of(0..64u16),
    ) {
        // The same digits are whole mm[Hg] or tenths of kPa.
        let flags = [kpa, time.is_some(), pulse.is_some(), user.is_some(), status.is_some()];
        let exponent = if kpa { 0xf000 } else { 0 };
        let mut encoder = Encoder::new(&flags)
            .bytes((exponent | systolic).to_le_bytes())
            .bytes((exponent | diastolic).to_le_bytes())
            .tenths(None)
            .time(time);
        if let Some(pulse) = pulse {
            // 2047 tenths have an exponent, so they are no special value.
            encoder = encoder.tenths(pulse.or(None));
        }
        let upload = encoder
            .optional(user)
            .optional(status.map(u16::to_le_bytes))
            .decode(0x2a35);
        let stored = |digits: u16| if kpa { unit::kpa_to_mmhg(tenths(digits)) } else { digits.into() };
        let mut expected = vec![
            (Metric::Systolic, stored(systolic)),
            (Metric::Diastolic, stored(diastolic)),
        ];
        expected.extend(pulse.flatten().map(|pulse| (Metric::HeartRate, tenths(pulse))));
        expected.extend(status.map(|status| (Metric::IrregularPulse, f64::from(status >> 2 & 1))));
        expect(&upload, time, &expected)?;
        let cautions = status.map_or(0, |status| (status & 0b10_0011).count_ones());
        prop_assert_eq!(upload.readings[0].context.cautions.len(), cautions as usize);
    }

    #[test]
    fn glucose(
        time in local_time(),
        offset in prop::option::of(-10_000..=0i16),
        (moles, digits) in (any::<bool>(), 20..=400u16),
        (kind, location) in (0..10u8, 0..4u8),
        battery_low in prop::option::of(any::<bool>()),
    ) {
        let time = time.unwrap_or_else(|| captured().naive_utc().with_nanosecond(0).unwrap());
        // Milligrams per decilitre are 1e-5 kg/L; tenths of millimoles per litre are 1e-4 mol/L.
        let raw = if moles { 0xc000 | digits } else { 0xb000 | digits };
        let upload = Encoder::new(&[offset.is_some(), true, moles, battery_low.is_some()])
            .bytes([7, 0])
            .time(Some(time))
            .optional(offset.map(i16::to_le_bytes))
            .bytes(raw.to_le_bytes())
            .bytes([location << 4 | kind])
            .optional(battery_low.map(|low| [low.into(), 0]))
            .decode(0x2a18);
        let stored = if moles { tenths(digits) } else { unit::mg_per_dl_to_mmol_per_l(digits.into()) };
        let measured = time + TimeDelta::minutes(offset.unwrap_or(0).into());
        expect(&upload, Some(measured), &[(Metric::Glucose, stored)])?;
        prop_assert_eq!(upload.readings[0].context.sample.is_some(), kind != 0);
    }

    #[test]
    fn heart_rate(
        rate in 20..=300u16,
        wide: bool,
        contact in 0..4u8,
        energy in prop::option::of(any::<[u8; 2]>()),
        intervals in prop::collection::vec(any::<[u8; 2]>(), 1..9),
    ) {
        let wide = wide || rate > 255;
        let upload = Encoder::new(&[wide, contact & 1 != 0, contact & 2 != 0, energy.is_some(), true])
            .bytes(rate.to_le_bytes().into_iter().take(if wide { 2 } else { 1 }))
            .optional(energy)
            .bytes(intervals.concat())
            .decode(0x2a37);
        if contact == 2 {
            prop_assert_eq!(upload.rejected[0].reason, Reason::NotMeasured);
        } else {
            expect(&upload, None, &[(Metric::HeartRate, rate.into())])?;
        }
    }

    #[test]
    fn oximeter(
        spo2 in prop::option::of(400..=1000u16),
        pulse in prop::option::of(200..=2000u16),
        time in local_time(),
        (fast, slow) in any::<(Option<[u8; 4]>, Option<[u8; 4]>)>(),
        measurement in prop::option::of(any::<u16>()),
        sensor in prop::option::of(any::<[u8; 3]>()),
        amplitude in any::<Option<[u8; 2]>>(),
    ) {
        let rest = [measurement.is_some(), sensor.is_some(), amplitude.is_some()];
        let spot_check = Encoder::new(&[&[time.is_some()], rest.as_slice()].concat())
            .tenths(spo2).tenths(pulse).time(time)
            .optional(measurement.map(u16::to_le_bytes)).optional(sensor).optional(amplitude)
            .decode(0x2a5e);
        let continuous = Encoder::new(&[&[fast.is_some(), slow.is_some()], rest.as_slice()].concat())
            .tenths(spo2).tenths(pulse).optional(fast).optional(slow)
            .optional(measurement.map(u16::to_le_bytes)).optional(sensor).optional(amplitude)
            .decode(0x2a5f);
        let faulty = measurement.is_some_and(|status| status & 0b1111_1100_0000_0000 != 0)
            || sensor.is_some_and(|[low, high, _]| low & 0b1000_0010 != 0 || high & 0b1110_1000 != 0);
        for (upload, local) in [(spot_check, time), (continuous, None)] {
            match spo2 {
                Some(spo2) if !faulty => {
                    let mut expected = vec![(Metric::Spo2, tenths(spo2))];
                    expected.extend(pulse.map(|pulse| (Metric::HeartRate, tenths(pulse))));
                    expect(&upload, local, &expected)?;
                }
                _ => prop_assert_eq!(upload.rejected[0].reason, Reason::NotMeasured),
            }
        }
    }

    #[test]
    fn temperature(
        fahrenheit: bool,
        hundredths in 2_500..=4_500u32,
        time in local_time(),
        site in prop::option::of(any::<[u8; 1]>()),
    ) {
        let given = f64::from(hundredths) / 100.0;
        // The digits of the same warmth on the other scale, in hundredths.
        let hundredths = if fahrenheit { hundredths * 9 / 5 + 3_200 } else { hundredths };
        let stored = if fahrenheit { unit::fahrenheit_to_celsius(f64::from(hundredths) / 100.0) } else { given };
        let upload = Encoder::new(&[fahrenheit, time.is_some(), site.is_some()])
            .bytes((0xfe00_0000 | hundredths).to_le_bytes())
            .time(time)
            .optional(site)
            .decode(0x2a1c);
        if let Some([4 | 8]) = site {
            prop_assert_eq!(upload.rejected[0].reason, Reason::Unsupported);
        } else {
            expect(&upload, time, &[(Metric::BodyTemperature, stored)])?;
        }
    }

    #[test]
    fn weight(
        imperial: bool,
        raw in 100..=65_534u16,
        time in local_time(),
        user in prop::option::of(any::<[u8; 1]>()),
        index_and_height in any::<Option<[u8; 4]>>(),
    ) {
        let upload = Encoder::new(&[imperial, time.is_some(), user.is_some(), index_and_height.is_some()])
            .bytes(raw.to_le_bytes())
            .time(time)
            .optional(user)
            .optional(index_and_height)
            .decode(0x2a9d);
        let stored = if imperial {
            unit::pounds_to_kg(f64::from(raw) / 100.0)
        } else {
            format!("{}e-3", u32::from(raw) * 5).parse().unwrap()
        };
        expect(&upload, time, &[(Metric::BodyWeight, stored)])?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        characteristic in prop_oneof![
            prop::sample::select(vec![0x2a18, 0x2a1c, 0x2a35, 0x2a37, 0x2a5e, 0x2a5f, 0x2a9d]),
            any::<u16>(),
        ],
        payload in prop::collection::vec(any::<u8>(), 0..40),
        captured in prop::option::of(any::<i64>().prop_map(DateTime::from_timestamp_nanos)),
        offset in -1_000_000_000..1_000_000_000i64,
    ) {
        let context = DecodeContext { utc_offset: TimeDelta::seconds(offset), ..context() };
        check_decode(PayloadKind::Gatt { characteristic, captured }, &payload, &context);
    }
}
