#!/usr/bin/env bash
# The one door: builds, runs, tests and checks everything. Works from any directory; `./build.sh` alone prints the help.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
wasm=wasm32-unknown-unknown
openid_provider="$root/tests/conformance/oidc-provider" # an independent OpenID provider in Node, for the tests
node_minimum=20.12
browser_tests="$root/tests/browser"

# .cargo/config.toml has the component's flags, and any of these would replace them.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS CARGO_BUILD_TARGET
# Cargo may work elsewhere; the two artifacts are always in target/.
CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")"
export CARGO_TARGET_DIR

help() {
  cat <<'HELP'
usage: ./build.sh COMMAND

  build               target/openid.wasm (the component), target/playground (the page for administrators) and
                      target/release/defguard-openid (the host)
  component           target/openid.wasm only
  playground          target/playground only
  demo [--once]       everything on this machine, with an emulated Entra ID; prints the page to open.
                      --once signs a person in without a browser and prints one JSON line last
  serve --config FILE builds, then runs the host with these arguments
  sign FILE.wasm [OPTION...]
                      FILE.wasm.minisig, by the key in minisign.key (OPENID_SIGNING_KEY names another; it is made if it isn't
                      there, and its password asked for); options are those of 'defguard-openid plugin sign'
  test [FILTER...]    all tests, or those whose name contains a filter; installs what they need on Debian and Ubuntu
  bench [FILTER...]   the benches (login, service, start, footprint, directory), or those that a filter is part of, and their table;
                      target/bench.json has the same
  flamegraph          docs/login.svg anew: where a sign-in spends its time (needs perf and inferno)
  fuzz [SECONDS [TARGET...]]
                      the fuzz targets, 20 seconds each if it isn't said (needs the nightly toolchain and cargo-fuzz)
  package             target/package: a Debian package with everything in it, and a bill of materials (CycloneDX); looks at
                      both, and at the systemd unit (needs cargo-deb and cargo-cyclonedx)
  lint                formatting, clippy without warnings (host and component), licences, bans and sources of dependencies
  fmt                 formats the Rust sources
  help                this text

Needs rustup (the toolchain is pinned in rust-toolchain.toml) and a C compiler; the tests also need Node 20.12, npm and Chromium.
CARGO_TARGET_DIR moves cargo's own files; DENY_ADVISORIES=1 makes lint ask the RustSec database too (needs network).
HELP
}

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# In the repository, so that the pinned toolchain and .cargo/config.toml count wherever the caller is.
in_root() { (cd "$root" && "$@"); }

need_rust() {
  have cargo || die "cargo is missing: install rustup (package 'rustup', or https://rustup.rs)"
  have cc || die "a C compiler is missing: install gcc and the C library's headers (Debian, Ubuntu: gcc libc6-dev)"
  in_root cargo --version >/dev/null || die "the toolchain of rust-toolchain.toml is missing: run 'rustup toolchain install' here"
}

need_wasm_target() {
  in_root plugin/pack/wasm-target.sh
  # Cargo doesn't see that a target's std was rebuilt, and rustc then refuses what was compiled against the former one.
  local libdir now stamp="$CARGO_TARGET_DIR/$wasm/.std"
  libdir="$(in_root rustc --print target-libdir --target "$wasm")"
  now="$(cat "$libdir"/libcore-*.rlib "$libdir"/libstd-*.rlib | sha256sum)"
  if [ "$now" != "$(cat "$stamp" 2>/dev/null)" ]; then
    rm -rf "${CARGO_TARGET_DIR:?}/$wasm"
    mkdir -p "${stamp%/*}"
    printf '%s\n' "$now" >"$stamp"
  fi
}

# Binaries are chosen out of the whole workspace, not by package: with -p cargo would pick other features for shared
# dependencies, and compile wasmtime a second time for the tests.
build_bins() {
  local bins=() bin
  for bin in "$@"; do bins+=(--bin "$bin"); done
  in_root cargo build --release --locked --workspace "${bins[@]}"
}

build_component() {
  need_wasm_target
  say "the component"
  in_root cargo build --locked -p defguard-openid-plugin --features component --target "$wasm" --profile plugin
  build_bins pack
  mkdir -p "$root/target"
  in_root "$CARGO_TARGET_DIR/release/pack" "$CARGO_TARGET_DIR/$wasm/plugin/openid.wasm" target/openid.wasm wit
}

# A second plugin, written against the contract alone: docs/plugins.md.
build_example() {
  say "the example plugin"
  in_root cargo build --locked -p example-plugin --target "$wasm" --profile plugin
  in_root "$CARGO_TARGET_DIR/release/pack" "$CARGO_TARGET_DIR/$wasm/plugin/example_plugin.wasm" target/example.wasm wit
  # Once more, for the version of the contract before this one: both run in one host.
  in_root cargo build --locked -p example-plugin --features contract-0-1 --target "$wasm" --profile plugin
  in_root "$CARGO_TARGET_DIR/release/pack" "$CARGO_TARGET_DIR/$wasm/plugin/example_plugin.wasm" target/example-0.1.wasm wit/since_v0.1.0
}

# The same crate once more, for browsers: in a profile, and so in a folder, of its own.
build_playground() {
  need_wasm_target
  say "the playground"
  # None of the flags of .cargo/config.toml, which are the component's: browsers have no wide arithmetic.
  RUSTFLAGS='' in_root cargo build --locked -p defguard-openid-plugin --features browser --target "$wasm" --profile browser
  build_bins playground
  in_root "$CARGO_TARGET_DIR/release/playground" "$CARGO_TARGET_DIR/$wasm/browser/openid.wasm" target/playground
}

# A plugin that misbehaves, which only tests load.
build_hostile() {
  say "the hostile plugin"
  in_root cargo build --locked -p hostile-guest --target "$wasm" --profile plugin
  in_root "$CARGO_TARGET_DIR/release/pack" "$CARGO_TARGET_DIR/$wasm/plugin/hostile_guest.wasm" target/hostile.wasm wit
}

# The host, and further binaries by name.
build_host() {
  say "the host"
  build_bins defguard-openid "$@"
  local built="$CARGO_TARGET_DIR/release/defguard-openid" artifact="$root/target/release/defguard-openid"
  if ! [ "$built" -ef "$artifact" ]; then
    mkdir -p "${artifact%/*}"
    cp "$built" "$artifact.partial"
    mv "$artifact.partial" "$artifact" # a running host keeps the old file
  fi
}

build() {
  need_rust
  build_component
  build_playground
  build_host "$@"
}

# Debian or Ubuntu packages, if something of them is missing and we may.
install_packages() {
  [ "$#" -gt 0 ] || return 0
  have apt-get || die "missing: $*. Install these, or what your system calls them"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || die "missing: run 'sudo apt-get install $*', then this again"
    apt=(sudo "${apt[@]}")
  fi
  say "installing $*"
  "${apt[@]}" update >&2 || die "apt-get could not read the package lists"
  "${apt[@]}" install -y --no-install-recommends "$@" >&2 || die "apt-get could not install: $*"
}

node_is_recent() { printf 'v%s\n%s\n' "$node_minimum" "$(node --version)" | sort --version-sort --check=silent; }

# What a folder's lock file says, unless that is there.
install_npm() {
  local what="$1" folder="$2"
  # A copy of the lock file marks what is installed: exact, whatever a checkout does to file times.
  local mark="$folder/node_modules/.installed-lock.json"
  if cmp -s "$folder/package-lock.json" "$mark"; then return 0; fi
  say "$what (npm ci)"
  (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || die "npm ci failed in $folder"
  cp "$folder/package-lock.json" "$mark"
}

install_test_needs() {
  local packages=()
  have cc || packages+=(gcc libc6-dev)
  have cargo || packages+=(rustup)
  have node || packages+=(nodejs)
  have npm || packages+=(npm)
  # Ubuntu's package of that name only fetches a snap, which chromedriver can't drive from here.
  have chromedriver || packages+=(chromium chromium-driver)
  have redis-server || packages+=(redis-server)
  install_packages "${packages[@]}"
  node_is_recent || die "node $(node --version) is too old: the tests' OpenID provider needs $node_minimum or newer (nodejs.org)"

  install_npm "the tests' OpenID provider" "$openid_provider"
  install_npm "the browser tests' accessibility checker" "$browser_tests"
}

run_tests() {
  install_test_needs
  build
  build_example
  build_hostile
  say "the tests"
  # The playground's functions are tested natively too; of the workspace, only the plugin has that feature.
  local tests=(cargo test --release --locked --workspace --features defguard-openid-plugin/browser)
  if [ "$#" -gt 0 ]; then
    in_root "${tests[@]}" -- "$@"
    return
  fi
  # Everything that a whole run shows is kept, and searched for every secret that went through it.
  local evidence="$CARGO_TARGET_DIR/evidence"
  rm -rf "$evidence"
  OPENID_EVIDENCE="$evidence" in_root "${tests[@]}"
  build_bins scan
  in_root "$CARGO_TARGET_DIR/release/scan" "$evidence"
  rm -rf "$evidence"
}

bench() {
  build entra-emulator bench-table native-service sync-once
  build_hostile
  say "the benches"
  rm -f "$root/target/bench.json"
  in_root cargo bench --locked --workspace --bench '*' -- "$@"
  in_root "$CARGO_TARGET_DIR/release/bench-table"
}

# The component once more, with its functions' names: in a folder of its own, so that the other isn't compiled anew.
flamegraph() {
  build complete-again
  build_bins pack
  say "the component, with names"
  local named="$CARGO_TARGET_DIR/flamegraph"
  CARGO_PROFILE_PLUGIN_STRIP=debuginfo in_root cargo build --locked -p defguard-openid-plugin --features component --target "$wasm" --profile plugin --target-dir "$named"
  in_root "$CARGO_TARGET_DIR/release/pack" "$named/$wasm/plugin/openid.wasm" "$named/openid.wasm" wit
  say "docs/login.svg"
  in_root tests/bench/flamegraph.sh "$named/openid.wasm"
}

lint() {
  need_rust
  have cargo-deny || die "cargo-deny is missing: run 'cargo install --locked cargo-deny@0.20.2'"
  need_wasm_target
  say "formatting"
  in_root cargo fmt --all --check || die "not formatted: run './build.sh fmt'"
  say "clippy, host side"
  in_root cargo clippy --release --locked --workspace --all-targets --features defguard-openid-plugin/browser -- -D warnings
  say "clippy, component"
  in_root cargo clippy --locked -p defguard-openid-plugin --features component --target "$wasm" --profile plugin -- -D warnings
  in_root cargo clippy --locked -p example-plugin --target "$wasm" --profile plugin -- -D warnings
  in_root cargo clippy --locked -p hostile-guest --target "$wasm" --profile plugin -- -D warnings
  say "dependencies"
  local checks=(bans licenses sources)
  if [ "${DENY_ADVISORIES:-0}" = 1 ]; then checks+=(advisories); fi
  in_root cargo deny --locked check "${checks[@]}"
}

command="${1:-help}"
[ "$#" -eq 0 ] || shift
case "$command" in
  build) build ;;
  component)
    need_rust
    build_component
    ;;
  playground)
    need_rust
    build_playground
    ;;
  demo)
    build demo
    exec "$CARGO_TARGET_DIR/release/demo" "$@"
    ;;
  serve)
    build
    exec "$root/target/release/defguard-openid" serve "$@"
    ;;
  sign)
    [ "$#" -gt 0 ] || die "sign: which file? ./build.sh sign target/openid.wasm"
    need_rust
    build_host
    key="${OPENID_SIGNING_KEY:-$root/minisign.key}"
    [ -e "$key" ] || set -- "$@" --new-key
    exec "$root/target/release/defguard-openid" plugin sign --key "$key" "$@"
    ;;
  test) run_tests "$@" ;;
  bench) bench "$@" ;;
  flamegraph) flamegraph ;;
  fuzz)
    need_rust
    exec "$root/tests/fuzz/run.sh" "$@"
    ;;
  package)
    build
    exec "$root/host/package/package.sh" "$root"
    ;;
  lint) lint ;;
  fmt) in_root cargo fmt --all ;;
  help | -h | --help) help ;;
  *)
    printf "build.sh: no command '%s'\n\n" "$command" >&2
    help >&2
    exit 2
    ;;
esac
