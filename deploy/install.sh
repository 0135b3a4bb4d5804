#!/usr/bin/env bash
# Puts program, model, configuration and systemd unit where Debian expects them.
# With them go manual pages and what shells complete.
# Usage: install.sh DESTDIR PREFIX, with HEPAR naming the executable. A configuration that is there is kept.
# Nothing is changed before all that it needs is found to be there.
set -euo pipefail
cd "$(dirname "$0")/.."
destination=$1
prefix=$2
hepar=${HEPAR:?names the executable}
model=$prefix/share/hepar/Models/default

# The hashes that the card was written with: a model that was exchanged or cut short is not installed.
for stage in liver lesion; do
    sum=$(sha256sum "Models/default/$stage.safetensors" | cut -c1-64)
    grep -q "$sum" Models/default/card.md || { echo "$stage.safetensors is not the file of its card." >&2; exit 1; }
done

# Swift's libraries are in no Debian package: where the program was not linked with them, they come along.
mapfile -t libraries < <(ldd "$hepar" | awk '$3 ~ /\/swift\/linux\// { print $3 }')

missing=()
for tool in strip:binutils jq:jq dpkg-query:dpkg $([ ${#libraries[@]} -eq 0 ] || echo patchelf:patchelf); do
    command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
done
[ ${#missing[@]} -eq 0 ] || { echo "Nothing was installed. First: apt-get install ${missing[*]}" >&2; exit 1; }
[ -e Package.resolved ] || { echo "Nothing was installed: Package.resolved is missing; \`make build\` leaves it here." >&2; exit 1; }
# Made by the program itself, so one that does not run here stops it too.
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
deploy/manual.sh "$hepar" "$made"
for shell in bash zsh fish; do "$hepar" --generate-completion-script "$shell" >"$made/completion.$shell"; done
# What it is made of, by the libraries of this machine.
deploy/sbom.sh "$hepar" Package.resolved >"$made/sbom.cdx.json"
mkdir -p "$destination$prefix" 2>/dev/null && [ -w "$destination$prefix" ] \
    || { echo "Nothing was installed: $destination$prefix cannot be written." >&2; exit 1; }

install -D -m 755 -s "$hepar" "$destination$prefix/bin/hepar"

if [ ${#libraries[@]} -gt 0 ]; then
    install -D -m 644 -s -t "$destination$prefix/lib/hepar" "${libraries[@]}"
    # Its own search path is that of the machine it was built on. Forced, the new one serves libraries' libraries too.
    patchelf --force-rpath --set-rpath "$prefix/lib/hepar" "$destination$prefix/bin/hepar"
fi

install -D -m 644 -t "$destination$model" Models/default/{liver,lesion}.safetensors Models/default/card.md

configuration=$destination/etc/hepar/hepar.yaml
[ ! -e "$configuration" ] || configuration=$configuration.new
install -d -m 755 "${configuration%/*}"
sed -e "s|^  folder: hepar-data|  folder: /var/lib/hepar/data|" -e "s|^  folder: Models/default|  folder: $model|" \
    config/hepar.yaml >"$configuration"
chmod 644 "$configuration"

units=$destination$prefix/lib/systemd/system
install -d -m 755 "$units"
for unit in hepar hepar-bridge; do
    sed "s|/usr/bin/hepar|$prefix/bin/hepar|; s|/usr/share/doc|$prefix/share/doc|" "deploy/systemd/$unit.service" \
        >"$units/$unit.service"
    chmod 644 "$units/$unit.service"
done
install -D -m 644 deploy/systemd/hepar.sysusers "$destination$prefix/lib/sysusers.d/hepar.conf"

documents=$destination$prefix/share/doc/hepar
install -D -m 644 -t "$documents" README.md CHANGELOG.md SECURITY.md openapi.yaml docs/operations.md
install -D -m 644 LICENSE "$documents/copyright"
install -D -m 644 -t "$documents" "$made/sbom.cdx.json"
install -D -m 644 -t "$documents/examples/nginx" deploy/nginx/*.conf
install -D -m 644 -t "$documents/examples/monitoring" deploy/prometheus/{prometheus,alerts}.yml deploy/grafana/hepar.json

install -D -m 644 -t "$destination$prefix/share/man/man1" "$made"/*.1
gzip --no-name --force --best "$destination$prefix"/share/man/man1/hepar*.1
install -D -m 644 "$made/completion.bash" "$destination$prefix/share/bash-completion/completions/hepar"
install -D -m 644 "$made/completion.zsh" "$destination$prefix/share/zsh/vendor-completions/_hepar"
install -D -m 644 "$made/completion.fish" "$destination$prefix/share/fish/vendor_completions.d/hepar.fish"
