#!/usr/bin/env bash
# Pictures of every page, of the demo's data: starts a demo of its own, signs in as each of its people, and writes
# target/screenshots/NAME-WIDTH.png, on a telephone and on a screen. Needs what the tests need.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$here")
cd "$root"
"$here/test-tools.sh"
cargo build --release --locked --bin homeward
export HOMEWARD_HTTP_LISTEN=127.0.0.1:0 HOMEWARD_MQTT_LISTEN=127.0.0.1:0
node tests/it/browser/screenshots.mjs target/test-tools-npm target/release/homeward target/screenshots
echo "The pictures are in target/screenshots."
