# shellcheck shell=bash
# Alerts and dashboard: checked by promtool, held against a real server's metrics, and asked of a real Prometheus.

monitoring_config() {
    mkdir -p "$work/prometheus"
    cp deploy/prometheus/*.yml "$work/prometheus/"
    tr -d '\n' <"$work/watched/admin" >"$work/prometheus/token"
    # Here it is asked more often, and without an Alertmanager.
    sed -e "s|/etc/prometheus/hepar-token|$work/prometheus/token|; s|127.0.0.1:8080|127.0.0.1:$hepar_port|" \
        -e 's/_interval: 15s/_interval: 1s/; /^# Where alerts go/,$d' deploy/prometheus/prometheus.yml \
        >"$work/prometheus/prometheus.yml"
    touch "$work/prometheus/hepar-token"
    sed "s|/etc/prometheus|$work/prometheus|" deploy/prometheus/prometheus.yml >"$work/prometheus/as-shipped.yml"
    promtool check config "$work/prometheus/as-shipped.yml"
    promtool check config "$work/prometheus/prometheus.yml"
}

monitoring_rules() {
    promtool check rules deploy/prometheus/alerts.yml
    promtool check config --lint=all --lint-fatal "$work/prometheus/prometheus.yml"
}

monitoring_unit_tests() {
    promtool test rules deploy/prometheus/alerts_test.yml
    # Every alert has one.
    local alert
    for alert in $(sed -n 's/.*- alert: //p' deploy/prometheus/alerts.yml); do
        grep -q "alertname: $alert\$" deploy/prometheus/alerts_test.yml || { echo "no test: $alert"; return 1; }
        grep -q "$alert" docs/operations.md || { echo "not in docs/operations.md: $alert"; return 1; }
    done
    echo "measured: $(grep -c -- '- alert:' deploy/prometheus/alerts.yml) alerts"
}

# A little of everything, so that series with labels are there: a job, a refusal, strangers.
monitoring_traffic() {
    local url=http://127.0.0.1:$hepar_port auth="Authorization: Bearer $admin" job
    job=$(curl -sf -H "$auth" -F "image=@$work/ct.nii.gz" "$url/v1/jobs" | jq -er .id)
    curl -s -o "$work/out" -H "$auth" --data-binary "no scan" -H 'Content-Type: application/octet-stream' "$url/v1/jobs"
    curl -s -o "$work/out" "$url/v1/jobs"
    until_true 180 monitoring_ended "$job"
    curl -sf -H "$auth" "$url/metrics" >"$work/metrics"
    promtool check metrics <"$work/metrics"
    grep '^hepar_jobs_finished_total{state="succeeded"} 1' "$work/metrics"
    grep '^hepar_uploads_total' "$work/metrics"
    grep '^hepar_authentication_failures_total{code="credentials_missing"} 1' "$work/metrics"
}

monitoring_ended() {
    curl -s -H "Authorization: Bearer $admin" "http://127.0.0.1:$hepar_port/v1/jobs/$1?wait=20" |
        jq -e '.state | IN("succeeded", "failed")'
}

monitoring_names() {
    "$venv/bin/python" deploy/test/metric_names.py "$work/metrics" deploy/prometheus/alerts.yml \
        deploy/grafana/hepar.json "$work/queries"
}

monitoring_start() {
    prometheus_port=$(free_port)
    prometheus --config.file "$work/prometheus/prometheus.yml" --storage.tsdb.path "$work/prometheus/data" \
        --web.listen-address "127.0.0.1:$prometheus_port" --log.level warn >"$work/prometheus/log" 2>&1 &
    prometheus_pid=$!
    children+=("$prometheus_pid")
    until_true 20 monitoring_sees_hepar
}

monitoring_query() {
    curl -sfG "http://127.0.0.1:$prometheus_port/api/v1/query" --data-urlencode "query=$1" 2>"$work/query.log"
}

monitoring_sees_hepar() { monitoring_query 'up{job="hepar"} == 1' | jq -e '.data.result | length == 1' >"$work/out"; }

monitoring_queries() {
    sleep 5
    monitoring_traffic_again
    sleep 5
    local query all=0 with_data=0
    while IFS= read -r query; do
        all=$((all + 1))
        monitoring_query "$query" >"$work/answer" || { echo "not answered: $query"; return 1; }
        [ "$(jq -r .status "$work/answer")" = success ] || { echo "$query"; return 1; }
        if [ "$(jq '.data.result | length' "$work/answer")" -gt 0 ]; then
            with_data=$((with_data + 1))
        else
            echo "no data: $query"
        fi
    done <"$work/queries"
    echo "measured: $all queries answered, $with_data with data"
    # Failures, refused webhooks and starts are rightly empty here.
    [ "$with_data" -ge $((all - 4)) ]
}

# docs/dashboard.png is made so: every panel that is not a row, from this Prometheus.
monitoring_picture() {
    local panels picture=$work/dashboard.png
    panels=$(jq '[.panels[] | select(.type != "row")] | length' deploy/grafana/hepar.json)
    "$venv/bin/python" deploy/grafana/picture.py deploy/grafana/hepar.json "http://127.0.0.1:$prometheus_port" "$picture" \
        --minutes 1 >"$work/drawn"
    cat "$work/drawn"
    grep -q "^measured: $panels panels, [1-9]" "$work/drawn"
    # Its width and height, from the header.
    python3 - "$picture" <<'SIZE'
import struct, sys
head = open(sys.argv[1], "rb").read(24)
width, height = struct.unpack(">II", head[16:])
assert head[:8] == b"\x89PNG\r\n\x1a\n" and width > 1200 and height > 1200, (head, width, height)
SIZE
    [ "$(stat -c %s "$picture")" -gt 40000 ]
}

monitoring_traffic_again() {
    local job
    job=$(curl -sf -H "Authorization: Bearer $admin" -H 'Cache-Control: no-cache' -F "image=@$work/ct.nii.gz" \
        "http://127.0.0.1:$hepar_port/v1/jobs?priority=stat" | jq -er .id)
    until_true 180 monitoring_ended "$job"
}

# The server goes away: the alert is pending at once.
monitoring_alert() {
    kill -9 "$hepar_pid"
    until_true 15 monitoring_is_pending
}

monitoring_is_pending() {
    curl -sf "http://127.0.0.1:$prometheus_port/api/v1/alerts" |
        jq -e '.data.alerts | any(.labels.alertname == "HeparDown" and .state == "pending")'
}

if ! packages prometheus || ! python_tools; then
    skip monitoring "Prometheus or the Python tools cannot be installed"
elif ! start_hepar "$work/watched"; then
    check monitoring.hepar-starts false
else
    check monitoring.config monitoring_config
    check monitoring.rules monitoring_rules
    check monitoring.rules-unit-tests monitoring_unit_tests
    check monitoring.metrics monitoring_traffic
    check monitoring.names-exist monitoring_names
    if monitoring_start; then
        check monitoring.dashboard-queries monitoring_queries
        check monitoring.dashboard-picture monitoring_picture
        check monitoring.alert-of-a-dead-server monitoring_alert
        # The shell need not tell that it was killed.
        { wait "$hepar_pid"; } 2>"$work/out"
        stop_child "$prometheus_pid"
    else
        check monitoring.prometheus-starts not cat "$work/prometheus/log"
    fi
fi
