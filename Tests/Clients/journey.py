"""The whole journey by Python's requests: send a scan, wait, fetch mask, report and picture, score, delete.

    python journey.py http://127.0.0.1:8080 ct.nii.gz reference.nii.gz
"""
import hashlib
import sys

import requests

base, ct, reference = sys.argv[1:]
session = requests.Session()


def call(method, path, expected, **arguments):
    answer = session.request(method, base + path, timeout=120, **arguments)
    assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
    return answer


with open(ct, "rb") as image:
    verdict = call("POST", "/v1/scans", 200, files={"image": image}).json()
assert verdict["input"]["shape"] and "findings" in verdict
with open(ct, "rb") as image:
    job = call("POST", "/v1/jobs?priority=stat", 202, files={"image": image}).json()
path = job["links"]["self"]
while job["state"] in ("queued", "running"):
    job = call("GET", path + "?wait=60", 200).json()
assert job["state"] == "succeeded", job

mask = call("GET", job["links"]["mask"], 200)
assert hashlib.sha256(mask.content).hexdigest() == job["mask_sha256"] == mask.headers["ETag"].strip('"')
part = call("GET", job["links"]["mask"], 206, headers={"Range": "bytes=0-1"})
assert part.content == b"\x1f\x8b" == mask.content[:2]
report = call("GET", job["links"]["report"], 200).json()
assert report["liver_volume_ml"] > 0 and report["scores"] is None
page = call("GET", job["links"]["report"], 200, headers={"Accept": "text/html"})
assert page.headers["Content-Type"].startswith("text/html") and "not a medical device" in page.text.lower()
assert call("GET", job["links"]["preview"], 200).content.startswith(b"\x89PNG")
with open(reference, "rb") as labels:
    scores = call("PUT", path + "/reference", 200, data=labels).json()
assert 0 < scores["liver"]["dice"] <= 1
assert call("GET", job["links"]["report"], 200).json()["scores"]["liver"] == scores["liver"]

types = [event["type"] for event in call("GET", "/v1/events?limit=1000", 200).json()["events"] if event["job"] == job["id"]]
assert types == ["accepted", "started", "succeeded"], types
with open(ct, "rb") as image:
    again = call("POST", "/v1/jobs", 202, files={"image": image}).json()
assert again["state"] == "succeeded" and again["copied_from"] == job["id"], again
for name in (job, again):
    call("DELETE", name["links"]["self"], 204)
    call("GET", name["links"]["self"], 410)
print("ok")
