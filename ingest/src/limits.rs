use std::time::Duration;

use homeward_record::decode::MAX_PAYLOAD;

/// What one device, and all of them together, may ask of the broker. Every queue and buffer on the way of
/// a reading is bounded by one of these.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time. Each costs some tens of kilobytes.
    pub connections: u32,
    /// QoS 1 messages that a connection may have unacknowledged (MQTT 5 receive maximum); further ones wait
    /// their turn. Above the default of common clients (20 to 100), since MQTT 3.1.1 cannot tell a client
    /// what it may do.
    pub window: u16,
    /// Messages a second that a device may send for long.
    pub messages_per_second: f64,
    /// Messages that a device may send at once, after a silence: the backlog of a day offline.
    pub burst: f64,
    /// Payload bytes that wait in the process for their commit, of all connections together.
    pub bytes_in_flight: u32,
    /// After how long an unacknowledged message closes its connection, so that the device sends it again.
    pub acknowledge_within: Duration,
    /// How long a new connection may take to send its CONNECT packet.
    pub connect_within: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            window: 128,
            messages_per_second: 200.0,
            burst: 5_000.0,
            bytes_in_flight: 64 * 1024 * 1024,
            acknowledge_within: Duration::from_secs(30),
            connect_within: Duration::from_secs(10),
        }
    }
}

/// The largest MQTT packet: the largest payload and as much topic and property text as any device needs.
pub(crate) const MAX_PACKET: usize = MAX_PAYLOAD + 4 * 1024;

/// Allows so many messages at once, and so many a second for long.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    tokens: f64,
    filled_at: std::time::Instant,
}

impl TokenBucket {
    pub(crate) fn full(limits: &Limits, now: std::time::Instant) -> TokenBucket {
        TokenBucket {
            tokens: limits.burst,
            filled_at: now,
        }
    }

    /// Whether one more message is within the limits.
    pub(crate) fn take(&mut self, limits: &Limits, now: std::time::Instant) -> bool {
        let earned = (now - self.filled_at).as_secs_f64() * limits.messages_per_second;
        self.tokens = (self.tokens + earned).min(limits.burst);
        self.filled_at = now;
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let limits = Limits {
            burst: 3.0,
            messages_per_second: 2.0,
            ..Limits::default()
        };
        let start = Instant::now();
        let mut bucket = TokenBucket::full(&limits, start);
        let taken = |bucket: &mut TokenBucket, millis| {
            let now = start + Duration::from_millis(millis);
            (0..10).filter(|_| bucket.take(&limits, now)).count()
        };
        assert_eq!(taken(&mut bucket, 0), 3);
        assert_eq!(taken(&mut bucket, 400), 0);
        assert_eq!(taken(&mut bucket, 500), 1);
        assert_eq!(taken(&mut bucket, 60_000), 3);
    }
}
