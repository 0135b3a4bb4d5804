"""The whole journey by a STOW-RS client: send a CT series as DICOM instances, wait, fetch the mask.

    python stow.py http://127.0.0.1:8080 series.zip SLICES
"""
import io
import sys
import zipfile

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient

base, series, slices = sys.argv[1], sys.argv[2], int(sys.argv[3])
with zipfile.ZipFile(series) as archive:
    files = [archive.read(name) for name in archive.namelist() if not name.endswith("/")]
instances = [pydicom.dcmread(io.BytesIO(file)) for file in files]



def uid(instance):
    """Files that were made anonymous may have it in their head alone."""
    return str(instance.SOPInstanceUID or instance.file_meta.MediaStorageSOPInstanceUID)


client = DICOMwebClient(url=base + "/v1/dicomweb")
stored = client.store_instances(instances, additional_params={"uids": "true"})
job = requests.get(base + stored.RetrieveURL, timeout=60).json()
while job["state"] in ("queued", "running"):
    job = requests.get(base + stored.RetrieveURL, params={"wait": 60}, timeout=120).json()
assert job["state"] == "succeeded", job
taken = [volume for volume in job["dicom"]["volumes"] if volume["taken"]]
assert [volume["slices"] for volume in taken] == [slices], job["dicom"]
assert sorted(job["dicom"]["uids"]["instances"]) == sorted(map(uid, instances))

mask = requests.get(base + job["links"]["mask"], timeout=60)
assert mask.status_code == 200 and mask.content.startswith(b"\x1f\x8b")

# The same files as fields of a form are the same scan.
form = [("image", (f"{number}.dcm", file, "application/dicom")) for number, file in enumerate(files)]
again = requests.post(base + "/v1/jobs", files=form, timeout=120).json()
assert again["copied_from"] == job["id"] and again["mask_sha256"] == job["mask_sha256"], again
assert again["dicom"].get("uids") is None, "UIDs are told only to those who ask"
print("ok")
