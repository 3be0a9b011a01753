use chrono::{DateTime, TimeDelta, Utc};
use homeward_store::outbox::Usage;

/// The time over which messages are counted.
const HOUR: TimeDelta = TimeDelta::hours(1);

/// What a receiver gets now.
///
/// No more messages than its limit go to it within an hour, and yet nothing waits for an hour: a quarter of the
/// limit is kept back and spread evenly over the hour. With a limit of 20, fifteen may go at once, and then one
/// every twelve minutes at the most. What does not fit waits, and goes out together, in a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// How many messages go out by themselves, the most urgent ones.
    pub(super) alone: u32,
    /// Whether all others go out in one digest.
    pub(super) digest: bool,
    /// Until when everything waits.
    pub(super) wait_until: Option<DateTime<Utc>>,
}

impl Turn {
    /// What a receiver with this limit gets, at most `most` messages of its own. A digest that is due goes alone, and
    /// first, so a new one is written only where there is room for it beside those.
    pub(super) fn of(limit: u32, usage: &Usage, most: u32, now: DateTime<Utc>) -> Turn {
        let spread = limit / 4;
        let at_once = limit - spread;
        let next_at = match (usage.first_at, usage.last_at) {
            (_, Some(last)) if usage.sent < limit && spread > 0 => {
                Some(last + HOUR / i32::try_from(spread).unwrap_or(i32::MAX))
            }
            (first, _) => first.map(|first| first + HOUR),
        };
        let free = if usage.sent < at_once {
            at_once - usage.sent
        } else {
            u32::from(usage.sent < limit && next_at.is_some_and(|at| at <= now))
        };
        let nothing = Turn {
            alone: 0,
            digest: false,
            wait_until: None,
        };
        match (usage.due, free) {
            (0, _) => nothing,
            (_, 0) => Turn {
                // Something was sent, or there would be room; but if not, this is not the place to wait for ever.
                wait_until: Some(
                    next_at
                        .filter(|at| *at > now)
                        .unwrap_or(now + TimeDelta::minutes(1)),
                ),
                ..nothing
            },
            (due, free) if due <= free || usage.digests >= free => Turn {
                alone: due.min(free).min(most),
                ..nothing
            },
            (_, free) if free > most => Turn {
                alone: most,
                ..nothing
            },
            (_, free) => Turn {
                alone: free - 1,
                digest: true,
                ..nothing
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        let noon: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        noon + TimeDelta::minutes(minute)
    }

    #[test]
    fn what_fits_goes_alone_and_the_rest_together() {
        let check = |limit, (sent, first, last), due, expected: (u32, bool, Option<i64>)| {
            let usage = Usage {
                sent,
                first_at: (sent > 0).then(|| at(first)),
                last_at: (sent > 0).then(|| at(last)),
                due,
                digests: 0,
            };
            let turn = Turn::of(limit, &usage, 10, at(0));
            let (alone, digest, wait) = expected;
            let expected = Turn {
                alone,
                digest,
                wait_until: wait.map(at),
            };
            assert_eq!(turn, expected, "{limit} {usage:?}");
        };
        check(20, (0, 0, 0), 0, (0, false, None));
        check(20, (0, 0, 0), 3, (3, false, None));
        check(20, (0, 0, 0), 15, (10, false, None));
        check(20, (0, 0, 0), 40, (10, false, None));
        check(20, (10, -1, 0), 5, (5, false, None));
        check(20, (10, -1, 0), 30, (4, true, None));
        check(20, (14, -1, 0), 30, (0, true, None));
        // A quarter is kept back, and comes every twelve minutes.
        check(20, (15, -1, 0), 1, (0, false, Some(12)));
        check(20, (15, -30, -11), 7, (0, false, Some(1)));
        check(20, (15, -30, -12), 1, (1, false, None));
        check(20, (15, -30, -12), 7, (0, true, None));
        check(20, (20, -50, -12), 7, (0, false, Some(10)));
        // Where there is nothing to keep back.
        check(1, (0, 0, 0), 1, (1, false, None));
        check(1, (0, 0, 0), 2, (0, true, None));
        check(1, (1, -20, -20), 1, (0, false, Some(40)));
        check(3, (3, -20, -10), 1, (0, false, Some(40)));
    }

    #[test]
    fn digests_that_are_due_go_before_another_is_written() {
        let check = |limit, due, digests, expected: (u32, bool)| {
            let usage = Usage {
                due,
                digests,
                ..Usage::default()
            };
            let turn = Turn::of(limit, &usage, 10, at(0));
            assert_eq!((turn.alone, turn.digest), expected, "{limit} {usage:?}");
        };
        check(1, 2, 2, (1, false));
        check(1, 2, 1, (1, false));
        check(1, 2, 0, (0, true));
        check(4, 5, 3, (3, false));
        check(4, 5, 2, (2, true));
        check(4, 2, 2, (2, false));
    }

    proptest! {
        /// Alerts come as they like; a worker looks every minute.
        #[test]
        fn never_more_than_the_limit_and_never_a_long_wait(
            limit in 1_u32..40,
            alerts in prop::collection::vec(0_u32..12, 240),
        ) {
            let mut sent: Vec<DateTime<Utc>> = Vec::new();
            let (mut due, mut waited) = (0, 0);
            for (minute, new) in (0..).zip(&alerts) {
                let now = at(minute);
                due += new;
                loop {
                    let lately: Vec<_> = sent.iter().copied().filter(|sent| *sent > now - HOUR).collect();
                    let usage = Usage {
                        sent: u32::try_from(lately.len()).unwrap(),
                        first_at: lately.first().copied(),
                        last_at: lately.last().copied(),
                        due,
                        digests: 0,
                    };
                    let turn = Turn::of(limit, &usage, 10, now);
                    let messages = turn.alone + u32::from(turn.digest);
                    prop_assert_eq!(turn.wait_until.is_some(), due > 0 && messages == 0);
                    sent.extend(std::iter::repeat_n(now, messages as usize));
                    due -= turn.alone;
                    if turn.digest {
                        due = 0;
                    }
                    if messages == 0 {
                        break;
                    }
                }
                let lately = sent.iter().filter(|sent| **sent > now - HOUR).count();
                prop_assert!(lately <= limit as usize, "{lately} messages");
                waited = if due > 0 { waited + 1 } else { 0 };
                // As long as it takes until one comes that was kept back; with a limit under four, an hour.
                let longest = 60_u32.checked_div(limit / 4).unwrap_or(60);
                prop_assert!(waited <= longest + 1, "{waited} minutes");
            }
        }
    }
}
