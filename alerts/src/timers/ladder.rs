use chrono::{DateTime, TimeDelta, Utc};
use homeward_store::episodes::{Escalated, Escalating, Telling};
use homeward_store::outbox::DEFAULT_ESCALATION;

use crate::{Definition, Role};

/// Who is told of the episodes of a rule, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ladder {
    /// The time for which an episode must have been raised, and the role of those who are told then; by time.
    levels: Vec<(TimeDelta, &'static str)>,
    /// After what time those who were told last are told again.
    repeat: Option<TimeDelta>,
}

/// What becomes of an episode's escalation at `now`.
///
/// The level is the last one whose time has come: whoever was to be told earlier, and was not because nobody
/// was there to tell them, is not told any more.
pub(super) fn decide(episode: &Escalating, now: DateTime<Utc>) -> Escalated {
    let ladder = Ladder::of(episode);
    let (telling, next_at) = ladder.decide(episode, now);
    Escalated {
        episode: episode.episode,
        telling,
        next_at,
    }
}

impl Ladder {
    /// What the episode's rule says, or else the defaults of its severity.
    fn of(episode: &Escalating) -> Ladder {
        let definition = Definition::parse(&episode.definition).ok();
        let seconds = |seconds: u32| TimeDelta::seconds(seconds.into());
        if let Some(definition) = &definition
            && let Some(levels) = &definition.escalation
        {
            let levels = levels.iter();
            return Ladder {
                levels: levels
                    .map(|level| (seconds(level.after_seconds), name(level.to)))
                    .collect(),
                repeat: definition.repeat_seconds.map(seconds),
            };
        }
        let default = DEFAULT_ESCALATION
            .iter()
            .find(|default| default.severity == episode.severity);
        let levels = default.map_or(&[][..], |default| default.levels);
        let repeat = definition.and_then(|definition| definition.repeat_seconds);
        Ladder {
            levels: levels.iter().map(|(after, to)| (seconds(*after), *to)).collect(),
            repeat: repeat
                .or_else(|| default.and_then(|default| default.repeat_seconds))
                .map(seconds),
        }
    }

    fn decide(&self, episode: &Escalating, now: DateTime<Utc>) -> (Option<Telling>, Option<DateTime<Utc>>) {
        let told = (episode.told as usize).min(self.levels.len());
        let elapsed = now - episode.from;
        let reached = self
            .levels
            .iter()
            .take_while(|(after, _)| *after <= elapsed)
            .count();
        let again_at = match (episode.told_at, self.repeat) {
            _ if told == 0 => None,
            // Nobody has been told since a snooze ended.
            (None, _) => Some(now),
            (Some(told_at), Some(repeat)) => Some(told_at + repeat),
            (Some(_), None) => None,
        };
        let again = reached <= told;
        let number = reached.max(told);
        let telling = (number > 0 && (!again || again_at.is_some_and(|at| at <= now))).then(|| Telling {
            level: u32::try_from(number - 1).unwrap_or(u32::MAX),
            to: self.levels[number - 1].1,
            again,
        });

        let repeated_at = match telling {
            Some(_) => self.repeat.map(|repeat| now + repeat),
            None => again_at,
        };
        let next_level = self.levels.get(number).map(|(after, _)| episode.from + *after);
        (telling, next_level.into_iter().chain(repeated_at).min())
    }
}

/// The name of a role in the record.
fn name(role: Role) -> &'static str {
    match role {
        Role::Team => "team",
        Role::Lead => "lead",
        Role::OnCall => "on_call",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::minute;

    fn rule(more: Value) -> Value {
        let mut definition = json!({
            "name": "Glucose very low",
            "severity": "high",
            "condition": {"kind": "threshold", "limits": [{"metric": "glucose", "below": 3.0}]},
            "guidance": "Treat it.",
            "source": "A test.",
        });
        for (key, value) in more.as_object().unwrap() {
            definition[key] = value.clone();
        }
        definition
    }

    fn escalating(severity: &str, more: Value, told: u32, told_at: Option<i64>) -> Escalating {
        Escalating {
            episode: 1,
            severity: severity.to_owned(),
            definition: rule(more),
            from: minute(0),
            told,
            told_at: told_at.map(minute),
        }
    }

    #[test]
    fn the_levels_of_a_severity() {
        // At a minute, of an episode that was told so: who is told, and when to look again.
        let check = |severity: &str, told, told_at, now, expected: Option<(u32, &str, bool)>, next| {
            let outcome = decide(&escalating(severity, json!({}), told, told_at), minute(now));
            let telling = outcome
                .telling
                .as_ref()
                .map(|telling| (telling.level, telling.to, telling.again));
            assert_eq!(telling, expected, "{severity} {told} {told_at:?} at {now}");
            assert_eq!(
                outcome.next_at,
                Option::<i64>::map(next, minute),
                "{severity} {told} {told_at:?} at {now}"
            );
        };
        check("high", 1, Some(0), 0, None, Some(15));
        check("high", 1, Some(0), 14, None, Some(15));
        check("high", 1, Some(0), 15, Some((1, "lead", false)), Some(30));
        check("high", 2, Some(15), 20, None, Some(30));
        check("high", 2, Some(15), 30, Some((1, "lead", true)), Some(45));
        check("high", 2, Some(45), 60, Some((2, "on_call", false)), Some(75));
        check("high", 3, Some(60), 75, Some((2, "on_call", true)), Some(90));
        // Nobody was there for hours: what is so now is told once.
        check("high", 1, Some(0), 600, Some((2, "on_call", false)), Some(615));
        check("high", 0, None, 600, Some((2, "on_call", false)), Some(615));
        check("high", 3, Some(60), 600, Some((2, "on_call", true)), Some(615));
        // A snooze ended.
        check("high", 1, None, 5, Some((0, "team", true)), Some(15));
        check("medium", 1, None, 5, Some((0, "team", true)), Some(240));
        check("medium", 2, None, 300, Some((1, "lead", true)), None);

        check("medium", 1, Some(0), 1, None, Some(240));
        check("medium", 1, Some(0), 240, Some((1, "lead", false)), None);
        check("medium", 2, Some(240), 2_000, None, None);
        for severity in ["low", "info"] {
            check(severity, 0, None, 2_000, None, None);
        }
    }

    #[test]
    fn a_rule_may_say_it_itself() {
        let own = |more: Value| Ladder::of(&escalating("low", more, 0, None));
        let levels = json!({"escalation": [{"after_seconds": 60, "to": "on_call"}], "repeat_seconds": 600});
        let expected = Ladder {
            levels: vec![(TimeDelta::minutes(1), "on_call")],
            repeat: Some(TimeDelta::minutes(10)),
        };
        assert_eq!(own(levels), expected);
        assert_eq!(own(json!({})).levels, []);
        // What cannot be read any more is told as its severity demands.
        let mut unreadable = escalating("high", json!({}), 0, None);
        unreadable.definition = json!({});
        assert_eq!(Ladder::of(&unreadable).levels.len(), 3);
    }

    proptest! {
        /// However seldom somebody looks: levels only rise, nothing is told twice at one time, what was to be
        /// told is told at the first look after its time, and looking more often than needed changes nothing.
        #[test]
        fn a_ladder_is_climbed(
            delays in prop::collection::vec(1_i64..100, 1..5),
            repeat in prop::option::of(5_i64..50),
            pauses in prop::collection::vec(1_i64..60, 1..40),
        ) {
            let mut after = 0;
            let levels: Vec<_> = delays
                .iter()
                .map(|delay| {
                    after += delay;
                    (TimeDelta::minutes(after), "lead")
                })
                .collect();
            let ladder = Ladder { levels, repeat: repeat.map(TimeDelta::minutes) };
            let mut episode = escalating("high", json!({}), 0, None);
            let (mut now, mut due) = (0, Some(minute(0)));
            for pause in pauses {
                let (telling, next) = ladder.decide(&episode, minute(now));
                let reached = ladder.levels.iter().filter(|(after, _)| minute(0) + *after <= minute(now)).count();
                prop_assert!(telling.is_none() || due.is_some_and(|due| due <= minute(now)));
                if let Some(telling) = telling {
                    prop_assert_eq!(telling.level as usize + 1, reached);
                    prop_assert_eq!(telling.again, telling.level + 1 == episode.told);
                    episode.told = telling.level + 1;
                    episode.told_at = Some(minute(now));
                }
                prop_assert_eq!(episode.told as usize, reached);
                prop_assert!(next.is_none_or(|next| next > minute(now)));
                let (again, same) = ladder.decide(&episode, minute(now));
                prop_assert_eq!((again, same), (None, next));
                due = next;
                now += pause;
            }
        }
    }
}
