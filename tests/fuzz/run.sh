#!/usr/bin/env bash
# Builds the fuzz targets once and runs each for a while: ./run.sh [SECONDS [TARGET...]], 20 seconds and all targets if left
# out. One line for each target; a finding makes it exit with 1 and stays in a file whose path is printed. Inputs that were
# found are kept beside the build and tried again the next time; the seeds in corpus/ are only read.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target_dir="$(realpath -m "${CARGO_TARGET_DIR:-$here/../../target}")/fuzz"
host="" # the machine's triple: where cargo-fuzz puts what it builds

# As large as the largest token that is read (16 KiB) and what stands around it.
limits=(-max_len=20480 -rss_limit_mb=2048 -timeout=10)

die() { printf 'fuzz: %s\n' "$*" >&2; exit 2; }

need_tools() {
  command -v cargo >/dev/null || die "cargo is missing: install rustup"
  cargo +nightly --version >/dev/null 2>&1 || die "the nightly toolchain is missing: run 'rustup toolchain install nightly --profile minimal'"
  command -v cargo-fuzz >/dev/null || die "cargo-fuzz is missing: run 'cargo install --locked cargo-fuzz@0.13.2'"
  command -v c++ >/dev/null || die "a C++ compiler is missing (libFuzzer's runtime): Debian, Ubuntu: g++"
  host="$(rustc +nightly -vV | sed -n 's/^host: //p')"
}

build() {
  # cargo-fuzz has no --locked.
  (cd "$here" && cargo +nightly metadata --locked --format-version 1 >/dev/null) ||
    die "tests/fuzz/Cargo.lock isn't up to date: copy the root's over it and run 'cargo metadata' in tests/fuzz"
  (cd "$here" && cargo +nightly fuzz build --fuzz-dir "$here" --target-dir "$target_dir" >&2) || die "the targets don't build"
}

# The figure after a word in libFuzzer's last line of status.
figure() { grep -E '^#[0-9]+.* cov: ' "$2" | tail -n 1 | sed -nE "s/.* $1: *([^ ]+).*/\1/p"; }

# Runs one target; prints its line; fails if it found something.
run_target() {
  local target="$1" seconds="$2" verdict="none" status=0
  local log="$target_dir/logs/$target.log" found="$target_dir/corpus/$target" artifacts="$target_dir/artifacts/$target"
  local dictionary="$here/dictionaries/$target.dict" arguments=("${limits[@]}")
  mkdir -p "${log%/*}" "$found" "$artifacts"
  if [ -f "$dictionary" ]; then arguments+=("-dict=$dictionary"); fi
  "$target_dir/$host/release/$target" "${arguments[@]}" -max_total_time="$seconds" -print_final_stats=1 \
    -artifact_prefix="$artifacts/" "$found" "$here/corpus/$target" >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    verdict="$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)"
    verdict="${verdict:-exit $status, see $log}"
  fi
  printf '%-14s %10s %8s %13s %10s  %s\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
    "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" "$(figure cov "$log")/$(figure ft "$log")" "$(figure corp "$log")" "$verdict"
  if [ "$status" -ne 0 ]; then
    # What didn't hold.
    grep -A 4 -m 1 -E 'panicked at|^==[0-9]+==' "$log" | sed 's/^/    /' || true
  fi
  return "$status"
}

seconds="${1:-20}"
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || die "usage: run.sh [SECONDS [TARGET...]]"
[ "$#" -eq 0 ] || shift
targets=("$@")
if [ "$#" -eq 0 ]; then
  for folder in "$here"/corpus/*/; do targets+=("$(basename "$folder")"); done
fi
for target in "${targets[@]}"; do [ -f "$here/fuzz_targets/$target.rs" ] || die "no target '$target'"; done

need_tools
build
printf '%-14s %10s %8s %13s %10s  %s\n' target executions exec/s cov/ft corpus findings
failed=0
for target in "${targets[@]}"; do run_target "$target" "$seconds" || failed=1; done
exit "$failed"
