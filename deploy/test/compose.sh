# shellcheck shell=bash
# compose.yaml, started for real by podman and podman-compose in place of Docker, which take the same file. Without a registry
# the images behind its names are made here: Hepar's by its own Dockerfile (bases.sh), nginx's and Prometheus' of Debian's
# packages with the user, the paths and the command of the official ones. There is no Grafana to be had: it is left out.

# shellcheck source=deploy/test/bases.sh
source deploy/test/bases.sh

# Nothing of it outlives the test or meets containers that are there: storage, networks and state are in a folder of its own.
compose_engine() {
    local engine=$work/engine limit
    limit=$(ulimit -Hn)
    mkdir -p "$engine/networks" "$work/site"
    # Without CAP_SYS_RESOURCE nobody gets a higher limit than this shell has.
    [ "$limit" = unlimited ] || [ "$limit" -gt 16384 ] && limit=16384
    cat >"$engine/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$limit:$limit", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$engine/tmp"
[network]
network_backend = "netavark"
network_config_dir = "$engine/networks"
CONF
    printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/root"\nrunroot = "%s/run"\n' "$engine" "$engine" >"$engine/storage.conf"
    compose_podman info >"$work/info"
    tar -c --exclude='./.build*' --exclude=./.git . | tar -x -C "$work/site"
}

compose_podman() {
    CONTAINERS_CONF=$work/engine/containers.conf CONTAINERS_STORAGE_CONF=$work/engine/storage.conf nice -n 10 podman "$@"
}

# As `docker compose` in the site's folder.
compose() {
    (cd "$work/site" && CONTAINERS_CONF=$work/engine/containers.conf CONTAINERS_STORAGE_CONF=$work/engine/storage.conf \
        nice -n 10 "$venv/bin/podman-compose" --no-ansi "$@")
}

# Like the official images: user, paths, entry point, command and signal; kept between runs. nginx's folders for bodies are
# compiled into the official one, and its entry point tries to write into the configuration, which is read-only.
compose_nginx_image() {
    mkdir -p "$work/nginx-image"
    cat >"$work/nginx-image/nginx.conf" <<'CONF'
user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events {
    worker_connections 1024;
}
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    keepalive_timeout 65;
    client_body_temp_path /var/cache/nginx/client_temp;
    proxy_temp_path /var/cache/nginx/proxy_temp;
    fastcgi_temp_path /var/cache/nginx/fastcgi_temp;
    uwsgi_temp_path /var/cache/nginx/uwsgi_temp;
    scgi_temp_path /var/cache/nginx/scgi_temp;
    include /etc/nginx/conf.d/*.conf;
}
CONF
    cat >"$work/nginx-image/docker-entrypoint.sh" <<'ENTRY'
#!/bin/sh
touch /etc/nginx/conf.d/default.conf 2>/dev/null || echo "can not modify /etc/nginx/conf.d/default.conf"
exec "$@"
ENTRY
    chmod 755 "$work/nginx-image/docker-entrypoint.sh"
    compose_image nginx:1.28 "$work/nginx-image" <<'FILE'
FROM debian:bookworm-slim
RUN groupadd --system --gid 101 nginx && useradd --system --gid nginx --no-create-home --uid 101 nginx \
    && apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/* \
    && rm -f /etc/nginx/conf.d/* /etc/nginx/sites-enabled/* \
    && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log
COPY nginx.conf /etc/nginx/nginx.conf
COPY docker-entrypoint.sh /docker-entrypoint.sh
ENTRYPOINT ["/docker-entrypoint.sh"]
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
FILE
}

compose_prometheus_image() {
    mkdir -p "$work/prometheus-image"
    compose_image prom/prometheus:v2.55.1 "$work/prometheus-image" <<'FILE'
FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus && rm -rf /var/lib/apt/lists/* \
    && rm -rf /etc/prometheus /var/lib/prometheus && mkdir -p /etc/prometheus /prometheus \
    && chown -R nobody:nogroup /etc/prometheus /prometheus
USER nobody
EXPOSE 9090
VOLUME ["/prometheus"]
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
FILE
}

# compose_image NAME CONTEXT: of the Dockerfile at its input, unless there is one of the same files.
compose_image() {
    local sum
    cat >"$2/Dockerfile"
    sum=$(cat "$2"/* | sha256sum | cut -c1-64)
    image_tool inspect --type image "$1" >"$work/made" 2>&1 || echo "none yet" >"$work/made"
    if ! grep -q "$sum" "$work/made"; then
        image_tool bud --isolation chroot --network host --pull-never --format docker --label "made-of=$sum" --tag "$1" "$2"
    fi
}

# From the images' storage into the engine's.
compose_bring() {
    local image
    for image; do
        image_tool push --quiet "$image" "containers-storage:[vfs@$work/engine/root+$work/engine/run]$image"
    done
}

compose_images() {
    toolchain= # the image is built by the part image
    image_bases
    compose_nginx_image
    compose_prometheus_image
    compose_bring debian:bookworm-slim swift:6.3-bookworm nginx:1.28 prom/prometheus:v2.55.1
}

# The commands in the head of compose.yaml, word for word, but for the engine's name.
compose_first_commands() {
    cd "$work/site"
    docker() {
        shift
        case $1 in
        build)
            # The format that knows health checks.
            compose --podman-build-args '--format docker --isolation chroot --network host --pull-never --layers=false' \
                build hepar
            ;;
        *) compose "$@" </dev/null ;;
        esac
    }
    # As a careful person's shell.
    umask 077
    eval "$(sed -n 's/^#   //p' compose.yaml)" >"$work/compose.output" 2>"$work/compose.errors" ||
        { tail -n 20 "$work/compose.errors" "$work/compose.output"; return 1; }
    grep -oE 'hpr_[A-Za-z0-9_-]+' "$work/compose.output" >"$work/compose.token"
    [ "$(wc -l <"$work/compose.token")" = 1 ]
    grep -q '^hpr_' secrets/prometheus-token
    # What the head leaves to people.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hepar.example \
        -addext subjectAltName=DNS:hepar.example -keyout tls/key.pem -out tls/certificate.pem
    [ "$(stat -c %a secrets tls tls/key.pem secrets/prometheus-token | tr '\n' ' ')" = "700 700 600 444 " ]
    echo "measured: image of $(compose_podman image inspect hepar:0.1.0 | jq '.[0].Size / 1048576 | round') MiB"
}

# All but Grafana. This podman waits for no health check of another service: the proxy may be there before Hepar.
compose_up() {
    local begin
    begin=$(date +%s%N)
    compose up --detach --no-build hepar nginx prometheus || { compose_logs; return 1; }
    until_true 60 compose_ready || { compose_logs; return 1; }
    echo "measured: answers by TLS $((($(date +%s%N) - begin) / 1000000)) ms after up"
    [ "$(compose_podman ps --quiet | wc -l)" = 3 ] || { compose_logs; return 1; }
}

compose_logs() {
    local service
    compose_podman ps --all
    for service in hepar nginx prometheus; do compose_podman logs --tail 15 "hepar_${service}_1"; done
}

compose_curl() {
    curl -sS --cacert "$work/site/tls/certificate.pem" --resolve hepar.example:443:127.0.0.1 \
        --resolve hepar.example:80:127.0.0.1 -H "Authorization: Bearer $(cat "$work/compose.token")" "$@"
}

compose_ready() { compose_curl -f -o "$work/out" https://hepar.example/readyz 2>"$work/curl.log"; }

# Of its own user, without privileges, on a system that nobody writes to, with the limits of compose.yaml.
compose_hardened() {
    local service container status
    for service in hepar nginx prometheus; do
        container=hepar_${service}_1
        compose_podman inspect "$container" >"$work/inspected"
        jq -e '.[0].HostConfig | .ReadonlyRootfs and .PidsLimit == 512 and (.SecurityOpt | index("no-new-privileges") != null)
            and .RestartPolicy.Name == "unless-stopped"' "$work/inspected"
        not compose_podman exec --user 0 "$container" touch /etc/written
        status=$(cat "/proc/$(jq '.[0].State.Pid' "$work/inspected")/status")
        grep -qP '^NoNewPrivs:\t1$' <<<"$status"
        case $service in
        hepar) grep -qP '^Uid:\t10001\t10001\t10001\t10001' <<<"$status" ;;
        prometheus) grep -qP '^Uid:\t65534\t65534\t65534\t65534' <<<"$status" ;;
        # CHOWN, SETGID, SETUID, NET_BIND_SERVICE; its workers have none.
        nginx) grep -qP '^CapBnd:\t00000000000004c1$' <<<"$status" ;;
        esac
        [ "$service" = nginx ] || grep -qP '^CapBnd:\t0+$' <<<"$status"
    done
    [ "$(compose_podman inspect --format '{{.HostConfig.Memory}}' hepar_hepar_1)" = $((8 << 30)) ]
    compose_podman exec hepar_nginx_1 sh -c 'grep -h ^Uid: /proc/[0-9]*/status' | grep -P '^Uid:\t101\t'
    # The image's own health check, which the engine asks of systemd, and here is asked by hand.
    compose_podman healthcheck run hepar_hepar_1
    # Uploads are read in confined processes here too.
    compose_podman logs hepar_hepar_1 2>&1 | grep 'confined processes' |
        jq -r '"measured: landlock=\(.landlock) seccomp=\(.seccomp)"'
}

# Through nginx, by TLS.
compose_journey() {
    local job
    job=$(compose_curl -f -F "image=@$work/ct.nii.gz" -F "reference=@$work/reference.nii.gz" \
        https://hepar.example/v1/jobs | jq -er .id)
    echo "$job" >"$work/compose.job"
    until_true 300 compose_ended "$job"
    compose_curl -f "https://hepar.example/v1/jobs/$job" | jq -e '.state == "succeeded"'
    compose_curl -f -o "$work/compose.mask" "https://hepar.example/v1/jobs/$job/mask"
    gzip -t "$work/compose.mask"
    compose_curl -f "https://hepar.example/v1/jobs/$job/report" |
        jq -r '"measured: liver Dice \(.scores.liver.dice * 1000 | round / 1000) in \(.timings_ms.total | round) ms"'
    [ "$(curl -s -o "$work/out" -w '%{http_code}' --cacert "$work/site/tls/certificate.pem" \
        --resolve hepar.example:443:127.0.0.1 https://hepar.example/v1/jobs)" = 401 ]
    [ "$(compose_curl -o "$work/out" -w '%{http_code}' http://hepar.example/readyz)" = 403 ]
    # nginx's word about the client's address is taken: it is not nginx's own.
    compose_podman logs hepar_hepar_1 2>&1 | grep "$job" | jq -r 'select(.message == "job queued") | .client' >"$work/client"
    grep -E '^[0-9a-f.:]+$' "$work/client"
    not grep -x 172.30.71.2 "$work/client"
    # Hepar runs: a token more, as the head says.
    compose exec -T hepar hepar token add --file /var/lib/hepar/tokens.yaml reader --role read_all | grep '^hpr_'
}

compose_ended() { compose_curl "https://hepar.example/v1/jobs/$1?wait=20" | jq -e '.state | IN("succeeded", "failed")'; }

compose_query() {
    nsenter -t "$(compose_podman inspect --format '{{.State.Pid}}' hepar_prometheus_1)" -n \
        curl -sfG http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1"
}

compose_scraped() { compose_query 'up{job="hepar"} == 1' | jq -e '.data.result | length == 1'; }

# With the token that it has as a secret.
compose_prometheus() {
    until_true 60 compose_scraped || { compose_logs; return 1; }
    until_true 60 compose_counted
    nsenter -t "$(compose_podman inspect --format '{{.State.Pid}}' hepar_prometheus_1)" -n \
        curl -sf http://127.0.0.1:9090/api/v1/rules | jq -e '[.data.groups[].rules[] | select(.health == "err")] == []'
}

compose_counted() { compose_query 'hepar_jobs{state="succeeded"} >= 1' | jq -e '.data.result | length == 1'; }

# compose_reaches SERVICE HOST PORT: does a connection come about from there?
compose_reaches() {
    compose_podman exec "hepar_$1_1" timeout 5 bash -c "exec 3<>/dev/tcp/$2/$3" 2>"$work/reaches"
}

# Metrics are not for the world; Prometheus sees Hepar alone, and nothing outside.
compose_networks() {
    local outside port
    [ "$(compose_curl -o "$work/out" -w '%{http_code}' https://hepar.example/metrics)" = 404 ]
    compose_podman ps --format '{{.Names}} {{.Ports}}' | grep -v nginx | not grep -- '->'
    # A listener on this machine's own address stands for the world.
    outside=$(ip -4 -o route get 192.0.2.200 | sed -n 's/.* src \([0-9.]*\).*/\1/p')
    port=$(free_port)
    python3 -m http.server "$port" --bind "$outside" --directory "$work/site/docs" >"$work/listener" 2>&1 &
    listener=$!
    trap 'kill "$listener"' EXIT
    until_true 10 curl -sf -o "$work/out" "http://$outside:$port/"
    compose_reaches nginx "$outside" "$port"
    not compose_reaches prometheus "$outside" "$port"
    compose_reaches prometheus hepar 8080
    not compose_reaches prometheus nginx 443
    not compose_reaches nginx prometheus 9090
}

# Jobs outlive the containers, and nginx finds Hepar again without being started anew.
compose_restart() {
    local begin job
    job=$(cat "$work/compose.job")
    begin=$(date +%s%N)
    compose stop hepar
    echo "measured: stopped in $((($(date +%s%N) - begin) / 1000000)) ms"
    [ $((($(date +%s%N) - begin) / 1000000000)) -lt 60 ]
    compose_podman logs hepar_hepar_1 2>&1 | tail -n 1 | jq -e '.message == "stopped"'
    [ "$(compose_podman inspect --format '{{.State.ExitCode}}' hepar_hepar_1)" = 0 ]
    compose start hepar
    until_true 60 compose_ready || { compose_logs; return 1; }
    compose_curl -f -o "$work/mask.again" "https://hepar.example/v1/jobs/$job/mask"
    cmp "$work/compose.mask" "$work/mask.again"
    compose down
    compose up --detach --no-build hepar nginx prometheus
    until_true 60 compose_ready || { compose_logs; return 1; }
    compose_curl -f -o "$work/mask.again" "https://hepar.example/v1/jobs/$job/mask"
    cmp "$work/compose.mask" "$work/mask.again"
}

# Ends what runs, by its signal, and takes networks and volumes away.
compose_down() {
    compose down --volumes
    compose_podman rm --all --force
    compose_podman network prune --force
}

# A port that somebody has: nginx could not be published.
compose_ports_free() { not grep -qE ':(0050|01BB) 0{8}:0000 0A' /proc/net/tcp; }

if ! packages podman buildah debootstrap netavark aardvark-dns conmon runc iptables util-linux iproute2 ||
    ! python_tools || ! base_system; then
    skip compose "podman or a Debian cannot be had here"
elif ! compose_ports_free; then
    skip compose "port 80 or 443 is taken on this machine"
elif ! (set -e; compose_engine) >"$work/engine.log" 2>&1; then
    skip compose "podman does not run here: $(tail -n 1 "$work/engine.log")"
else
    # Ends the containers even if the test is broken off.
    (
        trap 'compose_down >"$work/down.log" 2>&1; exit' TERM
        while sleep 1; do :; done
    ) &
    compose_guard=$!
    children+=("$compose_guard")
    check compose.images compose_images
    check compose.first-commands compose_first_commands
    check compose.up compose_up
    if compose_ready; then
        check compose.hardened compose_hardened
        check compose.journey compose_journey
        check compose.prometheus compose_prometheus
        check compose.networks compose_networks
        check compose.stop-and-restart compose_restart
    fi
    stop_child "$compose_guard"
    image_tool rm --all >"$work/out" 2>&1
fi
