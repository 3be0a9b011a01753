//! Courses of blood-pressure measurements at home, after NICE NG136.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};
use homeward_record::{DeviceId, Metric};
use serde::Serialize;
use utoipa::ToSchema;

use crate::course::{Course, Place, READINGS_OF_A_DAY};
use crate::{Observation, Zone, moments};

/// How many days of the patient's calendar a course lasts, and on how many of them there must be measurements for its
/// average to say anything, the first included. Source: NICE NG136, 1.2.7 (at least 4 days, ideally 7).
pub const COURSE_DAYS: u32 = 7;
/// See [`COURSE_DAYS`].
pub const LEAST_DAYS: u32 = 4;

/// Averages from which they are in the range of a stage, systolic and diastolic in mmHg; either number suffices.
/// Source: NICE NG136, 1.2 and its definitions of the stages, for averages of measurements at home.
const STAGE_1: (f64, f64) = (135.0, 85.0);
/// See [`STAGE_1`].
const STAGE_2: (f64, f64) = (150.0, 95.0);

/// Below what an average should be under treatment, before the age of [`OLDER`] and from then on. Source: NICE NG136,
/// 1.4 (home measurements).
const TARGET: (f64, f64) = (135.0, 85.0);
/// See [`TARGET`].
const TARGET_OLDER: (f64, f64) = (145.0, 85.0);
/// The age in years from which the other target is right.
const OLDER: u32 = 80;

/// A course of measurements at home and what it comes to, after NICE NG136.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HomeCourse {
    /// Its first day, by the patient's calendar.
    pub first_day: NaiveDate,
    /// Its last day, which may be to come.
    pub last_day: NaiveDate,
    /// The average of what was measured after the first day; none where nothing was.
    pub average: Option<CourseAverage>,
    /// The range that the average is in; none with measurements on fewer than [`LEAST_DAYS`] days.
    pub range: Option<StageRange>,
    /// What it should be below under treatment.
    pub target: Target,
    /// Whether there was enough to go by.
    pub sufficiency: Sufficiency,
    /// The days with measurements, the oldest first.
    pub days: Vec<DayAverage>,
    /// The measurements, the oldest first.
    pub measurements: Vec<Measurement>,
}

/// The average of a course, in mmHg.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct CourseAverage {
    /// Systolic.
    pub systolic: Option<f64>,
    /// Diastolic.
    pub diastolic: Option<f64>,
    /// How many measurements are in it.
    pub measurements: usize,
}

/// The range of an average. It is no diagnosis: that takes a clinician.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageRange {
    /// Below 135 and below 85 mmHg.
    #[serde(rename = "below_stage_1")]
    BelowStage1,
    /// At least 135 or at least 85 mmHg.
    #[serde(rename = "stage_1")]
    Stage1,
    /// At least 150 or at least 95 mmHg.
    #[serde(rename = "stage_2")]
    Stage2,
}

/// What an average should be below under treatment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Target {
    /// The patient's age on the last day with measurements, in years: the target depends on it.
    pub age: u32,
    /// In mmHg.
    pub systolic_below: f64,
    /// In mmHg.
    pub diastolic_below: f64,
    /// Whether both are; none with measurements on fewer than [`LEAST_DAYS`] days.
    pub met: Option<bool>,
}

/// How much there was to go by.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Sufficiency {
    /// Measurements on [`LEAST_DAYS`] days at least, and no short day among those that count.
    pub sufficient: bool,
    /// The days with measurements, the first included.
    pub days: usize,
    /// How many of the days that count have fewer than two measurements at least a minute apart.
    pub days_with_fewer_than_two: usize,
    /// What has to be said of it, in plain English.
    pub remarks: Vec<String>,
}

/// A day of a course.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct DayAverage {
    /// The day of the patient's calendar.
    pub date: NaiveDate,
    /// Measurements at least a minute apart.
    pub measurements: u32,
    /// Of these, those before noon by the patient's clock.
    pub morning: u32,
    /// And those from noon on.
    pub evening: u32,
    /// The average of the day in mmHg.
    pub systolic: Option<f64>,
    /// The average of the day in mmHg.
    pub diastolic: Option<f64>,
    /// Whether the day is in the course's average.
    pub used: bool,
}

/// The numbers that one device measured at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Measurement {
    /// When.
    pub at: DateTime<Utc>,
    /// What measured it.
    pub device: DeviceId,
    /// In mmHg.
    pub systolic: Option<f64>,
    /// In mmHg.
    pub diastolic: Option<f64>,
    /// The cuff saw an irregular pulse, with which it is unreliable.
    pub irregular_pulse: bool,
    /// Whether it is in the course's average.
    pub used: bool,
    /// Why it is not.
    pub why_not: Option<WhyNot>,
    /// It is less than a minute after the one before. It is in the average, as it is in that by which rules judge,
    /// and does not count as another measurement of its day.
    pub too_soon: bool,
}

/// Why a measurement is not in an average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    /// It is of the course's first day.
    FirstDay,
    /// Somebody marked it so.
    EnteredInError,
}

/// The courses that these readings make, the oldest first: the first begins with the first measurement, another with
/// the first one after a course is over. The readings, of [`Metric::Systolic`], [`Metric::Diastolic`] and
/// [`Metric::IrregularPulse`], are sorted by [`Observation::key`], and none is entered in error.
pub fn summarise_blood_pressure(readings: &[Observation], born: NaiveDate, zone: Zone) -> Vec<HomeCourse> {
    let mut courses = Vec::new();
    let mut running = Running::default();
    for moment in moments(readings).filter(|moment| moment.iter().any(is_pressure)) {
        let date = zone.date(moment[0].at);
        if running.course.is_over_on(date, COURSE_DAYS) {
            courses.extend(std::mem::take(&mut running).finish(born));
        }
        running.take(moment, date, zone);
    }
    courses.extend(running.finish(born));
    courses
}

/// The measurements that these readings are, the oldest first, none of which is used because somebody marked it.
pub fn entered_in_error(readings: &[Observation]) -> Vec<Measurement> {
    moments(readings)
        .flat_map(|moment| measurements(moment, Some(WhyNot::EnteredInError), false))
        .collect()
}

fn is_pressure(observation: &Observation) -> bool {
    matches!(observation.metric, Metric::Systolic | Metric::Diastolic)
}

/// The course that is being read.
#[derive(Default)]
struct Running {
    course: Course,
    measurements: Vec<Measurement>,
    days: Vec<DayAverage>,
    /// Of each day, systolic and diastolic.
    means: Vec<[Mean; 2]>,
}

#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    n: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / f64::from(self.n))
    }
}

impl Running {
    fn take(&mut self, moment: &[Observation], date: NaiveDate, zone: Zone) {
        let at = moment[0].at;
        let place = self.course.take(date, at, COURSE_DAYS);
        if self.days.last().is_none_or(|day| day.date != date) {
            self.days.push(DayAverage::begin(date, !place.on_first_day));
            self.means.push(Default::default());
        }
        let day = self.days.last_mut().expect("just made sure");
        day.count(place, zone.time(at));
        let means = self.means.last_mut().expect("each day has its means");
        for observation in moment.iter().filter(|observation| is_pressure(observation)) {
            if !place.on_first_day {
                self.course.add(observation);
            }
            means[usize::from(observation.metric == Metric::Diastolic)].add(observation.value);
        }
        let why_not = place.on_first_day.then_some(WhyNot::FirstDay);
        self.measurements
            .extend(measurements(moment, why_not, !place.is_apart));
    }

    /// What the course comes to; nothing where none has begun.
    fn finish(mut self, born: NaiveDate) -> Option<HomeCourse> {
        let (first_day, latest_day) = (self.days.first()?.date, self.days.last()?.date);
        for (day, [systolic, diastolic]) in self.days.iter_mut().zip(self.means) {
            (day.systolic, day.diastolic) = (systolic.value(), diastolic.value());
        }
        let average = average(&self.course, &self.measurements);
        let judged = average.filter(|_| self.course.days().len() >= LEAST_DAYS as usize);
        Some(HomeCourse {
            first_day,
            last_day: first_day + TimeDelta::days(i64::from(COURSE_DAYS) - 1),
            average,
            range: judged.map(|average| average.range()),
            target: target(latest_day.years_since(born).unwrap_or(0), judged),
            sufficiency: sufficiency(&self.course, &self.measurements),
            days: self.days,
            measurements: self.measurements,
        })
    }
}

impl DayAverage {
    fn begin(date: NaiveDate, used: bool) -> DayAverage {
        DayAverage {
            date,
            measurements: 0,
            morning: 0,
            evening: 0,
            systolic: None,
            diastolic: None,
            used,
        }
    }

    fn count(&mut self, place: Place, time: NaiveTime) {
        let n = u32::from(place.is_apart);
        self.measurements += n;
        match time.hour() < 12 {
            true => self.morning += n,
            false => self.evening += n,
        }
    }
}

impl CourseAverage {
    /// Whether one of the numbers is at or above its bound.
    fn reaches(self, (systolic, diastolic): (f64, f64)) -> bool {
        self.systolic.is_some_and(|average| average >= systolic)
            || self.diastolic.is_some_and(|average| average >= diastolic)
    }

    fn range(self) -> StageRange {
        if self.reaches(STAGE_2) {
            StageRange::Stage2
        } else if self.reaches(STAGE_1) {
            StageRange::Stage1
        } else {
            StageRange::BelowStage1
        }
    }
}

fn average(course: &Course, measurements: &[Measurement]) -> Option<CourseAverage> {
    let of = |metric| course.average(metric).map(|average| average.mean);
    let (systolic, diastolic) = (of(Metric::Systolic), of(Metric::Diastolic));
    (systolic.is_some() || diastolic.is_some()).then(|| CourseAverage {
        systolic,
        diastolic,
        measurements: measurements.iter().filter(|measurement| measurement.used).count(),
    })
}

fn target(age: u32, judged: Option<CourseAverage>) -> Target {
    let bounds = if age < OLDER { TARGET } else { TARGET_OLDER };
    Target {
        age,
        systolic_below: bounds.0,
        diastolic_below: bounds.1,
        met: judged.map(|average| !average.reaches(bounds)),
    }
}

fn sufficiency(course: &Course, measurements: &[Measurement]) -> Sufficiency {
    let (days, short) = (course.days().len(), course.short_days());
    let irregular = measurements.iter().filter(|one| one.irregular_pulse).count();
    let enough = days >= LEAST_DAYS as usize;
    let mut remarks = Vec::new();
    if !enough {
        remarks.push(format!(
            "there are measurements on {}: an average needs {LEAST_DAYS} at least, and {COURSE_DAYS} are better",
            count(days, "day")
        ));
    }
    if short > 0 {
        remarks.push(format!(
            "on {} after the first there are fewer than {READINGS_OF_A_DAY} measurements a minute apart",
            count(short, "day")
        ));
    }
    if irregular > 0 {
        remarks.push(format!(
            "the cuff saw an irregular pulse in {}, and is unreliable then: consider a manual measurement",
            count(irregular, "measurement")
        ));
    }
    Sufficiency {
        sufficient: enough && short == 0,
        days,
        days_with_fewer_than_two: short,
        remarks,
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What each device measured in a moment.
fn measurements(moment: &[Observation], why_not: Option<WhyNot>, too_soon: bool) -> Vec<Measurement> {
    let mut measurements: Vec<Measurement> = Vec::new();
    for observation in moment.iter().filter(|observation| is_pressure(observation)) {
        let Observation { at, device, .. } = *observation;
        let known = measurements
            .iter()
            .position(|measurement| measurement.device == device);
        let index = known.unwrap_or_else(|| {
            let irregular =
                |o: &Observation| o.device == device && o.metric == Metric::IrregularPulse && o.value > 0.0;
            measurements.push(Measurement {
                at,
                device,
                systolic: None,
                diastolic: None,
                irregular_pulse: moment.iter().any(irregular),
                used: why_not.is_none(),
                why_not,
                too_soon,
            });
            measurements.len() - 1
        });
        let value = Some(observation.value);
        match observation.metric {
            Metric::Systolic => measurements[index].systolic = value,
            _ => measurements[index].diastolic = value,
        }
    }
    measurements
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london() -> Zone {
        Zone::named("Europe/London").unwrap()
    }

    fn born() -> NaiveDate {
        date("1950-06-15")
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn measure(at: &str, systolic: f64, diastolic: f64) -> Vec<Observation> {
        let at: DateTime<Utc> = at.parse().unwrap();
        let observation = |(metric, value)| Observation {
            metric,
            at,
            value,
            device: DeviceId(1),
            received_at: at,
        };
        [(Metric::Systolic, systolic), (Metric::Diastolic, diastolic)]
            .map(observation)
            .to_vec()
    }

    /// Two measurements in the morning and two in the evening of each of these days of November.
    fn full_days(pressures: &[(u32, f64, f64)]) -> Vec<Observation> {
        let of_day = |&(day, systolic, diastolic): &(u32, f64, f64)| {
            ["08:00", "08:01", "20:00", "20:01"]
                .into_iter()
                .flat_map(move |time| measure(&format!("2026-11-{day:02}T{time}:00Z"), systolic, diastolic))
        };
        pressures.iter().flat_map(of_day).collect()
    }

    fn only(readings: &[Observation]) -> HomeCourse {
        let mut courses = summarise_blood_pressure(readings, born(), london());
        assert_eq!(courses.len(), 1, "{courses:#?}");
        courses.remove(0)
    }

    #[test]
    fn nothing_measured_makes_no_course() {
        assert_eq!(summarise_blood_pressure(&[], born(), london()), []);
        let only_a_flag = [Observation {
            metric: Metric::IrregularPulse,
            ..measure("2026-11-01T08:00:00Z", 1.0, 1.0)[0]
        }];
        assert_eq!(summarise_blood_pressure(&only_a_flag, born(), london()), []);
    }

    #[test]
    fn the_first_day_is_shown_and_not_averaged() {
        let course = only(&full_days(&[
            (1, 190.0, 110.0),
            (2, 130.0, 80.0),
            (3, 132.0, 82.0),
            (4, 134.0, 84.0),
        ]));
        let average = course.average.unwrap();
        assert_eq!(
            (average.systolic, average.diastolic, average.measurements),
            (Some(132.0), Some(82.0), 12)
        );
        assert_eq!(
            (course.first_day, course.last_day),
            (date("2026-11-01"), date("2026-11-07"))
        );
        let days: Vec<_> = course
            .days
            .iter()
            .map(|day| (day.systolic.unwrap(), day.morning, day.evening, day.used))
            .collect();
        assert_eq!(
            days,
            [
                (190.0, 2, 2, false),
                (130.0, 2, 2, true),
                (132.0, 2, 2, true),
                (134.0, 2, 2, true)
            ]
        );
        let unused: Vec<_> = course.measurements.iter().filter(|one| !one.used).collect();
        assert_eq!(unused.len(), 4);
        assert!(unused.iter().all(|one| one.why_not == Some(WhyNot::FirstDay)));
        assert_eq!(course.range, Some(StageRange::BelowStage1));
        assert_eq!(
            (course.sufficiency.sufficient, &course.sufficiency.remarks[..]),
            (true, &[][..])
        );
    }

    #[test]
    fn either_number_reaches_a_range() {
        let check = |systolic, diastolic, range| {
            let days: Vec<_> = (1..=4).map(|day| (day, systolic, diastolic)).collect();
            assert_eq!(
                only(&full_days(&days)).range,
                Some(range),
                "{systolic}/{diastolic}"
            );
        };
        check(134.0, 84.0, StageRange::BelowStage1);
        check(135.0, 84.0, StageRange::Stage1);
        check(134.0, 85.0, StageRange::Stage1);
        check(149.0, 94.0, StageRange::Stage1);
        check(150.0, 84.0, StageRange::Stage2);
        check(134.0, 95.0, StageRange::Stage2);
    }

    #[test]
    fn the_target_is_that_of_the_age_at_the_time() {
        let days: Vec<_> = (1..=4).map(|day| (day, 140.0, 80.0)).collect();
        let target = |born: &str| {
            let courses = summarise_blood_pressure(&full_days(&days), date(born), london());
            let target = courses[0].target;
            (
                target.age,
                target.systolic_below,
                target.diastolic_below,
                target.met,
            )
        };
        // The last day measured is the fourth of November.
        assert_eq!(target("1946-11-05"), (79, 135.0, 85.0, Some(false)));
        assert_eq!(target("1946-11-04"), (80, 145.0, 85.0, Some(true)));
    }

    #[test]
    fn too_few_days_are_said_and_judge_nothing() {
        let course = only(&full_days(&[
            (1, 160.0, 100.0),
            (2, 160.0, 100.0),
            (3, 160.0, 100.0),
        ]));
        assert_eq!(course.average.unwrap().systolic, Some(160.0));
        assert_eq!((course.range, course.target.met), (None, None));
        assert!(!course.sufficiency.sufficient);
        assert_eq!(
            course.sufficiency.remarks,
            ["there are measurements on 3 days: an average needs 4 at least, and 7 are better"]
        );
        let one = only(&full_days(&[(1, 160.0, 100.0)]));
        assert_eq!((one.average, one.range), (None, None));
    }

    #[test]
    fn short_days_and_irregular_pulses_are_said() {
        let mut readings = full_days(&[(1, 130.0, 80.0), (2, 130.0, 80.0), (3, 130.0, 80.0)]);
        // Half a minute apart: one measurement for its day, and both in the average.
        readings.extend(measure("2026-11-04T08:00:00Z", 140.0, 90.0));
        readings.extend(measure("2026-11-04T08:00:30Z", 150.0, 90.0));
        readings.push(Observation {
            metric: Metric::IrregularPulse,
            value: 1.0,
            ..*readings.last().unwrap()
        });
        let course = only(&readings);
        let soon: Vec<_> = course.measurements.iter().map(|one| one.too_soon).collect();
        assert_eq!(soon[soon.len() - 2..], [false, true]);
        assert_eq!(course.average.unwrap().measurements, 10);
        let day = course.days.last().unwrap();
        assert_eq!((day.measurements, day.systolic), (1, Some(145.0)));
        assert_eq!(course.range, Some(StageRange::BelowStage1));
        assert!(!course.sufficiency.sufficient);
        assert_eq!(
            course.sufficiency.remarks,
            [
                "on 1 day after the first there are fewer than 2 measurements a minute apart",
                "the cuff saw an irregular pulse in 1 measurement, and is unreliable then: consider a manual \
                 measurement"
            ]
        );
    }

    #[test]
    fn a_course_is_over_after_seven_days_and_the_next_measurement_begins_another() {
        let days: Vec<_> = [1, 2, 3, 4, 7, 8, 9, 20].map(|day| (day, 130.0, 80.0)).to_vec();
        let courses = summarise_blood_pressure(&full_days(&days), born(), london());
        let spans: Vec<_> = courses
            .iter()
            .map(|course| (course.first_day, course.days.len()))
            .collect();
        assert_eq!(
            spans,
            [
                (date("2026-11-01"), 5),
                (date("2026-11-08"), 2),
                (date("2026-11-20"), 1)
            ]
        );
    }

    #[test]
    fn days_are_those_of_the_patients_calendar() {
        // Half past midnight of the second of July in London, and still the first in UTC.
        let readings = measure("2026-07-01T23:30:00Z", 130.0, 80.0);
        assert_eq!(only(&readings).first_day, date("2026-07-02"));
    }

    #[test]
    fn devices_that_measured_at_one_time_are_two_measurements_and_count_once() {
        let mut readings = full_days(&[(1, 130.0, 80.0)]);
        readings.extend(measure("2026-11-02T08:00:00Z", 130.0, 80.0));
        let mut other = measure("2026-11-02T08:00:00Z", 150.0, 90.0);
        other
            .iter_mut()
            .for_each(|observation| observation.device = DeviceId(2));
        readings.extend(other);
        readings.sort_by_key(Observation::key);
        let course = only(&readings);
        let of_day: Vec<_> = course.measurements[4..].iter().map(|one| one.systolic).collect();
        assert_eq!(of_day, [Some(130.0), Some(150.0)]);
        assert_eq!(
            (course.days[1].measurements, course.days[1].systolic),
            (1, Some(140.0))
        );
    }

    #[test]
    fn the_average_is_that_of_the_rule() {
        let rule = serde_json::json!({
            "kind": "home_average", "limits": [{"metric": "systolic", "at_least": 100}], "days": COURSE_DAYS,
            "min_days": LEAST_DAYS, "zone": "Europe/London",
        });
        let pressures = [
            (1, 150.0, 80.0),
            (2, 137.0, 80.0),
            (3, 142.0, 80.0),
            (5, 128.0, 80.0),
        ];
        let readings = full_days(&pressures);
        let points: Vec<_> = readings.iter().map(|o| (o.metric, o.at, o.value)).collect();
        let episodes = crate::testing::judge(rule, &points);
        assert_eq!(episodes[0].figure, only(&readings).average.unwrap().systolic);
    }
}
