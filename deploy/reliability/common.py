"""What the campaigns share: a server that is started and killed, requests, phantoms, a receiver of webhooks, the checks.

HEPAR names the program (default .build/release/hepar); start the scripts in the repository's root, where Models/default is.
Nothing is sent to another machine. All data lie in a new folder below TMPDIR, which is removed unless a check failed.
"""
import hashlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HEPAR = os.path.abspath(os.environ.get("HEPAR", ".build/release/hepar"))
ENDS = ("succeeded", "failed", "cancelled")


class Checks:
    """Counts promises that were kept and violated; the first violations of each kind are printed."""

    def __init__(self, script):
        self.folder = tempfile.mkdtemp(prefix=f"hepar-{script}-")
        self.script, self.passed, self.failed, self.told, self.lock = script, 0, 0, {}, threading.Lock()

    def expect(self, holds, promise, detail=""):
        with self.lock:
            if holds:
                self.passed += 1
            else:
                self.failed += 1
                self.told[promise] = self.told.get(promise, 0) + 1
                if self.told[promise] <= 5:
                    print(f"FAILED: {promise}: {detail}", flush=True)
        return holds

    def close(self, **figures):
        """The closing lines, and the script's end."""
        if self.failed:
            print(f"what was left is in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        print(json.dumps({"campaign": self.script, **figures, "violations": self.told}))
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed else 0)


class Server:
    """`hepar serve` on one port over one data folder; may be killed and started again."""

    def __init__(self, folder, prefix=(), **settings):
        self.folder, self.data = folder, os.path.join(folder, "data")
        self.prefix, self.settings, self.process = list(prefix), settings, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = os.path.join(folder, "server.log")

    def start(self, seconds=30, **environment):
        """Starts the server; seconds from exec to the first answer, or None if it ended before."""
        own = {"HEPAR_HTTP_PORT": str(self.port), "HEPAR_DATA_FOLDER": self.data, "HEPAR_DATA_FREE_SPACE_MIB": "1"}
        settings = {"HEPAR_" + key.upper(): str(value) for key, value in self.settings.items()}
        outer = {key: value for key, value in os.environ.items() if not key.startswith("HEPAR_")}
        begin = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.prefix + [HEPAR, "serve"], env={**outer, **own, **settings, **environment}, stderr=log,
                stdout=subprocess.DEVNULL, start_new_session=True)
        while time.monotonic() - begin < seconds:
            if self.process.poll() is not None:
                return None
            try:
                if self.request("GET", "/healthz", timeout=5)[0] == 200:
                    return time.monotonic() - begin
            except OSError:
                time.sleep(0.002)
        return None

    def kill(self, number=signal.SIGKILL):
        """Ends the process and waits for its end."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
        if self.process:
            self.process.wait(timeout=60)

    def request(self, method, path, body=None, headers=None, timeout=60, source=None):
        """Status, header fields and body of one request on a connection of its own, from an address of this machine's own;
        OSError if there is no answer."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=timeout, source_address=source and (source, 0))
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def json(self, method, path, expected=200, **more):
        """The document that a request answers; OSError for another status."""
        status, _, body = self.request(method, path, **more)
        if status != expected:
            raise OSError(f"{method} {path} answered {status}: {body[:300]!r}")
        return json.loads(body or b"null")

    def submit(self, scan, query="", fresh=True, **headers):
        """Sends a scan as a bare body; status and document."""
        fields = {"Content-Type": "application/octet-stream", **({"Cache-Control": "no-cache"} if fresh else {}),
                  **{key.replace("_", "-"): value for key, value in headers.items()}}
        status, _, body = self.request("POST", "/v1/jobs" + query, scan, fields)
        return status, json.loads(body or b"null")

    def finish(self, job, seconds=300):
        """The job's document once it has ended; the last one if it does not."""
        end, document = time.monotonic() + seconds, {}
        while time.monotonic() < end:
            document = self.json("GET", f"/v1/jobs/{job}?wait=20")
            if document["state"] in ENDS:
                break
        return document

    def events(self, after=0):
        """The whole feed from there on."""
        found = []
        while True:
            page = self.json("GET", f"/v1/events?after={after}&limit=1000")
            if not page["events"]:
                return found
            found += page["events"]
            after = page["last"]

    def rows(self, sql):
        """Reads the database beside the server."""
        base = sqlite3.connect(f"file:{self.data}/jobs.sqlite?mode=ro", uri=True, timeout=20)
        try:
            return base.execute(sql).fetchall()
        finally:
            base.close()

    def status(self, *names):
        """Numbers of /proc/PID/status, and `FDs`; memory is in KiB."""
        found = {"FDs": len(os.listdir(f"/proc/{self.process.pid}/fd"))}
        with open(f"/proc/{self.process.pid}/status") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key in names:
                    found[key] = int(value.split()[0])
        return found

    def processor_seconds(self):
        """What the server itself has used of the processors until now, its children left out."""
        with open(f"/proc/{self.process.pid}/stat") as line:
            fields = line.read().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def names(*path):
    """What is in a folder; nothing if there is none."""
    try:
        return sorted(os.listdir(os.path.join(*path)))
    except FileNotFoundError:
        return []


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def phantom(folder, seed, shape="112,96,24"):
    """The bytes of a small synthetic scan; the same seed gives the same bytes."""
    scan, reference = (os.path.join(folder, f"{name}-{seed}.nii.gz") for name in ("ct", "reference"))
    subprocess.run([HEPAR, "phantom", "--seed", str(seed), "--output", scan, "--reference", reference, "--shape", shape,
                    "--spacing", "2,2,4", "--lesions", "3"], check=True, capture_output=True)
    with open(scan, "rb") as file:
        return file.read()


def undisturbed(scans, checks, **settings):
    """The SHA-256 of each scan's mask from a server that nobody disturbs, and the median seconds of a job."""
    folder = os.path.join(checks.folder, "undisturbed")
    os.makedirs(folder)
    server = Server(folder, **settings)
    server.start()
    hashes, seconds = [], []
    for scan in scans:
        begin = time.monotonic()
        job = server.finish(server.submit(scan)[1]["id"])
        seconds.append(time.monotonic() - begin)
        hashes.append(job["mask_sha256"])
        checks.expect(job["state"] == "succeeded", "an undisturbed job succeeds", job)
    server.kill(signal.SIGTERM)
    return hashes, statistics.median(seconds)


def percentile(values, share):
    """The value below which that share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def milliseconds(values):
    """Median, p99 and maximum of times in seconds, in milliseconds."""
    if not values:
        return None
    return {name: round(value * 1e3, 1) for name, value in
            (("p50", percentile(values, 0.5)), ("p99", percentile(values, 0.99)), ("max", max(values)))}


class Receiver:
    """Takes webhooks on a port of this machine and keeps what it was told; `hold` makes it wait before it answers."""

    def __init__(self):
        self.told, self.cut, self.hold = {}, set(), 0.0  # told and answered, by job; jobs whose sender died before
        self.arrived, self.lock = threading.Event(), threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.arrived.set()
                time.sleep(receiver.hold)
                with receiver.lock:
                    if self.sender_is_gone():
                        receiver.cut.add(body["job"])
                        return
                    receiver.told.setdefault(body["job"], []).append(self.headers["Hepar-Delivery"])
                self.send_response(204)
                self.end_headers()

            def sender_is_gone(self):
                try:
                    return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                except BlockingIOError:
                    return False
                except OSError:
                    return True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self, folder):
        """The server's settings that allow this receiver."""
        secret = os.path.join(folder, "secret")
        with open(secret, "w") as file:
            file.write("a secret of this campaign alone, of many bytes\n")
        return {"webhooks_targets": self.url, "webhooks_secret_file": secret}
