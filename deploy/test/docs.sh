# shellcheck shell=bash
# docs/operations.md: complete, and its backup comes back.

docs_keys() {
    local key section=
    while IFS= read -r key; do
        case $key in
        [a-z]*) section=${key%:} ;;
        *) grep -q "\`$section.${key// /}\`" docs/operations.md || { echo "not told: $section.$key"; return 1; } ;;
        esac
    done < <(sed -nE 's/^([a-z]+:)$/\1/p; s/^  (# )?([a-z_]+):( [^ ]*)?$/  \2/p' config/hepar.yaml)
    # Files that are named are there.
    local path
    for path in $(grep -oE '`(deploy|config)/[a-z/.-]+`' docs/operations.md | tr -d '`'); do
        [ -e "$path" ] || { echo "named and not there: $path"; return 1; }
    done
}

docs_metrics() {
    local name
    for name in $(grep -oE '\bhepar_[a-z_]+' docs/operations.md | sort -u); do
        grep -q "\"${name%_bucket}\"" Sources/Telemetry/ServiceMetrics.swift ||
            grep -qE "\"${name%_*}\"" Sources/Telemetry/ServiceMetrics.swift || { echo "no metric: $name"; return 1; }
    done
}

docs_backup() {
    local auth url job later data=$work/kept/data backup=$work/backup
    start_hepar "$work/kept"
    auth="Authorization: Bearer $admin" url=http://127.0.0.1:$hepar_port
    job=$(curl -sf -H "$auth" -F "image=@$work/ct.nii.gz" "$url/v1/jobs" | jq -er .id)
    until_true 180 docs_succeeded "$url" "$job"
    curl -sf -H "$auth" -o "$work/mask.before" "$url/v1/jobs/$job/mask"
    HEPAR_DATA_FOLDER=$data "$hepar" backup "$backup"
    "$hepar" backup --verify "$backup"
    later=$(curl -sf -H "$auth" -H 'Cache-Control: no-cache' -F "image=@$work/ct.nii.gz" "$url/v1/jobs" | jq -er .id)
    curl -sf -H "$auth" "$url/v1/signing-key" >"$work/key.before"
    kill "$hepar_pid"
    until_true 30 not kill -0 "$hepar_pid" # a running job has 10 s 2>"$work/out"
    rm -rf "$data"
    cp -a "$backup" "$data"
    start_hepar "$work/kept"
    url=http://127.0.0.1:$hepar_port
    curl -sf -H "$auth" -o "$work/mask.after" "$url/v1/jobs/$job/mask"
    cmp "$work/mask.before" "$work/mask.after"
    curl -sf -H "$auth" "$url/v1/signing-key" | cmp - "$work/key.before"
    # The job after the backup is gone, its files too.
    [ "$(curl -s -H "$auth" -o "$work/out" -w '%{http_code}' "$url/v1/jobs/$later")" = 404 ]
    not grep -r . <(find "$data/jobs" -name "*$later*" -print)
    kill "$hepar_pid"
}

docs_succeeded() {
    curl -s -H "Authorization: Bearer $admin" "$1/v1/jobs/$2?wait=20" | jq -e '.state == "succeeded"'
}

check docs.every-key docs_keys
check docs.metrics docs_metrics
check docs.backup-and-restore docs_backup
