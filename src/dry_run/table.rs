//! The answer of a dry run, for people.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use homeward_alerts::dry_run::{Difference, Figures, ListedEpisode, Report};

use crate::demo::progress::grouped;

/// The answer as a text of some tables, with a line feed at its end.
pub(super) fn show(report: &Report) -> String {
    let mut text = format!(
        "From {} to {}: {}, {} readings.\n\n",
        time(report.from),
        time(report.to),
        count(report.patients, "patient"),
        grouped(report.readings)
    );
    text += &rules(report);
    let late = report.proposed.late.all + report.current.late.all;
    if late > 0 {
        let rate = |figures: &Figures| a_day(figures.late_per_patient_day);
        text += &format!(
            "\nLate episodes, which page nobody, beside these: {} proposed ({} a patient-day), {} at present ({}).\n",
            grouped(report.proposed.late.all),
            rate(&report.proposed),
            grouped(report.current.late.all),
            rate(&report.current),
        );
    }
    for rule in &report.rules {
        if let Some(reason) = rule.not_tried {
            text += &format!("\n{}: {reason}\n", rule.code);
        }
        if rule.cut_off_patients > 0 {
            let patients = count(rule.cut_off_patients, "patient");
            text += &format!(
                "\n{}: raised so many episodes of {patients} that the figures are too low.\n",
                rule.code
            );
        }
    }
    let (listed, left_out) = (&report.episodes, report.episodes_left_out);
    episodes(&mut text, "The proposal's episodes", listed, left_out);
    let (listed, left_out) = (&report.only_current, report.only_current_left_out);
    episodes(
        &mut text,
        "Episodes that only the present plan has",
        listed,
        left_out,
    );
    for note in &report.notes {
        text += &format!("\n{note}");
    }
    text + "\n"
}

fn rules(report: &Report) -> String {
    let mut text = format!(
        "{:36}{:>24}{:>24}\n{:28}{:>8}{:>9}{:>15}{:>9}{:>15}{:>15}{:>7}{:>14}\n",
        "",
        "proposed",
        "present plan",
        "rule",
        "severity",
        "alerts",
        "a patient-day",
        "alerts",
        "a patient-day",
        "only proposed",
        "both",
        "only present"
    );
    for rule in &report.rules {
        let severity = rule.severity.to_string();
        let (proposed, current) = (rule.proposed.as_ref(), rule.current.as_ref());
        text += &row(&rule.code, &severity, proposed, current, rule.difference);
    }
    let (proposed, current) = (Some(&report.proposed), Some(&report.current));
    text + &row("all", "", proposed, current, report.difference)
}

fn row(
    code: &str,
    severity: &str,
    proposed: Option<&Figures>,
    current: Option<&Figures>,
    difference: Difference,
) -> String {
    let cells = |figures: Option<&Figures>| match figures {
        Some(figures) => (grouped(figures.alerts.all), a_day(figures.alerts_per_patient_day)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let ((alerts, rate), (present_alerts, present_rate)) = (cells(proposed), cells(current));
    let Difference {
        only_proposed,
        both,
        only_current,
        ..
    } = difference;
    let [proposed, both, present] = [only_proposed, both, only_current].map(grouped);
    format!("{code:28}{severity:>8}{alerts:>9}{rate:>15}{present_alerts:>9}{present_rate:>15}")
        + &format!("{proposed:>15}{both:>7}{present:>14}\n")
}

/// A line for each episode.
fn episodes(text: &mut String, what: &str, listed: &[ListedEpisode], left_out: u64) {
    if listed.is_empty() {
        return;
    }
    *text += &format!("\n{what}");
    if left_out > 0 {
        *text += &format!(
            ", the first {} of {}",
            listed.len(),
            grouped(listed.len() as u64 + left_out)
        );
    }
    *text += ":\n";
    for episode in listed {
        let mark = match (episode.in_both, episode.late) {
            (true, true) => "in both, late",
            (true, false) => "in both",
            (false, true) => "late",
            (false, false) => "",
        };
        let at = episode.raised_at.format("%Y-%m-%d %H:%M");
        let severity = episode.severity.to_string();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  {at}  patient {}  {severity:6}  {:13}  {}: {}",
            episode.patient, mark, episode.code, episode.text
        );
    }
}

fn a_day(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.3}"))
}

fn count(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{} {what}s", grouped(n)),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y %H:%M UTC").to_string()
}
