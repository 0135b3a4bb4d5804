# shellcheck shell=bash
# Base images without a registry, for the parts image and compose: Debian's by debootstrap, slimmed as the official one is;
# Swift's is that Debian with a `swift` that hands over the program that is already built.

image_tool() { nice -n 10 buildah --storage-driver vfs --root "$cache/storage" --runroot "$work/containers" "$@"; }

# Like debian:bookworm-slim: no manuals, no translations, and dpkg brings none.
image_bases() {
    local container
    if ! image_tool inspect --type image debian:bookworm-slim >"$work/out" 2>&1; then
        cp -a "$cache/base" "$work/slim"
        rm -rf "$work/slim/complete" "$work/slim"/var/cache/apt/archives/*.deb "$work/slim"/var/lib/apt/lists/* \
            "$work/slim"/usr/share/{doc,man,info,locale}/* "$work/slim"/var/log/*.log
        printf 'path-exclude /usr/share/%s/*\n' doc man info locale >"$work/slim/etc/dpkg/dpkg.cfg.d/docker"
        container=$(image_tool from scratch)
        image_tool add --quiet "$container" "$work/slim" /
        image_tool commit --quiet "$container" debian:bookworm-slim
        image_tool rm "$container"
        rm -rf "$work/slim"
    fi
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
    container=$(image_tool from --pull-never debian:bookworm-slim)
    image_tool add --quiet "$container" "$work/swift" /
    image_tool commit --quiet "$container" swift:6.3-bookworm
    image_tool rm "$container"
}
