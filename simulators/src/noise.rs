//! Chance that can be asked twice.
//!
//! The simulated patients are functions of time: whatever is random about them must come out the same when
//! the same moment is asked for again, in any order. So their noise is a hash of the place, not a sequence.
//! What happens on the network has no such need: [`Dice`] is a plain seeded sequence.

/// A family of random numbers, one for each place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    key: u64,
}

impl Noise {
    /// The noise of one patient of a simulation.
    pub(crate) fn new(seed: u64, patient: u64) -> Noise {
        Noise {
            key: mix(mix(seed) ^ patient),
        }
    }

    /// An independent family of this name.
    pub(crate) fn stream(self, name: &str) -> Noise {
        let named = name
            .bytes()
            .fold(self.key, |key, byte| mix(key ^ u64::from(byte)));
        Noise { key: named }
    }

    /// Evenly between 0 and 1 (exclusive).
    pub(crate) fn uniform(self, place: i64) -> f64 {
        unit(mix(self.key ^ mix(place.cast_unsigned())))
    }

    /// Evenly within these limits.
    pub(crate) fn within(self, place: i64, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform(place)
    }

    /// Normal with standard deviation 1, cut at 3: devices and bodies have no endless tails.
    pub(crate) fn gauss(self, place: i64) -> f64 {
        let radius = (-2.0 * (1.0 - self.stream("radius").uniform(place)).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.uniform(place);
        (radius * angle.cos()).clamp(-3.0, 3.0)
    }

    /// Noise that changes slowly: normal at every multiple of `period` seconds, and smooth in between, so
    /// that moments closer than a period are like each other.
    pub(crate) fn smooth(self, at: f64, period: f64) -> f64 {
        let place = at / period;
        let before = place.floor();
        let slot = before as i64;
        mix_values(self.gauss(slot), self.gauss(slot + 1), smoothstep(place - before))
    }
}

/// A seeded sequence of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice { state: mix(seed) }
    }

    /// Evenly between 0 and 1 (exclusive).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(GOLDEN);
        unit(mix(self.state))
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.uniform() < probability
    }
}

/// From 0 at 0 (and below) to 1 at 1 (and above), with level ends.
pub(crate) fn smoothstep(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

/// From one value to another as `weight` goes from 0 to 1.
pub(crate) fn mix_values(from: f64, to: f64, weight: f64) -> f64 {
    from + (to - from) * weight
}

/// The increment of splitmix64: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// splitmix64 (Steele, Lea and Flood, 2014): every bit of the input moves every bit of the output.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The upper 53 bits, as many as a double holds.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        (mean, (squares / values.len() as f64).sqrt())
    }

    #[test]
    fn the_numbers_are_spread_as_they_say() {
        let noise = Noise::new(1, 2).stream("test");
        let even: Vec<_> = (0..20_000).map(|i| noise.uniform(i)).collect();
        assert!(even.iter().all(|u| (0.0..1.0).contains(u)));
        let (mean, deviation) = mean_and_deviation(&even);
        assert!((mean - 0.5).abs() < 0.01 && (deviation - 0.289).abs() < 0.01);
        let normal: Vec<_> = (-10_000..10_000).map(|i| noise.gauss(i)).collect();
        let (mean, deviation) = mean_and_deviation(&normal);
        assert!(mean.abs() < 0.03 && (deviation - 1.0).abs() < 0.03);
        assert!(normal.iter().all(|g| g.abs() <= 3.0));
    }

    #[test]
    fn smooth_noise_has_a_memory() {
        let noise = Noise::new(1, 2).stream("test");
        for i in -2_000..2_000 {
            let at = f64::from(i) * 30.0;
            let step = (noise.smooth(at + 1.0, 600.0) - noise.smooth(at, 600.0)).abs();
            assert!(step < 0.02, "{step} at {at}");
        }
    }

    #[test]
    fn patients_and_streams_are_independent() {
        let one = Noise::new(1, 2);
        for other in [
            Noise::new(1, 3),
            Noise::new(2, 2),
            one.stream("a"),
            one.stream("b"),
        ] {
            assert!((one.uniform(7) - other.uniform(7)).abs() > 1e-9);
        }
        assert!((one.uniform(7) - Noise::new(1, 2).uniform(7)).abs() < 1e-12);
    }
}
