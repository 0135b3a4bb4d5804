# shellcheck shell=bash
# The container image, built by buildah without an engine or a registry. Both base images are made here: Debian's by
# debootstrap, slimmed as the official one is; Swift's is that Debian with what the official one has, and this machine's
# toolchain. Where there is none, or IMAGE_STUB is set, its `swift` hands over the program that is already built: then
# every instruction of the Dockerfile is carried out, but for the compiler's work.
image_dicoms=${HEPAR_SHARED:-$root/../shared}/data/dicom

image_tool() { nice -n 10 buildah --storage-driver vfs --root "$cache/storage" --runroot "$work/containers" "$@"; }

image_lint() { "$venv/bin/hadolint" Dockerfile; }

# Like debian:bookworm-slim: no manuals, no translations, and dpkg brings none and does not wait for the disk.
image_bases() {
    local container
    if ! image_tool inspect --type image debian:bookworm-slim >"$work/out" 2>&1; then
        cp -a "$cache/base" "$work/slim"
        rm -rf "$work/slim/complete" "$work/slim"/var/cache/apt/archives/*.deb "$work/slim"/var/lib/apt/lists/* \
            "$work/slim"/usr/share/{doc,man,info,locale}/* "$work/slim"/var/log/*.log
        printf 'path-exclude /usr/share/%s/*\n' doc man info locale >"$work/slim/etc/dpkg/dpkg.cfg.d/docker"
        echo force-unsafe-io >"$work/slim/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
        container=$(image_tool from scratch)
        image_tool add --quiet "$container" "$work/slim" /
        image_tool commit --quiet "$container" debian:bookworm-slim
        image_tool rm "$container"
        rm -rf "$work/slim"
    fi
    mkdir -p "$work/swift"
    if [ -n "$toolchain" ]; then
        image_swift_packages
        container=$(image_tool from --pull-never debian:bookworm-swift)
        image_swift "$container"
    else
        container=$(image_tool from --pull-never debian:bookworm-slim)
        image_stub
    fi
    image_tool add --quiet "$container" "$work/swift" /
    image_tool commit --quiet "$container" swift:6.3-bookworm
    image_tool rm "$container"
    rm -rf "$work/swift"
}

# That Debian with the packages of Swift's own image.
image_swift_packages() {
    local container
    image_tool inspect --type image debian:bookworm-swift >"$work/out" 2>&1 && return
    container=$(image_tool from --pull-never debian:bookworm-slim)
    image_tool run --isolation chroot --network host "$container" -- sh -c 'apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends binutils ca-certificates git \
            gnupg2 libc6-dev libcurl4-openssl-dev libedit2 libgcc-12-dev libncurses-dev libpython3.11 libsqlite3-0 \
            libstdc++-12-dev libxml2-dev libz3-dev pkg-config tzdata unzip zlib1g-dev && apt-get clean'
    image_tool commit --quiet "$container" debian:bookworm-swift
    image_tool rm "$container"
}

# What this machine fetches Swift packages with. The toolchain itself is mounted while the image is built: at /media, as
# both stages have an empty folder there.
image_swift() {
    local variable file
    image_tool config --env "PATH=/media/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$1"
    # Git's settings, the folders that they name in a server's place, certificates, SwiftPM's settings and its cache.
    git config --list --includes | sed -n 's|^url\.\(file://\)\?\(/.*\)\.insteadof=.*|\2|p' >"$work/swift-files"
    printf '%s\n' /etc/gitconfig ~/.gitconfig ~/.config/git ~/.swiftpm/configuration \
        ~/.cache/org.swift.swiftpm/repositories >>"$work/swift-files"
    for variable in GIT_SSL_CAINFO SSL_CERT_FILE; do
        [ -n "${!variable:-}" ] || continue
        image_tool config --env "$variable=${!variable}" "$1"
        echo "${!variable}" >>"$work/swift-files"
    done
    sort -u "$work/swift-files" | while read -r file; do
        [ ! -e "$file" ] || (cd / && cp -rL --parents "${file#/}" "$work/swift")
    done
    # The cache of the user who runs this is root's in the image.
    [ "$HOME" = /root ] || [ ! -e "$work/swift$HOME" ] || { mkdir -p "$work/swift/root" &&
        cp -r "$work/swift$HOME/." "$work/swift/root" && rm -rf "${work:?}/swift$HOME"; }
}

image_stub() {
    mkdir -p "$work/swift/usr/bin" "$work/swift/prebuilt"
    cp "$hepar" "$work/swift/prebuilt/hepar"
    ldd "$hepar" | awk '$3 ~ /\/swift\/linux\// { print $3 }' | while read -r library; do
        install -D "$library" "$work/swift$library"
    done
    cat >"$work/swift/usr/bin/swift" <<'STUB'
#!/bin/sh
[ "$*" = "build -c release --product hepar" ] || exit 64
mkdir -p .build/release && cp /prebuilt/hepar .build/release/hepar
STUB
    chmod 755 "$work/swift/usr/bin/swift"
}

image_build() {
    local begin=$SECONDS volume=()
    [ -z "$toolchain" ] || volume=(--volume "$toolchain:/media:ro")
    image_tool bud "${volume[@]}" --isolation chroot --network host --pull-never --format docker --tag hepar \
        --file Dockerfile . >"$work/build.log" 2>&1 || { tail -n 25 "$work/build.log"; return 1; }
    echo "measured: $((SECONDS - begin)) s in all"
    sed -n 's/^Build of product .* complete! (\(.*\)s)$/measured: \1 s in swift build/p' "$work/build.log"
    local container
    container=$(image_tool from --pull-never hepar)
    image_tool mount "$container" >"$work/mount"
}

# As a registry keeps it and a pull brings it; as an engine counts it, the sum of all files in all layers; on the disk.
image_size() {
    local packed unpacked
    image_tool push --quiet hepar "oci:$work/oci"
    packed=$(du -sb "$work/oci/blobs" | cut -f1)
    unpacked=$(jq -r '.manifests[0].digest' "$work/oci/index.json" | sed "s|:|/|; s|^|$work/oci/blobs/|" | xargs cat |
        jq -r '.layers[].digest' | sed "s|:|/|; s|^|$work/oci/blobs/|" | xargs -n 1 tar -tvzf |
        awk '{ sum += $3 } END { printf "%d", sum }')
    rm -rf "$work/oci"
    echo "measured: $((packed / 1000000)) MB packed, $((unpacked / 1000000)) MB unpacked," \
        "$(du -sxm "$(cat "$work/mount")" | cut -f1) MiB on the disk"
    [ "$unpacked" -lt 250000000 ]
}

image_settings() {
    image_tool inspect --type image hepar | jq .Docker.config >"$work/config"
    jq -e '.User == "10001:10001" and .StopSignal == "SIGTERM" and (.Volumes | keys) == ["/var/lib/hepar"]
        and .Entrypoint == ["/usr/bin/hepar"] and .Cmd == ["serve"] and .Healthcheck.Test[0] == "CMD"
        and (.ExposedPorts | keys) == ["8080/tcp"] and (.Labels["org.opencontainers.image.licenses"] | length > 0)' \
        "$work/config"
    # The version is the program's.
    [ "$("$hepar" --version)" = "$(jq -r '.Labels["org.opencontainers.image.version"]' "$work/config")" ]
}

image_contents() {
    local system
    system=$(cat "$work/mount")
    [ "$(stat -c '%u %a' "$system/var/lib/hepar")" = "10001 700" ]
    # What is needed is there, nothing of the build.
    chroot "$system" ldd /usr/bin/hepar >"$work/ldd"
    not grep 'not found' "$work/ldd"
    grep -q 'libicudata.* => /usr/lib/hepar/' "$work/ldd"
    # What scanners read: all packages are there as dpkg knows them.
    chroot "$system" dpkg-query -W $(runtime_packages) >"$work/packages"
    not grep . <(chroot "$system" dpkg --audit)
    local path
    for path in source prebuilt usr/bin/swift usr/bin/gcc media/usr root/.gitconfig root/.cache etc/gitconfig; do
        [ ! -e "$system/$path" ] || { echo "$path"; return 1; }
    done
    # A file that anyone may write, or that runs as another user, has no place there.
    not grep . <(find "$system" -xdev -type f -perm /002 -print)
    for stage in liver lesion; do
        grep -q "$(sha256sum "$system/usr/share/hepar/Models/default/$stage.safetensors" | cut -c1-64)" \
            Models/default/card.md
    done
}

# Runs in the image's files as a container would: read-only root, one volume, a network and processes of its own, no
# privileges; with the image's user, variables and command.
image_run() {
    local variables
    mapfile -t variables < <(jq -r '.Env[]' "$work/config")
    exec unshare --mount --pid --net --fork --kill-child bash -c '
        set -e
        system=$1 data=$2
        shift 2
        ip link set lo up
        mount --bind "$system" "$system"
        mount -o remount,bind,ro "$system"
        mount --bind "$data" "$system/var/lib/hepar"
        mount -t proc proc "$system/proc"
        mount -t tmpfs tmpfs "$system/dev"
        for device in null urandom random zero; do
            touch "$system/dev/$device"
            mount --bind "/dev/$device" "$system/dev/$device"
        done
        cd /
        exec chroot "$system" setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --inh-caps=-all \
            --bounding-set=-all "$@"' bash "$(cat "$work/mount")" "$work/volume" env -i -C /var/lib/hepar \
        "${variables[@]}" "$@"
}

image_start() {
    local command
    mapfile -t command < <(jq -r '.Entrypoint[], .Cmd[]' "$work/config")
    (image_run "${command[@]}") 2>>"$work/image.log" &
    image_pid=$!
    children+=("$image_pid")
    until_true 20 image_healthy
}

# The image's own health check, in the container: a Swift program finds its arguments in /proc.
image_healthy() {
    local test
    image_main=$(pgrep -P "$image_pid" | head -n 1) && [ -n "$image_main" ] || return 1
    mapfile -t test < <(jq -r '.Healthcheck.Test[1:][]' "$work/config")
    nsenter -t "$image_main" -n -m -p -r -w "${test[@]}"
}

# The first start in docs/operations.md: without a file of tokens it says what to do; the token command makes it.
image_tokens() {
    mkdir -p "$work/volume"
    chown 10001:10001 "$work/volume"
    chmod 700 "$work/volume"
    if (image_run /usr/bin/hepar serve) 2>"$work/first"; then return 1; fi
    grep -q 'hepar token add' "$work/first"
    (image_run /usr/bin/hepar token add --file /var/lib/hepar/tokens.yaml operator --role admin) >"$work/image.token"
    [ "$(stat -c '%u %a' "$work/volume/tokens.yaml")" = "10001 600" ]
}

image_health() {
    local status
    image_healthy
    status=$(cat "/proc/$image_main/status")
    grep -qP '^Uid:\t10001\t10001\t10001\t10001' <<<"$status"
    grep -qP '^CapEff:\t0+$' <<<"$status"
    grep -qP '^NSpid:\t.*\t1$' <<<"$status"
}

image_curl() {
    nsenter -t "$image_main" -n curl -sS -H "Authorization: Bearer $(cat "$work/image.token")" "$@"
}

image_journey() {
    local job
    job=$(image_curl -f -F "image=@$work/ct.nii.gz" -F "reference=@$work/reference.nii.gz" \
        http://127.0.0.1:8080/v1/jobs | jq -er .id)
    until_true 180 image_ended "$job"
    image_curl -f "http://127.0.0.1:8080/v1/jobs/$job" | jq -e '.state == "succeeded"'
    image_curl -f -o "$work/mask" "http://127.0.0.1:8080/v1/jobs/$job/mask"
    gzip -t "$work/mask"
    image_curl -f -o "$work/preview" "http://127.0.0.1:8080/v1/jobs/$job/preview.png"
    image_curl -f "http://127.0.0.1:8080/v1/jobs/$job/report" |
        jq -r '"measured: liver Dice \(.scores.liver.dice * 1000 | round / 1000) in \(.timings_ms.total | round) ms"'
}

# DCMTK at work without what was taken out of the image: compressed slices, and a segmentation object.
image_dicom() {
    local job
    [ -d "$image_dicoms" ] || { echo "there are no DICOM series: HEPAR_SHARED names their folder"; return 77; }
    image_curl -f -F "image=@$image_dicoms/ts_jpeg2000.zip" http://127.0.0.1:8080/v1/scans
    job=$(image_curl -f -F "image=@$image_dicoms/hcc015_portal.zip" 'http://127.0.0.1:8080/v1/jobs?uids=true' | jq -er .id)
    until_true 180 image_ended "$job"
    image_curl -f "http://127.0.0.1:8080/v1/jobs/$job" | jq -e '.state == "succeeded"'
    image_curl -f -H 'Accept: application/dicom' -o "$work/seg" "http://127.0.0.1:8080/v1/jobs/$job/mask"
    [ "$(head -c 132 "$work/seg" | tail -c 4)" = DICM ]
}

image_ended() { image_curl "http://127.0.0.1:8080/v1/jobs/$1?wait=20" | jq -e '.state | IN("succeeded", "failed")'; }

# As process 1, which only gets the signals that it asked for.
image_stop() {
    local begin
    begin=$(date +%s%N)
    kill -TERM "$image_main"
    until_true 10 not kill -0 "$image_main" 2>"$work/out"
    echo "measured: $((($(date +%s%N) - begin) / 1000000)) ms"
    tail -n 1 "$work/image.log" | jq -e '.message == "stopped"'
}

if ! packages buildah debootstrap iproute2 util-linux || ! base_system; then
    skip image "buildah or a Debian cannot be had here"
else
    if python_tools; then check image.lint image_lint; else skip image.lint "hadolint cannot be had here"; fi
    toolchain=$(readlink -f "$(command -v swift)")
    toolchain=${toolchain%/usr/bin/*}
    if [ -n "${IMAGE_STUB:-}" ] || [ ! -x "$toolchain/usr/bin/swift" ]; then
        toolchain=
        skip image.build "IMAGE_STUB is set, or there is no Swift: the compiler is not run"
    fi
    check image.bases image_bases
    check "image.build$([ -n "$toolchain" ] || echo -with-a-finished-program)" image_build
    if [ -s "$work/mount" ]; then
        check image.size image_size
        check image.settings image_settings
        check image.contents image_contents
        check image.first-start-and-token image_tokens
        if image_start 2>"$work/image.start"; then
            check image.health-check-and-user image_health
            check image.journey image_journey
            check image.dicom image_dicom
            check image.stops-as-process-1 image_stop
        else
            check image.starts not cat "$work/image.log"
        fi
    fi
    image_tool rm --all >"$work/out" 2>&1
    # It holds settings of this machine, and is made anew each time.
    image_tool rmi swift:6.3-bookworm hepar >"$work/out" 2>&1
fi
