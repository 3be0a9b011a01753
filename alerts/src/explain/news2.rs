use homeward_record::Metric;
use serde_json::{Map, Value};

use super::About;
use super::words::{list, number};
use crate::kinds::{NEWS2_METRICS, News2, Scale};

/// "NEWS2 at least 6 (respirations 2, oxygen saturation 3, pulse 1; without temperature), 5 or more since
/// 08:05 GMT; highest 8 at 08:20 GMT"
pub(super) fn sentence(kind: &News2, about: &About<'_>) -> Option<String> {
    let told = |total| number(total, 0, |_| true);
    let total = about.latest.figure?;
    let scores: Option<Map<String, Value>> = about.detail("scores");
    let missing: Option<Vec<Metric>> = about.detail("missing");
    let scores: Vec<(Metric, u8)> = NEWS2_METRICS
        .into_iter()
        .filter_map(|metric| {
            let score = scores.as_ref()?.get(metric.name())?.as_u64()?;
            Some((metric, u8::try_from(score).ok()?))
        })
        .collect();
    let highest = scores.iter().map(|(_, score)| *score).max();
    let limit = match (kind.total_at_least, kind.single_at_least) {
        (Some(limit), _) if total >= f64::from(limit) => format!(", {limit} or more"),
        (_, Some(limit)) if highest.is_none_or(|highest| highest >= limit) => {
            format!(", {limit} in one parameter")
        }
        _ => return None,
    };
    let scale = match kind.scale {
        Scale::One => "",
        Scale::Two => " on scale 2",
    };
    // Without the detail nobody knows whether it was complete.
    let complete = missing.as_ref().is_some_and(Vec::is_empty);
    let at_least = if complete { "" } else { " at least" };
    let mut sentence = format!("NEWS2{scale}{at_least} {}", told(total));
    sentence += &parts(&scores, &missing.unwrap_or_default());
    sentence += &limit;
    let calendar = about.calendar();
    sentence += &format!(" since {}", calendar.time(about.onset.at));
    if let Some(worst) = about.worst.figure.filter(|worst| *worst > total) {
        sentence += &format!("; highest {} at {}", told(worst), calendar.time(about.worst.at));
    }
    Some(sentence + &about.ending())
}

/// What the total is made of, and what it lacks.
fn parts(scores: &[(Metric, u8)], missing: &[Metric]) -> String {
    let scoring = scores.iter().filter(|(_, score)| *score > 0);
    let scoring: Vec<String> = scoring
        .map(|(metric, score)| format!("{} {score}", name(*metric)))
        .collect();
    let lacking = NEWS2_METRICS
        .into_iter()
        .filter(|metric| missing.contains(metric));
    let lacking: Vec<String> = lacking.map(|metric| name(metric).to_owned()).collect();
    let mut parts = scoring.join(", ");
    if !lacking.is_empty() {
        let separator = if parts.is_empty() { "" } else { "; " };
        parts += &format!("{separator}without {}", list(&lacking));
    }
    match parts.is_empty() {
        true => parts,
        false => format!(" ({parts})"),
    }
}

/// The parameters as the chart calls them.
fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::RespiratoryRate => "respirations",
        Metric::Spo2 => "oxygen saturation",
        Metric::SupplementalOxygen => "air or oxygen",
        Metric::Systolic => "systolic blood pressure",
        Metric::HeartRate => "pulse",
        Metric::Consciousness => "consciousness",
        Metric::BodyTemperature => "temperature",
        _ => "other",
    }
}
