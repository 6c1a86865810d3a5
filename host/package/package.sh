#!/usr/bin/env bash
# `./build.sh package`: what a Debian package holds besides the artifacts, the package, and a look at it. The artifacts are there.
set -euo pipefail

root="$1"
made="$root/target/package"
host="$root/target/release/defguard-openid"
component="$root/target/openid.wasm"
unpacked=""

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'package.sh: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing: run 'cargo install --locked $1@$2'"; }

# By the key in OPENID_SIGNING_KEY, or by one made for this package and thrown away: whoever trusts the package trusts its plugin.
sign() {
  local key="${OPENID_SIGNING_KEY:-}" more=()
  if [ -z "$key" ]; then
    key="$(mktemp -d)/minisign.key" more=(--new-key --no-password)
    trap 'rm -rf "$(dirname "$key")"' RETURN
  fi
  "$host" plugin sign "$component" --key "$key" "${more[@]}" >"$made/signed" || die "the plugin can't be signed"
  mv "$component.minisig" "$made/openid.wasm.minisig"
  { printf 'untrusted comment: signs the plugin of this package\n'; sed -n 's/^trusted_keys = \["\(.*\)"\]$/\1/p' "$made/signed"; } >"$made/minisign.pub"
}

# Made from the program itself, so that nothing of it is out of date.
make_files() {
  rm -rf "$made"
  mkdir -p "$made"
  # The folder of plugins that postinst makes, which the service's user can write to.
  "$host" config example --plugin "$component" |
    sed 's|^plugin = "/usr/share/defguard-openid/openid.wasm"$|plugin = "/var/lib/defguard-openid/plugin"|' >"$made/openid.toml"
  grep -q '^plugin = "/var/lib/defguard-openid/plugin"$' "$made/openid.toml" || die "the packaged configuration names another plugin"
  "$host" config schema --plugin "$component" >"$made/openid.schema.json"
  "$host" man --out "$made/man"
  "$host" completions bash >"$made/defguard-openid.bash"
  "$host" completions zsh >"$made/_defguard-openid"
  "$host" completions fish >"$made/defguard-openid.fish"
}

# Every crate that is in the host's binary or in the component, with version, licence and checksum (CycloneDX).
make_bill_of_materials() {
  local of="$1" target="$2" name="$3"
  cargo cyclonedx --quiet --manifest-path "$root/$of/Cargo.toml" --format json --spec-version 1.5 --no-build-deps \
    --target "$target" --override-filename "$name"
  mv "$root/$of/$name.json" "$made/$name.json"
  # It writes one beside every member.
  find "$root" -name "$name.json" -not -path "$root/target/*" -not -path '*/node_modules/*' -delete
}

# Unpacks the package and uses what is in it; the unit is checked without systemd running.
look_at() {
  local debian="$1" program config unit
  unpacked="$(mktemp -d)"
  trap 'rm -rf "$unpacked"' EXIT
  dpkg-deb --extract "$debian" "$unpacked"
  [ "$(stat -c %a "$unpacked/etc/defguard-openid/openid.toml")" = 640 ] || die "others can read the packaged configuration"
  program="$unpacked/usr/bin/defguard-openid" config="$unpacked/openid.toml"
  # As postinst does.
  mkdir "$unpacked/plugin"
  for end in wasm wasm.minisig; do ln -s "$unpacked/usr/share/defguard-openid/openid.$end" "$unpacked/plugin/package.$end"; done
  printf 'a-secret-of-no-importance-0123456789-abcdef\n' >"$unpacked/secret"
  sed -e "s|/usr/share/defguard-openid/|$unpacked&|; s|/run/secrets/[a-z]*|$unpacked/secret|; s|/var/lib/defguard-openid|$unpacked|" \
    "$unpacked/etc/defguard-openid/openid.toml" >"$config"
  "$program" check --config "$config" >&2 || die "the packaged program doesn't accept the packaged configuration"
  [ "$(stat -c %s "$debian")" -lt 20000000 ] || die "the package is larger than what is meant to be in it: dpkg-deb -c $debian"
  local bill="$unpacked/usr/share/doc/defguard-openid/host.cdx.json"
  [ -s "$unpacked/usr/share/defguard-openid/openid.wasm.minisig" ] || die "the packaged plugin isn't signed"
  grep -q '"name": "wasmtime"' "$bill" || die "the bill of materials doesn't name wasmtime"
  if command -v systemd-analyze >/dev/null; then
    unit="$(find "$unpacked" -name defguard-openid.service)"
    # Its program is where it will be.
    sed -i "s|=/usr/bin/defguard-openid|=$program|" "$unit"
    systemd-analyze verify --man=no "$unit" || die "systemd doesn't accept the unit"
    systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" >"$unpacked/exposure" ||
      { cat "$unpacked/exposure" >&2; die "the unit leaves more open than it needs"; }
    tail -n 1 "$unpacked/exposure" >&2
  else
    say "the systemd unit wasn't looked at: no systemd-analyze here"
  fi
}

need cargo-deb 3.8.0
need cargo-cyclonedx 0.5.9
cd "$root"
say "what the package holds"
make_files
make_bill_of_materials host x86_64-unknown-linux-gnu host.cdx
make_bill_of_materials plugin wasm32-unknown-unknown component.cdx
say "the plugin's signature"
sign
say "the package"
debian="$(cargo deb --quiet --locked --no-build --strip -p defguard-openid-host --output "$made/")"
look_at "$debian"
say "$debian"
