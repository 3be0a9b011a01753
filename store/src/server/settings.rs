//! The server's settings.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::account::Account;
use super::backup::RECEIVER;
use super::{ADMINISTRATOR, Backup, PORT, ROLE, ServerOptions};

/// The end of `postgresql.conf`, which is otherwise as initdb made it for the machine.
pub(super) const INCLUDE: &str = "
# Homeward's settings, written anew at every start. Put settings of your own below this line.
include = 'homeward.conf'
";

/// `homeward.conf`: what Homeward needs, and what suits it.
pub(super) fn homeward_conf(socket_folder: &Path, options: &ServerOptions) -> String {
    let socket_folder = socket_folder.display().to_string().replace('\'', "''");
    let ServerOptions {
        fsync,
        max_background_workers,
        max_connections,
        backup,
    } = options;
    let fsync = if *fsync { "on" } else { "off" };
    let standbys = match backup {
        Some(Backup {
            synchronous: true, ..
        }) => RECEIVER,
        _ => "",
    };
    // The launcher of the background workers, the workers, and two helpers of parallel queries.
    let max_worker_processes = max_background_workers + 3;
    format!(
        "# Written by Homeward at every start. Settings of your own belong into postgresql.conf, below the line
# that includes this file.

# Nobody reaches the server from outside this machine, nor another user of it.
listen_addresses = ''
port = {PORT}
unix_socket_directories = '{socket_folder}'
unix_socket_permissions = 0700
max_connections = {max_connections}

shared_preload_libraries = 'timescaledb'
timescaledb.max_background_workers = {max_background_workers}
max_worker_processes = {max_worker_processes}
# Nothing about a patient record's server leaves the machine.
timescaledb.telemetry_level = off
# A query over a long window locks every chunk that it touches.
max_locks_per_transaction = 256

# Durability. An acknowledgement means that a reading is on disk, so a commit waits for the disk.
fsync = {fsync}
synchronous_commit = on
full_page_writes = {fsync}
# And where there is a second copy that commits wait for, in that too.
synchronous_standby_names = '{standbys}'
# How much log is kept for a second copy whose folder is away, before the disk of the first is in danger. After that a
# new one is begun.
max_slot_wal_keep_size = 16GB

# Memory, for a machine with 2 GB that runs Homeward too. The cache holds the index pages that the hot
# week of readings is inserted into.
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 16MB
maintenance_work_mem = 128MB

# Readings arrive in the order of time but are keyed by patient, so that inserts touch pages everywhere
# and the first touch after a checkpoint writes the whole page to the log: make checkpoints rare and
# the pages small. The price is that a start after a crash may have this much log to replay. The default way to make them
# small took 9 % of the processors while readings were judged by nine rules.
wal_compression = lz4
checkpoint_timeout = 15min
max_wal_size = 2GB
min_wal_size = 256MB

# Solid-state disks read anywhere at nearly the same cost.
random_page_cost = 1.1
# Queries are short; compiling them takes longer than running them.
jit = off

# The log may be read by people who may not read the record: neither the parameters of statements nor
# the details of errors, which quote rows.
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
timezone = 'UTC'
"
    )
}

/// What is added to `homeward.conf` while a copy is brought to a later moment by the log that follows it.
pub(super) fn recovery_conf(log: &Path, until: Option<DateTime<Utc>>) -> String {
    let folder = format!("'{}'", log.display().to_string().replace('\'', "'\\''")).replace('%', "%%");
    // The newest segment is not full.
    let fetch = format!("cp {folder}/%f \"%p\" 2>/dev/null || cp {folder}/%f.partial \"%p\"");
    let fetch = fetch.replace('\'', "''");
    let target = until.map_or(String::new(), |until| {
        format!(
            "recovery_target_time = '{}'\nrecovery_target_action = promote\n",
            until.to_rfc3339()
        )
    });
    format!(
        "\n# A restore.\nrestore_command = '{fetch}'\n{target}# Nobody is let in before it is done.\nhot_standby = off\n"
    )
}

/// `pg_hba.conf`: who may connect. Only through the socket, known by the operating system's account.
pub(super) fn pg_hba_conf() -> String {
    format!(
        "# Written by Homeward at every start.
# TYPE  DATABASE  USER  METHOD
local   all       {ROLE}  peer map=homeward
local   all       {ADMINISTRATOR}  peer map=homeward
local   replication  {ADMINISTRATOR}  peer map=homeward
"
    )
}

/// `pg_ident.conf`: the accounts that may take these roles. They control the server's files and process
/// anyway.
pub(super) fn pg_ident_conf(accounts: &[&Account]) -> String {
    let mut names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut conf = String::from("# Written by Homeward at every start.\n# MAP  ACCOUNT  ROLE\n");
    for name in names {
        for role in [ROLE, ADMINISTRATOR] {
            conf.push_str(&format!("homeward  \"{}\"  {role}\n", name.replace('"', "\"\"")));
        }
    }
    conf
}
