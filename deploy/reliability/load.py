"""A server with a thousand waiting clients, a hundred slow uploads and ten thousand waiting jobs stays quick and small.

First part: 1,000 clients wait for queued jobs by long poll (`?wait=60`, begun again when it is answered; with the next job
when theirs has ended), 100 uploads come at 1 kB/s and then fall silent, and jobs run all the while. Measured are the time of a status request, the server's threads and
memory, when the silent uploads are dropped, and how long jobs take against an idle server. Second part: 10,000 jobs wait in
a paused queue. One process does all of it, so that the client's own share of the time is in the figures.

    HEPAR=.build/release/hepar python3 deploy/reliability/load.py             # about ten minutes
    WAITING=4000 SLOW=400 QUEUED=50000 HEPAR=... python3 deploy/reliability/load.py
    HEPAR=... python3 deploy/reliability/load.py --short                      # a small crowd: does anything break?
"""
import os
import selectors
import shutil
import socket
import statistics
import sys
import threading
import time

from common import Checks, Server, milliseconds, percentile, phantom

SHORT = "--short" in sys.argv
WAITING, SLOW = int(os.environ.get("WAITING", 100 if SHORT else 1000)), int(os.environ.get("SLOW", 10 if SHORT else 100))
QUEUED = int(os.environ.get("QUEUED", 200 if SHORT else 10_000))
# Seconds, seconds, jobs that are timed.
IDLE_TIMEOUT, TRICKLE, JOBS = 20, 3 if SHORT else 60, 3 if SHORT else 20
# Jobs of some seconds, as real ones: the crowd's own work at the end of each is a part of the client.
SHAPE = "112,96,24" if SHORT else "256,224,64"


class Crowd(threading.Thread):
    """Clients on one thread: some wait for a job again and again, others upload slowly and then not at all."""

    def __init__(self, port, jobs):
        super().__init__(daemon=True)
        self.port, self.jobs, self.place, self.ending = port, jobs, {}, threading.Event()
        self.selector, self.polls, self.lost = selectors.DefaultSelector(), 0, 0
        self.slow, self.dropped_after, self.statuses = {}, [], {}

    def add_waiting(self, count):
        for number in range(count):
            client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            self.place[client] = number % len(self.jobs)
            self.ask(client)
            self.selector.register(client, selectors.EVENT_READ, "waiting")

    def ask(self, client):
        job = self.jobs[self.place[client]]
        client.setblocking(True)
        client.sendall(f"GET /v1/jobs/{job}?wait=60 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        client.setblocking(False)

    def add_slow(self, count):
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            client.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000000\r\n\r\n")
            client.setblocking(False)
            self.selector.register(client, selectors.EVENT_READ, "slow")
            self.slow[client] = time.monotonic()  # when it last sent

    def run(self):
        begin, next_send = time.monotonic(), time.monotonic()
        while not self.ending.is_set():
            for key, _ in self.selector.select(timeout=0.1):
                self.read(key.fileobj, key.data)
            now = time.monotonic()
            if now >= next_send and now - begin < TRICKLE:
                next_send += 1
                for client in list(self.slow):
                    try:
                        client.send(b"x" * 1100)  # a little above the slowest that is borne, 1,024 bytes a second
                        self.slow[client] = now
                    except OSError:
                        pass

    def read(self, client, kind):
        try:
            data = client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data and kind == "waiting":
            self.polls += 1
            status = data[9:12].decode(errors="replace")
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if b'"succeeded"' in data:
                self.place[client] = min(self.place[client] + 1, len(self.jobs) - 1)
            return self.ask(client)
        if data:
            return None  # a refusal comes before the end
        self.selector.unregister(client)
        client.close()
        if kind == "slow":
            self.dropped_after.append(time.monotonic() - self.slow.pop(client))
        else:
            self.lost += 1
        return None

    def end(self):
        self.ending.set()
        self.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


def ask_often(server, path, seconds, pause=0.02):
    """Times of a request that is made again and again."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        server.json("GET", path)
        times.append(time.monotonic() - begin)
        time.sleep(pause)
    return times


def run_jobs(server, jobs, count):
    """Lets the first jobs of a paused queue run: seconds that each took, the times of status requests meanwhile, and the
    processors that this process and the server without its children kept busy."""
    times, begin, own, served = [], time.monotonic(), time.process_time(), server.processor_seconds()
    server.json("POST", "/v1/queue/resume")
    while server.json("GET", f"/v1/jobs/{jobs[count - 1]}")["state"] != "succeeded":
        times += ask_often(server, f"/v1/jobs/{jobs[-1]}", 0.5)
    passed = time.monotonic() - begin
    busy = [round((after - before) / passed, 3)
            for before, after in ((own, time.process_time()), (served, server.processor_seconds()))]
    server.json("POST", "/v1/queue/pause")
    return [server.json("GET", f"/v1/jobs/{job}")["timings_ms"]["total"] / 1e3 for job in jobs[:count]], times, busy


def crowded(checks, scan):
    """The first part."""
    folder = os.path.join(checks.folder, "crowd")
    os.makedirs(folder)
    server = Server(folder, http_idle_timeout_seconds=IDLE_TIMEOUT)
    server.start()
    server.json("POST", "/v1/queue/pause")
    jobs = [server.submit(scan)[1]["id"] for _ in range(3 * JOBS)]
    idle_runs, idle_times, idle_busy = run_jobs(server, jobs, JOBS)
    idle = server.status("Threads", "VmRSS")
    crowd = Crowd(server.port, jobs[JOBS + 1:])
    crowd.add_waiting(WAITING)
    crowd.add_slow(SLOW)
    crowd.start()
    paused_times = ask_often(server, f"/v1/jobs/{jobs[-1]}", 10)
    busy_runs, busy_times, crowd_busy = run_jobs(server, jobs[JOBS + 1:], JOBS)
    full = server.status("Threads", "VmRSS")
    end = time.monotonic() + TRICKLE + IDLE_TIMEOUT + 40
    while crowd.slow and time.monotonic() < end:
        time.sleep(0.5)
    later = server.status("Threads", "VmRSS")
    crowd.end()
    time.sleep(2)
    after = server.status("Threads", "VmRSS")
    left = os.listdir(os.path.join(server.data, "incoming"))
    checks.expect(not crowd.lost, "no waiting client is dropped", crowd.lost)
    checks.expect(set(crowd.statuses) <= {"200"}, "waiting clients are answered 200", crowd.statuses)
    checks.expect(not crowd.slow, "silent uploads are dropped", len(crowd.slow))
    checks.expect(all(seconds < IDLE_TIMEOUT + 16 for seconds in crowd.dropped_after), "and soon", crowd.dropped_after)
    checks.expect(not left, "nothing of them is left in incoming/", left)
    for name, then in (("full", full), ("later", later), ("after", after)):
        checks.expect(then["Threads"] <= idle["Threads"] + 2, "the number of threads stays", (name, idle, then))
    checks.expect(full["VmRSS"] < idle["VmRSS"] + 80 * 1024, "memory stays within 80 MiB", (idle, full))
    server.kill(15)
    return {"status_ms_idle": milliseconds(idle_times), "status_ms_crowd": milliseconds(paused_times),
            "status_ms_crowd_and_jobs": milliseconds(busy_times), "status_below_50_ms": percentile(busy_times, 0.99) < 0.05,
            "job_seconds_idle": round(statistics.median(idle_runs), 2),
            "job_seconds_crowd": round(statistics.median(busy_runs), 2),
            "job_speed": round(statistics.median(idle_runs) / statistics.median(busy_runs), 3),
            "processors_of_client_and_server": {"idle": idle_busy, "crowd": crowd_busy},
            "threads": [idle["Threads"], full["Threads"], after["Threads"]],
            "rss_mib": [sample["VmRSS"] >> 10 for sample in (idle, full, after)], "polls": crowd.polls,
            "silent_upload_dropped_after_s": [round(min(crowd.dropped_after, default=0), 1),
                                              round(max(crowd.dropped_after, default=0), 1)]}


def deep_queue(checks, scan):
    """The second part."""
    folder = os.path.join(checks.folder, "deep")
    os.makedirs(folder)
    server = Server(folder, jobs_queue_limit=QUEUED)
    server.start()
    server.json("POST", "/v1/queue/pause")
    submits, begin = [], time.monotonic()
    for _ in range(QUEUED):
        start = time.monotonic()
        status, job = server.submit(scan)
        submits.append(time.monotonic() - start)
        if not checks.expect(status == 202, "a job is taken while there is room", job):
            break
    filled = time.monotonic() - begin
    status, refusal = server.submit(scan)
    checks.expect(status == 503 and refusal["code"] == "queue_full", "one more is answered 503", refusal)
    figures = {"queued": QUEUED, "fill_seconds": round(filled), "submit_ms": milliseconds(submits),
               "submit_ms_last_100": milliseconds(submits[-100:]), "rss_mib": server.status("VmRSS")["VmRSS"] >> 10}
    for name, path in (("list", "/v1/jobs?limit=50"), ("list_queued", "/v1/jobs?state=queued&limit=50"),
                       ("queue", "/v1/queue"), ("status", f"/v1/jobs/{job['id']}" if status == 202 else "/healthz")):
        figures[name + "_ms"] = milliseconds(ask_often(server, path, 5))
    newest = server.json("GET", "/v1/jobs?limit=1")["jobs"][0]["id"]
    figures["status_of_last_ms"] = milliseconds(ask_often(server, f"/v1/jobs/{newest}", 5))
    figures.pop("status_ms")
    ended = len(server.json("GET", "/v1/jobs?state=succeeded")["jobs"])
    begin = time.monotonic()
    server.json("POST", "/v1/queue/resume")
    while len(server.json("GET", "/v1/jobs?state=succeeded")["jobs"]) < ended + 5:
        time.sleep(0.05)
    figures["seconds_per_job_deep"] = round((time.monotonic() - begin) / 5, 2)
    waited = server.rows("SELECT id, started_ms FROM job WHERE state = 'succeeded' ORDER BY id")
    oldest = server.rows("SELECT id FROM job ORDER BY id LIMIT 5")
    checks.expect([row[0] for row in waited][:5] == [row[0] for row in oldest], "the oldest go first", waited[:5])
    server.kill(9)
    figures["start_seconds"] = round(server.start() or -1, 2)
    checks.expect(0 < figures["start_seconds"] < 5, "it starts again within 5 s", figures["start_seconds"])
    server.kill(9)
    shutil.rmtree(server.data)
    return figures


def main():
    checks, begin = Checks("load"), time.monotonic()
    scan, small = phantom(checks.folder, 1, SHAPE), phantom(checks.folder, 2, "48,40,12")
    figures = {"crowd": crowded(checks, scan)}
    print(figures["crowd"], flush=True)
    figures["deep_queue"] = deep_queue(checks, small)
    checks.close(seconds=round(time.monotonic() - begin), waiting=WAITING, slow=SLOW, **figures)


if __name__ == "__main__":
    main()
