//! Checks against the national data opt-out, in the files of the *Check for National Data Opt-outs* service.
//!
//! One sends a list of NHS numbers by MESH (workflow `SPINE_NTT_UPHOLDING`) and gets back the list without those who have
//! opted out. The form of both: a number a line, with a comma after it and a line feed (not CRLF) at its end, in a file
//! whose name ends in `.dat`. MESH itself is not spoken here: its own client, or its pages, take the file and bring the
//! answer.
//!
//! Sources: NHS England's pages about the service say what comes back; the form is that of the UK Renal Registry's published
//! instructions for its use. Not verified, for want of the service's own specification: whether an answer always has the
//! commas (lines without one are read too), and what exactly comes back for a list that the service cannot read (it is
//! refused here as a line without a number).

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use homeward_record::NhsNumber;
use homeward_store::admin::secret_hash;
use homeward_store::opt_out::{self, OptOutError};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{AUTHOR, note};

/// The longest answer, in bytes: ten million numbers, more than any service has patients.
const LONGEST_ANSWER: u64 = 120_000_000;

/// How many lists are told of.
const MOST_CHECKS: i64 = 20;

#[derive(Debug, Subcommand)]
pub(crate) enum OptOutCommand {
    /// Write the list of all patients' NHS numbers that is to be sent by MESH, and remember what is in it
    Submit {
        /// Where the list goes: a file that is not there yet, as 8HQ50OT001-030326-0001.dat
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Take the answer: whoever was in the list and is not in the answer has opted out
    Import {
        /// The file that came back
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Which list it is the answer to [default: the one without an answer]
        #[arg(long, value_name = "ID")]
        check: Option<i64>,
        /// Take an answer without numbers: everybody has opted out
        #[arg(long)]
        everybody: bool,
    },
    /// List the latest lists, and the patients who have opted out, here or nationally
    List,
}

pub(super) async fn run(
    connection: &mut PgConnection,
    command: OptOutCommand,
    now: DateTime<Utc>,
) -> Result<Value> {
    match command {
        OptOutCommand::Submit { file } => submit(connection, &file, now).await,
        OptOutCommand::Import {
            file,
            check,
            everybody,
        } => import(connection, &file, check, everybody, now).await,
        OptOutCommand::List => {
            let checks = opt_out::checks(connection, MOST_CHECKS).await?;
            let opted_out = opt_out::opted_out(connection, now).await?;
            Ok(json!({"checks": checks, "opted_out": opted_out}))
        }
    }
}

async fn submit(connection: &mut PgConnection, path: &Path, now: DateTime<Utc>) -> Result<Value> {
    let submission = opt_out::submit(connection, AUTHOR, now).await?;
    if submission.numbers.is_empty() {
        bail!("there are no patients to ask for");
    }
    let list = submission
        .numbers
        .iter()
        .fold(String::new(), |list, number| list + number + ",\n");
    let mut file = new_file(path)?;
    file.write_all(list.as_bytes())
        .with_context(|| format!("could not write {}", path.display()))?;
    let check = submission.check;
    let target = format!(
        "list {check} for the national data opt-out, of {} numbers",
        submission.numbers.len()
    );
    note(connection, "submit_opt_out_list", &target, &[], now).await?;
    Ok(json!({"check_id": check, "numbers": submission.numbers.len(), "file": path}))
}

/// A file that nobody else can read, since it says who is a patient.
fn new_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .with_context(|| format!("could not make the file {}", path.display()))
}

async fn import(
    connection: &mut PgConnection,
    path: &Path,
    check: Option<i64>,
    everybody: bool,
    now: DateTime<Utc>,
) -> Result<Value> {
    let unreadable = || format!("could not read {}", path.display());
    let file = File::open(path).with_context(unreadable)?;
    let mut text = String::new();
    file.take(LONGEST_ANSWER + 1)
        .read_to_string(&mut text)
        .with_context(unreadable)?;
    if text.len() as u64 > LONGEST_ANSWER {
        bail!("{} is longer than any answer can be", path.display());
    }
    let returned = numbers(&text).with_context(|| format!("{} is not an answer", path.display()))?;
    if returned.is_empty() && !everybody {
        bail!(
            "{} has no numbers: if everybody has opted out, say --everybody",
            path.display()
        );
    }
    let (lines, returned): (Vec<usize>, Vec<NhsNumber>) = returned.into_iter().unzip();
    let digest = secret_hash(&returned.iter().map(NhsNumber::as_str).collect::<String>());
    let taken = opt_out::take_answer(connection, check, (&returned, &digest), AUTHOR, now).await;
    let taken = taken.map_err(|error| match error {
        OptOutError::NotSubmitted { index, .. } => {
            let line = lines.get(index).copied().unwrap_or_default();
            anyhow::Error::new(error).context(format!("line {line}"))
        }
        error => error.into(),
    })?;
    let target = format!("answer to list {} for the national data opt-out", taken.check);
    let mut changed = taken.opted_out.clone();
    changed.extend(&taken.opted_in);
    note(connection, "record_opt_out", &target, &changed, now).await?;
    Ok(json!({
        "check_id": taken.check,
        "submitted": taken.submitted,
        "returned": taken.returned,
        "newly_opted_out": taken.opted_out.len(),
        "newly_opted_in": taken.opted_in.len(),
    }))
}

/// The numbers of an answer, with the lines on which they are. What is wrong is told by its line, and never by a number.
fn numbers(text: &str) -> Result<Vec<(usize, NhsNumber)>> {
    let mut found: Vec<(usize, NhsNumber)> = Vec::new();
    for (line, written) in (1..).zip(text.lines()) {
        let number = written.strip_suffix(',').unwrap_or(written);
        if number.is_empty() {
            bail!("line {line} has no number");
        }
        if number.len() != 10 || !number.bytes().all(|digit| digit.is_ascii_digit()) {
            bail!("line {line} is not ten digits and a comma");
        }
        let number = number.parse().ok().with_context(|| {
            format!("the number on line {line} is not an NHS number: its check digit is wrong")
        })?;
        found.push((line, number));
    }
    let mut sorted: Vec<&(usize, NhsNumber)> = found.iter().collect();
    sorted.sort_by(|(_, one), (_, other)| one.cmp(other));
    if let Some([(first, _), (second, _)]) = sorted.windows(2).find_map(|pair| match pair {
        [one, other] if one.1 == other.1 => Some([one, other]),
        _ => None,
    }) {
        bail!(
            "line {} says what line {} does",
            first.max(second),
            first.min(second)
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_a_line() {
        for text in [
            "9990000018,\n9990000026,\n",
            "9990000018,\r\n9990000026,\r\n",
            "9990000018\n9990000026",
        ] {
            let lines: Vec<usize> = numbers(text).unwrap().iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, [1, 2], "{text:?}");
        }
        assert_eq!(numbers("").unwrap().len(), 0);
        for (text, wrong) in [
            ("9990000018,\n,\n", "line 2 has no number"),
            (",", "line 1 has no number"),
            ("9990000018,\n\n9990000026,", "line 2 has no number"),
            ("999 000 0018,", "line 1 is not ten digits and a comma"),
            ("9990000018,9990000026,", "line 1 is not ten digits and a comma"),
            (
                "9990000018,\n9990000019,\n",
                "the number on line 2 is not an NHS number: its check digit is wrong",
            ),
            (
                "9990000018,\n9990000026,\n9990000018,\n",
                "line 3 says what line 1 does",
            ),
        ] {
            assert_eq!(numbers(text).unwrap_err().to_string(), wrong, "{text:?}");
        }
    }
}
