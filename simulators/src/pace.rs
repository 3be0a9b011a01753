use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Clock;
use tokio::time::{sleep, sleep_until};

/// How fast simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as real time.
    Times(f64),
    /// As fast as the broker acknowledges.
    Max,
}

/// A number, or `max` (also 0) for as fast as it goes.
impl FromStr for Speed {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Speed> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let times: f64 = text.parse().unwrap_or(f64::NAN);
        ensure!(
            times.is_finite() && times >= 0.0,
            "{text:?} is no speed: expected max, 1 for real time, or how many times as fast"
        );
        Ok(if times == 0.0 {
            Speed::Max
        } else {
            Speed::Times(times)
        })
    }
}

/// When what is measured at a simulated time is due in real time.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) speed: Speed,
    /// The simulated time at `begun`.
    pub(crate) from: DateTime<Utc>,
    pub(crate) begun: Instant,
    pub(crate) clock: Clock,
}

/// A wait for the clock is cut into pieces, so that a clock that is set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Pace {
    /// Waits until simulated time has come to `at`. Where `live`, also until the clock has: nothing is sent
    /// from the future.
    pub(crate) async fn wait(&self, at: DateTime<Utc>, live: bool) {
        sleep_until(self.due(at).into()).await;
        if live {
            while let Some(left) = self.clock_is_before(at) {
                sleep(left.min(LONGEST_WAIT)).await;
            }
        }
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_due(&self, at: DateTime<Utc>, live: bool) -> bool {
        self.due(at) <= Instant::now() && !(live && self.clock_is_before(at).is_some())
    }

    fn due(&self, at: DateTime<Utc>) -> Instant {
        match self.speed {
            Speed::Max => self.begun,
            Speed::Times(times) => {
                let seconds = (at - self.from).as_seconds_f64() / times;
                self.begun + Duration::try_from_secs_f64(seconds).unwrap_or_default()
            }
        }
    }

    fn clock_is_before(&self, at: DateTime<Utc>) -> Option<Duration> {
        let left = at - self.clock.now();
        (left > TimeDelta::zero()).then(|| left.to_std().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_as_written() {
        for (text, expected) in [
            ("max", Speed::Max),
            ("0", Speed::Max),
            ("1", Speed::Times(1.0)),
            ("0.5", Speed::Times(0.5)),
            ("3600", Speed::Times(3_600.0)),
        ] {
            assert_eq!(text.parse::<Speed>().unwrap(), expected);
        }
        for wrong in ["", "fast", "-1", "NaN", "inf"] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn simulated_time_is_due_by_its_speed_and_never_before_the_clock() {
        let from: DateTime<Utc> = "2026-11-22T08:00:00Z".parse().unwrap();
        let pace = |speed| Pace {
            speed,
            from,
            begun: Instant::now(),
            clock: Clock::Fixed(from + TimeDelta::minutes(10)),
        };
        let minutes = TimeDelta::minutes;
        let fast = pace(Speed::Times(60.0));
        assert_eq!(fast.due(from + minutes(5)) - fast.begun, Duration::from_secs(5));
        assert!(!fast.is_due(from + minutes(5), false));
        assert_eq!(fast.due(from - minutes(5)), fast.begun);
        let max = pace(Speed::Max);
        assert!(max.is_due(from + minutes(50), false));
        assert!(max.is_due(from + minutes(10), true));
        assert!(!max.is_due(from + minutes(11), true));
    }
}
