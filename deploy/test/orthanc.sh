# shellcheck shell=bash
# Beside an archive: Debian's Orthanc, a real Hepar and the bridge between them, with a real CT series; both sides are
# killed on the way. What comes back is read by highdicom, and checked by dicom3tools.

series_zip=${HEPAR_SHARED:-$root/../shared}/data/dicom/hcc015_portal.zip

orthanc_start() {
    (cd "$work/archive" && exec Orthanc orthanc.json) >>"$work/archive/orthanc.log" 2>&1 &
    orthanc_pid=$!
    children+=("$orthanc_pid")
    until_true 20 curl -sf -o "$work/ready" "$archive/system"
}

# Orthanc asks for a password.
orthanc_locked() {
    [ "$(curl -s -o "$work/out" -w '%{http_code}' "http://127.0.0.1:$orthanc_port/changes")" = 401 ]
}

# orthanc_bridge [OPTION...]: its log is appended to.
orthanc_bridge() {
    BRIDGE_HEPAR_TOKEN=$(cat "$work/pacs/bridge") BRIDGE_ORTHANC_USER=bridge BRIDGE_ORTHANC_PASSWORD=$orthanc_password \
        "$hepar" bridge orthanc --orthanc "http://127.0.0.1:$orthanc_port" --hepar "http://127.0.0.1:$hepar_port" \
        --state "$work/archive/bridge.json" --interval 0.5 --log-format json "$@" \
        2>>"$work/archive/bridge.log" &
    bridge_pid=$!
    children+=("$bridge_pid")
}

# Hepar again on its port and data.
orthanc_hepar() {
    env HEPAR_HTTP_PORT="$hepar_port" HEPAR_DATA_FOLDER="$work/pacs/data" HEPAR_AUTH_TOKENS_FILE="$work/pacs/tokens.yaml" \
        HEPAR_MODEL_FOLDER="$root/Models/default" HEPAR_LOG_FORMAT=json "$hepar" serve 2>>"$work/pacs/hepar.log" &
    hepar_pid=$!
    children+=("$hepar_pid")
    until_true 20 curl -sf -o "$work/ready" "http://127.0.0.1:$hepar_port/readyz"
}

orthanc_hepar_curl() { curl -sS -H "Authorization: Bearer $admin" "http://127.0.0.1:$hepar_port$1" "${@:2}"; }
orthanc_series() { curl -sS "$archive/series?expand" | jq -r ".[] | select(.MainDicomTags.Modality == \"$1\") | .ID"; }
orthanc_logged() { grep -q "\"message\":\"$1\"" "$work/archive/bridge.log"; }
orthanc_has_note() { curl -sf "$archive/series/$1/metadata/4700" -o "$work/note"; }

# How many jobs Hepar has, how many segmentations and instances Orthanc.
orthanc_counts() {
    jobs=$(orthanc_hepar_curl /v1/jobs | jq '.jobs | length')
    segmentations=$(orthanc_series SEG | wc -l)
    instances=$(curl -sS "$archive/instances?expand" | jq '[.[] | .ID] | length')
}

orthanc_send() {
    local file
    for file in "$1"/*.dcm; do curl -sSf -o "$work/sent" --data-binary "@$file" "$archive/instances" || return 1; done
}

# The bridge and Hepar are killed while the job waits or runs; started again they go on with the same job.
orthanc_round_trip() {
    local begin=$SECONDS
    orthanc_hepar
    orthanc_bridge
    until_true 10 orthanc_logged following
    orthanc_send "$work/ct"
    until_true 60 orthanc_logged "series sent"
    kill -KILL "$bridge_pid" "$hepar_pid"
    wait "$bridge_pid" "$hepar_pid" 2>/dev/null || true
    [ -z "$(orthanc_series SEG)" ]
    orthanc_bridge # before Hepar: it has to wait for it
    echo "$bridge_pid" >"$work/bridge.pid"
    sleep 2
    orthanc_hepar
    echo "$hepar_pid" >"$work/hepar.pid"
    until_true 600 orthanc_logged "segmentation stored"
    until_true 5 orthanc_has_note "$(orthanc_series CT)"
    [ "$(jq -r .outcome "$work/note")" = stored ]
    orthanc_counts
    [ "$jobs" = 1 ] && [ "$segmentations" = 1 ] && [ "$instances" = 62 ]
    echo "measured: $((SECONDS - begin)) s with both killed on the way"
}

orthanc_fetch() {
    local instance
    instance=$(curl -sS "$archive/series/$(orthanc_series SEG)" | jq -r '.Instances[0]')
    curl -sSf -o "$work/seg.dcm" "$archive/instances/$instance/file"
    job=$(orthanc_hepar_curl /v1/jobs | jq -r '.jobs[0].id')
    orthanc_hepar_curl "/v1/jobs/$job/mask" -f -o "$work/mask.nii.gz"
}

orthanc_same_voxels() {
    orthanc_fetch
    "$venv/bin/python" deploy/test/orthanc.py "$work/seg.dcm" "$work/mask.nii.gz" "$work"/ct/*.dcm
}

orthanc_valid() {
    dciodvfy "$work/seg.dcm" 2>&1 | tee "$work/dciodvfy"
    not grep -q '^Error' "$work/dciodvfy"
    grep -qx Segmentation "$work/dciodvfy"
}

# Hepar itself names the study and nothing of the patient.
orthanc_anonymous_before() {
    orthanc_fetch
    orthanc_hepar_curl "/v1/jobs/$job/mask" -f -H "Accept: application/dicom" -o "$work/own.dcm"
    orthanc_hepar_curl "/v1/jobs/$job/mask" -f -H "Accept: application/dicom" -o "$work/again.dcm"
    cmp "$work/own.dcm" "$work/again.dcm"
    dcmdump +P PatientName +P PatientID +P AccessionNumber +P StudyDate "$work/own.dcm" >"$work/own"
    [ "$(grep -c 'no value available' "$work/own")" = 4 ]
}

orthanc_reports() {
    local series
    series=$(orthanc_series SEG)
    job=$(orthanc_hepar_curl /v1/jobs | jq -r '.jobs[0].id')
    curl -sSf -o "$work/kept.json" "$archive/series/$series/attachments/hepar-report/data"
    orthanc_hepar_curl "/v1/jobs/$job/report" -o "$work/report.json"
    cmp "$work/kept.json" "$work/report.json"
    curl -sSf -o "$work/kept.html" "$archive/series/$series/attachments/hepar-report-page/data"
    grep -q '<html' "$work/kept.html"
}

# The study is stable once more for the segmentation that came: nothing follows from it.
orthanc_no_loop() {
    local before
    sleep 6
    before=$(curl -sS "$archive/changes?last" | jq .Last)
    sleep 6
    [ "$(curl -sS "$archive/changes?last" | jq .Last)" = "$before" ]
    orthanc_counts
    [ "$jobs" = 1 ] && [ "$segmentations" = 1 ]
}

# All three are started again, and the bridge sees the whole log of changes anew: first with Orthanc's note on the series,
# then without it, so that only the job's key and the segmentation's UID are left to stand against a double.
orthanc_restart_all() {
    local ct
    for pid in "$(cat "$work/bridge.pid")" "$(cat "$work/hepar.pid")" "$orthanc_pid"; do kill "$pid"; done
    until_true 20 orthanc_all_ended
    orthanc_start && echo "$orthanc_pid" >"$work/orthanc.pid"
    orthanc_hepar && echo "$hepar_pid" >"$work/hepar.pid"
    rm "$work/archive/bridge.json"
    orthanc_bridge --from-the-first
    until_true 10 orthanc_reached_the_end
    orthanc_counts
    [ "$jobs" = 1 ] && [ "$segmentations" = 1 ] && [ "$instances" = 62 ]
    kill "$bridge_pid" && wait "$bridge_pid"
    ct=$(orthanc_series CT)
    curl -sSf -X DELETE "$archive/series/$ct/metadata/4700"
    rm "$work/archive/bridge.json"
    orthanc_bridge --from-the-first
    echo "$bridge_pid" >"$work/bridge.pid"
    until_true 60 orthanc_has_note "$ct"
    grep -q '"orthanc":"AlreadyStored"' "$work/archive/bridge.log"
    orthanc_counts
    [ "$jobs" = 1 ] && [ "$segmentations" = 1 ] && [ "$instances" = 62 ]
}

orthanc_all_ended() {
    orthanc_ended "$(cat "$work/bridge.pid")" && orthanc_ended "$(cat "$work/hepar.pid")" &&
        orthanc_ended "$orthanc_pid"
}

# Also where nobody has asked yet how it ended.
orthanc_ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

orthanc_reached_the_end() {
    [ "$(jq .change "$work/archive/bridge.json")" = "$(curl -sS "$archive/changes?last" | jq .Last)" ]
}

# Orthanc is stopped a moment after a series came, and so never tells that its study is stable. It is the refused series:
# Hepar's answer shows that it arrived.
orthanc_stopped_before_stable() {
    "$venv/bin/python" deploy/test/orthanc_gap.py "$work/gap" "$work"/ct/*.dcm
    orthanc_send "$work/gap"
    until_true 10 orthanc_reached_the_end
    kill -KILL "$(cat "$work/orthanc.pid")"
    orthanc_start && echo "$orthanc_pid" >"$work/orthanc.pid"
    until_true 60 orthanc_logged "series has no result"
    [ "$(curl -sS "$archive/changes?since=0&limit=1000" | jq '[.Changes[] | select(.ChangeType == "StableStudy")] | length')" = 2 ]
}

# A series that Hepar refuses is noted with the reason, and the bridge goes on.
orthanc_refused() {
    grep -q '"code":"dicom_missing_slices"' "$work/archive/bridge.log"
    until_true 10 orthanc_reached_the_end
    orthanc_counts
    [ "$jobs" = 1 ] && [ "$segmentations" = 1 ]
}

# Neither log has a word or a number that leads to the patient, nor what opens a door.
orthanc_logs() {
    local word
    dcmdump +P PatientID +P PatientName +P StudyInstanceUID +P SeriesInstanceUID +P SOPInstanceUID "$(find "$work/ct" -name '*.dcm' | head -n 1)" |
        sed -n 's/.*\[\(.*\)\].*/\1/p' >"$work/words"
    curl -sS "$archive/patients" "$archive/studies" "$archive/series" | grep -oE '[0-9a-f-]{44}' >>"$work/words"
    [ "$(wc -l <"$work/words")" -ge 8 ]
    { echo "$orthanc_password" && cat "$work/pacs/bridge"; } >>"$work/words"
    while read -r word; do
        not grep -qF -- "$word" "$work/archive/bridge.log" "$work/pacs/hepar.log" || { echo "logged: $word"; return 1; }
    done <"$work/words"
    [ ! -e "$work/archive/bridge.json.work" ]
}

orthanc_stops() {
    local pid
    pid=$(cat "$work/bridge.pid")
    kill "$pid"
    until_true 5 orthanc_ended "$pid"
    [ "$(grep -c '"message":"stopped"' "$work/archive/bridge.log")" -ge 1 ]
}

# An Orthanc of its own with the DICOMweb plugin; it sends by STOW-RS, and gets the mask as DICOM without asking for UIDs.
plugin_start() {
    mkdir -p "$work/plugin"
    plugin_port=$(free_port)
    plugin=http://127.0.0.1:$plugin_port
    jq -n --argjson port "$plugin_port" --arg db "$work/plugin/db" --arg token "Bearer $(cat "$work/pacs/bridge")" \
        --arg hepar "http://127.0.0.1:$hepar_port/v1/dicomweb/" '{
            StorageDirectory: $db, IndexDirectory: $db, HttpPort: $port, RemoteAccessAllowed: false, DicomServerEnabled: false,
            Plugins: ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
            DicomWeb: {
                StowMaxInstances: 0, StowMaxSize: 0,
                Servers: {hepar: {Url: $hepar, HttpHeaders: {Authorization: $token}}}
            }
        }' >"$work/plugin/orthanc.json"
    (cd "$work/plugin" && exec Orthanc orthanc.json) >>"$work/plugin/orthanc.log" 2>&1 &
    echo $! >"$work/plugin.pid"
    children+=($!)
    until_true 20 curl -sf -o "$work/ready" "$plugin/system"
}

plugin_sends() {
    local file series
    for file in "$work"/ct/*.dcm; do curl -sSf -o "$work/sent" --data-binary "@$file" "$plugin/instances"; done
    series=$(curl -sSf "$plugin/series" | jq -r '.[0]')
    curl -sSf "$plugin/dicom-web/servers/hepar/stow" -d "{\"Resources\": [\"$series\"], \"Synchronous\": true}" >"$work/stow.json" ||
        { tail -n 5 "$work/plugin/orthanc.log"; return 1; }
    [ "$(jq -r .InstancesCount "$work/stow.json")" = 61 ]
    job=$(orthanc_hepar_curl '/v1/jobs?limit=1' | jq -r '.jobs[0].id')
    orthanc_hepar_curl "/v1/jobs/$job?wait=300&until=ended" | jq -e '.state == "succeeded" and .dicom.has_uids'
    orthanc_hepar_curl "/v1/jobs/$job/mask" -f -H "Accept: application/dicom" -o "$work/plugin.dcm"
    dciodvfy "$work/plugin.dcm" 2>&1 | grep -qx Segmentation
}

# The parts of a series that the plugin sends as it is set without StowMaxInstances are no scan: it is told so.
plugin_is_told() {
    local series
    series=$(curl -sSf "$plugin/series" | jq -r '.[0]')
    curl -sSf "$plugin/series/$series" | jq '{Resources: [.Instances[0, 1]], Synchronous: true}' >"$work/two.json"
    not curl -sSf "$plugin/dicom-web/servers/hepar/stow" -d "@$work/two.json"
}

if ! packages orthanc dcmtk dicom3tools unzip; then
    skip orthanc "Orthanc cannot be installed"
elif [ ! -e "$series_zip" ]; then
    skip orthanc "HEPAR_SHARED has no data/dicom/hcc015_portal.zip"
elif ! python_tools; then
    skip orthanc "Python's DICOM libraries cannot be installed"
else
    mkdir -p "$work/archive" "$work/ct"
    unzip -qj "$series_zip" '*.dcm' -d "$work/ct"
    orthanc_port=$(free_port)
    orthanc_password=$(openssl rand -hex 16)
    archive=http://bridge:$orthanc_password@127.0.0.1:$orthanc_port
    sed -e "s/\"Plugins\": \[\],/&\n\"AuthenticationEnabled\": true, \"RegisteredUsers\": {\"bridge\": \"$orthanc_password\"},/" \
        -e "s/\"HttpPort\": 8042/\"HttpPort\": $orthanc_port/" -e 's/"StableAge": 5/"StableAge": 2/' \
        deploy/orthanc/orthanc.json >"$work/archive/orthanc.json"
    if ! start_hepar "$work/pacs" || ! orthanc_start; then
        check orthanc.starts cat "$work/archive/orthanc.log" "$work/pacs/hepar.log" /nonexistent
    else
        "$hepar" token add --file "$work/pacs/tokens.yaml" pacs-bridge --role submit read_own >"$work/pacs/bridge"
        stop_child "$hepar_pid"
        check orthanc.locked orthanc_locked
        check orthanc.round-trip orthanc_round_trip
        check orthanc.same-voxels orthanc_same_voxels
        check orthanc.valid-segmentation orthanc_valid
        check orthanc.nothing-of-the-patient-in-hepar orthanc_anonymous_before
        check orthanc.reports-kept orthanc_reports
        check orthanc.no-loop orthanc_no_loop
        check orthanc.no-double-after-restarts orthanc_restart_all
        check orthanc.stopped-before-stable orthanc_stopped_before_stable
        check orthanc.refused-series orthanc_refused
        check orthanc.nothing-of-the-patient-in-logs orthanc_logs
        check orthanc.bridge-stops orthanc_stops
        kill "$(cat "$work/hepar.pid")" && until_true 20 orthanc_ended "$(cat "$work/hepar.pid")"
        if ! packages orthanc-dicomweb; then
            skip orthanc.plugin "Orthanc's DICOMweb plugin cannot be installed"
        elif export HEPAR_DICOM_KEEP_UIDS=true && orthanc_hepar && echo "$hepar_pid" >"$work/hepar.pid" && plugin_start; then
            check orthanc.plugin-sends plugin_sends
            check orthanc.plugin-is-told plugin_is_told
            check orthanc.nothing-of-the-patient-in-logs-by-stow orthanc_logs
            kill "$(cat "$work/plugin.pid")"
        else
            check orthanc.plugin-starts cat "$work/plugin/orthanc.log" "$work/pacs/hepar.log" /nonexistent
        fi
        unset HEPAR_DICOM_KEEP_UIDS
        for pid in "$work"/{bridge,hepar,orthanc}.pid; do kill "$(cat "$pid")" 2>/dev/null || true; done
    fi
fi
