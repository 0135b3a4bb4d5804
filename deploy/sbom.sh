#!/usr/bin/env bash
# Writes what a hepar executable is made of as CycloneDX 1.5 (JSON) to standard output: the Swift packages that the program says
# are linked into it, with the versions and places that they were resolved to, and each shared library that the program loads with the Debian package that it is from. A library that is
# of no package, such as Swift's own, is told by its SHA-256. Nothing in it depends on the time: the same files, the same text.
#
#     sbom.sh HEPAR PACKAGE_RESOLVED       needs bash, sed, awk, ldd and dpkg
set -euo pipefail
hepar=$1
resolved=$2

architecture=$(dpkg --print-architecture)
# shellcheck source=/dev/null
distribution=$(. /etc/os-release && echo "$ID")
version=$("$hepar" --version)
version=${version%% *}
software=$("$hepar" --version --json)

# One pin: identity, location, version.
pins() {
    sed -n 's/^ *"identity" : "\(.*\)",$/\1/p; s/^ *"location" : "https:\/\/\(.*\)",$/\1/p; s/^ *"version" : "\(.*\)"$/\1/p' \
        "$resolved" | paste - - - | sed 's/\.git\t/\t/'
}

# The files that the loader takes, after all links.
libraries() { ldd "$hepar" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | xargs -n 1 readlink -f | sort -u; }

# Debian's /lib may be a link to /usr/lib, while dpkg knows one of both names.
package_of() {
    dpkg -S "$1" 2>/dev/null | sed 's/: .*//; q' | grep . || dpkg -S "${1#/usr}" 2>/dev/null | sed 's/: .*//; q' | grep .
}

components() {
    local name location number file package
    while IFS=$'\t' read -r name location number; do
        grep -q "\"$name\" : \"$number\"" <<<"$software" || continue
        printf '{"type":"library","bom-ref":"pkg:swift/%s@%s","name":"%s","version":"%s","purl":"pkg:swift/%s@%s"}\n' \
            "$location" "$number" "$name" "$number" "$location" "$number"
    done < <(pins)
    while read -r file; do
        if package=$(package_of "$file"); then
            dpkg-query -W -f '${binary:Package} ${Version}\n' "$package"
        else
            printf '%s %s\n' "${file##*/}" "sha256:$(sha256sum "$file" | cut -c1-64)"
        fi
    done < <(libraries) | sort -u | while read -r name number; do
        name=${name%:*}
        if [ "${number#sha256:}" != "$number" ]; then
            printf '{"type":"file","bom-ref":"file:%s","name":"%s","hashes":[{"alg":"SHA-256","content":"%s"}]}\n' \
                "$name" "$name" "${number#sha256:}"
        else
            local purl="pkg:deb/$distribution/$name@${number//+/%2B}?arch=$architecture"
            printf '{"type":"library","bom-ref":"%s","name":"%s","version":"%s","purl":"%s"}\n' \
                "$purl" "$name" "$number" "$purl"
        fi
    done
}

all=$(components)
cat <<END
{
  "bomFormat": "CycloneDX",
  "specVersion": "1.5",
  "version": 1,
  "metadata": {
    "component": {"type": "application", "bom-ref": "hepar", "name": "hepar", "version": "$version"}
  },
  "components": [
$(sed 's/^/    /; $!s/$/,/' <<<"$all")
  ],
  "dependencies": [
    {"ref": "hepar", "dependsOn": [
$(sed -n 's/.*"bom-ref":\("[^"]*"\).*/      \1/p' <<<"$all" | sed '$!s/$/,/')
    ]}
  ]
}
END
