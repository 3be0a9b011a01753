use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId, Point};
use homeward_store::silence::{Silent, Watched, last_readings, lock_watched, look_again, note_run, raise};
use homeward_store::{Error, PgPool};
use sqlx::PgConnection;

use super::BATCH;
use crate::{Condition, Definition, Severity, Silence};

/// How long devices have, after we were away, to send what they measured meanwhile. Nobody is found silent
/// before: it was we who did not listen.
const SETTLING: TimeDelta = TimeDelta::minutes(5);

/// When to look again at a rule that this version of the code cannot read.
const UNREADABLE_AGAIN: TimeDelta = TimeDelta::hours(1);

/// Before any reading.
const EVER: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// What a look at a series finds.
#[derive(Clone, Debug, PartialEq)]
enum Found {
    /// It has been silent for too long.
    Silent(Silent),
    /// It may be silent for too long then.
    Until(DateTime<Utc>),
}

/// A series with what its rule says.
struct Series {
    watched: Watched,
    rule: Silence,
    severity: Severity,
}

/// Raises episodes of the series that have fallen silent, and answers how many.
pub(super) async fn run_once(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, Error> {
    let failed = |source| Error::new("look for silent series", source);
    let mut connection = pool.acquire().await.map_err(failed)?;
    let settled_at = note_run(&mut connection, now).await? + SETTLING;
    drop(connection);
    let mut raised = 0;
    loop {
        let mut transaction = pool.begin().await.map_err(failed)?;
        let watched = lock_watched(&mut transaction, BATCH, now).await?;
        if watched.is_empty() {
            return Ok(raised);
        }
        let (silent, again) = look_at(&mut transaction, watched, settled_at, now).await?;
        look_again(&mut transaction, &again).await?;
        transaction.commit().await.map_err(failed)?;
        if !silent.is_empty() {
            raised += raise(pool, &silent, now).await?;
        }
    }
}

/// Which of these series are silent, and when to look at the others again.
async fn look_at(
    connection: &mut PgConnection,
    watched: Vec<Watched>,
    settled_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(Vec<Silent>, Vec<(Watched, DateTime<Utc>)>), Error> {
    let (mut series, mut again) = (Vec::new(), Vec::new());
    for watched in watched {
        match Series::of(watched) {
            Ok(readable) => series.push(readable),
            Err(watched) => again.push((watched, now + UNREADABLE_AGAIN)),
        }
    }
    let longest = series.iter().map(|series| series.rule.limit()).max();
    let keys = |series: &[Series]| -> Vec<(PatientId, Metric)> {
        series
            .iter()
            .map(|series| (series.watched.patient, series.rule.metric))
            .collect()
    };
    let recent = last_readings(connection, &keys(&series), now - longest.unwrap_or_default()).await?;
    let mut quiet = Vec::new();
    for (series, last) in series.into_iter().zip(recent) {
        match series.look(last, now) {
            Found::Until(at) => again.push((series.watched, at)),
            Found::Silent(_) if now < settled_at => again.push((series.watched, settled_at)),
            Found::Silent(_) => quiet.push(series),
        }
    }
    // The last reading of these is long ago, so it takes a longer look to find it.
    let last = last_readings(connection, &keys(&quiet), EVER).await?;
    let mut silent = Vec::new();
    for (series, last) in quiet.into_iter().zip(last) {
        match series.look(last, now) {
            Found::Silent(found) => silent.push(found),
            Found::Until(at) => again.push((series.watched, at)),
        }
    }
    Ok((silent, again))
}

impl Series {
    /// Reads a rule; the other way round where that is not possible.
    fn of(watched: Watched) -> Result<Series, Watched> {
        match Definition::parse(&watched.definition) {
            Ok(Definition {
                condition: Condition::Silence(rule),
                severity,
                ..
            }) => Ok(Series {
                watched,
                rule,
                severity,
            }),
            _ => Err(watched),
        }
    }

    /// Whether it is silent at `now`, if its last reading was `last`. A rule demands nothing of the time before
    /// it was valid: so it raises no episode in the moment of an enrolment.
    fn look(&self, last: Option<Point>, now: DateTime<Utc>) -> Found {
        let valid_from = self.watched.valid_from;
        let until = last.map_or(valid_from, |last| last.at.max(valid_from)) + self.rule.limit();
        if now <= until {
            return Found::Until(until);
        }
        let none = Point {
            metric: self.rule.metric,
            at: valid_from,
            value: 0.0,
        };
        let point = last.unwrap_or(none);
        Found::Silent(Silent {
            watched: self.watched.clone(),
            severity: self.severity.as_str(),
            last: point,
            was_measured: last.is_some(),
            seconds: (now - point.at).num_milliseconds() as f64 / 1_000.0,
            ends_from: now - self.rule.limit(),
        })
    }
}

#[cfg(test)]
mod tests {
    use homeward_record::RuleId;
    use serde_json::json;

    use super::*;
    use crate::fixture::minute;

    #[test]
    fn a_series_is_silent_after_its_time() {
        // Expected every ten minutes, silent after twice that; the rule is valid from noon.
        let series = Series::of(Watched {
            patient: PatientId(1001),
            code: "glucose-silent".to_owned(),
            rule: RuleId(1),
            definition: json!({
                "name": "No glucose",
                "severity": "low",
                "condition": {"kind": "silence", "metric": "glucose", "expected_every_seconds": 600, "times": 2},
                "guidance": "Call the patient.",
                "source": "A test.",
            }),
            valid_from: minute(0),
        });
        let series = series.unwrap_or_else(|_| panic!("the rule can be read"));
        let look = |last: Option<i64>, now| {
            let last = last.map(|last| Point {
                metric: Metric::Glucose,
                at: minute(last),
                value: 6.1,
            });
            match series.look(last, now) {
                Found::Until(at) => Err((at - minute(0)).num_minutes()),
                Found::Silent(silent) => Ok((silent.last.at, silent.last.value, silent.seconds)),
            }
        };
        let second = TimeDelta::seconds(1);
        assert_eq!(look(None, minute(20)), Err(20));
        assert_eq!(look(None, minute(20) + second), Ok((minute(0), 0.0, 1_201.0)));
        assert_eq!(look(Some(7), minute(27)), Err(27));
        assert_eq!(look(Some(7), minute(27) + second), Ok((minute(7), 6.1, 1_201.0)));
        // What was before the rule does not make it silent at once, and is told all the same.
        assert_eq!(look(Some(-300), minute(1)), Err(20));
        assert_eq!(look(Some(-300), minute(30)), Ok((minute(-300), 6.1, 19_800.0)));
        // A device whose clock is ahead.
        assert_eq!(look(Some(30), minute(29)), Err(50));
    }
}
