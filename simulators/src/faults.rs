use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use chrono::TimeDelta;

/// What goes wrong between a device and the broker, on request.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Probability that a message is not written when its turn comes, but a while later: a lost packet.
    pub drop: f64,
    /// Probability that a message is sent twice, as two messages with the same payload.
    pub duplicate: f64,
    /// Probability that a message lets a later one go first.
    pub reorder: f64,
    /// How much the devices' clocks are ahead (or, negative, behind). The record refuses readings more than
    /// five minutes in the future.
    pub clock_skew: TimeDelta,
    /// Probability, for each message written, that the connection breaks soon after, without a farewell.
    pub disconnect: f64,
    /// Where chance begins: the same seed makes the same choices for the same device.
    pub seed: u64,
}

/// No faults.
impl Default for Faults {
    fn default() -> Faults {
        Faults {
            drop: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            clock_skew: TimeDelta::zero(),
            disconnect: 0.0,
            seed: 1,
        }
    }
}

/// As on the command line: `drop=0.01,duplicate=0.05,reorder=0.1,disconnect=0.002,clock_skew=-90,seed=7`,
/// the skew in seconds.
impl FromStr for Faults {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Faults> {
        let mut faults = Faults::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item
                .split_once('=')
                .with_context(|| format!("{item:?} is not NAME=VALUE"))?;
            match name {
                "drop" => faults.drop = probability(name, value)?,
                "duplicate" => faults.duplicate = probability(name, value)?,
                "reorder" => faults.reorder = probability(name, value)?,
                "disconnect" => faults.disconnect = probability(name, value)?,
                "seed" => faults.seed = value.parse().context("seed: expected a whole number")?,
                "clock_skew" => {
                    let seconds = value.parse().context("clock_skew: expected whole seconds")?;
                    faults.clock_skew =
                        TimeDelta::try_seconds(seconds).context("clock_skew: too many seconds")?;
                }
                _ => bail!(
                    "there is no fault {name:?}: use drop, duplicate, reorder, disconnect, clock_skew or seed"
                ),
            }
        }
        Ok(faults)
    }
}

fn probability(name: &str, value: &str) -> Result<f64> {
    let probability: f64 = value
        .parse()
        .with_context(|| format!("{name}: expected a number from 0 to 1"))?;
    ensure!(
        (0.0..=1.0).contains(&probability),
        "{name}: {probability} is no probability: expected a number from 0 to 1"
    );
    Ok(probability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_written() {
        let faults: Faults = "drop=0.25, disconnect=1,clock_skew=-90,seed=7".parse().unwrap();
        let expected = Faults {
            drop: 0.25,
            disconnect: 1.0,
            clock_skew: TimeDelta::seconds(-90),
            seed: 7,
            ..Faults::default()
        };
        assert_eq!(faults, expected);
        assert_eq!("".parse::<Faults>().unwrap(), Faults::default());
        for wrong in [
            "drop",
            "drop=2",
            "drop=NaN",
            "lose=0.1",
            "clock_skew=99999999999999999",
            "seed=-1",
        ] {
            assert!(wrong.parse::<Faults>().is_err(), "{wrong}");
        }
    }
}
