#!/usr/bin/env bash
# Builds the libraries that read uploads once more from Debian's sources, under AddressSanitizer and with libFuzzer's
# coverage, so that an overflow inside them is found and the fuzzers see their branches: libmicrohttpd, libzip, libnifti,
# OpenJPEG, DCMTK. Optional: build.sh links them where they are. UndefinedBehaviorSanitizer is left out: their many
# harmless findings would hide ours.
#
#     deploy/fuzz/libraries.sh             into .build-fuzz/libraries; needs cmake, ninja-build and dpkg-dev
set -euo pipefail
cd "$(dirname "$0")/../.."

output=$(realpath -m "${HEPAR_FUZZ_LIBRARIES:-${HEPAR_FUZZ_SCRATCH:-.build-fuzz}/libraries}")
sources=$output/sources
mkdir -p "$output/lib" "$sources/lists/partial"
cd "$sources"

# The machine's own sources, of source packages: lists of its own, as the machine's need not have any.
mkdir -p parts
for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"parts/$(basename "$file")"
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >"parts/$(basename "$file" .list).list"
done
apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$sources/parts"
    -o "Dir::State::lists=$sources/lists")
"${apt[@]}" update
# The versions that are installed: the headers must fit.
version() { dpkg-query -W -f '${source:Version}' "$1"; }
"${apt[@]}" source "libmicrohttpd=$(version libmicrohttpd12)" "libzip=$(version libzip4)" \
    "nifticlib=$(version libnifti2-2)" "openjpeg2=$(version libopenjp2-7)" "dcmtk=$(version libdcmtk17)" 2>&1 | tail -1

# The clang that comes with Swift: its sanitizers' runtime is the one that is linked in the end.
CC=$(dirname "$(realpath "$(command -v swift)")")/clang
[ -x "$CC" ] || CC=$(command -v clang)
export CC CXX=$CC++
flags="-O1 -g1 -fPIC -fno-omit-frame-pointer -w -fsanitize=fuzzer-no-link,address"

# with_cmake FOLDER OPTIONS... TARGETS: what comes after -- is built.
with_cmake() {
    local folder=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    cmake -S "$folder" -B "$folder/instrumented" -G Ninja -DCMAKE_BUILD_TYPE=None -DBUILD_SHARED_LIBS=OFF \
        -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" "${options[@]}" >"$folder.log" 2>&1
    ninja -C "$folder/instrumented" "$@" >>"$folder.log" 2>&1
}

microhttpd=$(echo libmicrohttpd-*/)
(
    cd "$microhttpd"
    CFLAGS=$flags ./configure --disable-shared --disable-https --disable-doc --disable-examples --disable-curl
    make -C src/microhttpd libmicrohttpd.la
) >microhttpd.log 2>&1
cp "$microhttpd/src/microhttpd/.libs/libmicrohttpd.a" "$output/lib/"

zip=$(echo libzip-*/)
with_cmake "${zip%/}" -DENABLE_BZIP2=OFF -DENABLE_LZMA=OFF -DENABLE_ZSTD=OFF -DENABLE_OPENSSL=OFF -DENABLE_GNUTLS=OFF \
    -DENABLE_MBEDTLS=OFF -DENABLE_COMMONCRYPTO=OFF -- lib/libzip.a
cp "${zip}instrumented/lib/libzip.a" "$output/lib/"

nifti=$(echo nifticlib-*/)
with_cmake "${nifti%/}" -DBUILD_TESTING=OFF -DNIFTI_BUILD_TESTING=OFF -DUSE_CIFTI_CODE=OFF -DUSE_FSL_CODE=OFF \
    -- nifti2/libnifti2.a znzlib/libznz.a
find "${nifti}instrumented" \( -name 'libnifti2.a' -o -name 'libznz.a' \) -exec cp {} "$output/lib/" \;

openjpeg=$(echo openjpeg2-*/)
with_cmake "${openjpeg%/}" -DBUILD_CODEC=OFF -DBUILD_STATIC_LIBS=ON -DBUILD_TESTING=OFF -- openjp2
find "${openjpeg}instrumented" -name 'libopenjp2.a' -exec cp {} "$output/lib/" \;

dcmtk=$(echo dcmtk-*/)
with_cmake "${dcmtk%/}" -DDCMTK_WITH_OPENSSL=OFF -DDCMTK_ENABLE_PRIVATE_TAGS=ON -DDCMTK_WITH_XML=OFF -DDCMTK_WITH_TIFF=OFF \
    -DDCMTK_WITH_PNG=OFF -DDCMTK_WITH_ZLIB=ON -DDCMTK_WITH_ICONV=OFF -DDCMTK_WITH_ICU=OFF -DDCMTK_WITH_SNDFILE=OFF \
    -DDCMTK_WITH_WRAP=OFF -DDCMTK_ENABLE_STL=ON -DCMAKE_CXX_STANDARD=17 -DBUILD_APPS=OFF -DCMAKE_INSTALL_DATADIC=share/libdcmtk17 \
    -- dcmjpls dcmjpeg dcmdata oflog ofstd
# One archive: DCMTK's libraries need one another and some that Hepar does not name.
{
    echo "CREATE $output/lib/libdcmjpls.a"
    find "${dcmtk}instrumented/lib" -name '*.a' -printf 'ADDLIB %p\n'
    echo SAVE
    echo END
} | (cd "$sources" && ar -M)
for name in dcmjpeg dcmdata oflog ofstd; do
    rm -f "$output/lib/lib$name.a"
    ar -cr "$output/lib/lib$name.a"
done
ls -l "$output/lib"
