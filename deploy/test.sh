#!/usr/bin/env bash
# Runs what this folder holds: each part in its order, each check a line, the sum at the end.
# Usage: test.sh [PART...], with HEPAR naming the executable. Parts: nginx systemd monitoring image compose manifests docs orthanc.
# Installs what is missing (Debian packages, and Python tools into .build_test-deploy), so it wants root.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
hepar=$(realpath "${HEPAR:-.build/release/hepar}")
venv=${HEPAR_DEPLOY_VENV:-$root/.build_test-deploy}
cache=${HEPAR_DEPLOY_CACHE:-$root/.build_test-images}
work=$(mktemp -d "${TMPDIR:-/tmp}/hepar-deploy.XXXXXX")
unset HEPAR_DEPLOY_VENV HEPAR_DEPLOY_CACHE HEPAR_CONFIG
passed=0 failed=0 skipped=0
children=()

# Ends what was started here, and nothing else.
cleanup() {
    local child
    for child in "${children[@]}"; do kill "$child" 2>/dev/null && wait "$child" 2>/dev/null; done
    if [ -n "${KEEP_WORK:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# check NAME COMMAND...: the command passes with 0, and is skipped with 77 and a last line that says why.
check() {
    local name=$1 code
    shift
    (set -e; "$@") >"$work/check.log" 2>&1
    code=$?
    case $code in
    0)
        passed=$((passed + 1))
        echo "ok $name$(sed -n 's/^measured: / /p' "$work/check.log" | tr '\n' ';')"
        ;;
    77) skip "$name" "$(tail -n 1 "$work/check.log")" ;;
    *)
        failed=$((failed + 1))
        echo "failed $name"
        sed 's/^/    /' "$work/check.log" | tail -n 30
        ;;
    esac
}

skip() {
    skipped=$((skipped + 1))
    echo "skipped $1: $2"
}

# packages NAME...: installs Debian packages that are missing; fails if they cannot be had.
packages() {
    local missing=() package
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}"; } >"$work/apt.log" 2>&1 || { tail -n 3 "$work/apt.log"; return 1; }
}

# python_tools: the environment with the linters and schemas.
python_tools() {
    cmp -s deploy/test/requirements.txt "$venv/complete" && return
    packages python3-venv && python3 -m venv "$venv" && "$venv/bin/pip" install -q -r deploy/test/requirements.txt &&
        cp deploy/test/requirements.txt "$venv/complete"
}

# not COMMAND...: passes where the command fails.
not() { if "$@"; then return 1; fi; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

# start_hepar FOLDER [NAME=VALUE...]: a server with tokens; sets hepar_port, hepar_pid and admin.
start_hepar() {
    local folder=$1
    shift
    mkdir -p "$folder"
    hepar_port=$(free_port)
    [ -e "$folder/tokens.yaml" ] ||
        "$hepar" token add --file "$folder/tokens.yaml" deploy-test --role admin >"$folder/admin"
    # shellcheck disable=SC2034  # the parts read it
    admin=$(cat "$folder/admin")
    env HEPAR_HTTP_PORT="$hepar_port" HEPAR_DATA_FOLDER="$folder/data" HEPAR_AUTH_TOKENS_FILE="$folder/tokens.yaml" \
        HEPAR_MODEL_FOLDER="$root/Models/default" HEPAR_LOG_FORMAT=json "$@" \
        "$hepar" serve 2>>"$folder/hepar.log" &
    hepar_pid=$!
    children+=("$hepar_pid")
    until_true 20 curl -sf -o "$work/ready" "http://127.0.0.1:$hepar_port/readyz" 2>"$work/ready.log"
}

# base_system: Debian's smallest system in $cache/base; kept between runs.
base_system() {
    [ -e "$cache/base/complete" ] && return
    packages debootstrap || return 1
    rm -rf "$cache/base" && mkdir -p "$cache" &&
        debootstrap --variant=minbase bookworm "$cache/base" >"$work/debootstrap.log" 2>&1 &&
        touch "$cache/base/complete" || { tail -n 3 "$work/debootstrap.log"; return 1; }
}

# What the program needs of Debian, as the Dockerfile's last stage lists it.
runtime_packages() {
    sed -n '/^# Libraries:/,/rm -rf/p' Dockerfile | grep -v '^#' | grep -oE '(lib[a-z0-9.+-]+|zlib1g|ca-certificates)( |$)'
}

stop_child() {
    kill "$1" && wait "$1" 2>/dev/null
    return 0
}

parts=("$@")
[ $# -gt 0 ] || parts=(nginx systemd monitoring image compose manifests docs orthanc)
[ -x "$hepar" ] || { echo "failed program: $hepar is no program. Run make build first."; exit 1; }
packages curl jq python3 openssl || exit 1
"$hepar" phantom --seed 3 --shape 128,128,40 --spacing 2.8,2.8,6 --output "$work/ct.nii.gz" \
    --reference "$work/reference.nii.gz" >"$work/phantom.log" 2>&1
for part in "${parts[@]}"; do
    [ -r "deploy/test/$part.sh" ] || { echo "There is no part $part."; exit 2; }
    # shellcheck source=/dev/null
    source "deploy/test/$part.sh"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
