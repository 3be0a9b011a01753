#!/usr/bin/env bash
# Builds what pages load, styles and scripts, into api/web/dist, from which the program takes it when it is built.
# Does nothing, quickly, when all is there. Needs npm.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
web=$(dirname -- "$here")/api/web
readonly program=web-assets
# shellcheck source=scripts/lib/packages.sh
source "$here/lib/packages.sh"

# What the result depends on, in one number.
sources() {
  cd "$web" && find package-lock.json build.mjs styles scripts -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
}

now=$(sources)
if [[ -e $web/dist/manifest.json && $(cat "$web/dist/sources" 2>/dev/null) == "$now" ]]; then exit 0; fi
command -v npm >/dev/null || fail "there is no npm: install Node.js (nodejs and npm on Debian)"
say "building the styles and scripts of the pages"
log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
(cd "$web" && npm ci --ignore-scripts --no-audit --no-fund && npm run build) >"$log" 2>&1 ||
  { tail -n 20 "$log" >&2; fail "the styles and scripts of the pages could not be built"; }
printf '%s\n' "$now" >"$web/dist/sources"
