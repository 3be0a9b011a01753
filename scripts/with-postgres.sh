#!/usr/bin/env bash
# Runs a command with a PostgreSQL server for tests:
#
#     scripts/with-postgres.sh cargo test -p homeward-store
#
# The server is a throw-away cluster in a temporary folder, reachable by this user only, and is gone
# when the command ends. The command finds it in HOMEWARD_TEST_DATABASE_URL; when that is set already,
# the server it names is used and none is started. Exits with the command's exit code.
set -euo pipefail

if (($# == 0)); then
  echo "usage: scripts/with-postgres.sh COMMAND [ARGUMENT…]" >&2
  exit 2
fi
if [[ -n ${HOMEWARD_TEST_DATABASE_URL:-} ]]; then exec "$@"; fi

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/postgres.sh
source "$here/lib/postgres.sh"

# Folders of the test clusters. Short, because the path of a socket is limited to 107 bytes, and in
# /tmp, because it must be open to the postgres user too.
readonly PREFIX=/tmp/homeward-test

fail() {
  printf 'with-postgres: %s\n' "$@" >&2
  exit 1
}

# Runs a server program from folder $bin. PostgreSQL refuses to run as root, so root hands over to the
# postgres user. PG… variables of the caller's would change what the programs do.
as_server() {
  local run=(env --chdir=/ -u PGDATA -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGOPTIONS LC_ALL=C.UTF-8)
  if ((EUID == 0)); then
    setpriv --reuid=postgres --regid=postgres --init-groups -- "${run[@]}" "$@"
  else
    "${run[@]}" "$@"
  fi
}

# Stops the cluster in folder $1, if it runs, and removes it.
remove_cluster() {
  if [[ -e $1/data/postmaster.pid ]]; then
    as_server "$bin/pg_ctl" stop --silent --mode=immediate -D "$1/data" >/dev/null 2>&1 || true
  fi
  rm -rf -- "$1"
}

# A run that was killed outright could not clean up: remove what such runs of this user's left.
remove_abandoned_clusters() {
  local folder owner
  for folder in "$PREFIX"-*; do
    owner=${folder##*-}
    owner=${owner%%.*}
    if [[ -d $folder && ! -L $folder && -O $folder && $owner =~ ^[0-9]+$ ]] && ! kill -0 "$owner" 2>/dev/null; then
      remove_cluster "$folder"
    fi
  done
}

start_cluster() {
  local user=""
  mkdir "$cluster/data" "$cluster/socket"
  chmod 700 "$cluster/data" "$cluster/socket"
  if ((EUID == 0)); then
    user=postgres
    # Root keeps the folder itself, so that only root's next run takes it for its own.
    chown "$user": "$cluster/data" "$cluster/socket"
    chmod 711 "$cluster"
  fi

  as_server "$bin/initdb" -D "$cluster/data" --username=postgres --auth=trust --encoding=UTF8 \
    --locale=C.UTF-8 --no-sync >"$cluster/initdb.log" 2>&1 ||
    { cat "$cluster/initdb.log" >&2; fail "initdb failed"; }

  # Durability is given up for speed: nothing here outlives the run. TimescaleDB's background workers
  # connect to template databases, and so would keep them from being cloned.
  as_server tee -a "$cluster/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$cluster/socket'
shared_preload_libraries = 'timescaledb'
timescaledb.max_background_workers = 0
timescaledb.telemetry_level = off
max_connections = 200
max_locks_per_transaction = 256
shared_buffers = 128MB
fsync = off
synchronous_commit = off
full_page_writes = off
CONF
  as_server "$bin/pg_ctl" start --silent --wait -D "$cluster/data" -l "$cluster/data/server.log" </dev/null ||
    { tail -n 20 "$cluster/data/server.log" >&2; fail "PostgreSQL did not start"; }
}

bin=$(find_postgres_with_timescaledb) ||
  fail "found no PostgreSQL $MIN_POSTGRES or newer with TimescaleDB $MIN_TIMESCALEDB or newer." \
    "Run scripts/setup.sh, or set HOMEWARD_TEST_DATABASE_URL to a server for tests."
remove_abandoned_clusters
cluster=$(mktemp -d "$PREFIX-$$.XXXXXX")
trap 'remove_cluster "$cluster"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start_cluster

export HOMEWARD_TEST_DATABASE_URL="postgres://postgres@${cluster//\//%2F}%2Fsocket:5432/postgres"
status=0
"$@" || status=$?
exit "$status"
