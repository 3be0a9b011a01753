//! Bringing the private server's record back from its second copy.

use std::path::PathBuf;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use homeward_store::server::restore;
use serde_json::json;

use crate::config::Settings;
use crate::print::print;

/// What to bring back.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder of the second copy [default: that of the section [backup]]
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// As it was at this time, instead of as late as possible: 2026-11-26T12:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

/// Brings the record back into the data folder, which must have none.
pub(crate) async fn run(settings: Settings, options: Options) -> Result<()> {
    let from = options.from.as_deref().or(settings.backup_folder());
    let from = from.context("say where the second copy is: --from, or folder in the section [backup]")?;
    let progress = |line: &str| eprintln!("restore: {line}");
    let restored = restore(&settings.data_dir, from, options.until, progress)
        .await
        .context("could not bring the record back")?;
    if let Some(since) = restored.unreached {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        progress(&format!(
            "what was committed after {since} is not in it: the copy of that was not whole yet"
        ));
    }
    let answer = json!({
        "copy": restored.copy,
        "until": restored.until,
        "not_after": restored.unreached,
        "data_dir": settings.data_dir,
    });
    print(&format!("{answer}\n"))
}
