use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Where the time comes from. Code that needs the time is given a clock; nothing else reads the system's.
///
/// Times are whole microseconds, as the store keeps them, so that a time survives the way through the
/// record unchanged.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that stands still, for tests.
    Fixed(DateTime<Utc>),
    /// The system's clock moved by a fixed amount, for tests and for a simulated device whose clock is wrong.
    Shifted(TimeDelta),
}

impl Clock {
    /// The time, in whole microseconds.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clock"
    )]
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Clock::System => Utc::now().trunc_subsecs(6),
            Clock::Fixed(at) => *at,
            Clock::Shifted(by) => (Utc::now() + *by).trunc_subsecs(6),
        }
    }
}
