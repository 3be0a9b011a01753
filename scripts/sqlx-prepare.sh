#!/usr/bin/env bash
# Regenerates .sqlx/, which lets the SQL macros of the store crate compile without a database:
#
#     scripts/sqlx-prepare.sh            after changing a query or a migration
#     scripts/sqlx-prepare.sh --check    fails when .sqlx/ does not match the queries and migrations
#
# Every query is described by a throw-away PostgreSQL server that has run the migrations.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
committed=.sqlx

fail() {
  printf 'sqlx-prepare: %s\n' "$@" >&2
  exit 1
}

case "$*" in
  "" | --check) ;;
  *)
    echo "usage: scripts/sqlx-prepare.sh [--check]" >&2
    exit 2
    ;;
esac
if [[ -z ${SQLX_PREPARE_INSIDE:-} ]]; then
  # A server of its own, whatever the caller's environment names.
  exec env -u HOMEWARD_TEST_DATABASE_URL SQLX_PREPARE_INSIDE=1 scripts/with-postgres.sh scripts/sqlx-prepare.sh "$@"
fi

# shellcheck source=scripts/lib/postgres.sh
source "$here/lib/postgres.sh"
bin=$(find_postgres_with_timescaledb)
database_url=${HOMEWARD_TEST_DATABASE_URL%/*}/prepare
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

query() { "$bin/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@"; }

migrate() {
  local migration transaction
  query --command='CREATE DATABASE prepare' "$HOMEWARD_TEST_DATABASE_URL"
  for migration in store/migrations/*.sql; do
    transaction=--single-transaction
    if [[ $(head -n 1 "$migration") == "-- no-transaction"* ]]; then transaction=""; fi
    # shellcheck disable=SC2086
    PGOPTIONS=--client-min-messages=warning query $transaction --file="$migration" "$database_url" >/dev/null ||
      fail "the migration $migration failed"
  done
}

# The cargo units of the store crate that stand in the target folder.
store_units() {
  local unit
  for unit in "${CARGO_TARGET_DIR:-target}"/debug/.fingerprint/homeward-store-*; do
    if [[ -d $unit ]]; then printf '%s\n' "${unit##*-}"; fi
  done | sort
}

# The macros write their answers as a side effect of being expanded, so the store crate has to be
# compiled afresh, though nothing else does. A build setting that no other build has makes cargo do
# that, and leaves the results of ordinary builds as they are.
expand_queries() {
  local unit units_before status=0 nonce=$((1000 + $(date +%s) % 1000000))
  mkdir "$work/sqlx"
  units_before=$(store_units)
  SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$work/sqlx DATABASE_URL=$database_url CARGO_INCREMENTAL=0 \
    cargo --config "profile.dev.package.homeward-store.codegen-units=$nonce" \
    check --quiet --locked -p homeward-store --all-features --all-targets || status=$?
  comm -13 <(printf '%s\n' "$units_before") <(store_units) | while IFS= read -r unit; do
    rm -rf -- "${CARGO_TARGET_DIR:-target}"/debug/{.fingerprint,build}/homeward-store-"$unit" \
      "${CARGO_TARGET_DIR:-target}"/debug/deps/*-"$unit".*
  done
  ((status == 0)) || fail "the store crate does not compile against its own migrations"
}

migrate
expand_queries
mkdir -p "$work/empty"
if [[ -d $committed ]]; then old=$committed; else old=$work/empty; fi
if diff -rq "$old" "$work/sqlx" >"$work/differences"; then exit 0; fi

if [[ ${1:-} == --check ]]; then
  sed -E -e "s|^Only in $work/sqlx: |not described: |" -e "s|^Only in $old: |no longer a query: |" \
    -e 's|^Files .*/(query-[0-9a-f]+\.json) differ$|described differently now: \1|' "$work/differences" >&2
  fail ".sqlx/ does not match the queries and migrations: run scripts/sqlx-prepare.sh and commit .sqlx/"
fi
rm -rf -- "$committed"
cp -r -- "$work/sqlx" "$committed"
echo "sqlx-prepare: .sqlx/ is up to date again; commit it with the change"
