# shellcheck shell=bash
# compose.yaml and deploy/kubernetes: against their schemas, one another, and what the program takes.
# No cluster runs here: that its pods start is not tested. The part compose starts compose.yaml.

manifests_kubernetes() {
    local file version
    for file in deploy/kubernetes/*.yaml; do
        [ "${file##*/}" != kustomization.yaml ] || continue
        for version in 1.29.0 1.33.0 1.37.0; do
            "$venv/bin/kubernetes-validate" --strict -k "$version" "$file"
        done
    done
    # The schema is asked at all: a wrong key is refused.
    sed 's/maxUnavailable/maxUnavailabel/' deploy/kubernetes/poddisruptionbudget.yaml >"$work/wrong.yaml"
    not "$venv/bin/kubernetes-validate" --strict "$work/wrong.yaml"
}

manifests_agree() { "$venv/bin/python" deploy/test/manifests.py; }

# The pod's variables are settings; those that Kubernetes sets for a Service are not, and do no harm; a slip still does.
manifests_variables() {
    local common=(env -i HEPAR_MODEL_FOLDER="$root/Models/default" HEPAR_HTTP_TRUSTED_PROXIES=10.0.0.0/8
        HEPAR_COMPUTE_THREADS=1)
    "${common[@]}" "$hepar" check-config >"$work/values"
    grep -qx 'compute.threads: 1' "$work/values"
    "${common[@]}" HEPAR_SERVICE_HOST=10.1.2.3 HEPAR_SERVICE_PORT_HTTP=8080 HEPAR_PORT=tcp://10.1.2.3:8080 \
        HEPAR_PORT_8080_TCP_ADDR=10.1.2.3 "$hepar" check-config >"$work/links"
    cmp "$work/values" "$work/links"
    not "${common[@]}" HEPAR_PORT=8080 "$hepar" check-config
}

# What compose.yaml gives nginx and Prometheus, read by them; their names are this machine's here.
manifests_compose_files() {
    packages nginx-light prometheus openssl
    mkdir -p "$work/compose"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hepar.example \
        -keyout "$work/compose/key.pem" -out "$work/compose/certificate.pem" 2>&1
    sed "s|/etc/hepar/tls|$work/compose|; s|/var/log/nginx|$work/compose|" deploy/nginx/hepar.conf \
        >"$work/compose/default.conf"
    sed 's/server hepar:/server localhost:/' deploy/compose/hepar-upstream.conf >"$work/compose/hepar-upstream.conf"
    printf 'pid %s/pid;\nerror_log %s/error.log;\nevents { }\nhttp {\n    include %s/*.conf;\n}\n' "$work/compose" \
        "$work/compose" "$work/compose" >"$work/compose/nginx.main"
    nginx -t -p "$work/compose" -c "$work/compose/nginx.main"
    touch "$work/compose/token"
    sed "s|/etc/prometheus/hepar-token|$work/compose/token|" deploy/compose/prometheus.yml >"$work/compose/prometheus.yml"
    cp deploy/prometheus/alerts.yml "$work/compose/"
    promtool check config "$work/compose/prometheus.yml"
}

if python_tools; then
    check manifests.kubernetes-schemas manifests_kubernetes
    check manifests.agree manifests_agree
else
    skip manifests.schemas "the validators cannot be installed"
fi
check manifests.variables manifests_variables
check manifests.compose-files manifests_compose_files
