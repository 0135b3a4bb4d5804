# shellcheck shell=bash
# docs/operations.md: complete, and its backup comes back. README.md: its commands do what it says.

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

# In a network of its own, for the ports are README's. One DICOM series makes its lines about DICOM run too.
docs_readme() {
    local series=${HEPAR_SHARED:-$root/../shared}/data/dicom/hcc015_portal.zip
    [ -e "$series" ] || series=
    unshare --net true 2>"$work/out" || { echo "this system lets nobody make a network of its own"; return 77; }
    # shellcheck disable=SC2016  # the inner shell's
    unshare --net bash -c 'ip link set lo up && exec "$@"' _ \
        python3 -B deploy/test/readme.py "$hepar" "$work/readme" ${series:+"$series"}
}

# The words of docs/operations.md, in a copy: Orthanc's files are where git does not look.
docs_orthanc_demo() {
    packages orthanc || { echo "Debian's Orthanc cannot be had"; return 77; }
    unshare --net true 2>"$work/out" || { echo "this system lets nobody make a network of its own"; return 77; }
    local copy=$work/orthanc-copy
    mkdir -p "$copy/deploy" && cp -r deploy/orthanc "$copy/deploy/" && cp .gitignore "$copy/"
    git -C "$copy" init -q && git -C "$copy" add -A
    sed -n '/^mkdir -p orthanc-demo/,/^```/p' docs/operations.md | sed '$d; s/^Orthanc .*/& \&/' >"$work/orthanc-demo.sh"
    grep -q '^Orthanc ' "$work/orthanc-demo.sh"
    cat >>"$work/orthanc-demo.sh" <<'END'
for _ in $(seq 100); do curl -sf -o answer http://127.0.0.1:8042/system && break; sleep 0.2; done
kill $! && wait $! || true
grep -q ApiVersion answer && rm answer
END
    (cd "$copy" && unshare --net bash -c "ip link set lo up && . '$work/orthanc-demo.sh'")
    [ -e "$copy/orthanc-demo/orthanc-data" ]
    [ -z "$(git -C "$copy" status --porcelain --untracked-files | grep -v '^A ')" ]
}

check docs.every-key docs_keys
check docs.metrics docs_metrics
check docs.backup-and-restore docs_backup
check docs.readme-commands docs_readme
check docs.orthanc-demo docs_orthanc_demo
