"""A server with a thousand waiting clients, a hundred slow uploads and ten thousand waiting jobs stays quick and small.

First part: 1,000 clients wait for queued jobs by long poll (`?wait=60`, begun again when it is answered; with the next job
when theirs has ended), 100 uploads come at 1 kB/s and then fall silent, and jobs run all the while. Measured are the time of
a status request, the server's threads and memory, when the silent uploads are dropped, and how long jobs take against an idle
server: in many short rounds without and with the crowd, as a virtual machine's own speed changes every minute. Second part:
10,000 jobs wait in a paused queue. One process does all of it, so that the client's own share of the time is in the figures.

    HEPAR=.build/release/hepar python3 deploy/reliability/load.py             # about ten minutes
    WAITING=4000 SLOW=400 QUEUED=50000 HEPAR=... python3 deploy/reliability/load.py
    HEPAR=... python3 deploy/reliability/load.py crowd                        # or deep_queue: one part
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
# Seconds, seconds; rounds, and jobs in each half of one. Jobs take some seconds, as real ones do.
IDLE_TIMEOUT, TRICKLE, ROUNDS, JOBS = 20, 3 if SHORT else 20, 1 if SHORT else 15, 3 if SHORT else 2
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


def waiting_jobs(server):
    """Those of a paused queue, the next one first, once no other runs any more."""
    while server.json("GET", "/v1/jobs?state=running")["jobs"]:
        time.sleep(0.05)
    return [job["id"] for job in reversed(server.json("GET", "/v1/jobs?state=queued&limit=500")["jobs"])]


class Runs:
    """What was measured while jobs ran: seconds that each took, the times of status requests, and how many processors
    this process and the server, without its children, kept busy."""

    def __init__(self):
        self.jobs, self.requests, self.client, self.server, self.passed = [], [], 0, 0, 0

    def add(self, server, jobs):
        """Lets the next jobs of a paused queue run. The one that is asked about waits throughout."""
        begin, client, served = time.monotonic(), time.process_time(), server.processor_seconds()
        server.json("POST", "/v1/queue/resume")
        while server.json("GET", f"/v1/jobs/{jobs[JOBS - 1]}")["state"] != "succeeded":
            self.requests += ask_often(server, f"/v1/jobs/{jobs[-1]}", 0.5)
        server.json("POST", "/v1/queue/pause")
        self.passed += time.monotonic() - begin
        self.client += time.process_time() - client
        self.server += server.processor_seconds() - served
        took = [server.json("GET", f"/v1/jobs/{job}")["timings_ms"]["total"] / 1e3 for job in jobs[:JOBS]]
        self.jobs += took
        return statistics.median(took)

    def figures(self):
        return {"status_ms": milliseconds(self.requests), "job_seconds": round(statistics.median(self.jobs), 2),
                "processors_client": round(self.client / self.passed, 3),
                "processors_server": round(self.server / self.passed, 3)}


def crowded(checks, scan):
    """The first part."""
    folder = os.path.join(checks.folder, "crowd")
    os.makedirs(folder)
    # All of the crowd come from one address.
    server = Server(folder, http_idle_timeout_seconds=IDLE_TIMEOUT, http_connections_per_address=2 * (WAITING + SLOW))
    server.start()
    server.json("POST", "/v1/queue/pause")
    # Another one may begin before the queue is paused again, and is not counted.
    for _ in range(ROUNDS * 2 * (JOBS + 1) + 1):
        server.submit(scan)
    alone, beside, speeds, polls, samples = Runs(), Runs(), [], 0, {}
    for number in range(ROUNDS):
        idle_seconds = alone.add(server, waiting_jobs(server))
        samples.setdefault("idle", server.status("Threads", "VmRSS"))
        jobs = waiting_jobs(server)
        crowd = Crowd(server.port, jobs)
        crowd.add_waiting(WAITING)
        crowd.add_slow(SLOW)
        crowd.start()
        if number == 0:
            samples["nothing_runs"] = ask_often(server, f"/v1/jobs/{jobs[-1]}", 10)
        speeds.append(idle_seconds / beside.add(server, jobs))
        samples["full"] = server.status("Threads", "VmRSS")
        end = time.monotonic() + TRICKLE + IDLE_TIMEOUT + 40
        while number == ROUNDS - 1 and crowd.slow and time.monotonic() < end:
            time.sleep(0.5)
        samples["later"] = server.status("Threads", "VmRSS")
        crowd.end()
        polls += crowd.polls
        checks.expect(not crowd.lost, "no waiting client is dropped", crowd.lost)
        checks.expect(set(crowd.statuses) <= {"200"}, "waiting clients are answered 200", crowd.statuses)
        time.sleep(1)
    checks.expect(not crowd.slow, "silent uploads are dropped", len(crowd.slow))
    checks.expect(all(seconds < IDLE_TIMEOUT + 16 for seconds in crowd.dropped_after), "and soon", crowd.dropped_after)
    samples["after"] = server.status("Threads", "VmRSS")
    left = os.listdir(os.path.join(server.data, "incoming"))
    checks.expect(not left, "nothing of them is left in incoming/", left)
    for name in ("full", "later", "after"):
        checks.expect(samples[name]["Threads"] <= samples["idle"]["Threads"] + 2, "the number of threads stays", samples)
    checks.expect(samples["full"]["VmRSS"] < samples["idle"]["VmRSS"] + 80 * 1024, "memory stays within 80 MiB", samples)
    server.kill(15)
    return {"idle": alone.figures(), "crowd_no_jobs": {"status_ms": milliseconds(samples["nothing_runs"])},
            "crowd": beside.figures(), "status_below_50_ms": percentile(beside.requests, 0.99) < 0.05,
            "job_speed": round(statistics.median(speeds), 3), "job_speeds": [round(speed, 3) for speed in speeds],
            "threads": [samples[name]["Threads"] for name in ("idle", "full", "after")],
            "rss_mib": [samples[name]["VmRSS"] >> 10 for name in ("idle", "full", "after")], "polls": polls,
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
    figures = {}
    for name, part, shape in (("crowd", crowded, SHAPE), ("deep_queue", deep_queue, "48,40,12")):
        if not {"crowd", "deep_queue"} & set(sys.argv) or name in sys.argv:
            figures[name] = part(checks, phantom(checks.folder, 1, shape))
            print(name, figures[name], flush=True)
    checks.close(seconds=round(time.monotonic() - begin), waiting=WAITING, slow=SLOW, **figures)


if __name__ == "__main__":
    main()
