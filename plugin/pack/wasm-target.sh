#!/usr/bin/env bash
# Makes the standard library of wasm32-unknown-unknown available to the pinned toolchain.
#
# On ordinary machines rustup has it, or gets it. Where rustup may not download (RUSTUP_AUTO_INSTALL=0) it is built once,
# in about 40 s, from Debian's source package of exactly the same version, fetched and signature-checked by apt from the
# mirror that the machine already uses. Safe to run at any time, and twice at once.
set -euo pipefail

target=wasm32-unknown-unknown
cache="${XDG_CACHE_HOME:-$HOME/.cache}/defguard-openid"

say() { printf 'wasm target: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

cd "$(dirname "${BASH_SOURCE[0]}")/../.." # the toolchain is the one that rust-toolchain.toml pins
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET

libdir="$(rustc --print target-libdir --target "$target")"
have_std() { compgen -G "$libdir/libstd-*.rlib" >/dev/null; }
have_std && exit 0

mkdir -p "$cache"
exec 9>"$cache/wasm-target.lock"
flock 9
have_std && exit 0

if [ "${RUSTUP_AUTO_INSTALL:-1}" != 0 ] && command -v rustup >/dev/null; then
  say "rustup target add $target"
  rustup target add "$target" >&2 || say "rustup could not; building it instead"
  have_std && exit 0
fi

command -v apt-get >/dev/null || die "no std for $target: run 'rustup target add $target' where rustup may download"
version="$(rustc --version | cut -d' ' -f2)"
work="$cache/rust-src-$version"

# The mirror of the first Debian package list that apt knows, and the suite that has this version.
fetch_source() {
  local mirror apt
  mirror="$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m1 'debian/\?$' || true)"
  [ -n "$mirror" ] || die "apt knows no Debian mirror: run 'apt-get update', or 'rustup target add $target' elsewhere"
  rm -rf "$work"
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie-backports main\n' "$mirror" >"$work/sources.list"
  apt=(apt-get -qq
    -o "Dir::State=$work/apt" -o "Dir::State::lists=$work/apt/lists" -o "Dir::State::status=/var/lib/dpkg/status"
    -o "Dir::Cache=$work/apt/cache" -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o APT::Sandbox::User=root)
  say "fetching rust-src $version"
  "${apt[@]}" update >&2 || die "apt could not read the package lists (network?)"
  (cd "$work" && "${apt[@]}" download "rust-src=$version*" >&2) ||
    die "Debian has no rust-src $version: pin a version that it has, or run 'rustup target add $target' elsewhere"
  dpkg -x "$work"/rust-src_*.deb "$work/unpacked"
  rm -rf "$work/apt" "$work"/rust-src_*.deb
}

# A clean-up of the cache folder may have left half of it.
library() { find "$work/unpacked/usr/src" -mindepth 2 -maxdepth 2 -type d -name library 2>/dev/null | head -n1; }
[ -n "$(library)" ] || fetch_source
[ -n "$(library)" ] || die "the package rust-src has no library folder"

say "building std for $target (about 40 s, once)"
crate="$cache/wasm-std-$version"
rm -rf "$crate"
mkdir -p "$crate/src"
cat >"$crate/Cargo.toml" <<'TOML'
[package]
name = "wasm-std"
version = "0.0.0"
edition = "2021"
[lib]
crate-type = ["cdylib"]
TOML
: >"$crate/src/lib.rs"
toolchain="$(rustup show active-toolchain 2>/dev/null | cut -d' ' -f1 || true)"
# Without embedded bitcode the plugin's link-time optimisation fails.
(
  cd "$crate"
  RUSTUP_TOOLCHAIN="$toolchain" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes __CARGO_TESTS_ONLY_SRC_ROOT="$(library)" \
    cargo build -q -Z build-std=std,panic_abort --target "$target" --release
) >&2 || die "building std failed"
mkdir -p "$libdir"
# libstd comes last, by a rename: it tells that all of it is there.
for library in "$crate/target/$target/release/deps/"*.rlib; do
  case "$library" in */libstd-*) std="$library" ;; *) cp "$library" "$libdir/" ;; esac
done
cp "$std" "$libdir/.partial"
mv "$libdir/.partial" "$libdir/${std##*/}"
rm -rf "$crate"
have_std || die "built, but std isn't in $libdir"
say "ready"
