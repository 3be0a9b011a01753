//! What the alerts of a demo made of what happened: their load, what they caught, and how long they took.

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use homeward_simulators::Deterioration;
use homeward_store::PgPool;

use super::progress::grouped;

/// Alerts for a patient and day: fewer would hardly be seen to work, and more is not what a team can bear.
const LOAD: std::ops::RangeInclusive<f64> = 0.1..=1.0;

/// Patient-days below which the load is left to chance, and not judged.
const ENOUGH_PATIENT_DAYS: f64 = 500.0;

/// The period that the devices bring from the past, and whose it is.
pub(super) struct Period {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    /// The numbers of the patients, in the order of their places in the cohort.
    pub(super) patients: Vec<u64>,
    /// Whether deteriorations are scripted for them.
    pub(super) scripted: bool,
}

/// What the alerts of a period came to.
pub(super) struct Review {
    patient_days: f64,
    /// Of each severity, the most urgent first: alerts, and how many of these are late.
    alerts: Vec<(String, i64, i64)>,
    findings: Vec<Finding>,
}

/// A deterioration, and the alerts that caught it.
struct Finding {
    patient: u64,
    deterioration: &'static Deterioration,
    /// For each rule that has to catch it, when readings met it.
    caught: Vec<(&'static str, Option<DateTime<Utc>>)>,
}

impl Period {
    /// Asks the record. What is still under way there is not found.
    pub(super) async fn review(&self, pool: &PgPool) -> Result<Review> {
        let alerts = sqlx::query_as(
            "SELECT severity, count(*), count(*) FILTER (WHERE late)
             FROM episode
             WHERE withdrawn_at IS NULL AND met_at >= $1 AND met_at < $2
             GROUP BY severity
             ORDER BY array_position(ARRAY['high', 'medium', 'low', 'info'], severity)",
        )
        .bind(self.from)
        .bind(self.to)
        .fetch_all(pool)
        .await
        .context("could not count the alerts")?;
        let mut findings = Vec::new();
        if self.scripted {
            for deterioration in Deterioration::in_period(self.patients.len(), self.from, self.to) {
                findings.push(self.find(pool, deterioration).await?);
            }
        }
        let days = (self.to - self.from).as_seconds_f64() / 86_400.0;
        Ok(Review {
            patient_days: days * self.patients.len() as f64,
            alerts,
            findings,
        })
    }

    async fn find(&self, pool: &PgPool, deterioration: &'static Deterioration) -> Result<Finding> {
        let patient = self.patients[deterioration.place];
        let (begin, end) = deterioration.span(self.to);
        let mut caught = Vec::new();
        for code in deterioration.caught_by {
            let met_at: Option<DateTime<Utc>> = sqlx::query_scalar(
                "SELECT min(met_at)
                 FROM episode
                 WHERE patient_id = $1 AND code = $2 AND met_at BETWEEN $3 AND $4 AND withdrawn_at IS NULL",
            )
            .bind(i64::try_from(patient)?)
            .bind(code)
            .bind(begin)
            .bind(end)
            .fetch_one(pool)
            .await
            .context("could not look for alerts")?;
            caught.push((*code, met_at));
        }
        Ok(Finding {
            patient,
            deterioration,
            caught,
        })
    }

    /// How long the alerts took that are not late: how many there are since the period ended, and the median of the
    /// seconds from measurement to alert. Silence is not measured, so it does not count.
    pub(super) async fn delay(&self, pool: &PgPool) -> Result<(i64, Option<f64>)> {
        sqlx::query_as(
            "SELECT count(*), percentile_cont(0.5) WITHIN GROUP (
                 ORDER BY EXTRACT(EPOCH FROM episode.raised_at - episode.met_at)::float8)
             FROM episode
             JOIN care_plan_rule USING (rule_id)
             WHERE NOT late AND withdrawn_at IS NULL AND met_at >= $1
                 AND definition #>> '{condition,kind}' <> 'silence'",
        )
        .bind(self.to)
        .fetch_one(pool)
        .await
        .context("could not ask how long alerts took")
    }
}

impl Review {
    /// Whether each deterioration was caught by all that have to.
    pub(super) fn all_caught(&self) -> bool {
        self.findings.iter().all(Finding::is_caught)
    }

    /// # Errors
    ///
    /// If something was not caught, or there are too few or too many alerts.
    pub(super) fn check(&self) -> Result<()> {
        let missed = self
            .findings
            .iter()
            .filter(|finding| !finding.is_caught())
            .count();
        if missed > 0 {
            bail!(
                "{missed} of {} scripted deteriorations were not caught",
                self.findings.len()
            );
        }
        let load = self.load();
        if self.patient_days >= ENOUGH_PATIENT_DAYS && !LOAD.contains(&load) {
            bail!(
                "{load:.2} alerts for a patient and day is not between {} and {}",
                LOAD.start(),
                LOAD.end()
            );
        }
        Ok(())
    }

    fn load(&self) -> f64 {
        let all: i64 = self.alerts.iter().map(|(_, count, _)| count).sum();
        self.a_day(all)
    }

    fn a_day(&self, count: i64) -> f64 {
        count as f64 / self.patient_days.max(f64::MIN_POSITIVE)
    }

    /// What to say of it.
    pub(super) fn text(&self) -> String {
        let all: i64 = self.alerts.iter().map(|(_, count, _)| count).sum();
        let late: i64 = self.alerts.iter().map(|(_, _, late)| late).sum();
        if self.patient_days <= 0.0 {
            return String::new();
        }
        let mut text = format!(
            "In {} patient-days: {} alerts, {:.2} for a patient and day ({} of them late: what arrives long after it \
             was measured is judged and shown, and pages nobody).\n",
            grouped(self.patient_days.round() as u64),
            grouped(all.unsigned_abs()),
            self.load(),
            grouped(late.unsigned_abs()),
        );
        for (severity, count, _) in &self.alerts {
            let count_text = grouped(count.unsigned_abs());
            text += &format!(
                "  {severity:6} {count_text:>6}  {:.3} for a patient and day\n",
                self.a_day(*count)
            );
        }
        if !self.findings.is_empty() {
            let caught = self.findings.iter().filter(|finding| finding.is_caught()).count();
            text += &format!(
                "Of {} scripted deteriorations, {caught} were caught:\n",
                self.findings.len()
            );
        }
        for finding in &self.findings {
            text += &finding.line();
        }
        text.trim_end().to_owned()
    }
}

impl Finding {
    fn is_caught(&self) -> bool {
        self.caught.iter().all(|(_, met_at)| met_at.is_some())
    }

    fn line(&self) -> String {
        let Deterioration { what, .. } = self.deterioration;
        let caught = self.caught.iter().map(|(code, met_at)| match met_at {
            Some(met_at) => format!("{code} ({})", met_at.format("%-d %b %H:%M")),
            None => format!("{code} NOT CAUGHT"),
        });
        let caught: Vec<String> = caught.collect();
        format!("  patient {}  {what:46}  {}\n", self.patient, caught.join(", "))
    }
}

/// How long alerts took, if there are any.
pub(super) fn delay_text(count: i64, median: Option<f64>) -> String {
    match median {
        Some(median) => format!(
            "Median delay from measurement to alert: {median:.2} s, of {count} live alert{}.",
            if count == 1 { "" } else { "s" }
        ),
        None => "No live alert yet, so no delay from measurement to alert.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn review(alerts: i64, missed: bool) -> Review {
        let to: DateTime<Utc> = "2026-11-22T08:00:00Z".parse().unwrap();
        let finding = |deterioration: &'static Deterioration| Finding {
            patient: 1001 + deterioration.place as u64,
            deterioration,
            caught: deterioration
                .caught_by
                .iter()
                .map(|code| (*code, Some(to)))
                .collect(),
        };
        let mut findings: Vec<_> = Deterioration::in_period(40, to - TimeDelta::days(14), to)
            .map(finding)
            .collect();
        if missed {
            findings[0].caught[1].1 = None;
        }
        Review {
            patient_days: 1_000.0,
            alerts: vec![("high".to_owned(), 20, 20), ("medium".to_owned(), alerts - 20, 0)],
            findings,
        }
    }

    #[test]
    fn what_was_missed_and_a_load_out_of_bounds_fail_a_review() {
        assert!(review(180, false).check().is_ok());
        let missed = review(180, true);
        assert!(!missed.all_caught());
        let error = missed.check().unwrap_err().to_string();
        assert_eq!(error, "1 of 14 scripted deteriorations were not caught");
        for alerts in [99, 1_001] {
            assert!(review(alerts, false).check().is_err(), "{alerts}");
        }
        let few = Review {
            patient_days: 20.0,
            ..review(180, false)
        };
        assert!(few.check().is_ok(), "too few days to judge the load");
    }

    #[test]
    fn a_review_reads_well() {
        let text = review(1_180, true).text();
        for part in [
            "In 1,000 patient-days: 1,180 alerts, 1.18 for a patient and day (20 of them late",
            "\n  medium  1,160  1.160 for a patient and day\n",
            "\nOf 14 scripted deteriorations, 13 were caught:\n",
            "  glucose-very-low (22 Nov 08:00), glucose-low NOT CAUGHT\n",
            "\n  patient 1003  a hypertensive crisis ",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(
            delay_text(12, Some(0.034)),
            "Median delay from measurement to alert: 0.03 s, of 12 live alerts."
        );
        assert!(delay_text(0, None).starts_with("No live alert yet"));
    }
}
