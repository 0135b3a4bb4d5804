"""Holds compose.yaml and the Kubernetes manifests against one another, the Dockerfile and the program's settings."""

import json
import pathlib
import re
import sys

import compose_spec
import yaml

root = pathlib.Path(__file__).parents[2]
problems = []


def want(condition, text):
    if not condition:
        problems.append(text)


def settings():
    """Every setting's variable, from config/hepar.yaml; the one that is commented out too."""
    names, section = {"HEPAR_CONFIG"}, ""
    for line in (root / "config/hepar.yaml").read_text().splitlines():
        if found := re.match(r"(\w+):$", line):
            section = found[1]
        elif found := re.match(r"  (?:# )?(\w+): ?\S*$", line):
            names.add(f"HEPAR_{section}_{found[1]}".upper())
    return names


dockerfile = (root / "Dockerfile").read_text()
user = int(re.search(r"^USER (\d+):\1$", dockerfile, re.M)[1])
port = int(re.search(r"^EXPOSE (\d+)$", dockerfile, re.M)[1])
volume = re.search(r"^VOLUME (\S+)$", dockerfile, re.M)[1]
version = re.search(r'image.version="([^"]+)"', dockerfile)[1]
known = settings()
# The commit is the build's, not the service's.
for name in set(re.findall(r"\b(HEPAR_\w+)=", dockerfile)) - {"HEPAR_COMMIT"}:
    want(name in known, f"Dockerfile: {name} is no setting")

# compose.yaml: by the specification's model, then what the model cannot know.
# Variables stand for their defaults.
text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (root / "compose.yaml").read_text())
compose = yaml.safe_load(text)
checked = compose_spec.PyCompose.from_json(json.dumps(compose))
checked.validate()
checked.to_spec()
services = compose["services"]
want(set(services) == {"hepar", "nginx", "prometheus", "grafana"}, "compose: other services")
for name, service in services.items():
    want(service.get("read_only") and service.get("cap_drop") == ["ALL"], f"compose: {name} is not hardened")
    want("no-new-privileges:true" in service.get("security_opt", []), f"compose: {name} may gain privileges")
    want(re.search(r":\d", service["image"]) or ":v" in service["image"], f"compose: {name}'s image is not pinned")
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        if source.startswith("./"):
            want((root / source).exists() or source == "./tls", f"compose: {source} does not exist")
        else:
            want(source in compose["volumes"], f"compose: the volume {source} is not declared")
    networks = service.get("networks", [])
    for network in networks:
        want(network in compose["networks"], f"compose: the network {network} is not declared")
    for secret in service.get("secrets", []):
        secret = secret if isinstance(secret, str) else secret["source"]
        want(secret in compose["secrets"], f"compose: the secret {secret} is not declared")
hepar = services["hepar"]
want("ports" not in hepar, "compose: Hepar is reachable without nginx")
want(f"hepar:{volume}" in hepar["volumes"], "compose: the volume is not the image's")
want(hepar["image"].endswith(f":{version}"), "compose: another version")
want(
    hepar["environment"]["HEPAR_HTTP_TRUSTED_PROXIES"] == services["nginx"]["networks"]["front"]["ipv4_address"] + "/32",
    "compose: another proxy than nginx is trusted",
)
for name in hepar["environment"]:
    want(name in known, f"compose: {name} is no setting")
target = yaml.safe_load((root / "deploy/compose/prometheus.yml").read_text())["scrape_configs"][0]
want(target["static_configs"][0]["targets"] == [f"hepar:{port}"], "compose: Prometheus asks elsewhere")
want(f"server hepar:{port};" in (root / "deploy/compose/hepar-upstream.conf").read_text(), "compose: nginx asks elsewhere")

# Kubernetes
folder = root / "deploy/kubernetes"
kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
want(set(kustomization["resources"]) == files, "kubernetes: kustomization.yaml names other files than there are")
want(kustomization["images"] == [{"name": "hepar", "newTag": version}], "kubernetes: another version")
kinds = {}
for name in sorted(files):
    for document in yaml.safe_load_all((folder / name).read_text()):
        kinds[document["kind"]] = document
deployment = kinds["Deployment"]["spec"]
pod = deployment["template"]["spec"]
labels = deployment["template"]["metadata"]["labels"]
want(deployment["replicas"] == 1 and deployment["strategy"]["type"] == "Recreate", "kubernetes: two processes, one folder")
want(pod["enableServiceLinks"] is False, "kubernetes: variables of services are settings that Hepar does not know")
want(pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == user, "kubernetes: another user")
for container in pod["containers"] + pod["initContainers"]:
    context = container["securityContext"]
    want(
        context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
        and context["capabilities"]["drop"] == ["ALL"],
        f"kubernetes: {container['name']} is not confined",
    )
    want("memory" in container["resources"]["limits"], f"kubernetes: {container['name']} has no limit of memory")
    for mount in container["volumeMounts"]:
        want(mount["name"] in {v["name"] for v in pod["volumes"]}, f"kubernetes: no volume {mount['name']}")
main = pod["containers"][0]
want(main["ports"][0]["containerPort"] == port, "kubernetes: another port")
want(main["volumeMounts"][0]["mountPath"] == volume, "kubernetes: another volume")
for variable in main["env"]:
    want(variable["name"] in known, f"kubernetes: {variable['name']} is no setting")
served = (root / "openapi.yaml").read_text()
for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
    want(f"\n  {main[probe]['httpGet']['path']}:\n" in served, f"kubernetes: {probe} asks what is not served")
claim = pod["volumes"][0]["persistentVolumeClaim"]["claimName"]
want(claim == kinds["PersistentVolumeClaim"]["metadata"]["name"], "kubernetes: another claim")
for kind, selector in (
    ("Service", kinds["Service"]["spec"]["selector"]),
    ("NetworkPolicy", kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]),
    ("PodDisruptionBudget", kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]),
    ("Deployment", deployment["selector"]["matchLabels"]),
):
    want(selector == labels, f"kubernetes: {kind} selects other pods")

print(f"measured: {len(services)} services, {len(kinds)} kinds of objects")
print("\n".join(problems))
sys.exit(bool(problems))
