"""README.md's commands, in order and word for word, in a clean folder; what each prints is held against what is expected here.

Usage: readme.py HEPAR FOLDER [SERIES.zip]
FOLDER is made, with copies of what a checkout has. Wants ports 8080 and 8081: run it in a network of its own.
Without a DICOM series the lines that name one are passed over. `make` does not build and test here: the program is there.
"""
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

JSON_JOB = r'"state":"(queued|running|succeeded)"'
# Each command of README's sh blocks begins like this, and prints something like that.
EXPECTED = [
    ("make demo", r"liver \d+ ml.*demo/preview\.png"),
    ("make test", None),
    (".build/release/hepar serve", r"address=http://127\.0\.0\.1:8080"),
    ("curl -F image=@demo/ct.nii.gz -F reference", JSON_JOB),
    ("JOB=", r"^$"),
    ("curl http://127.0.0.1:8080/v1/jobs/$JOB", JSON_JOB),
    ("curl -s \"http://127.0.0.1:8080/v1/jobs/$JOB?wait", r'"succeeded"\nnull'),
    ("curl -f -o mask.nii.gz", r"100"),
    ("curl http://127.0.0.1:8080/v1/jobs/$JOB/report", r'"liver_density":\{.*"mean_hu".*"dice"'),
    ("curl -F image=@demo/ct.nii.gz -H \"Idempotency-Key", JSON_JOB),
    ("curl 'http://127.0.0.1:8080/v1/jobs?state=succeeded", r'"jobs":\[.*"succeeded"'),
    ("curl http://127.0.0.1:8080/healthz", r"ok"),
    ("curl http://127.0.0.1:8080/readyz", r"ready"),
    ("curl --data-binary @demo/ct.nii.gz", JSON_JOB),
    ("curl -f -o liver.nii.gz", r"100"),
    ("curl -f -o slice.png", r"100"),
    ("curl -f -o report.html", r"100"),
    ("curl -T demo/reference.nii.gz", r'"dice"'),
    ("curl -F prediction=@mask.nii.gz", r'"dice"'),
    ("curl -X POST http://127.0.0.1:8080/v1/jobs/$JOB/verify", JSON_JOB),
    ("curl -F image=@series.zip 'http", r'"has_uids":true'),
    ("curl $(for f in series/*", JSON_JOB),
    ("curl -F image=@series.zip http://127.0.0.1:8080/v1/scans", r'"taken":true'),
    ("DICOM=", r"^$"),
    ("curl -s \"http://127.0.0.1:8080/v1/jobs/$DICOM?wait", r'"succeeded"\nnull'),
    ("curl -f -o mask.dcm", r"100"),
    ("curl -X POST http://127.0.0.1:8080/v1/queue/pause", r"true"),
    ("NEXT=", r"^$"),
    ("curl -X POST http://127.0.0.1:8080/v1/jobs/$NEXT/cancel", r'"cancelled"'),
    ("curl -X POST http://127.0.0.1:8080/v1/queue/resume", r"false"),
    ("curl 'http://127.0.0.1:8080/v1/events", r'"accepted"'),
    ("curl http://127.0.0.1:8080/metrics", r"hepar_liver_mean_hu_count [1-9]"),
    ("curl -X DELETE http://127.0.0.1:8080/v1/jobs/$JOB", r"^[^{]*$"),
    ("TOKEN=", r"^.{0,400}$"),
    ("HEPAR_AUTH_TOKENS_FILE=tokens.yaml", r"address=http://127\.0\.0\.1:8081"),
    ("curl -H \"Authorization: Bearer $TOKEN\"", r'"jobs":\['),
    ("HEPAR_DATA_FOLDER=hepar-data-2", r""),
    ("export PATH", r"^$"),
    ("hepar segment demo/ct.nii.gz", r"Liver \d+ ml.*Liver without lesions and rim: mean .*Dice"),
    ("hepar segment series.zip", r"Liver \d+ ml"),
    ("mkdir -p scans", r"^$"),
    ("hepar segment scans --output results", r"first: Liver \d+ ml"),
    ("hepar evaluate mask.nii.gz", r"liver +0\.\d{4}"),
    ("hepar evaluate results scans --csv", r"name,liver_dice.*\nfirst,0\."),
    ("hepar preview", r"^$"),
    ("hepar phantom", r""),
    ("hepar import-dicom series.zip", r"taken"),
    ("hepar model info", r"stage +liver"),
    ("hepar check-config", r"http\.port: 8080"),
    ("hepar health", r""),
    ("hepar backup", r""),
]
# What must be there in the end, and how it begins.
MADE = {"mask.nii.gz": b"\x1f\x8b", "liver.nii.gz": b"\x1f\x8b", "slice.png": b"\x89PNG", "report.html": b"<!DOCTYPE html>",
        "report.json": b"{", "mask_report.html": b"<!DOCTYPE html>", "results/first_mask.nii.gz": b"\x1f\x8b",
        "results/first_preview.png": b"\x89PNG", "results/first_report.html": b"<!DOCTYPE html>",
        "results/volumes.csv": b"name,", "picture.png": b"\x89PNG", "ct2.nii.gz": b"\x1f\x8b"}
LIMIT_SECONDS = 1800


def commands(text):
    """The commands of all sh blocks, without lines that are comments alone."""
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def prepare(root, hepar, folder, series):
    """What README's reader has: the checkout with a built program, and perhaps a series."""
    for name in ("Models", "config", "deploy"):
        shutil.copytree(root / name, folder / name)
    (folder / ".build/release").mkdir(parents=True)
    (folder / ".build/release/hepar").symlink_to(hepar)
    if series:
        shutil.copy(series, folder / "series.zip")
        (folder / "series").mkdir()
        with zipfile.ZipFile(series) as archive:
            for number, name in enumerate(n for n in archive.namelist() if not n.endswith("/")):
                (folder / "series" / f"{number}.dcm").write_bytes(archive.read(name))


class Shell:
    """One bash for all commands, so that variables stay."""

    def __init__(self, folder):
        self.folder, self.number, self.end = folder, 0, time.monotonic() + LIMIT_SECONDS
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HEPAR_")}
        self.bash = subprocess.Popen(["bash"], cwd=folder, stdin=subprocess.PIPE, text=True, env=environment,
                                     start_new_session=True)

    def run(self, command):
        """The exit code and everything printed; of a server, what it printed until it listened."""
        self.number += 1
        out, status = self.folder / f".out{self.number}", self.folder / f".status{self.number}"
        is_server = re.search(r"hepar serve\b", command)
        ending = "&\n" if is_server else f"\necho $? >{status}.new; mv {status}.new {status}\n"
        self.bash.stdin.write(f"{{ {command}\n}} >{out} 2>&1 {ending}")
        self.bash.stdin.flush()
        while time.monotonic() < self.end and self.bash.poll() is None:
            time.sleep(0.1)
            printed = out.read_text(errors="replace") if out.exists() else ""
            if is_server and "address=" in printed:
                return 0, printed
            if status.exists():
                return int(status.read_text()), out.read_text(errors="replace")
        return 124, out.read_text(errors="replace")[-2000:]

    def close(self):
        """Ends the shell and its servers, which are its session's."""
        os.killpg(self.bash.pid, 15)
        self.bash.wait()


def main():
    root = Path(__file__).resolve().parents[2]
    hepar, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    series = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    found = commands((root / "README.md").read_text())
    for line, (start, _) in zip(found, EXPECTED):
        if not line.startswith(start):
            sys.exit(f"README's next command is not the one expected here:\n  {line}\n  {start}")
    if len(found) != len(EXPECTED):
        sys.exit(f"README has {len(found)} commands, and {len(EXPECTED)} are expected here.")
    folder.mkdir(parents=True)
    prepare(root, hepar, folder, series)
    shell, run, broken = Shell(folder), 0, []
    try:
        for line, (start, pattern) in zip(found, EXPECTED):
            if pattern is None or (not series and re.search(r"series|DICOM", line.split(" #")[0])):
                continue
            command = f"HEPAR={hepar} deploy/demo/demo.sh" if start == "make demo" else line
            code, printed = shell.run(command)
            run += 1
            # JSON is told with blanks in files and without in answers.
            if code != 0 or not re.search(pattern, re.sub(r'"\s*:\s*', '":', printed.strip()), re.DOTALL):
                broken.append(f"{line}\n    status {code}, printed: {printed.strip()[-1500:]}")
                print("BROKEN", broken[-1], flush=True)
    finally:
        shell.close()
    for name, head in MADE.items():
        file = folder / name
        if not file.exists() or not file.read_bytes().startswith(head):
            broken.append(f"{name} is not there, or is something else")
            print("BROKEN", broken[-1])
    print(f"measured: {run} commands of README.md, {len(broken)} broken")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
