"""The journey by a client that openapi-python-client made of the contract: send a scan, wait, fetch the mask, score it.

    python generated_httpx.py http://127.0.0.1:8080 ct.nii.gz reference.nii.gz FOLDER    (which holds hepar_client)
"""
import hashlib
import io
import sys

base, ct, reference, folder = sys.argv[1:]
sys.path.insert(0, folder)
from hepar_client import Client
from hepar_client.api.evaluations import evaluate
from hepar_client.api.jobs import get_job, get_mask, get_report, judge_scan, list_jobs, submit_job
from hepar_client.models import EvaluateBody, GetJobUntil, JudgeScanFilesBody, Options, State, SubmitJobFilesBody
from hepar_client.types import File

client = Client(base_url=base, raise_on_unexpected_status=True)


def file(path):
    with open(path, "rb") as bytes_:
        return File(payload=io.BytesIO(bytes_.read()), file_name="scan.nii.gz")


scan = judge_scan.sync(client=client, body=JudgeScanFilesBody(image=file(ct)))
assert scan.input_.shape and scan.dicom is None, scan
body = SubmitJobFilesBody(image=file(ct), reference=file(reference), options=Options(probabilities=True))
job = submit_job.sync(client=client, body=body, label="by httpx")
while job.state not in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
    job = get_job.sync(job.id, client=client.with_timeout(90), wait=60, until=GetJobUntil.ENDED)
assert job.state == State.SUCCEEDED and job.label == "by httpx" and job.options.probabilities, job
mask = get_mask.sync(job.id, client=client).payload.read()
assert hashlib.sha256(mask).hexdigest() == job.mask_sha256
report = get_report.sync(job.id, client=client)
assert report.scores.liver.dice > 0 and report.liver_volume_ml > 0
body = EvaluateBody(prediction=File(payload=io.BytesIO(mask), file_name="m.nii.gz"), reference=file(reference))
scores = evaluate.sync(client=client, body=body)
assert scores.liver.dice == report.scores.liver.dice, scores
page = list_jobs.sync(client=client, state="succeeded,failed")
assert job.id in [listed.id for listed in page.jobs]
# A scan may be the bare body too.
with open(ct, "rb") as bytes_:
    again = submit_job.sync(client=client, body=File(payload=io.BytesIO(bytes_.read())))
assert again.id != job.id and again.label is None
print("ok")
