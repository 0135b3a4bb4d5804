"""Holds the metrics that alerts and dashboard name against those that a server tells.

metric_names.py METRICS alerts.yml hepar.json [QUERIES]: fails for a name or a label that no metric has. Writes every
query of the dashboard, a line each, its variables filled in, to QUERIES.
"""

import json
import re
import sys

import yaml

metrics_file, alerts_file, dashboard_file = sys.argv[1:4]
known = {"up": {"job", "instance"}}
labels_of = {}
for line in open(metrics_file, encoding="utf-8"):
    if line.startswith("# TYPE "):
        _, _, name, kind = line.split()
        for suffix in ["_bucket", "_sum", "_count"] if kind == "histogram" else [""]:
            known[name + suffix] = set()
    elif not line.startswith("#"):
        name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
        known[name] |= set(re.findall(r'(\w+)="', labels or ""))

alerts = [rule["expr"] for group in yaml.safe_load(open(alerts_file))["groups"] for rule in group["rules"]]
dashboard = json.load(open(dashboard_file))
queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
queries += [annotation["expr"] for annotation in dashboard["annotations"]["list"] if "expr" in annotation]
variables = [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]

problems, used = [], set()
for text in alerts + queries + variables:
    bare = re.sub(r"\$\{?\w+\}?", "", re.sub(r'"[^"]*"', '""', text))
    for name, matchers in re.findall(r"\b(up|(?:hepar|process)_\w+)(?:\{([^}]*)\})?", bare):
        used.add(name)
        if name not in known:
            problems.append(f"{name} is no metric: {text}")
            continue
        # Of metrics that had nothing to count yet the labels are not told.
        labels = set(re.findall(r"(\w+)\s*=", matchers)) - {"job", "instance"}
        if known[name] and not labels <= known[name]:
            problems.append(f"{name} has no label {labels - known[name]}: {text}")

# What a dashboard must have to be imported: panels with an id each, a type and a place that no other takes.
ids = [panel["id"] for panel in dashboard["panels"]]
if len(set(ids)) != len(ids):
    problems.append("two panels have one id")
places = set()
for panel in dashboard["panels"]:
    at = panel["gridPos"]
    cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
    if cells & places or at["x"] + at["w"] > 24:
        problems.append(f"the panel {panel['title']} lies over another")
    places |= cells
    if panel["type"] != "row" and not panel["targets"]:
        problems.append(f"the panel {panel['title']} shows nothing")

if len(sys.argv) > 4:
    with open(sys.argv[4], "w", encoding="utf-8") as file:
        for query in queries:
            print(query.replace("$__rate_interval", "1m").replace("$instance", ".*"), file=file)
unused = {name for name in known if name.startswith("hepar_")} - used
print("not shown or watched:", ", ".join(sorted(unused)))
print(f"measured: {len(used)} metrics in {len(alerts)} alerts and {len(queries)} queries")
print("\n".join(problems))
sys.exit(bool(problems))
