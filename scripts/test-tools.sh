#!/usr/bin/env bash
# Installs what only the tests need: MQTT clients of other people, for which Homeward must be an ordinary
# broker, a mail server, an identity provider, two validators of FHIR R4, what tries an OpenAPI document, and a
# browser with what drives it and judges pages.
# Does nothing, quickly, when all is there. They are
#
#     mosquitto_pub, chromium               of Debian's packages mosquitto-clients and chromium
#     target/test-tools/bin/python          with the Python libraries paho-mqtt, aiosmtpd and fhirkit
#     target/test-tools/bin/schemathesis
#     target/test-tools-npm/node_modules    with the npm packages fhir, oidc-provider, playwright-core
#                                           and axe-core
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$here")
readonly program=test-tools
# shellcheck source=scripts/lib/packages.sh
source "$here/lib/packages.sh"

readonly tools=$root/target/test-tools
readonly requirements=$here/lib/test-tools.txt
readonly npm_tools=$root/target/test-tools-npm
readonly npm_requirements=$here/lib/test-tools-npm

# Prints a Python that can make virtual environments; Debian's cannot without a package of its own.
find_python() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      printf '%s\n' "$python"
      return 0
    fi
  done
  return 1
}

# Says whether the environment has what the requirements say. It is marked with them once it is whole.
has_library() { [[ -x $tools/bin/python ]] && cmp --silent "$requirements" "$tools/installed"; }

has_npm_packages() {
  [[ -d $npm_tools/node_modules ]] && cmp --silent "$npm_requirements/package-lock.json" "$npm_tools/installed"
}

# Prints the Debian packages that this machine lacks.
missing_packages() {
  command -v openssl >/dev/null || echo openssl
  command -v mosquitto_pub >/dev/null || echo mosquitto-clients
  command -v chromium >/dev/null || echo chromium
  has_library || find_python >/dev/null || echo python3 python3-venv
  command -v node >/dev/null || echo nodejs
  has_npm_packages || command -v npm >/dev/null || echo npm
}

install_on_debian() {
  require_root "$@"
  work=$(mktemp -d)
  trap 'as_root rm -rf -- "$work"' EXIT
  update_package_lists
  install_packages "$@"
}

install_library() {
  local python log
  python=$(find_python) || fail "there is no Python that can make virtual environments (python3-venv on Debian)"
  say "making a Python environment with paho-mqtt, aiosmtpd, fhirkit and schemathesis in $tools"
  log=$(mktemp)
  {
    rm -rf -- "$tools" && mkdir -p -- "$(dirname -- "$tools")" && "$python" -m venv -- "$tools" &&
      "$tools/bin/python" -m pip install --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement "$requirements"
  } >"$log" 2>&1 || { tail -n 20 "$log" >&2; rm -f -- "$log"; fail "the libraries could not be installed"; }
  rm -f -- "$log"
  cp -- "$requirements" "$tools/installed"
}

install_npm_packages() {
  local log
  say "installing the npm packages fhir, oidc-provider, playwright-core and axe-core in $npm_tools"
  log=$(mktemp)
  {
    rm -rf -- "$npm_tools" && mkdir -p -- "$npm_tools" && cp -- "$npm_requirements"/*.json "$npm_tools" &&
      npm ci --prefix "$npm_tools" --ignore-scripts --no-audit --no-fund
  } >"$log" 2>&1 || { tail -n 20 "$log" >&2; rm -f -- "$log"; fail "the npm packages could not be installed"; }
  rm -f -- "$log"
  cp -- "$npm_requirements/package-lock.json" "$npm_tools/installed"
}

main() {
  local packages
  packages=$(missing_packages | xargs)
  if [[ -n $packages ]]; then
    [[ -n $(debian_release) ]] ||
      fail "this is not Debian: install the MQTT clients of Mosquitto, Chromium, Python 3 and Node.js yourself." \
        "On Debian the packages are called: $packages"
    # shellcheck disable=SC2086
    install_on_debian $packages
  fi
  if ! has_library; then install_library; fi
  if ! has_npm_packages; then install_npm_packages; fi
}

main
