#!/usr/bin/env bash
# Installs what Homeward needs to be built, tested and run on this machine: a C compiler, the tools
# that build the web pages, and a PostgreSQL server with TimescaleDB. Does nothing, quickly, when all
# is there. Debian 12 and 13; on other systems it says what to install.
#
# With DATABASE_URL set, that server is used and no PostgreSQL is installed.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$here")
readonly program=setup
# shellcheck source=scripts/lib/packages.sh
source "$here/lib/packages.sh"
# shellcheck source=scripts/lib/postgres.sh
source "$here/lib/postgres.sh"

# --- what is missing ------------------------------------------------------------------------------

require_cargo() {
  command -v cargo >/dev/null && return 0
  if [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
    fail "Rust is installed in ${CARGO_HOME:-$HOME/.cargo}/bin, but that folder is not in PATH." \
      "Run: source \"${CARGO_HOME:-$HOME/.cargo}/env\""
  fi
  fail "Rust is not installed (there is no \`cargo\`). Install it from https://rustup.rs, then run this again."
}

# Prints the Debian packages of the build tools that this machine lacks.
missing_build_packages() {
  if ! command -v cc >/dev/null || [[ ! -e /usr/include/stdlib.h ]]; then echo gcc libc6-dev; fi
  command -v make >/dev/null || echo make
  if [[ -e $root/api/web/package.json ]] && ! command -v npm >/dev/null; then echo nodejs npm; fi
}

need_database() { [[ -z ${DATABASE_URL:-} ]] && ! find_postgres_with_timescaledb >/dev/null; }

# --- installing -----------------------------------------------------------------------------------

# Installing Debian's server package makes a cluster and starts it. Homeward runs its own, so none is
# wanted; a setting that stands only while the package is installed leaves the machine as it was.
install_server_packages() {
  local conf_dir=/etc/postgresql-common/createcluster.d made_dir=""
  install_packages postgresql-common
  if [[ ! -d $conf_dir ]]; then
    as_root mkdir -p "$conf_dir"
    made_dir=$conf_dir
  fi
  no_cluster_conf=$conf_dir/zz-homeward-setup.conf
  no_cluster_dir=$made_dir
  echo 'create_main_cluster = false' | as_root tee "$no_cluster_conf" >/dev/null
  install_packages "$@"
  remove_no_cluster_setting
}

remove_no_cluster_setting() {
  if [[ -n ${no_cluster_conf:-} ]]; then as_root rm -f "$no_cluster_conf"; fi
  if [[ -n ${no_cluster_dir:-} ]]; then as_root rmdir --ignore-fail-on-non-empty "$no_cluster_dir"; fi
  no_cluster_conf="" no_cluster_dir=""
}

# Prints the mirror from which this system installs the main section of suite $1.
system_mirror() {
  # shellcheck disable=SC2016 # apt-get replaces these
  apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Identifier: Packages' |
    while read -r uri release component; do
      if [[ $release == "$1" && $component == main ]]; then
        printf '%s\n' "$uri"
        break
      fi
    done
}

# Debian 12 does not package TimescaleDB. Debian 13 does, and its source package builds here. It is
# fetched through an apt state of its own, so that the system never learns of another suite.
build_timescaledb() {
  local bin=$1 mirror state=$work/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  local signed_by="" build=$work/build
  mirror=$(system_mirror bookworm)
  [[ -n $mirror ]] || fail "found no Debian 12 (bookworm) main section in this system's apt sources." \
    "Install TimescaleDB $MIN_TIMESCALEDB or newer for PostgreSQL by hand, or set DATABASE_URL."
  if [[ -r $keyring ]]; then signed_by="[signed-by=$keyring] "; fi

  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  printf 'deb-src %s%s trixie main\n' "$signed_by" "$mirror" >"$state/sources.list"
  : >"$state/status"
  local apt_private=(apt-get --quiet
    -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferencesparts=/dev/null -o Dir::Etc::preferences=/dev/null
    -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::State::lists=$state/lists"
    -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root)

  say "fetching TimescaleDB's source package"
  {
    "${apt_private[@]}" update || true # a hook of the system's may fail here; the next step tells
    cd "$work" && "${apt_private[@]}" source timescaledb
  } >"$work/source.log" 2>&1 ||
    { tail -n 20 "$work/source.log" >&2; fail "could not fetch TimescaleDB's source package from $mirror"; }

  say "building TimescaleDB (about half a minute)"
  {
    cmake -S "$work"/timescaledb-*/ -B "$build" -DCMAKE_BUILD_TYPE=Release -DAPACHE_ONLY=1 \
      -DREGRESS_CHECKS=OFF -DSEND_TELEMETRY_DEFAULT=OFF -DPG_CONFIG="$bin/pg_config" &&
      make -C "$build" -j2
  } >"$work/build.log" 2>&1 ||
    { tail -n 30 "$work/build.log" >&2; fail "TimescaleDB did not build"; }

  say "installing TimescaleDB for $("$bin/postgres" --version)"
  as_root make -C "$build" install >"$work/install.log" 2>&1 ||
    { tail -n 20 "$work/install.log" >&2; fail "TimescaleDB could not be installed"; }
}

# Prints the Debian packages that the database needs on Debian $1.
database_packages() {
  case $1 in
    12) echo postgresql-15 postgresql-server-dev-15 cmake make gcc g++ libc6-dev libssl-dev dpkg-dev ;;
    13) echo postgresql-17 postgresql-17-timescaledb ;;
  esac
}

install_on_debian() {
  local release=$1 build_packages=$2 database_packages="" from_source=""
  if need_database; then
    database_packages=$(database_packages "$release")
    if [[ $release == 12 ]]; then from_source="and TimescaleDB, built from source"; fi
  fi
  # shellcheck disable=SC2086
  require_root $build_packages $database_packages "$from_source"

  work=$(mktemp -d)
  trap 'remove_no_cluster_setting; as_root rm -rf -- "$work"' EXIT
  update_package_lists

  # shellcheck disable=SC2086
  if [[ -n $build_packages ]]; then install_packages $build_packages; fi
  [[ -n $database_packages ]] || return 0
  # shellcheck disable=SC2086
  install_server_packages $database_packages
  if [[ -n $from_source ]]; then build_timescaledb /usr/lib/postgresql/15/bin; fi
}

# --- the steps ------------------------------------------------------------------------------------

main() {
  require_cargo
  local release build_packages
  build_packages=$(missing_build_packages | xargs)
  if [[ -z $build_packages ]] && ! need_database; then return 0; fi

  release=$(debian_release)
  case $release in
    12 | 13) install_on_debian "$release" "$build_packages" ;;
    *)
      if [[ -n $build_packages ]]; then
        fail "this is neither Debian 12 nor 13: install a C compiler, make, Node.js and npm yourself." \
          "On Debian the packages are called: $build_packages"
      fi
      fail "this is neither Debian 12 nor 13: install PostgreSQL $MIN_POSTGRES or newer with the TimescaleDB" \
        "extension $MIN_TIMESCALEDB or newer, or set DATABASE_URL to such a server."
      ;;
  esac

  if need_database; then fail "PostgreSQL with TimescaleDB is still missing after the installation."; fi
  say "done"
}

main
"$here/web-assets.sh"
