# shellcheck shell=bash
# Installs Debian packages. Sourced by the scripts beside it, which say their name in $program, their folder
# in $here and, before they install, a folder for logs in $work.

say() { printf '%s: %s\n' "$program" "$*"; }
fail() {
  printf '%s\n' "${@/#/$program: }" >&2
  exit 1
}

# Prints "12" on Debian 12, and nothing on another system.
debian_release() {
  [[ -r /etc/os-release ]] || return 0
  # shellcheck disable=SC1091
  (source /etc/os-release && if [[ ${ID:-} == debian ]]; then printf '%s\n' "${VERSION_ID:-}"; fi)
}

# Runs a command as root.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo -- "$@"; fi
}

# Stops here, saying what to do, unless root's rights can be had.
require_root() {
  ((EUID == 0)) && return 0
  if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
    say "using sudo to install packages"
    return 0
  fi
  fail "this needs root, and you are not root and cannot use sudo. Ask an administrator to run" \
    "    $here/${0##*/}" "which installs: $*"
}

install_packages() {
  say "installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
    -o Dpkg::Use-Pty=0 -- "$@" >"$work/apt.log" 2>&1 ||
    { tail -n 20 "$work/apt.log" >&2; fail "apt-get could not install: $*"; }
}

update_package_lists() {
  say "updating the package lists"
  as_root apt-get update --quiet >"$work/apt.log" 2>&1 ||
    { tail -n 20 "$work/apt.log" >&2; fail "apt-get update failed"; }
}
