# shellcheck shell=bash
# Base images without a registry, for the parts image and compose: Debian's by debootstrap, slimmed as the official one is;
# Swift's is that Debian with what the official one has, and the toolchain of $toolchain. Where that is empty, its `swift`
# hands over the program that is already built.

image_tool() { nice -n 10 buildah --storage-driver vfs --root "$cache/storage" --runroot "$work/containers" "$@"; }

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
