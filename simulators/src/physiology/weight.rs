use super::{DAY, HOUR, Patient, Span, round_to, time};
use crate::measurement::Measurement;
use crate::noise::Noise;

/// How heavy a patient is.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    /// In the long run, kg.
    usual: f64,
}

/// Mornings on which the patient forgets to step on the scale.
const FORGOTTEN: f64 = 0.03;

impl Traits {
    pub(super) fn of(noise: Noise) -> Traits {
        Traits {
            usual: noise.within(0, 62.0, 98.0),
        }
    }
}

impl Patient {
    /// A weight every morning.
    pub(super) fn scale(&self, span: Span) -> Vec<Measurement> {
        let noise = self.noise.stream("scale");
        span.periods(DAY)
            .filter(|day| noise.stream("forgotten").uniform(*day) >= FORGOTTEN)
            .map(|day| day * DAY + noise.within(day, 6.8 * HOUR as f64, 8.0 * HOUR as f64) as i64)
            .filter(|at| span.contains(*at))
            .map(|at| Measurement::BodyWeight {
                at: time(at),
                value: round_to(self.body_weight(at), 10.0),
            })
            .collect()
    }

    /// Weight moves by some hundred grams, with what is eaten and drunk, and with the fluid that a script keeps.
    fn body_weight(&self, at: i64) -> f64 {
        let noise = self.noise.stream("weight");
        let fluid: f64 = self.scripts.iter().map(|script| script.fluid(at)).sum();
        let drift = 0.25 * noise.smooth(at as f64, 4.0 * DAY as f64);
        self.weight.usual + drift + 0.15 * noise.gauss(at) + fluid
    }
}
