use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use crate::enrolment::Enrolment;
use crate::physiology::{DeviceKind, Script, ScriptKind};

/// What happens to which patient of a fleet, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Whom: the number in [`Enrolment::patient`].
    pub patient: u64,
    /// What.
    pub kind: ScriptKind,
    /// When.
    pub at: Start,
}

/// When a script begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At this time.
    At(DateTime<Utc>),
    /// This long after the end of the back-filled period (or, negative, before).
    Live(TimeDelta),
    /// So many days before the one on which the back-filled period ends, at so many minutes after midnight, UTC:
    /// for what belongs to a time of the day.
    Day(u8, u16),
}

impl Planned {
    /// The script of a fleet whose back-filled period ends at `live`.
    pub fn script(&self, live: DateTime<Utc>) -> Script {
        let at = match self.at {
            Start::At(at) => at,
            Start::Live(after) => live + after,
            Start::Day(before, minute) => {
                let midnight = live.date_naive().and_time(NaiveTime::MIN).and_utc();
                midnight - TimeDelta::days(before.into()) + TimeDelta::minutes(minute.into())
            }
        };
        Script { kind: self.kind, at }
    }
}

/// As on the command line: `SCRIPT:PATIENT@TIME`, where the time has an offset or is `live`, `live+SECONDS`
/// or `live-SECONDS`.
impl FromStr for Planned {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Planned> {
        let shape = || format!("{text:?} is not SCRIPT:PATIENT@TIME");
        let (kind, rest) = text.split_once(':').with_context(shape)?;
        let (patient, at) = rest.split_once('@').with_context(shape)?;
        let at = match at.strip_prefix("live") {
            Some("") => Start::Live(TimeDelta::zero()),
            Some(seconds) => {
                let seconds = seconds.parse().ok().and_then(TimeDelta::try_seconds);
                Start::Live(seconds.with_context(|| format!("{at:?} is not live+SECONDS"))?)
            }
            None => Start::At(
                at.parse()
                    .with_context(|| format!("{at:?} is no time with an offset"))?,
            ),
        };
        Ok(Planned {
            kind: kind.parse()?,
            patient: patient
                .parse()
                .with_context(|| format!("{patient:?} is no patient's number"))?,
            at,
        })
    }
}

/// When the first hypo and the first crisis of a live run cross their limits: so soon that whoever watches
/// sees an alert within the minute, so late that the devices have caught up.
const FIRST_HYPO: TimeDelta = TimeDelta::seconds(20);
const FIRST_CRISIS: TimeDelta = TimeDelta::seconds(35);
/// A deterioration begins before the live run, so that its limits are crossed soon after.
const DETERIORATION: TimeDelta = TimeDelta::minutes(-130);
/// Then something happens to somebody every minute, until there is enough to tell how long alerts take; and
/// afterwards this often, for this long.
const SOON: TimeDelta = TimeDelta::minutes(1);
const EVENTS_SOON: i32 = 8;
const NEXT: TimeDelta = TimeDelta::minutes(20);
const EVENTS: i32 = 36;

/// What happens in a live run, if nothing else is asked for: within the first minute a hypo and a
/// hypertensive crisis, a deterioration under way, and then now and then another hypo or crisis, each to
/// another patient while there are any. Nothing happens to those to whom something else does already.
pub fn live_plan(enrolments: &[Enrolment], already: &[Planned]) -> Vec<Planned> {
    let mut kinds: BTreeMap<u64, BTreeSet<u8>> = BTreeMap::new();
    for enrolment in enrolments {
        kinds
            .entry(enrolment.patient)
            .or_default()
            .insert(enrolment.kind as u8);
    }
    let taken: BTreeSet<u64> = already.iter().map(|planned| planned.patient).collect();
    let mut free: Vec<u64> = kinds
        .keys()
        .copied()
        .filter(|patient| !taken.contains(patient))
        .collect();
    // The first free patient with one of these devices; sensors show a hypo sooner than meters.
    let mut take = |wanted: &[DeviceKind]| {
        let has = |kind: &DeviceKind| {
            free.iter()
                .position(|patient| kinds[patient].contains(&(*kind as u8)))
        };
        wanted.iter().find_map(has).map(|index| free.remove(index))
    };
    let mut plan = Vec::new();
    let mut add = |patient: Option<u64>, kind, after| {
        plan.extend(patient.map(|patient| Planned {
            patient,
            kind,
            at: Start::Live(after),
        }));
    };
    let glucose = [DeviceKind::Cgm, DeviceKind::Meter];
    add(take(&glucose), ScriptKind::Hypo, FIRST_HYPO);
    add(
        take(&[DeviceKind::Cuff]),
        ScriptKind::HypertensiveCrisis,
        FIRST_CRISIS,
    );
    add(
        take(&[DeviceKind::Smartwatch]),
        ScriptKind::Deterioration,
        DETERIORATION,
    );
    let soon = (1..=EVENTS_SOON).map(|number| SOON * number);
    let later = (1..=EVENTS).map(|number| NEXT * number);
    for (number, after) in soon.chain(later).enumerate() {
        if number % 2 == 0 {
            add(take(&glucose), ScriptKind::Hypo, after);
        } else {
            add(take(&[DeviceKind::Cuff]), ScriptKind::HypertensiveCrisis, after);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use homeward_record::DeviceId;

    use super::*;
    use crate::enrolment::Secret;

    fn enrolment(device: i64, patient: u64, kind: DeviceKind) -> Enrolment {
        Enrolment {
            device_id: DeviceId(device),
            secret: Secret("s".into()),
            kind,
            patient,
            every_s: None,
        }
    }

    #[test]
    fn a_plan_is_read_as_written() {
        let live: DateTime<Utc> = "2026-11-22T08:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("hypo:4@live", "2026-11-22T08:00:00Z"),
            ("hypo:4@live+30", "2026-11-22T08:00:30Z"),
            ("hypo:4@live-90", "2026-11-22T07:58:30Z"),
            ("hypo:4@2026-11-20T09:00:00+01:00", "2026-11-20T08:00:00Z"),
        ] {
            let planned: Planned = text.parse().unwrap();
            let script = planned.script(live);
            assert_eq!((planned.patient, script.kind), (4, ScriptKind::Hypo));
            assert_eq!(script.at, expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        let night = Planned {
            patient: 4,
            kind: ScriptKind::Hypo,
            at: Start::Day(2, 190),
        };
        assert_eq!(
            night.script(live).at,
            "2026-11-20T03:10:00Z".parse::<DateTime<Utc>>().unwrap()
        );
        for wrong in [
            "hypo",
            "hypo:4",
            "hypo:x@live",
            "nap:4@live",
            "hypo:4@live+x",
            "hypo:4@noon",
        ] {
            assert!(wrong.parse::<Planned>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_live_run_begins_with_a_hypo_and_a_crisis_of_two_patients() {
        let fleet = [
            enrolment(1, 4, DeviceKind::Meter),
            enrolment(2, 5, DeviceKind::Cgm),
            enrolment(3, 5, DeviceKind::Cuff),
            enrolment(4, 6, DeviceKind::Cuff),
            enrolment(5, 7, DeviceKind::Smartwatch),
        ];
        let plan = live_plan(&fleet, &[]);
        let within_a_minute: Vec<_> = plan
            .iter()
            .filter(|planned| {
                matches!(planned.at, Start::Live(after) if after > TimeDelta::zero()
                && after < TimeDelta::minutes(1))
            })
            .map(|planned| (planned.patient, planned.kind))
            .collect();
        let expected = [(5, ScriptKind::Hypo), (6, ScriptKind::HypertensiveCrisis)];
        assert_eq!(within_a_minute, expected);
        let patients: BTreeSet<_> = plan.iter().map(|planned| planned.patient).collect();
        assert_eq!(patients.len(), plan.len(), "one thing at a time for each patient");
        assert_eq!(plan.len(), 4);
        assert_eq!(live_plan(&[], &[]), []);
        let beside = live_plan(&fleet, &plan[..1]);
        assert!(beside.iter().all(|planned| planned.patient != plan[0].patient));
    }
}
