"""The whole journey by a STOW-RS client: send a CT series as DICOM instances, wait, fetch the mask. The server keeps UIDs.

    python stow.py http://127.0.0.1:8080 series.zip SLICES
"""
import io
import sys
import zipfile
from urllib.parse import urlsplit

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
stored = client.store_instances(instances)
address = urlsplit(stored.RetrieveURL)
assert f"{address.scheme}://{address.netloc}" == base, stored.RetrieveURL
assert sorted(item.ReferencedSOPInstanceUID for item in stored.ReferencedSOPSequence) == sorted(map(uid, instances))
assert {item.ReferencedSOPClassUID for item in stored.ReferencedSOPSequence} == {"1.2.840.10008.5.1.4.1.1.2"}
assert "FailedSOPSequence" not in stored and "OtherFailuresSequence" not in stored
job = requests.get(stored.RetrieveURL, timeout=60).json()
while job["state"] in ("queued", "running"):
    job = requests.get(stored.RetrieveURL, params={"wait": 60, "until": "ended"}, timeout=120).json()
assert job["state"] == "succeeded", job
dicom = requests.get(base + job["links"]["dicom"], timeout=60).json()
taken = [volume for volume in dicom["volumes"] if volume["taken"]]
assert [volume["slices"] for volume in taken] == [slices], dicom
assert sorted(dicom["uids"]["instances"]) == sorted(map(uid, instances))

mask = requests.get(base + job["links"]["mask"], timeout=60)
assert mask.status_code == 200 and mask.content.startswith(b"\x1f\x8b")



def stow(path, files):
    """What is answered to files as they are, and the number of items of its sequences."""
    body = b"".join(b"--XX\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files) + b"--XX--"
    kind = 'multipart/related; type="application/dicom"; boundary=XX'
    answer = requests.post(base + "/v1/dicomweb" + path, data=body, headers={"Content-Type": kind}, timeout=300)
    assert answer.headers["Content-Type"] == "application/dicom+json", answer.text
    items = [len(answer.json().get(tag, {}).get("Value", [])) for tag in ("00081199", "00081198", "0008119A")]
    return answer, items


# Of a study in the path others are not taken, and what is no DICOM fails namelessly.
study = str(instances[0].StudyInstanceUID)
if study:
    other = pydicom.dcmread(io.BytesIO(files[0]))
    other.StudyInstanceUID = "1.2.3.4"
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    written = io.BytesIO()
    other.save_as(written)
    answer, items = stow("/studies/" + study, files + [written.getvalue(), b"junk"])
    assert (answer.status_code, items) == (202, [slices, 1, 1]), answer.text
    failed = answer.json()["00081198"]["Value"][0]
    assert failed["00081155"]["Value"] == ["1.2.3.4.5"] and failed["00081197"]["Value"] == [0xA900]
    assert stow("/studies/" + study, files)[0].status_code == 200
    answer, items = stow("/studies/1.2.3.4", files)
    assert (answer.status_code, items) == (409, [0, slices, 0]) and "dicom_study_not_found" in answer.headers["Warning"]
answer, items = stow("/studies", files[:2])
assert (answer.status_code, items[0]) == (409, 0), answer.text

# The same files as fields of a form are the same scan.
form = [("image", (f"{number}.dcm", file, "application/dicom")) for number, file in enumerate(files)]
again = requests.post(base + "/v1/jobs?uids=false", files=form, timeout=120).json()
assert again["copied_from"] == job["id"] and again["mask_sha256"] == job["mask_sha256"], again
assert not again["dicom"]["has_uids"], "a request may forbid what the server keeps"
assert "uids" not in requests.get(base + again["links"]["dicom"], timeout=60).json()
print("ok")
