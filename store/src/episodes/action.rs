//! What people may do about an episode, as a state machine: pure, so that every case can be tried.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::access::Somebody;
use crate::alerts::EpisodeStatus;

/// What somebody does about an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes it up: raised becomes acknowledged, and what is over is closed.
    Acknowledge,
    /// Makes it somebody's business, or nobody's.
    Assign {
        /// Whose: one of whom the record knows the role.
        to: Option<Somebody>,
    },
    /// Says something about it.
    Comment {
        /// What.
        text: String,
    },
    /// Lets nobody be paged for it for a while.
    Snooze {
        /// Until when.
        until: DateTime<Utc>,
        /// Why.
        reason: String,
    },
    /// Puts it away once its condition has cleared.
    Close {
        /// Why nothing is to be done.
        reason: String,
    },
}

/// Why an action is not possible as the episode stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What lasts cannot be closed: its condition has to clear first.
    NotCleared,
    /// It is closed, so that it is nobody's business any more.
    Closed,
    /// What is over pages nobody, so it cannot be snoozed.
    Over,
    /// A snooze ends in the future.
    SnoozeInThePast,
    /// A snooze is not as long as that.
    SnoozeTooLong {
        /// As long as it may be.
        limit: TimeDelta,
    },
}

/// How long an episode may be snoozed at a time. Choices of this product: what is urgent is looked at again
/// every day, anything else every week, and nobody switches off what a care plan cannot do without (very low
/// glucose) for longer than its treatment takes to show.
fn snooze_limit(severity: &str, always_on: bool) -> TimeDelta {
    match severity {
        _ if always_on => TimeDelta::minutes(30),
        "high" => TimeDelta::hours(24),
        _ => TimeDelta::days(7),
    }
}

/// Where the work on an episode stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) status: EpisodeStatus,
    pub(super) severity: String,
    pub(super) always_on: bool,
    pub(super) acknowledged_at: Option<DateTime<Utc>>,
    pub(super) assigned_to: Option<Somebody>,
    pub(super) snoozed_until: Option<DateTime<Utc>>,
    /// From when on its escalation counts.
    pub(super) escalates_from: Option<DateTime<Utc>>,
    pub(super) escalate_at: Option<DateTime<Utc>>,
    /// Whether it was whoever acts who did the same kind of thing last, and what it said.
    pub(super) last: Option<(bool, Option<Value>)>,
}

/// A transition that an action makes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) kind: &'static str,
    pub(super) detail: Option<Value>,
}

impl Action {
    /// The transition that it makes.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Action::Acknowledge => "acknowledged",
            Action::Assign { .. } => "assigned",
            Action::Comment { .. } => "commented",
            Action::Snooze { .. } => "snoozed",
            Action::Close { .. } => "closed",
        }
    }

    fn step(&self) -> Step {
        let detail = match self {
            Action::Acknowledge => None,
            Action::Assign { to } => Some(assignment(to.as_ref())),
            Action::Comment { text } => Some(json!({"text": text})),
            Action::Snooze { until, reason } => Some(json!({"until": until, "reason": reason})),
            Action::Close { reason } => Some(json!({"reason": reason})),
        };
        Step {
            kind: self.kind(),
            detail,
        }
    }
}

/// To whom an episode is assigned, by name and account; a program has none.
fn assignment(to: Option<&Somebody>) -> Value {
    match to.map(|to| (&to.name, to.account)) {
        None => json!({"to": null}),
        Some((name, None)) => json!({"to": name}),
        Some((name, Some(account))) => json!({"to": name, "account": account}),
    }
}

impl Standing {
    /// Where it stands after an action, and the transitions that lead there: none where somebody had done the
    /// same before, so that a request may be repeated.
    pub(super) fn after(
        mut self,
        action: &Action,
        now: DateTime<Utc>,
    ) -> Result<(Standing, Vec<Step>), Refusal> {
        let step = action.step();
        let mut steps = Vec::new();
        match action {
            Action::Acknowledge => {
                let next = match self.status {
                    EpisodeStatus::Raised => EpisodeStatus::Acknowledged,
                    EpisodeStatus::Cleared => EpisodeStatus::Closed,
                    EpisodeStatus::Acknowledged | EpisodeStatus::Closed => return Ok((self, steps)),
                };
                (self.status, self.acknowledged_at) = (next, Some(now));
                steps.push(step);
                if next == EpisodeStatus::Closed {
                    let (kind, detail) = ("closed", None);
                    steps.push(Step { kind, detail });
                }
            }
            Action::Assign { to } if self.assigned_to != *to => {
                if self.status == EpisodeStatus::Closed {
                    return Err(Refusal::Closed);
                }
                self.assigned_to.clone_from(to);
                steps.push(step);
            }
            Action::Assign { .. } => {}
            Action::Comment { .. } => {
                let said = self
                    .last
                    .as_ref()
                    .is_some_and(|(by_the_same, what)| *by_the_same && *what == step.detail);
                steps.extend((!said).then_some(step));
            }
            Action::Snooze { until, .. } => {
                let said = self.last.as_ref().is_some_and(|(_, what)| *what == step.detail);
                if self.snoozed_until == Some(*until) && said {
                    return Ok((self, steps));
                }
                self.snooze(*until, now)?;
                steps.push(step);
            }
            Action::Close { .. } => match self.status {
                EpisodeStatus::Raised | EpisodeStatus::Acknowledged => return Err(Refusal::NotCleared),
                EpisodeStatus::Cleared => {
                    self.status = EpisodeStatus::Closed;
                    steps.push(step);
                }
                EpisodeStatus::Closed => {}
            },
        }
        Ok((self, steps))
    }

    /// The time for which it is snoozed does not count for its escalation, which goes on from its level then.
    fn snooze(&mut self, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Refusal> {
        let limit = snooze_limit(&self.severity, self.always_on);
        if !matches!(self.status, EpisodeStatus::Raised | EpisodeStatus::Acknowledged) {
            return Err(Refusal::Over);
        }
        if until <= now {
            return Err(Refusal::SnoozeInThePast);
        }
        if until > now + limit {
            return Err(Refusal::SnoozeTooLong { limit });
        }
        let counted_until = self.snoozed_until.map_or(now, |former| former.max(now));
        self.escalates_from = self.escalates_from.map(|from| from + (until - counted_until));
        self.escalate_at = self.escalate_at.map(|_| until);
        self.snoozed_until = Some(until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        let noon: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        noon + TimeDelta::minutes(minute)
    }

    fn standing(status: EpisodeStatus) -> Standing {
        Standing {
            status,
            severity: "medium".to_owned(),
            always_on: false,
            acknowledged_at: None,
            assigned_to: None,
            snoozed_until: None,
            escalates_from: Some(at(-10)),
            escalate_at: Some(at(5)),
            last: None,
        }
    }

    fn snooze(minute: i64) -> Action {
        Action::Snooze {
            until: at(minute),
            reason: "a bath".to_owned(),
        }
    }

    fn assign(to: Option<&str>) -> Action {
        Action::Assign {
            to: to.map(|name| Somebody {
                name: name.to_owned(),
                held_role: Some(7),
                account: Some(501),
            }),
        }
    }

    /// The status afterwards and the kinds of the transitions.
    fn outcome(from: Standing, action: &Action) -> Result<(EpisodeStatus, Vec<&'static str>), Refusal> {
        let (after, steps) = from.after(action, at(0))?;
        Ok((after.status, steps.iter().map(|step| step.kind).collect()))
    }

    #[test]
    fn every_action_in_every_status() {
        use EpisodeStatus::{Acknowledged, Cleared, Closed, Raised};
        let comment = Action::Comment {
            text: "Called".to_owned(),
        };
        let close = Action::Close {
            reason: "Sensor fault".to_owned(),
        };
        for (status, acknowledge, assigned, snoozed, closed) in [
            (
                Raised,
                Ok((Acknowledged, vec!["acknowledged"])),
                Ok((Raised, vec!["assigned"])),
                Ok((Raised, vec!["snoozed"])),
                Err(Refusal::NotCleared),
            ),
            (
                Acknowledged,
                Ok((Acknowledged, vec![])),
                Ok((Acknowledged, vec!["assigned"])),
                Ok((Acknowledged, vec!["snoozed"])),
                Err(Refusal::NotCleared),
            ),
            (
                Cleared,
                Ok((Closed, vec!["acknowledged", "closed"])),
                Ok((Cleared, vec!["assigned"])),
                Err(Refusal::Over),
                Ok((Closed, vec!["closed"])),
            ),
            (
                Closed,
                Ok((Closed, vec![])),
                Err(Refusal::Closed),
                Err(Refusal::Over),
                Ok((Closed, vec![])),
            ),
        ] {
            let outcome = |action: &Action| outcome(standing(status), action);
            assert_eq!(outcome(&Action::Acknowledge), acknowledge, "{status:?}");
            assert_eq!(outcome(&assign(Some("Dr Ng"))), assigned, "{status:?}");
            assert_eq!(outcome(&snooze(60)), snoozed, "{status:?}");
            assert_eq!(outcome(&close), closed, "{status:?}");
            assert_eq!(outcome(&comment), Ok((status, vec!["commented"])), "{status:?}");
        }
    }

    #[test]
    fn what_was_done_is_not_done_again() {
        for (action, other) in [
            (assign(Some("Dr Ng")), assign(None)),
            (snooze(60), snooze(61)),
            (
                Action::Comment {
                    text: "Called".to_owned(),
                },
                Action::Comment {
                    text: "Called twice".to_owned(),
                },
            ),
        ] {
            let (mut after, steps) = standing(EpisodeStatus::Raised).after(&action, at(0)).unwrap();
            after.last = Some((true, steps[0].detail.clone()));
            let (again, none) = after.clone().after(&action, at(1)).unwrap();
            assert_eq!((&again, none), (&after, vec![]), "{action:?}");
            assert_eq!(after.after(&other, at(1)).unwrap().1.len(), 1, "{other:?}");
        }
        // Somebody else may say the same.
        let text = "Called".to_owned();
        let mut said = standing(EpisodeStatus::Closed);
        said.last = Some((false, Some(json!({"text": text}))));
        assert_eq!(outcome(said, &Action::Comment { text }).unwrap().1, ["commented"]);
    }

    #[test]
    fn it_is_assigned_to_somebody_and_not_to_a_name() {
        let mei = |account| Somebody {
            name: "Mei Ng".to_owned(),
            held_role: account,
            account,
        };
        let assigned = |from: Option<Somebody>, to| {
            let standing = Standing {
                assigned_to: from,
                ..standing(EpisodeStatus::Raised)
            };
            let to = Some(mei(to));
            let (_, steps) = standing.after(&Action::Assign { to }, at(0)).unwrap();
            steps
                .into_iter()
                .filter_map(|step| step.detail)
                .collect::<Vec<_>>()
        };
        let told = [json!({"to": "Mei Ng", "account": 502})];
        assert_eq!(assigned(None, Some(502)), told);
        assert_eq!(assigned(Some(mei(Some(502))), Some(502)), [] as [Value; 0]);
        // Her namesake had it, or the record does not say which of them.
        assert_eq!(assigned(Some(mei(Some(501))), Some(502)), told);
        assert_eq!(assigned(Some(mei(None)), Some(502)), told);
    }

    #[test]
    fn a_snooze_has_limits() {
        for (severity, always_on, minutes) in [
            ("high", false, 24 * 60),
            ("medium", false, 7 * 24 * 60),
            ("low", false, 7 * 24 * 60),
            ("info", false, 7 * 24 * 60),
            ("high", true, 30),
            ("low", true, 30),
        ] {
            let standing = Standing {
                severity: severity.to_owned(),
                always_on,
                ..standing(EpisodeStatus::Raised)
            };
            assert!(standing.clone().after(&snooze(minutes), at(0)).is_ok());
            let limit = TimeDelta::minutes(minutes);
            assert_eq!(
                outcome(standing.clone(), &snooze(minutes + 1)),
                Err(Refusal::SnoozeTooLong { limit })
            );
            for past in [0, -1] {
                assert_eq!(
                    outcome(standing.clone(), &snooze(past)),
                    Err(Refusal::SnoozeInThePast)
                );
            }
        }
    }

    #[test]
    fn the_time_of_a_snooze_does_not_count_for_the_escalation() {
        // Ten minutes counted when it was snoozed, however often that changed.
        let (first, _) = standing(EpisodeStatus::Raised).after(&snooze(60), at(0)).unwrap();
        let (longer, _) = first.clone().after(&snooze(90), at(5)).unwrap();
        let (shorter, _) = longer.clone().after(&snooze(20), at(10)).unwrap();
        for (standing, until) in [(first, 60), (longer, 90), (shorter.clone(), 20)] {
            assert_eq!(standing.snoozed_until, Some(at(until)));
            assert_eq!(standing.escalates_from, Some(at(until - 10)));
            assert_eq!(standing.escalate_at, Some(at(until)));
        }
        // It went on for five minutes after a snooze that nothing has ended yet.
        let (again, _) = shorter.after(&snooze(30), at(25)).unwrap();
        assert_eq!(again.escalates_from, Some(at(30 - 15)));
    }
}
