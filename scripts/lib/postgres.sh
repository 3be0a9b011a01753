# shellcheck shell=bash
# Finds the PostgreSQL server installed on this machine. Sourced by the scripts beside it.

# The oldest releases that Homeward works with.
readonly MIN_POSTGRES=15
readonly MIN_TIMESCALEDB=2.15

# Says whether version $1 is at least version $2 (major.minor; what follows is ignored).
version_at_least() {
  local major minor want_major want_minor
  IFS=. read -r major minor _ <<<"$1.0"
  IFS=. read -r want_major want_minor _ <<<"$2.0"
  minor=${minor%%[!0-9]*}
  ((major > want_major || (major == want_major && ${minor:-0} >= want_minor)))
}

# Prints the folders on this machine that hold PostgreSQL server programs, newest release first.
postgres_bin_dirs() {
  local dir on_path
  {
    for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin; do
      printf '%s\n' "$dir"
    done | sort -rV
    if on_path=$(command -v pg_config); then "$on_path" --bindir 2>/dev/null || true; fi
    if on_path=$(command -v postgres); then dirname -- "$(readlink -f -- "$on_path")"; fi
  } | while IFS= read -r dir; do
    if [[ -x $dir/postgres && -x $dir/initdb && -x $dir/pg_ctl ]]; then printf '%s\n' "$dir"; fi
  done
}

# Prints the major release of the PostgreSQL server in folder $1.
postgres_major() {
  local words
  read -r -a words <<<"$("$1/postgres" --version)" # postgres (PostgreSQL) 15.12 (Debian …)
  printf '%s\n' "${words[2]%%[!0-9]*}"
}

# Prints the TimescaleDB version installed for the PostgreSQL server in folder $1, or nothing.
timescaledb_version() {
  local share line
  share=$("$1/pg_config" --sharedir 2>/dev/null) || return 0
  [[ -r $share/extension/timescaledb.control ]] || return 0
  while IFS= read -r line; do
    if [[ $line =~ ^default_version[[:space:]]*=[[:space:]]*\'([^\']+)\' ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
      return 0
    fi
  done <"$share/extension/timescaledb.control"
}

# Prints the folder of the newest usable server: recent enough, and with TimescaleDB.
find_postgres_with_timescaledb() {
  local dir version
  while IFS= read -r dir; do
    version=$(timescaledb_version "$dir")
    if [[ -n $version ]] && version_at_least "$version" "$MIN_TIMESCALEDB" &&
      version_at_least "$(postgres_major "$dir")" "$MIN_POSTGRES"; then
      printf '%s\n' "$dir"
      return 0
    fi
  done < <(postgres_bin_dirs)
  return 1
}
