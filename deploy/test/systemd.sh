# shellcheck shell=bash
# The unit and the installation; then a Debian booted by systemd-nspawn, in which the unit runs a job in its sandbox.

systemd_install() {
    HEPAR=$hepar deploy/install.sh "$work/root" /usr
    (cd "$work/root" && find . -type f -printf '%m %P\n' | sort -k2 | grep -v usr/lib/hepar/) | tee "$work/installed"
    local line
    for line in "644 etc/hepar/hepar.yaml" "755 usr/bin/hepar" "644 usr/lib/systemd/system/hepar.service" \
        "644 usr/lib/systemd/system/hepar-bridge.service" \
        "644 usr/lib/sysusers.d/hepar.conf" "644 usr/share/hepar/Models/default/liver.safetensors" \
        "644 usr/share/hepar/Models/default/lesion.safetensors" "644 usr/share/doc/hepar/operations.md" \
        "644 usr/share/man/man1/hepar.1.gz" "644 usr/share/man/man1/hepar-token.1.gz" \
        "644 usr/share/bash-completion/completions/hepar" "644 usr/share/zsh/vendor-completions/_hepar" \
        "644 usr/share/fish/vendor_completions.d/hepar.fish"; do
        grep -qx "$line" "$work/installed" || { echo "missing: $line"; return 1; }
    done
    # Nothing of this machine is in what was installed.
    not grep -rl "$work" "$work/root"
    readelf -d "$work/root/usr/bin/hepar" >"$work/elf"
    not grep -E 'R(UN)?PATH.*(/opt/|/home/|/tmp/)' "$work/elf"
    echo "measured: $(du -sm "$work/root" | cut -f1) MiB"
}

systemd_keeps_configuration() {
    echo "# mine" >>"$work/root/etc/hepar/hepar.yaml"
    HEPAR=$hepar deploy/install.sh "$work/root" /usr
    tail -n 1 "$work/root/etc/hepar/hepar.yaml" | grep -qx "# mine"
    [ -e "$work/root/etc/hepar/hepar.yaml.new" ]
    sed -i '$d' "$work/root/etc/hepar/hepar.yaml"
    cmp "$work/root/etc/hepar/hepar.yaml" "$work/root/etc/hepar/hepar.yaml.new"
    rm "$work/root/etc/hepar/hepar.yaml.new"
    HEPAR=$hepar deploy/install.sh "$work/other" /opt/hepar
    grep -q '^ExecStart=/opt/hepar/bin/hepar ' "$work/other/opt/hepar/lib/systemd/system/hepar.service"
    grep -q '^  folder: /opt/hepar/share' "$work/other/etc/hepar/hepar.yaml"
}

systemd_refuses_another_model() {
    cp -r Models "$work/models"
    mkdir -p "$work/tree" && cp -r deploy config docs Models ./*.md openapi.yaml LICENSE "$work/tree"
    printf x >>"$work/tree/Models/default/liver.safetensors"
    HEPAR=$hepar not "$work/tree/deploy/install.sh" "$work/refused" /usr
    [ ! -e "$work/refused/usr/share/hepar" ]
}

systemd_installs_all_or_nothing() {
    mkdir "$work/tools"
    local tool
    for tool in awk bash cut dirname env grep jq ldd sed sha256sum; do ln -s "$(command -v "$tool")" "$work/tools/"; done
    HEPAR=$hepar PATH=$work/tools not deploy/install.sh "$work/nothing" /usr 2>"$work/asked-for"
    grep -q 'apt-get install .*binutils' "$work/asked-for"
    [ ! -e "$work/nothing" ]
}

systemd_security() {
    local score
    systemd-analyze security --offline=true deploy/systemd/hepar.service --no-pager >"$work/security"
    score=$(sed -n 's/.*exposure level for hepar.service: \([0-9.]*\).*/\1/p' "$work/security")
    echo "measured: exposure $score of 10"
    [ "${score%.*}" -le 1 ]
    grep -q "exposure level $score" docs/operations.md
}

# Boots the copy of a small Debian with what was installed above.
systemd_boot() {
    local system=$work/booted
    if [ ! -e "$cache/booted/complete" ]; then
        rm -rf "$cache/booted"
        cp -a "$cache/base" "$cache/booted"
        rm "$cache/booted/complete"
        cp /etc/resolv.conf "$cache/booted/etc/resolv.conf"
        chroot "$cache/booted" apt-get update -qq
        # shellcheck disable=SC2046  # names, as many as there are
        DEBIAN_FRONTEND=noninteractive chroot "$cache/booted" apt-get install -y -qq --no-install-recommends \
            systemd systemd-sysv $(runtime_packages)
        touch "$cache/booted/complete"
    fi
    cp -a "$cache/booted" "$system"
    cp -a "$work/root/." "$system/"
}

systemd_start() {
    systemd-nspawn --register=no --keep-unit --private-network -D "$work/booted" --boot --console=pipe \
        >"$work/nspawn.log" 2>&1 </dev/null &
    nspawn_pid=$!
    children+=("$nspawn_pid")
    until_true 15 systemd_up
}

systemd_up() {
    init_pid=$(pgrep -P "$nspawn_pid" -x systemd) && inside systemctl is-system-running >"$work/running" 2>&1
}

inside() { nsenter -t "$init_pid" -m -p -u -i -n "$@"; }
main_pid() { inside systemctl show -p MainPID --value hepar; }
inside_curl() { nsenter -t "$init_pid" -n curl -sS "$@"; }

systemd_unit() {
    inside systemd-sysusers
    inside systemctl daemon-reload
    inside systemd-analyze verify hepar.service
    # It is started once it says that it listens.
    inside systemctl start hepar
    inside_curl -f -o "$work/out" http://127.0.0.1:8080/readyz
    inside hepar health --config /etc/hepar/hepar.yaml
    inside cat "/proc/$(main_pid)/status" >"$work/status"
    grep -qP '^NoNewPrivs:\t1' "$work/status"
    grep -qP '^Seccomp:\t2' "$work/status"
    grep -qP '^CapEff:\t0+$' "$work/status"
    not grep -qP '^Uid:\t0' "$work/status"
    [ "$(inside stat -c '%U %a' /var/lib/hepar)" = "hepar 700" ]
}

# It tells that it lives, again and again.
systemd_watchdog() {
    local first
    first=$(systemd_last_notice)
    [ "$first" != 0 ]
    until_true 25 systemd_noticed_after "$first"
}

systemd_last_notice() { inside systemctl show -p WatchdogTimestampMonotonic --value hepar; }
systemd_noticed_after() { [ "$(systemd_last_notice)" -gt "$1" ]; }

systemd_job() {
    local job
    job=$(inside_curl -f -F "image=@$work/ct.nii.gz" http://127.0.0.1:8080/v1/jobs | jq -er .id)
    until_true 180 systemd_ended "$job"
    inside_curl -f "http://127.0.0.1:8080/v1/jobs/$job" | jq -e '.state == "succeeded"'
    inside_curl -f -o "$work/mask" "http://127.0.0.1:8080/v1/jobs/$job/mask"
    inside_curl -f -o "$work/preview" "http://127.0.0.1:8080/v1/jobs/$job/preview.png"
    [ "$(inside find /var/lib/hepar/data -perm /077 | wc -l)" = 0 ]
    inside journalctl -u hepar --no-pager >"$work/journal"
    # The dispatch library asks for more priority than an ordinary user may have, and does without.
    not grep -iE 'permission|not permitted|errno' <(grep -v 'set thread priority for worker' "$work/journal")
}

systemd_ended() { inside_curl "http://127.0.0.1:8080/v1/jobs/$1?wait=20" | jq -e '.state | IN("succeeded", "failed")'; }

# The way to tokens that docs/operations.md tells: made by root, the service's own file all the same.
systemd_tokens() {
    local token
    token=$(inside hepar token add --file /var/lib/hepar/tokens.yaml operator --role admin)
    [ "$(inside stat -c '%U %a' /var/lib/hepar/tokens.yaml)" = "hepar 600" ]
    inside sed -i 's|^  tokens_file: ""|  tokens_file: /var/lib/hepar/tokens.yaml|' /etc/hepar/hepar.yaml
    inside systemctl restart hepar
    until_true 10 inside_curl -f -o "$work/out" http://127.0.0.1:8080/readyz
    [ "$(inside_curl -o "$work/out" -w '%{http_code}' http://127.0.0.1:8080/v1/queue)" = 401 ]
    inside_curl -f -o "$work/out" -H "Authorization: Bearer $token" http://127.0.0.1:8080/v1/queue
    inside hepar token revoke --file /var/lib/hepar/tokens.yaml operator
    sleep 1.5
    [ "$(inside_curl -o "$work/out" -w '%{http_code}' -H "Authorization: Bearer $token" \
        http://127.0.0.1:8080/v1/queue)" = 401 ]
}

systemd_restarts() {
    local before begin
    before=$(main_pid)
    kill -9 "$(pgrep --ns "$init_pid" --nslist pid -x hepar)"
    until_true 15 systemd_has_restarted "$before"
    until_true 10 inside_curl -f -o "$work/out" http://127.0.0.1:8080/readyz
    begin=$(date +%s%N)
    inside systemctl stop hepar
    echo "measured: stopped in $((($(date +%s%N) - begin) / 1000000)) ms"
    [ "$(inside systemctl show -p Result --value hepar)" = success ]
}

systemd_has_restarted() { [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ]; }

if packages systemd patchelf binutils jq; then
    check systemd.install systemd_install
    check systemd.configuration-is-kept systemd_keeps_configuration
    check systemd.another-model-is-refused systemd_refuses_another_model
    check systemd.all-or-nothing-is-installed systemd_installs_all_or_nothing
    check systemd.security systemd_security
    if ! packages systemd-container || ! base_system; then
        skip systemd.unit "no Debian can be made here to boot"
    else
        check systemd.debian-with-hepar systemd_boot
        if ! systemd_start; then
            skip systemd.unit "systemd does not boot in a container here"
        else
            check systemd.unit systemd_unit
            check systemd.watchdog systemd_watchdog
            check systemd.job-in-the-sandbox systemd_job
            check systemd.tokens systemd_tokens
            check systemd.restart-and-stop systemd_restarts
            inside systemctl poweroff >"$work/out" 2>&1
            until_true 10 not kill -0 "$nspawn_pid" 2>"$work/out"
        fi
    fi
else
    skip systemd "systemd cannot be installed"
fi
