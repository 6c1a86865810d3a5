#!/usr/bin/env bash
# docs/login.svg: where `login.complete` (RS256, 2048 bits) spends its time, in the component and in the host around it.
# Needs perf (Debian: linux-perf), c++filt (binutils) and inferno (cargo install --locked inferno). `./build.sh flamegraph` runs it, after it has built
# target/release/complete-again and, with its functions' names, the component that is the argument.
set -euo pipefail

component="$1"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
release="${CARGO_TARGET_DIR:-$root/target}/release"
for tool in perf c++filt inferno-collapse-perf inferno-flamegraph; do
  command -v "$tool" >/dev/null || { printf 'flamegraph.sh: %s is missing\n' "$tool" >&2; exit 1; }
done
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

# By the clock: counters of the processor aren't there in many virtual machines.
perf record --quiet --event cpu-clock --freq 4999 --call-graph fp --output "$folder/data" \
  "$release/complete-again" "$component" 20000
# What isn't below `complete` is the bench's own: begun sign-ins, signed tokens. Hashes and addresses say nothing to a reader.
perf script --input "$folder/data" 2>/dev/null |
  inferno-collapse-perf |
  grep 'login@0.2.0#complete' |
  c++filt --format=rust |
  sed -E 's/::h[0-9a-f]{16}//g; s/\[[0-9a-f]{16}\]//g; s/^[^ ]*;(defguard:openid\/login@0\.2\.0#complete)/\1/' |
  inferno-flamegraph --title 'login.complete, RS256 with 2048 bits' --minwidth 0.15 --colors rust >"$folder/login.svg"
mv "$folder/login.svg" "$root/docs/login.svg"
