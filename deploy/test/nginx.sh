# shellcheck shell=bash
# The proxy: Debian's nginx with a certificate made here, before a real Hepar, on loopback ports.
# The client calls from 127.0.0.5, so that its address is another than the proxy's.

nginx_start() {
    tls_port=$(free_port) plain_port=$(free_port)
    mkdir -p "$work/tls" "$work/nginx"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hepar.example \
        -addext subjectAltName=DNS:hepar.example -keyout "$work/tls/key.pem" -out "$work/tls/certificate.pem" 2>&1
    sed -e "s/listen 443/listen 127.0.0.1:$tls_port/" -e "s/listen 80/listen 127.0.0.1:$plain_port/" \
        -e "s|/etc/hepar/tls|$work/tls|" -e "s|/var/log/nginx|$work/nginx|" deploy/nginx/hepar.conf \
        >"$work/nginx/hepar.conf"
    sed "s/127.0.0.1:8080/127.0.0.1:$hepar_port/" deploy/nginx/hepar-upstream.conf >"$work/nginx/hepar-upstream.conf"
    cat >"$work/nginx/nginx.conf" <<CONF
user root;
daemon off;
pid $work/nginx/pid;
error_log $work/nginx/error.log warn;
events { }
http {
    include /etc/nginx/mime.types;
    client_body_temp_path $work/nginx/body;
    proxy_temp_path $work/nginx/proxy;
    fastcgi_temp_path $work/nginx/fastcgi;
    uwsgi_temp_path $work/nginx/uwsgi;
    scgi_temp_path $work/nginx/scgi;
    include $work/nginx/hepar-upstream.conf;
    include $work/nginx/hepar.conf;
}
CONF
    nginx -p "$work/nginx" -c "$work/nginx/nginx.conf" 2>"$work/nginx/start.log" &
    nginx_pid=$!
    children+=("$nginx_pid")
    site=https://hepar.example:$tls_port
    until_true 10 nginx_curl -sf -o "$work/ready" "$site/readyz" 2>>"$work/nginx/start.log"
}

nginx_curl() {
    curl -sS --cacert "$work/tls/certificate.pem" --resolve "hepar.example:$tls_port:127.0.0.1" \
        --interface "${from:-127.0.0.5}" "$@"
}

api() { nginx_curl -H "Authorization: Bearer $admin" "$@"; }

nginx_config() { nginx -t -p "$work/nginx" -c "$work/nginx/nginx.conf"; }

nginx_limits_agree() {
    local setting nginx
    setting=$(sed -n 's/^ *upload_limit_mib: //p' config/hepar.yaml)
    nginx=$(sed -n 's/^ *client_max_body_size \(.*\)m;/\1/p' deploy/nginx/hepar.conf)
    [ "$setting" = "$nginx" ] || { echo "upload_limit_mib $setting, client_max_body_size $nginx"; return 1; }
    grep -q "client_body_timeout $(sed -n 's/^ *idle_timeout_seconds: //p' config/hepar.yaml)s;" deploy/nginx/hepar.conf
}

nginx_tls() {
    [ "$(nginx_curl -o "$work/out" -w '%{http_version} %{http_code}' "$site/healthz")" = "2 200" ]
    if openssl s_client -connect "127.0.0.1:$tls_port" -tls1_1 </dev/null >/dev/null 2>&1; then return 1; fi
    openssl s_client -connect "127.0.0.1:$tls_port" -tls1_3 </dev/null >"$work/tls13" 2>&1
    grep -q 'TLSv1.3' "$work/tls13"
}

nginx_plain() {
    [ "$(curl -sS -o "$work/out" -w '%{http_code}' "http://127.0.0.1:$plain_port/v1/jobs")" = 403 ]
    [ "$(jq -r .code "$work/out")" = https_only ]
}

nginx_headers() {
    local name
    nginx_curl -o "$work/out" -D "$work/headers" "$site/healthz"
    for name in strict-transport-security content-security-policy x-content-type-options x-frame-options \
        referrer-policy x-request-id; do
        [ "$(grep -ci "^$name:" "$work/headers")" = 1 ] || { echo "not once: $name"; cat "$work/headers"; return 1; }
    done
    # Of nginx's own answers too.
    nginx_curl -o "$work/out" -D "$work/headers" "$site/metrics"
    grep -qi '^HTTP/2 404' "$work/headers"
    for name in strict-transport-security x-content-type-options x-request-id; do
        [ "$(grep -ci "^$name:" "$work/headers")" = 1 ] || { echo "not once: $name"; cat "$work/headers"; return 1; }
    done
    not grep -i '^server: nginx/' "$work/headers"
}

nginx_metrics() {
    [ "$(api -o "$work/out" -w '%{http_code}' "$site/metrics")" = 404 ]
    [ "$(jq -r .code "$work/out")" = not_found ]
    curl -sf -H "Authorization: Bearer $admin" -o "$work/out" "http://127.0.0.1:$hepar_port/metrics"
    grep -q ^hepar_build_info "$work/out"
}

# A queued job that cannot start, asked for with a wait above nginx's and Hepar's usual 60 s; runs beside the others.
nginx_long_poll_begin() {
    api -f -o "$work/out" -X POST "$site/v1/queue/pause"
    api -f -F "image=@$work/ct.nii.gz" "$site/v1/jobs?priority=bulk" | jq -er .id >"$work/polled"
    api -o "$work/poll" -w '%{http_code} %{time_total}\n' "$site/v1/jobs/$(cat "$work/polled")?wait=75" >"$work/poll.code" &
    poll_pid=$!
    children+=("$poll_pid")
}

nginx_long_poll() {
    local code seconds
    until_true 90 test -s "$work/poll.code"
    read -r code seconds <"$work/poll.code"
    echo "measured: $code after $seconds s"
    [ "$code" = 200 ]
    [ "${seconds%.*}" -ge 74 ]
    [ "$(jq -r .state "$work/poll")" = queued ]
}

# What happens is told at once, not when a buffer is full.
nginx_events() {
    local last begin job end
    last=$(api -f "$site/v1/events?limit=1000" | jq .last)
    api -N -H 'Accept: text/event-stream' "$site/v1/events?after=$last&wait=30" >"$work/events" &
    local stream=$!
    sleep 1
    begin=$(date +%s%N)
    job=$(api -f -F "image=@$work/ct.nii.gz" -H 'Cache-Control: no-cache' "$site/v1/jobs?priority=bulk" | jq -er .id)
    until_true 10 grep -q "\"$job\"" "$work/events"
    end=$(date +%s%N)
    wait $stream
    grep -q '^event: accepted' "$work/events"
    echo "measured: event $(((end - begin) / 1000000)) ms after the upload began"
    api -f -o "$work/out" -X DELETE "$site/v1/jobs/$job"
}

# A scan of noise, 300 MiB, that no compression shrinks; the queue is paused, so it is judged and not computed.
nginx_large() {
    local code job
    python3 deploy/test/noise.py "$work/noise.nii" 600
    code=$(api -o "$work/out" -w '%{http_code} %{time_total} %{size_upload} %{http_version}' -F "image=@$work/noise.nii" \
        "$site/v1/jobs")
    echo "$code"
    local status seconds bytes version
    read -r status seconds bytes version <<<"$code"
    echo "measured: $bytes bytes in $seconds s by HTTP/$version"
    [ "$status" = 202 ]
    [ "$bytes" -gt 314000000 ]
    job=$(jq -r .id "$work/out")
    [ "$(api -o "$work/out" -w '%{http_code}' -X DELETE "$site/v1/jobs/$job")" = 204 ]
    not grep 'buffered to a temporary file' "$work/nginx/error.log"
}

# Who may not send is told so, though the body has hardly begun.
nginx_refused_early() {
    local answer
    for version in --http2 --http1.1; do
        answer=$(nginx_curl $version -o "$work/out" -w '%{http_code} %{time_total} %{size_upload}' \
            -F "image=@$work/noise.nii" "$site/v1/jobs") || true
        echo "$version $answer"
        [ "${answer%% *}" = 401 ] || return 1
        [ "$(jq -r .code "$work/out")" = credentials_missing ] || return 1
    done
}

nginx_too_large() {
    truncate -s 2050M "$work/sparse"
    [ "$(api -o "$work/out" -w '%{http_code}' -X POST -T "$work/sparse" -H 'Content-Type: application/octet-stream' \
        "$site/v1/jobs")" = 413 ]
    [ "$(jq -r .code "$work/out")" = body_too_large ]
}

nginx_journey() {
    local job state
    api -f -o "$work/out" -X POST "$site/v1/queue/resume"
    api -f -F "image=@$work/ct.nii.gz" -F "reference=@$work/reference.nii.gz" -H 'X-Request-Id: journey-1' \
        -H 'X-Forwarded-For: 203.0.113.9' -H 'Cache-Control: no-cache' "$site/v1/jobs?priority=stat" >"$work/job"
    job=$(jq -er .id "$work/job")
    until_true 180 ended "$job"
    api -f "$site/v1/jobs/$job" | jq -e '.state == "succeeded"'
    api -f -o "$work/mask.nii.gz" "$site/v1/jobs/$job/mask"
    gzip -t "$work/mask.nii.gz"
    [ "$(sha256sum <"$work/mask.nii.gz" | cut -c1-64)" = "$(api "$site/v1/jobs/$job" | jq -r .mask_sha256)" ]
    api -f "$site/v1/jobs/$job/report" | jq -r '"measured: liver Dice \(.scores.liver.dice * 1000 | round / 1000), \(.timings_ms.total | round) ms"'
    api -f -D "$work/headers" -H 'Accept: text/html' -o "$work/report.html" "$site/v1/jobs/$job/report"
    [ "$(grep -ci '^content-security-policy:' "$work/headers")" = 1 ]
    api -f -o "$work/preview.png" "$site/v1/jobs/$job/preview.png"
    head -c 4 "$work/preview.png" | tail -c 3 | grep -q PNG
    [ "$(api -f -r 0-99 -o "$work/part" -w '%{http_code}' "$site/v1/jobs/$job/mask")" = 206 ]
}

ended() {
    local state
    state=$(api "$site/v1/jobs/$1?wait=30" | jq -r .state)
    [ "$state" = succeeded ] || [ "$state" = failed ] || [ "$state" = cancelled ]
}

# The id and the address that the client has, not what it claims, in both logs.
nginx_logs() {
    jq -se 'any(.message == "job queued" and .request == "journey-1" and .client == "127.0.0.5")' "$work/proxied/hepar.log"
    jq -se 'any(.request == "journey-1" and .client == "127.0.0.5" and .status == "202")' "$work/nginx/access.log"
    not grep -q 203.0.113.9 "$work/proxied/hepar.log"
    # A name that is none is replaced, and the answer tells by what.
    local id
    id=$(nginx_curl -o "$work/out" -D - -H 'X-Request-Id: a b"c' "$site/healthz" | tr -d '\r' | sed -n 's/^x-request-id: //p')
    [[ $id =~ ^[0-9a-f]{32}$ ]]
    until_true 5 grep -q "\"request\":\"$id\"" "$work/nginx/access.log"
}

# Neither log tells a study, a name or a query: not of a wrong address, not of one that is refused, not without TLS.
nginx_logs_no_patient() {
    local path
    for path in dicomweb/studies/1.2.840.99999.1 studies/1.2.840.99999.2 jobs/Doe99999 'jobs?label=Doe99999' 'none?study=1.2.99999'; do
        nginx_curl -o "$work/out" "$site/v1/$path"
        curl -sS -o "$work/out" "http://127.0.0.1:$plain_port/v1/$path"
    done
    from=127.0.0.8 nginx_curl -Z --parallel-max 20 -o "$work/rate.#1" "$site/v1/dicomweb/studies/1.2.99999.[1-200]" 2>>"$work/rate.err"
    until_true 5 grep -q '"path":"/v1/dicomweb/studies/..."' "$work/nginx/access.log"
    until_true 5 grep -q '"path":"/...".*"status":"404"' "$work/nginx/access.log"
    not grep -rq 99999 "$work/nginx" --include='*.log'
}

nginx_rate() {
    from=127.0.0.6 nginx_curl -Z --parallel-max 20 -o "$work/rate.#1" -w '%{http_code}\n' "$site/nothing/[1-300]" \
        2>"$work/rate.err" | sort | uniq -c | tee "$work/rates"
    grep -q ' 404$' "$work/rates"
    grep -q ' 429$' "$work/rates"
    grep -q too_many_requests "$work"/rate.*
    echo "measured: of 300 requests at once $(awk '$2 == 429 {print $1}' "$work/rates") answered 429"
    # Another address is not hit.
    [ "$(nginx_curl -o "$work/out" -w '%{http_code}' "$site/healthz")" = 200 ]
}

nginx_down() {
    nginx_curl -o "$work/out" -D "$work/headers" "$site/healthz"
    grep -q '^HTTP/2 502' "$work/headers"
    grep -qi '^retry-after: 10' "$work/headers"
    [ "$(jq -r .code "$work/out")" = unavailable ]
}

if ! packages nginx-light; then
    skip nginx "nginx cannot be installed"
elif ! start_hepar "$work/proxied" HEPAR_HTTP_TRUSTED_PROXIES=127.0.0.1/32; then
    check nginx.hepar-starts false
elif ! nginx_start; then
    check nginx.starts cat "$work/nginx/start.log" "$work/nginx/error.log" /nonexistent
else
    check nginx.config nginx_config
    check nginx.limits-agree nginx_limits_agree
    check nginx.tls-and-http2 nginx_tls
    check nginx.plain-http-refused nginx_plain
    check nginx.security-headers nginx_headers
    check nginx.metrics-not-public nginx_metrics
    nginx_long_poll_begin
    check nginx.events-at-once nginx_events
    check nginx.upload-300-mib nginx_large
    check nginx.refused-before-the-body nginx_refused_early
    check nginx.too-large nginx_too_large
    check nginx.rate-limit nginx_rate
    check nginx.long-poll-75-s nginx_long_poll
    check nginx.journey nginx_journey
    check nginx.client-and-request-id-logged nginx_logs
    check nginx.logs-name-no-patient nginx_logs_no_patient
    stop_child "$hepar_pid"
    check nginx.hepar-down nginx_down
    stop_child "$nginx_pid"
fi
