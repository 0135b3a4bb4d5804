#!/usr/bin/env python3
"""Does one client's share stay one client's share?  HEPAR=... shares.py [--short] [PART ...]

  webhooks  six webhooks to a receiver that never answers, then one to another: when is that told?
  deleted   jobs that are deleted as soon as they have ended: how many receivers never hear of it?
  stored    the same scan again and again at a quota of three scans: how many are taken, what do they take on the disk?
  flight    a client that declares more than it may have under way, and one that sends it in chunks
  audit     refused requests as fast as they go: rows written, and the time in which /healthz answers meanwhile
  turns     one owner queues many jobs, another one after it: how many start before that?

Changes nothing but a folder below TMPDIR. Ends with status 1 if a promise was broken. --short takes
10 s on an idle machine, 30 s on a busy one.
"""
import http.client
import os
import socket
import subprocess
import sys
import threading
import time

from common import HEPAR, Checks, Receiver, Server, milliseconds, names, phantom


class SilentReceiver:
    """Takes connections and says nothing until it is closed."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.taken, self.most = [], 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            self.taken.append(self.listener.accept()[0])


def with_tokens(folder, **tokens):
    """The file of tokens, and the header fields of each: tokens are given as name="arguments of hepar token add"."""
    file, fields = os.path.join(folder, "tokens.yaml"), {}
    for name, arguments in tokens.items():
        made = subprocess.run([HEPAR, "token", "add", "--file", file, name, *arguments.split()], check=True,
                              capture_output=True, text=True)
        fields[name] = {"Authorization": f"Bearer {made.stdout.strip()}"}
    return file, fields


def place(checks, part):
    folder = os.path.join(checks.folder, part)
    os.makedirs(folder)
    return folder


def webhooks(checks, scan, short):
    folder, silent, other = place(checks, "webhooks"), SilentReceiver(), Receiver()
    settings = other.settings(folder)
    server = Server(folder, **{**settings, "webhooks_targets": f"{silent.url},{other.url}"})
    server.start()
    server.json("POST", "/v1/queue/pause")
    for _ in range(6):
        job = server.submit(scan, f"?webhook={silent.url}")[1]["id"]
        server.json("POST", f"/v1/jobs/{job}/cancel")
    job = server.submit(scan, f"?webhook={other.url}")[1]["id"]
    begin = time.monotonic()
    server.json("POST", f"/v1/jobs/{job}/cancel")
    while job not in other.told and time.monotonic() - begin < 120:
        time.sleep(0.005)
    seconds = time.monotonic() - begin
    checks.expect(seconds < 5, "a silent receiver delays nobody else's webhooks", f"{seconds:.1f} s")
    checks.expect(len(silent.taken) == 1, "one webhook at a time goes to a receiver", len(silent.taken))
    server.kill()
    return {"other_told_after_s": round(seconds, 3), "connections_to_the_silent_one": len(silent.taken)}


def deleted(checks, scan, short):
    folder, receiver, count = place(checks, "deleted"), Receiver(), 10 if short else 100
    receiver.hold = 0.05
    server = Server(folder, **receiver.settings(folder))
    server.start()
    server.json("POST", "/v1/queue/pause")
    jobs = []
    for _ in range(count):
        job = server.submit(scan, f"?webhook={receiver.url}")[1]["id"]
        checks.expect(server.request("DELETE", f"/v1/jobs/{job}")[0] == 204, "a waiting job is deleted at once")
        jobs.append(job)
    end = time.monotonic() + 60
    while time.monotonic() < end and server.rows("SELECT count(*) FROM delivery")[0][0]:
        time.sleep(0.1)
    never = [job for job in jobs if job not in receiver.told]
    checks.expect(not never, "the end of a deleted job is told", f"{len(never)} of {count} were not")
    left = server.rows("SELECT count(*) FROM delivery")[0][0]
    checks.expect(left == 0, "what was told is forgotten", left)
    server.kill()
    return {"jobs": count, "never_told": len(never)}


def stored(checks, scan, short):
    folder, times = place(checks, "stored"), 20 if short else 200
    file, fields = with_tokens(folder, small="--role submit read_own --queued-jobs 3", chief="--role admin")
    server = Server(folder, auth_tokens_file=file)
    server.start()
    first = server.submit(scan, fresh=False, **fields["small"])[1]["id"]
    while server.json("GET", f"/v1/jobs/{first}", headers=fields["chief"])["state"] != "succeeded":
        time.sleep(0.05)
    size = sum(os.path.getsize(os.path.join(server.data, "jobs", first, name)) for name in
               names(server.data, "jobs", first))
    # Room for three jobs like the first, and a bit. Earlier versions know no such quota and take them all.
    with open(file) as text:
        changed = text.read().replace("queued_jobs: 3", f"queued_jobs: 3, stored_bytes: {3 * size + size // 2}")
    if "--stored-mib" in subprocess.run([HEPAR, "token", "add", "--help"], capture_output=True, text=True).stdout:
        with open(file, "w") as text:
            text.write(changed)
        time.sleep(1.5)
    statuses = [server.submit(scan, fresh=False, **fields["small"])[0] for _ in range(times)]
    taken = statuses.count(202)
    checks.expect(taken == 2, "a repeat counts against the quota", f"{taken} of {times} were taken")
    checks.expect(set(statuses) <= {202, 507}, "what is too much is answered 507", set(statuses))
    blocks = {}
    for job in names(server.data, "jobs"):
        for name in names(server.data, "jobs", job):
            status = os.stat(os.path.join(server.data, "jobs", job, name))
            blocks[status.st_ino] = status.st_size
    server.kill()
    return {"repeats": times, "taken": taken, "bytes_of_one": size, "bytes_of_all": sum(blocks.values())}


def flight(checks, scan, short):
    folder = place(checks, "flight")
    file, fields = with_tokens(folder, small="--role submit read_own --in-flight-mib 8", other="--role submit read_own")
    server = Server(folder, auth_tokens_file=file)
    server.start()

    def head(token, *lines):
        text = ["POST /v1/jobs HTTP/1.1", "Host: localhost", f"Authorization: {fields[token]['Authorization']}",
                "Content-Type: application/octet-stream", *lines, "", ""]
        client = socket.create_connection(("127.0.0.1", server.port))
        client.sendall("\r\n".join(text).encode())
        client.settimeout(10)
        return client

    holding = head("small", f"Content-Length: {6 << 20}")
    time.sleep(0.5)
    with head("small", f"Content-Length: {4 << 20}") as more:
        answer = more.recv(4_000)
    refused = b" 429 " in answer and b"in_flight_full" in answer
    checks.expect(refused, "a second upload beyond the quota gets 429", answer)
    with head("small", "Transfer-Encoding: chunked") as chunks:
        chunk, answer = b"10000\r\n" + bytes(65_536) + b"\r\n", b""
        try:
            for _ in range(100):
                chunks.sendall(chunk)
        except OSError:
            pass
        try:
            answer = chunks.recv(4_000)
        except OSError:
            pass
    checks.expect(b" 429 " in answer, "chunks beyond the quota get 429", answer)
    checks.expect(server.submit(scan, **fields["other"])[0] == 202, "another's upload is taken meanwhile")
    holding.close()
    for _ in range(100):
        status = server.submit(scan, **fields["small"])[0]
        if status == 202:
            break
        time.sleep(0.1)
    checks.expect(status == 202, "what was broken off counts no more", status)
    server.kill()
    return {}


def audit(checks, scan, short):
    folder, seconds = place(checks, "audit"), 1 if short else 10
    file, fields = with_tokens(folder, reader="--role read_own", chief="--role admin")
    server = Server(folder, auth_tokens_file=file)
    server.start()
    sent, health, end = [0] * 8, [], time.monotonic() + seconds

    def flood(number):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while time.monotonic() < end:
            connection.request("POST", "/v1/queue/pause", headers=fields["reader"])
            connection.getresponse().read()
            sent[number] += 1

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(len(sent))]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        begin = time.monotonic()
        server.request("GET", "/healthz")
        health.append(time.monotonic() - begin)
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    server.json("GET", "/v1/audit", headers=fields["chief"])
    rows = server.rows("SELECT count(*) FROM audit WHERE actor = 'reader'")[0][0]
    checks.expect(rows < 100, "a flood of refusals is counted, not written one by one", rows)
    server.kill(15)  # which writes what was only counted
    columns = [row[1] for row in server.rows("PRAGMA table_info(audit)")]
    if "count" in columns:
        told = server.rows("SELECT sum(count) FROM audit WHERE actor = 'reader'")[0][0]
        checks.expect(told == sum(sent), "no refusal goes uncounted", f"{told} of {sum(sent)}")
    return {"refused": sum(sent), "seconds": seconds, "rows": rows, "healthz_ms": milliseconds(health)}


def turns(checks, scan, short):
    folder, many = place(checks, "turns"), 5 if short else 20
    file, fields = with_tokens(folder, many="--role submit read_own", one="--role submit read_own",
                               chief="--role admin")
    server = Server(folder, auth_tokens_file=file)
    server.start()
    server.json("POST", "/v1/queue/pause", headers=fields["chief"])
    for _ in range(many):
        server.submit(scan, **fields["many"])
    single = server.submit(scan, **fields["one"])[1]["id"]
    server.json("POST", "/v1/queue/resume", headers=fields["chief"])
    while server.json("GET", f"/v1/jobs/{single}", headers=fields["chief"])["state"] != "succeeded":
        time.sleep(0.05)
    events = server.json("GET", "/v1/events?limit=1000", headers=fields["chief"])["events"]
    before = [event["job"] for event in events if event["type"] == "started"].index(single)
    checks.expect(before <= 1, "an owner has its turn after one job of each other", before)
    server.kill()
    return {"queued_before": many, "started_before": before}


def main():
    parts = {"webhooks": webhooks, "deleted": deleted, "stored": stored, "flight": flight, "audit": audit,
             "turns": turns}
    wanted = [word for word in sys.argv[1:] if word in parts] or list(parts)
    checks = Checks("shares")
    scan = phantom(checks.folder, 7, "64,64,12")
    figures = {part: parts[part](checks, scan, "--short" in sys.argv) for part in wanted}
    checks.close(**figures)


if __name__ == "__main__":
    main()
