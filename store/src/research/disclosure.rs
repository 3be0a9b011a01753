//! What may be told of groups of people without telling of one of them.
//!
//! Source: NHS Digital, *Disclosure control methodology for Hospital Episode Statistics (HES) and Emergency Care Data Set
//! (ECDS)*, from September 2018: counts of 1 to 7 are shown as `*`, others rounded to the nearest 5; a mean or a median
//! of fewer than 8 people is `*`, of more it is shown.

/// Groups smaller than this are not told of.
pub const SMALLEST_GROUP: usize = 8;

/// To what counts are rounded.
pub const ROUNDED_TO: usize = 5;

/// What stands where something is not told.
pub const SUPPRESSED: &str = "*";

/// A number of people, as it may be told.
pub fn count(people: usize) -> String {
    match people {
        0 => "0".to_owned(),
        1..SMALLEST_GROUP => SUPPRESSED.to_owned(),
        _ => ((people + ROUNDED_TO / 2) / ROUNDED_TO * ROUNDED_TO).to_string(),
    }
}

/// What values, one a person, come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Their mean.
    pub mean: f64,
    /// The quartiles, interpolated between people.
    pub quartiles: [f64; 3],
}

/// What values, one a person, come to; none where they are of too few people. The extremes are those of a person each, and
/// so is what is near them: it goes no further than quartiles.
pub fn figures(mut values: Vec<f64>) -> Option<Figures> {
    if values.len() < SMALLEST_GROUP {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let place = share * (values.len() - 1) as f64;
        let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    Some(Figures {
        mean: values.iter().sum::<f64>() / values.len() as f64,
        quartiles: [0.25, 0.5, 0.75].map(quantile),
    })
}

/// The age in years, as it may be told of one person.
pub fn age_band(age: u32) -> &'static str {
    match age {
        0..18 => "0-17",
        18..30 => "18-29",
        30..40 => "30-39",
        40..50 => "40-49",
        50..60 => "50-59",
        60..70 => "60-69",
        70..80 => "70-79",
        80..90 => "80-89",
        _ => "90+",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_not_told_and_others_rounded() {
        for (people, told) in [
            (0, "0"),
            (1, "*"),
            (7, "*"),
            (8, "10"),
            (12, "10"),
            (13, "15"),
            (1002, "1000"),
            (1003, "1005"),
        ] {
            assert_eq!(count(people), told, "{people}");
        }
    }

    #[test]
    fn figures_are_of_eight_people_at_least() {
        assert_eq!(figures(vec![1.0; 7]), None);
        let found = figures((0..9).rev().map(f64::from).collect()).unwrap();
        assert_eq!((found.mean, found.quartiles), (4.0, [2.0, 4.0, 6.0]));
    }

    #[test]
    fn nobody_s_age_is_told_beyond_ninety() {
        assert_eq!(
            [17, 18, 89, 90, 112].map(age_band),
            ["0-17", "18-29", "80-89", "90+", "90+"]
        );
    }
}
