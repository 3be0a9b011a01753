//! How far back a page about a patient looks: `?range=24h`, `7d`, `14d`, `30d` or `90d`.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_store::trends::Bucket;

use crate::error::ApiError;
use crate::pages::view::Link;
use crate::request::{Window, choose};

/// A time up to the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    name: &'static str,
    pub(super) words: &'static str,
    length: TimeDelta,
    /// What a point of a chart sums up where there are many readings: so many of these, for 90 to 340 points.
    pub(super) step: (Bucket, i32),
}

const RANGES: [Range; 5] = [
    Range::new("24h", "24 hours", TimeDelta::hours(24), (Bucket::FiveMinutes, 1)),
    Range::new("7d", "7 days", TimeDelta::days(7), (Bucket::Hour, 1)),
    Range::new("14d", "14 days", TimeDelta::days(14), (Bucket::Hour, 1)),
    Range::new("30d", "30 days", TimeDelta::days(30), (Bucket::Hour, 3)),
    Range::new("90d", "90 days", TimeDelta::days(90), (Bucket::Day, 1)),
];

impl Range {
    const fn new(name: &'static str, words: &'static str, length: TimeDelta, step: (Bucket, i32)) -> Range {
        Range {
            name,
            words,
            length,
            step,
        }
    }

    /// The range that a query names, which is a page's own where it names none.
    pub(super) fn named(name: Option<&str>, usual: &'static str) -> Result<Range, ApiError> {
        let named = RANGES.map(|range| (range.name, range));
        choose("range", name.unwrap_or(usual), &named)
    }

    /// As a query names it.
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    pub(super) fn window(self, now: DateTime<Utc>) -> Window {
        Window {
            from: now - self.length,
            to: now,
        }
    }

    /// Links to a page with each of the ranges that are no longer than this.
    pub(super) fn links(self, path: &str, longest: TimeDelta) -> Vec<Link> {
        let offered = RANGES.into_iter().filter(|range| range.length <= longest);
        let link = |range: Range| Link {
            href: format!("{path}?range={}", range.name),
            text: range.words,
            current: range == self,
        };
        offered.map(link).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_enough_points_and_not_too_many() {
        for range in RANGES {
            let (bucket, times) = range.step;
            let points = range.length.num_seconds() / (bucket.length() * times).num_seconds();
            assert!((90..=400).contains(&points), "{}: {points}", range.name);
        }
    }

    #[test]
    fn a_range_is_one_of_five() {
        assert_eq!(Range::named(None, "14d").unwrap().length, TimeDelta::days(14));
        assert_eq!(Range::named(Some("24h"), "14d").unwrap().words, "24 hours");
        assert!(Range::named(Some("14"), "14d").is_err());
        let links = Range::named(None, "7d")
            .unwrap()
            .links("/here", TimeDelta::days(14));
        let told: Vec<_> = links
            .iter()
            .map(|link| (link.href.as_str(), link.current))
            .collect();
        assert_eq!(
            told,
            [
                ("/here?range=24h", false),
                ("/here?range=7d", true),
                ("/here?range=14d", false)
            ]
        );
    }
}
