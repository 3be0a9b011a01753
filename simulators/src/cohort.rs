//! The patients of a demo: who is watched for what, and with which devices.

use crate::physiology::{Condition, DeviceKind};

/// What a patient is watched for, and with what.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// The names of the programmes.
    pub programmes: &'static [&'static str],
    /// The devices: all that the programmes' rules look at.
    pub devices: &'static [DeviceKind],
    /// How the patient's body differs from most others'.
    pub condition: Condition,
    /// The lowest and the highest age.
    pub ages: (u32, u32),
}

const fn profile_of(
    programmes: &'static [&'static str],
    devices: &'static [DeviceKind],
    ages: (u32, u32),
) -> Profile {
    Profile {
        programmes,
        devices,
        condition: Condition::Usual,
        ages,
    }
}

use DeviceKind::{Cgm, Cuff, Hub, Meter, Scale, Smartwatch};

const PRESSURE: Profile = profile_of(&["hypertension"], &[Cuff, Smartwatch], (45, 78));
const PRESSURE_OVER_80: Profile = profile_of(&["hypertension-over-80"], &[Cuff, Smartwatch], (80, 93));
const HEART: Profile = profile_of(&["heart-failure"], &[Scale, Cuff, Smartwatch], (58, 90));
const HEART_OVER_80: Profile = profile_of(
    &["hypertension-over-80", "heart-failure"],
    &[Scale, Cuff, Smartwatch],
    (80, 92),
);
const TYPE_1: Profile = profile_of(&["diabetes-type-1"], &[Cgm, Smartwatch], (19, 66));
const TYPE_2_SENSOR: Profile = profile_of(&["diabetes-type-2"], &[Cgm, Smartwatch], (40, 74));
const TYPE_2_PRESSURE: Profile = profile_of(
    &["hypertension", "diabetes-type-2"],
    &[Cuff, Cgm, Smartwatch],
    (48, 78),
);
const TYPE_2_METER: Profile = profile_of(&["diabetes-type-2"], &[Meter], (45, 74));
const TYPE_2_METER_PRESSURE: Profile = profile_of(
    &["hypertension", "diabetes-type-2"],
    &[Cuff, Meter, Smartwatch],
    (48, 78),
);
const OLDER: Profile = profile_of(&["diabetes-older"], &[Cgm, Smartwatch], (75, 92));
const PREGNANT: Profile = Profile {
    condition: Condition::Pregnant,
    ..profile_of(&["diabetes-pregnancy"], &[Cgm, Smartwatch], (21, 42))
};
const WARD: Profile = profile_of(&["virtual-ward"], &[Hub], (30, 88));
const LUNGS: Profile = Profile {
    condition: Condition::ChronicLungs,
    ..profile_of(&["copd"], &[Hub], (55, 86))
};

/// The profile of the patient with this place in the cohort, from 0 on. Of twenty, eight are there for their blood
/// pressure, two for their heart, eight for diabetes (two of these also for their pressure), one is on the virtual
/// ward and one has a chronic disease of the lungs.
pub fn profile(place: usize) -> &'static Profile {
    match place % 20 {
        0..6 => &PRESSURE,
        6 => &PRESSURE_OVER_80,
        7 => &HEART_OVER_80,
        8 => &HEART,
        9..12 => &TYPE_1,
        12 => &TYPE_2_SENSOR,
        13 => &TYPE_2_PRESSURE,
        14 => &TYPE_2_METER,
        15 => &TYPE_2_METER_PRESSURE,
        16 => &OLDER,
        17 => &PREGNANT,
        18 => &WARD,
        _ => &LUNGS,
    }
}
