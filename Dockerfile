# Two stages: Swift's image builds, Debian runs. docs/operations.md says how to run it.
#   docker build --pull --no-cache --build-arg COMMIT="$(git describe --always --dirty --abbrev=12)" --tag hepar .
# The bases by tag, so that a new build has Debian's newest; whoever must build the same again names them by digest:
#   docker build --build-arg DEBIAN=debian:bookworm-slim@sha256:... --build-arg SWIFT=swift:6.3-bookworm@sha256:... .
ARG SWIFT=swift:6.3-bookworm
ARG DEBIAN=debian:bookworm-slim
# hadolint ignore=DL3006
FROM ${SWIFT} AS build

# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get upgrade --yes \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        libcurl4-openssl-dev libdcmtk-dev libmicrohttpd-dev libnifti-dev libopenblas-dev libopenjp2-7-dev \
        libpng-dev libseccomp-dev libsqlite3-dev libzip-dev zlib1g-dev binutils jq make patchelf pkg-config \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY . .
# Git is not here: the commit that `hepar --version` tells comes from outside.
ARG COMMIT=unknown
# Installs nothing whose SHA-256 is not that of the model's card.
RUN HEPAR_COMMIT="${COMMIT}" swift build -c release --product hepar \
    && make install DESTDIR=/installed PREFIX=/usr HEPAR=.build/release/hepar \
    && rm -rf /installed/usr/lib/systemd /installed/usr/lib/sysusers.d /installed/usr/share/doc/hepar/examples \
    && as -o icudata.o deploy/image/icudata.s \
    && ld -shared -soname libicudata.so.72 -o /installed/usr/lib/hepar/libicudata.so.72 icudata.o

# hadolint ignore=DL3006
FROM ${DEBIAN}

# What the base's publisher has not rebuilt for yet is updated here. Libraries: those that the program is linked with, as ldd tells; certificates for webhooks. What these packages have
# beyond that goes again: DCMTK's network, OpenBLAS's second LAPACK, and ICU's data, for which deploy/image/icudata.s
# stands in. dpkg still knows the packages; `apt-get install --reinstall` brings their files back.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        libcurl4 libdcmtk17 libmicrohttpd12 libnifti2-2 libopenblas0-pthread libopenjp2-7 \
        libpng16-16 libseccomp2 libsqlite3-0 libstdc++6 libzip4 zlib1g ca-certificates \
    && rm /usr/lib/*-linux-gnu/libdcm[nq]* /usr/lib/*-linux-gnu/libdcmrt* /usr/lib/*-linux-gnu/libdcmpstat* \
        /usr/lib/*-linux-gnu/libdcmsr* /usr/lib/*-linux-gnu/libcmr* /usr/lib/*-linux-gnu/libicu[dit]* \
        /usr/lib/*-linux-gnu/openblas-pthread/libblas* /usr/lib/*-linux-gnu/openblas-pthread/liblapack* \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/debconf/* /var/log/*.log /var/log/apt \
    && useradd --system --uid 10001 --user-group --no-log-init --home-dir /var/lib/hepar --shell /usr/sbin/nologin hepar \
    && install -d -o hepar -g hepar -m 700 /var/lib/hepar

COPY --from=build /installed/ /

# What is in this image, not in the one that built: `make deploy-test` holds it against dpkg.
RUN --mount=type=bind,from=build,source=/source,target=/mnt \
    bash /mnt/deploy/sbom.sh /usr/bin/hepar /mnt/Package.resolved >/tmp/sbom \
    && install -m 644 /tmp/sbom /usr/share/doc/hepar/sbom.cdx.json && rm /tmp/sbom

# A container's loopback is its own: others come in only with a token. `hepar token add` makes the file; what is named
# here is its path, no secret.
# hadolint ignore=DL3064
ENV HEPAR_CONFIG=/etc/hepar/hepar.yaml \
    HEPAR_HTTP_HOST=0.0.0.0 \
    HEPAR_AUTH_TOKENS_FILE=/var/lib/hepar/tokens.yaml \
    HEPAR_LOG_FORMAT=json

LABEL org.opencontainers.image.title="Hepar" \
    org.opencontainers.image.description="Finds the liver and its lesions in a CT scan. For research, not for clinical use." \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-SA-4.0" \
    org.opencontainers.image.documentation="/usr/share/doc/hepar/operations.md"

USER 10001:10001
WORKDIR /var/lib/hepar
VOLUME /var/lib/hepar
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/usr/bin/hepar", "health"]
ENTRYPOINT ["/usr/bin/hepar"]
CMD ["serve"]
