//! Readings beyond limits: threshold, sustained, repeated.

use homeward_record::Metric;

use super::About;
use super::time::duration;
use super::words::{beyond, bound, exact_number, extreme, noun, quantity, subject};
use crate::kinds::{Repeated, Sustained, Threshold, Unless};
use crate::{Limit, Mark};

/// "Glucose 2.7 mmol/L, below 3.0 mmol/L since 08:05 GMT; lowest 2.5 mmol/L at 08:10 GMT"
pub(super) fn threshold(kind: &Threshold, about: &About<'_>) -> Option<String> {
    beyond_limits(&kind.limits, about, "", &about.span())
}

/// "Heart rate at rest 131 beats a minute, above 120 beats a minute for 35 minutes, since 08:05 GMT"
pub(super) fn sustained(kind: &Sustained, about: &About<'_>) -> Option<String> {
    let at_rest = |unless: &Unless| unless.metric == Metric::Steps;
    let circumstance = match &kind.unless {
        Some(unless) if at_rest(unless) => " at rest",
        _ => "",
    };
    let lasted = about.latest.at - about.onset.at;
    let span = match about.cleared_at {
        None if lasted >= chrono::TimeDelta::minutes(1) => {
            format!("for {}, {}", duration(lasted), about.span())
        }
        _ => about.span(),
    };
    beyond_limits(&kind.limits, about, circumstance, &span)
}

/// "Irregular pulse in at least 2 of the last 3 measurements, first at 08:05 GMT; the latest at 09:10 GMT"
pub(super) fn repeated(kind: &Repeated, about: &About<'_>) -> Option<String> {
    let latest = Told::of(&kind.limits, &about.latest)?;
    let (what, latest_value) = match latest.irregular_pulse() {
        Some(what) => (what.to_owned(), String::new()),
        None => {
            let what = format!("{} {}", subject(latest.mark.metric), latest.bound());
            (what, format!(" {}", latest.value()))
        }
    };
    let Repeated { times, of, .. } = kind;
    let how_many = match (times, of) {
        (1, 1) => "in the last measurement".to_owned(),
        (times, of) if times == of => format!("in all of the last {of} measurements"),
        (times, of) => format!("in at least {times} of the last {of} measurements"),
    };
    let calendar = about.calendar();
    let mut sentence = format!("{what} {how_many}, first at {}", calendar.time(about.onset.at));
    if about.latest.at > about.onset.at {
        sentence += &format!("; the latest{latest_value} at {}", calendar.time(about.latest.at));
    }
    Some(sentence + &worst(&kind.limits, about) + &about.ending())
}

fn beyond_limits(limits: &[Limit], about: &About<'_>, circumstance: &str, span: &str) -> Option<String> {
    let latest = Told::of(limits, &about.latest)?;
    let onset = Told::of(limits, &about.onset);
    if let Some(both) = Pressures::at(limits, about, &latest) {
        return Some(format!("{both} {span}{}", worst(limits, about)));
    }
    let same_limit = onset.is_some_and(|onset| onset.limit == latest.limit);
    if !same_limit && let Some(either) = either_pressure(limits, about, span) {
        return Some(either);
    }
    let mut sentence = match latest.irregular_pulse() {
        Some(what) => format!("{what}{circumstance}"),
        None => format!(
            "{}{circumstance} {}, {}",
            subject(latest.mark.metric),
            latest.value(),
            latest.bound()
        ),
    };
    sentence += if same_limit { " " } else { "; outside the limits " };
    Some(sentence + span + &worst(limits, about))
}

/// What the worst reading was, where it was not the latest.
fn worst(limits: &[Limit], about: &About<'_>) -> String {
    let Some(worst) = Told::of(limits, &about.worst).filter(|_| about.worst_differs()) else {
        return String::new();
    };
    let at = about.calendar().time(worst.mark.at);
    if let Some(told) = Told::of(limits, &about.latest)
        && let Some(both) = Pressures::of(limits, about, &told)
        && [both.systolic.mark, both.diastolic.mark].contains(&worst.mark)
    {
        return String::new();
    }
    let of = match (worst.mark.metric, about.latest.metric) {
        (metric, latest) if metric == latest => String::new(),
        (Metric::Systolic, Metric::Diastolic) => "systolic ".to_owned(),
        (Metric::Diastolic, Metric::Systolic) => "diastolic ".to_owned(),
        (metric, _) => noun(metric) + " ",
    };
    format!("; {} {of}{} at {at}", extreme(worst.limit), worst.value())
}

/// A reading beyond a limit.
#[derive(Clone, Copy)]
struct Told<'a> {
    mark: &'a Mark,
    limit: &'a Limit,
}

impl<'a> Told<'a> {
    /// The limit that a reading is beyond. At most one is: the limits of one metric do not overlap.
    fn of(limits: &'a [Limit], mark: &'a Mark) -> Option<Told<'a>> {
        let limit = limits
            .iter()
            .find(|limit| limit.metric == mark.metric && limit.is_breached_by(mark.value))?;
        Some(Told { mark, limit })
    }

    fn value(self) -> String {
        quantity(self.mark.metric, self.mark.value, |told| {
            self.limit.is_breached_by(told)
        })
    }

    fn bound(self) -> String {
        bound(self.limit.metric, self.limit.bound)
    }

    /// What a cuff saw is no number to people.
    fn irregular_pulse(self) -> Option<&'static str> {
        (self.mark.metric == Metric::IrregularPulse).then_some(match self.mark.value {
            0.0 => "No irregular pulse",
            _ => "Irregular pulse",
        })
    }
}

/// Both numbers of one measurement, each beyond its limit on the same side.
struct Pressures<'a> {
    systolic: Told<'a>,
    diastolic: Told<'a>,
}

impl<'a> Pressures<'a> {
    /// Those of the measurement that `told` belongs to, if the episode kept both.
    fn of(limits: &'a [Limit], about: &'a About<'_>, told: &Told<'_>) -> Option<Pressures<'a>> {
        let of_metric = |metric| {
            [&about.latest, &about.worst, &about.onset]
                .into_iter()
                .filter(|mark| mark.metric == metric && mark.at == told.mark.at)
                .find_map(|mark| Told::of(limits, mark))
        };
        let (systolic, diastolic) = (of_metric(Metric::Systolic)?, of_metric(Metric::Diastolic)?);
        let alike = beyond(systolic.limit.bound) == beyond(diastolic.limit.bound);
        alike.then_some(Pressures { systolic, diastolic })
    }

    /// "Blood pressure 192/126 mmHg, at or above 180/120 mmHg"
    fn at(limits: &'a [Limit], about: &'a About<'_>, told: &Told<'_>) -> Option<String> {
        let Pressures { systolic, diastolic } = Pressures::of(limits, about, told)?;
        let systolic_value = systolic.value();
        Some(format!(
            "Blood pressure {}/{}, {}",
            systolic_value.trim_end_matches(" mmHg"),
            diastolic.value(),
            both_bounds(systolic.limit, diastolic.limit)
        ))
    }
}

/// "Blood pressure at or above 180/120 mmHg since 21:33 GMT: latest diastolic 126 mmHg, highest systolic
/// 192 mmHg at 21:35 GMT", where now one number and now the other was kept.
fn either_pressure(limits: &[Limit], about: &About<'_>, span: &str) -> Option<String> {
    let [onset, latest, worst] =
        [&about.onset, &about.latest, &about.worst].map(|mark| Told::of(limits, mark));
    let (onset, latest, worst) = (onset?, latest?, worst?);
    let of_metric = |metric| {
        [onset, latest, worst]
            .into_iter()
            .find(|told| told.limit.metric == metric)
    };
    let (systolic, diastolic) = (of_metric(Metric::Systolic)?, of_metric(Metric::Diastolic)?);
    let pressure = |told: &Told<'_>| [Metric::Systolic, Metric::Diastolic].contains(&told.limit.metric);
    let alike = |told: &Told<'_>| beyond(told.limit.bound) == beyond(systolic.limit.bound);
    if ![onset, latest, worst]
        .iter()
        .all(|told| pressure(told) && alike(told))
    {
        return None;
    }
    let number = |told: Told<'_>| match told.mark.metric {
        Metric::Systolic => format!("systolic {}", told.value()),
        _ => format!("diastolic {}", told.value()),
    };
    let mut sentence = format!(
        "Blood pressure {} {span}: latest {}",
        both_bounds(systolic.limit, diastolic.limit),
        number(latest)
    );
    if about.worst_differs() {
        sentence += &format!(
            ", {} {} at {}",
            extreme(worst.limit),
            number(worst),
            about.calendar().time(worst.mark.at)
        );
    }
    Some(sentence)
}

/// "at or above 180/120 mmHg"
fn both_bounds(systolic: &Limit, diastolic: &Limit) -> String {
    format!(
        "{} {}/{}",
        beyond(systolic.bound),
        exact_number(Metric::Systolic, systolic.bound.value()),
        super::words::exact(Metric::Diastolic, diastolic.bound.value())
    )
}
