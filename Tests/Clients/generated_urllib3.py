"""The journey by a client that openapi-generator made of the contract: send a scan, wait, fetch the mask, score it.

    python generated_urllib3.py http://127.0.0.1:8080 ct.nii.gz reference.nii.gz FOLDER    (which holds openapi_client)
"""
import hashlib
import sys

base, ct, reference, folder = sys.argv[1:]
sys.path.insert(0, folder)
import openapi_client
from openapi_client import State


def file(path):
    with open(path, "rb") as bytes_:
        return ("scan.nii.gz", bytes_.read())


with openapi_client.ApiClient(openapi_client.Configuration(host=base)) as client:
    jobs = openapi_client.JobsApi(client)
    scan = jobs.judge_scan(image=file(ct))
    assert scan.input.shape and scan.dicom is None, scan
    options = openapi_client.Options(probabilities=True)
    job = jobs.submit_job(image=file(ct), reference=file(reference), options=options, label="by urllib3")
    while job.state not in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        job = jobs.get_job(job.id, wait=60, until="ended")
    assert job.state == State.SUCCEEDED and job.label == "by urllib3" and job.options.probabilities, job
    mask = jobs.get_mask(job.id)
    assert hashlib.sha256(mask).hexdigest() == job.mask_sha256
    report = jobs.get_report(job.id)
    assert report.scores.liver.dice > 0 and report.liver_volume_ml > 0
    scores = openapi_client.EvaluationsApi(client).evaluate(
        prediction=("mask.nii.gz", mask), reference=file(reference)
    )
    assert scores.liver.dice == report.scores.liver.dice, scores
    page = jobs.list_jobs(state="succeeded,failed")
    assert job.id in [listed.id for listed in page.jobs]
    try:
        jobs.get_job("01890000-0000-7000-8000-000000000000")
        raise SystemExit("a job that is not there was found")
    except openapi_client.exceptions.NotFoundException as error:
        assert "unknown_job" in error.body
print("ok")
