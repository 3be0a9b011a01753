//! Recorded series: measurements that real devices took of real people, one table each.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, NaiveDateTime, Utc};

use crate::measurement::{GlucoseUnit, Measurement, Sample};

/// A recorded series, named after its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// `cgm_broll.csv`: glucose of five people, mg/dL, by sensor; times without offset, taken as UTC.
    CgmBroll,
    /// `bp_home.csv`: blood pressure and pulse of one person.
    BpHome,
    /// `heart_rate_watch.csv`: heart rate of four people, every second.
    HeartRateWatch,
}

/// The measurements of one subject of a series, in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The subject, as the file names it; that of `bp_home`, where one person needs no name, is `bp_home`.
    pub subject: String,
    /// What was measured.
    pub measurements: Vec<Measurement>,
}

/// Name of the subject whose file names none.
const ONLY_SUBJECT: &str = "bp_home";

impl FromStr for Series {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Series> {
        Ok(match name {
            "cgm_broll" => Series::CgmBroll,
            "bp_home" => Series::BpHome,
            "heart_rate_watch" => Series::HeartRateWatch,
            _ => bail!("there is no series {name:?}: use cgm_broll, bp_home or heart_rate_watch"),
        })
    }
}

impl Series {
    /// Reads a file of this series: a recording for each subject, in the order of their names.
    pub fn read_file(self, path: &Path) -> Result<Vec<Recording>> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("reading the series {name}"))?;
        self.read(&text)
            .with_context(|| format!("reading the series {name}"))
    }

    /// Reads the text of a file of this series.
    pub fn read(self, text: &str) -> Result<Vec<Recording>> {
        let mut lines = (1..).zip(text.lines());
        let header = self.header();
        let (_, first) = lines.next().context("the file is empty")?;
        let found = split(first).context("line 1")?;
        ensure!(
            found == header,
            "line 1 is {found:?}, where {header:?} was expected"
        );
        let mut subjects: BTreeMap<String, Vec<Measurement>> = BTreeMap::new();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let fields = split(line).with_context(|| format!("line {number}"))?;
            let expected = header.len();
            ensure!(
                fields.len() == expected,
                "line {number} has {} fields, where {expected} were expected",
                fields.len()
            );
            let (subject, measurement) = self.row(&fields).with_context(|| format!("line {number}"))?;
            subjects.entry(subject).or_default().push(measurement);
        }
        ensure!(!subjects.is_empty(), "the file has a header and nothing else");
        let recording = |(subject, mut measurements): (_, Vec<Measurement>)| {
            measurements.sort_by_key(Measurement::at);
            Recording {
                subject,
                measurements,
            }
        };
        Ok(subjects.into_iter().map(recording).collect())
    }

    fn header(self) -> &'static [&'static str] {
        match self {
            Series::CgmBroll => &["", "id", "time", "gl"],
            Series::BpHome => &["at", "systolic", "diastolic", "pulse"],
            Series::HeartRateWatch => &["subject", "at", "heart_rate"],
        }
    }

    /// Subject and measurement of a row that has as many fields as the header.
    fn row(self, fields: &[String]) -> Result<(String, Measurement)> {
        let field = |index: usize| fields.get(index).map_or("", String::as_str);
        Ok(match self {
            Series::CgmBroll => {
                let glucose = Measurement::Glucose {
                    at: local_time(field(2))?,
                    value: number(field(3))?,
                    unit: GlucoseUnit::MgPerDl,
                    sample: Sample::Interstitial,
                    meal: None,
                };
                (field(1).into(), glucose)
            }
            Series::BpHome => {
                let pressure = Measurement::BloodPressure {
                    at: time(field(0))?,
                    systolic: number(field(1))?,
                    diastolic: number(field(2))?,
                    pulse: Some(number(field(3))?),
                    irregular_pulse: None,
                };
                (ONLY_SUBJECT.into(), pressure)
            }
            Series::HeartRateWatch => {
                let heart_rate = Measurement::HeartRate {
                    at: time(field(1))?,
                    value: number(field(2))?,
                };
                (field(0).into(), heart_rate)
            }
        })
    }
}

fn number(text: &str) -> Result<f64> {
    let value: f64 = text.parse().with_context(|| format!("{text:?} is no number"))?;
    ensure!(value.is_finite(), "{text:?} is no number");
    Ok(value)
}

fn time(text: &str) -> Result<DateTime<Utc>> {
    text.parse()
        .with_context(|| format!("{text:?} is no time with an offset"))
}

fn local_time(text: &str) -> Result<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
        .with_context(|| format!("{text:?} is no time like 2015-06-06 16:50:27"))?;
    Ok(time.and_utc())
}

/// The fields of a line of comma-separated values. A field may stand in double quotes, and then hold commas
/// and, doubled, double quotes; it does not go on over a line break.
fn split(line: &str) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line.trim_end_matches('\r');
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        if after.is_empty() {
            return Ok(fields);
        }
        rest = after
            .strip_prefix(',')
            .with_context(|| format!("after the quoted field {} stands something else", fields.len()))?;
    }
}

/// The field whose opening quote has been taken off, and what stands behind its closing quote.
fn unquote(quoted: &str) -> Result<(String, &str)> {
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"').context("a quoted field is not closed")?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn quotes_are_understood() {
        for (line, expected) in [
            (
                r#""1","Subject 1",2015-06-06 16:50:27,153"#,
                vec!["1", "Subject 1", "2015-06-06 16:50:27", "153"],
            ),
            (r#""","id""#, vec!["", "id"]),
            (r#""a,b","say ""hi""",c"#, vec!["a,b", r#"say "hi""#, "c"]),
            ("a,,\r", vec!["a", "", ""]),
            ("", vec![""]),
        ] {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
        for wrong in [r#""a"#, r#""a"b,c"#, r#"x,"a""#.trim_end_matches('"')] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_become_measurements_of_their_subject() {
        let text = "\"\",\"id\",\"time\",\"gl\"\n\
                    \"1\",\"Subject 2\",2015-06-06 17:05:27,137\n\
                    \"2\",\"Subject 1\",2015-06-06 16:50:27,153\n\
                    \"3\",\"Subject 2\",2015-06-06 16:50:27,150\n";
        let recordings = Series::CgmBroll.read(text).unwrap();
        let summary: Vec<_> = recordings
            .iter()
            .map(|r| (r.subject.as_str(), r.measurements.len()))
            .collect();
        assert_eq!(summary, [("Subject 1", 1), ("Subject 2", 2)]);
        let json = serde_json::to_string(&recordings[1].measurements[0]).unwrap();
        let expected = r#"{"type":"glucose","at":"2015-06-06T16:50:27Z","value":150,"unit":"mg/dL","sample":"interstitial"}"#;
        assert_eq!(json, expected);
        let watch = "subject,at,heart_rate\nS02,2022-02-07T09:53:05Z,113.5\n";
        let json =
            serde_json::to_string(&Series::HeartRateWatch.read(watch).unwrap()[0].measurements).unwrap();
        assert_eq!(
            json,
            r#"[{"type":"heart_rate","at":"2022-02-07T09:53:05Z","value":113.5}]"#
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, expected) in [
            ("", "the file is empty"),
            ("at,systolic\n", "line 1 is [\"at\", \"systolic\"]"),
            (
                "at,systolic,diastolic,pulse\n",
                "the file has a header and nothing else",
            ),
            (
                "at,systolic,diastolic,pulse\n2019-04-15T23:38:28Z,133,74\n",
                "line 2 has 3 fields",
            ),
            (
                "at,systolic,diastolic,pulse\n2019-04-15 23:38:28,133,74,67\n",
                "line 2: \"2019",
            ),
            (
                "at,systolic,diastolic,pulse\n2019-04-15T23:38:28Z,NaN,74,67\n",
                "line 2: \"NaN\" is no number",
            ),
        ] {
            let error = format!("{:#}", Series::BpHome.read(text).unwrap_err());
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// The folder of recorded series, where this machine has one.
    fn samples() -> Option<PathBuf> {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
        let folder = std::env::var_os("HOMEWARD_SAMPLES").map_or_else(|| beside.into(), PathBuf::from);
        folder.is_dir().then_some(folder)
    }

    #[test]
    fn the_recorded_series_are_read_whole() {
        let Some(folder) = samples() else {
            println!("skipped: no recorded series in ../shared/data or HOMEWARD_SAMPLES");
            return;
        };
        for (series, file, subjects, rows) in [
            (Series::CgmBroll, "cgm_broll.csv", 5, 13_866),
            (Series::BpHome, "bp_home.csv", 1, 222),
            (Series::HeartRateWatch, "heart_rate_watch.csv", 4, 13_660),
        ] {
            let recordings = series.read_file(&folder.join(file)).unwrap();
            assert_eq!(recordings.len(), subjects, "{file}");
            let measurements = || recordings.iter().flat_map(|r| &r.measurements);
            assert_eq!(measurements().count(), rows, "{file}");
            for reading in measurements().flat_map(Measurement::readings) {
                assert!(reading.metric.plausible().contains(&reading.value), "{reading:?}");
            }
        }
    }
}
