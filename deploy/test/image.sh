# shellcheck shell=bash
# The container image, built by buildah without an engine or a registry, on the base images of bases.sh and with this machine's
# toolchain. Where there is none, or IMAGE_STUB is set, every instruction of the Dockerfile is carried out but for the
# compiler's work.

# shellcheck source=deploy/test/bases.sh
source deploy/test/bases.sh
image_dicoms=${HEPAR_SHARED:-$root/../shared}/data/dicom

image_lint() { "$venv/bin/hadolint" Dockerfile; }

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
    [ "$("$hepar" --version | cut -d' ' -f1)" = "$(jq -r '.Labels["org.opencontainers.image.version"]' "$work/config")" ]
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
    # shellcheck disable=SC2046  # names, as many as there are
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

# The list of what is in the image is true: each Debian package that the program's libraries are from stands there with the
# version that dpkg has, and nothing else does.
image_sbom() {
    local system bom
    system=$(cat "$work/mount")
    bom=$system/usr/share/doc/hepar/sbom.cdx.json
    jq -e '.bomFormat == "CycloneDX" and (.components | length) == (.dependencies[0].dependsOn | length)' "$bom"
    jq -r '.components[] | select(.purl // "" | startswith("pkg:deb/")) | "\(.name) \(.version)"' "$bom" |
        sort >"$work/told"
    chroot "$system" bash -c 'ldd /usr/bin/hepar | grep -o "/[^ ]*" | xargs -n 1 readlink -f | while read -r file; do
            dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}" 2>/dev/null; done | cut -d: -f1 | sort -u |
            xargs -n 1 dpkg-query -W -f "\${Package} \${Version}\n"' | sort -u >"$work/found"
    diff "$work/told" "$work/found"
    # The program tells the same packages.
    chroot "$system" /usr/bin/hepar --version --json >"$work/software"
    diff <(jq -S .packages "$work/software") <(jq -S '[.components[] | select(.purl // "" | startswith("pkg:swift/"))
        | {key: .name, value: .version}] | from_entries' "$bom")
}

# Nothing in the image waits for an update of Debian's, security or other. The lists are fetched into a copy.
image_updates() {
    local container status=0
    container=$(image_tool from --pull-never hepar)
    image_tool run --user 0 --isolation chroot --network host "$container" -- sh -c \
        'apt-get update -qq && apt-get --simulate upgrade' >"$work/updates" 2>&1 || status=$?
    image_tool rm "$container" >"$work/out"
    [ "$status" = 0 ] || { cat "$work/updates"; return 1; }
    not grep '^Inst ' "$work/updates"
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
        check image.sbom-is-what-dpkg-has image_sbom
        check image.no-update-is-missing image_updates
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
