use chrono::{DateTime, TimeDelta, Utc};

/// The pause after the first attempt. Each further one is twice as long, up to [`LONGEST`].
const FIRST: TimeDelta = TimeDelta::seconds(15);

/// The longest pause: a receiver that was away for hours hears of what still matters soon after it is back.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// After this nobody needs to be told any more.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::hours(24);

/// When to try again what was written at `created_at` and has failed `attempts` times, the last time now; `None`:
/// not any more. `jitter`, from 0 until before 1, spreads those that failed together over half of the pause.
pub(super) fn next_attempt(
    attempts: u32,
    created_at: DateTime<Utc>,
    now: DateTime<Utc>,
    jitter: f64,
) -> Option<DateTime<Utc>> {
    // Doubled ten times it is the longest for sure.
    let doubled = FIRST * 2_i32.pow(attempts.saturating_sub(1).min(10));
    let pause = doubled.min(LONGEST);
    let milliseconds = pause.num_milliseconds() as f64 * (1.0 - jitter / 2.0);
    let at = now + TimeDelta::milliseconds(milliseconds as i64);
    (at <= created_at + GIVE_UP_AFTER).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let noon: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        let pause = |attempts, jitter| {
            let at = next_attempt(attempts, noon, noon, jitter).unwrap();
            (at - noon).num_seconds()
        };
        let pauses = [1, 2, 3, 8, 9, 10, 1_000].map(|attempts| pause(attempts, 0.0));
        assert_eq!(pauses, [15, 30, 60, 1_920, 3_600, 3_600, 3_600]);
        assert_eq!((pause(2, 0.5), pause(2, 0.99)), (22, 15));

        let created = noon - TimeDelta::hours(24);
        assert_eq!(next_attempt(40, created, noon, 0.0), None);
        let created = noon - TimeDelta::hours(23);
        assert_eq!(
            next_attempt(40, created, noon, 0.0),
            Some(noon + TimeDelta::hours(1))
        );
        assert_eq!(next_attempt(40, created - TimeDelta::seconds(1), noon, 0.0), None);

        // From the first attempt to the last, with the longest pauses.
        let (mut at, mut attempts) = (noon, 1);
        while let Some(next) = next_attempt(attempts, noon, at, 0.0) {
            (at, attempts) = (next, attempts + 1);
        }
        assert!(
            attempts > 30 && at - noon > TimeDelta::hours(23),
            "{attempts} {at}"
        );
    }
}
