"""A server that is killed again and again loses nothing.

Clients submit phantoms, wait, fetch masks and delete jobs, while the server is killed with SIGKILL: at random moments, in
the middle of an upload, right after a 202, while the mask is being written, during a webhook, during a delete. After each
start the data folder is looked through; at the end every job that was ever answered 202 must have ended once, with the mask
of a server that nobody disturbed, and its webhook must have arrived. A job that was started 7 of the 10 times it may be is
left alone until it ends.

    HEPAR=.build/release/hepar python3 deploy/reliability/crash.py 500     # kills; `N=5000 make crash` runs longer
    HEPAR=... python3 deploy/reliability/crash.py 10 --short               # does not wait for webhooks that a kill cut off:
                                                                           # they are due again after their lease of 60 s
"""
import os
import random
import socket
import statistics
import sys
import threading
import time

from common import ENDS, Checks, Receiver, Server, names, percentile, phantom, sha256, undisturbed

KILLS = int(next((word for word in sys.argv[1:] if word.isdigit()), "500"))
SHORT = "--short" in sys.argv
SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
AIMS = ["random", "random", "upload", "accepted", "mask", "delete"] + ([] if SHORT else ["webhook"])
CLIENTS, MOST_UNFINISHED = 3, 6


class Campaign:
    """The clients, and what they were promised."""

    def __init__(self, checks, server, scans, hashes, receiver):
        self.checks, self.server, self.scans, self.hashes, self.receiver = checks, server, scans, hashes, receiver
        self.jobs, self.deleted, self.maybe_deleted = {}, set(), set()  # id -> the scan's number
        self.ended, self.keys = {}, {}
        self.lock, self.gate, self.ending = threading.RLock(), threading.Event(), threading.Event()
        self.active, self.quiet = 0, threading.Condition()

    def ask(self, call):
        """Runs a request while the server is up; None if it was killed meanwhile."""
        self.gate.wait()
        with self.quiet:
            self.active += 1
        try:
            return call()
        except OSError:
            return None
        finally:
            with self.quiet:
                self.active -= 1
                self.quiet.notify_all()

    def close_gate(self):
        """No more requests; returns when none is under way. To be called when the server is dead."""
        self.gate.clear()
        with self.quiet:
            self.quiet.wait_for(lambda: self.active == 0, timeout=70)

    def accepted(self, job, number, key):
        with self.lock:
            self.checks.expect(self.keys.setdefault(key, job["id"]) == job["id"], "one key is one job", key)
            self.jobs[job["id"]] = number

    def submit(self, number, key):
        """Sends a scan under a key until it is answered, as a client does that must not lose it."""
        while not self.ending.is_set():
            answer = self.ask(lambda: self.server.submit(
                self.scans[number], f"?webhook={self.receiver.url}", Idempotency_Key=key))
            if answer and answer[0] == 202:
                return self.accepted(answer[1], number, key)
            if answer:
                self.checks.expect(False, "a sound scan is answered 202", answer)

    def judge(self, job):
        """Holds an ended job against what was promised."""
        identity, number = job["id"], self.jobs[job["id"]]
        good = job["state"] == "succeeded" and job["mask_sha256"] == self.hashes[number]
        self.checks.expect(good, "a job ends with the undisturbed mask", job)
        self.ended[identity] = job["state"]
        if not good:
            return
        answer = self.ask(lambda: self.server.request("GET", f"/v1/jobs/{identity}/mask"))
        if answer:
            self.checks.expect(sha256(answer[2]) == self.hashes[number], "the mask that is served is whole", identity)

    def client(self, number):
        """Submits, waits, and deletes every third job whose webhook has arrived."""
        rng, count = random.Random(SEED + number), 0
        while not self.ending.is_set():
            with self.lock:
                open_jobs = [job for job in self.jobs if job not in self.ended]
            if len(open_jobs) < MOST_UNFINISHED:
                count += 1
                self.submit(rng.randrange(len(self.scans)), f"{SEED}-{number}-{count}")
                continue
            answer = self.ask(lambda: self.server.json("GET", f"/v1/jobs/{rng.choice(open_jobs)}?wait=1", timeout=10))
            with self.lock:
                if answer and answer["state"] in ENDS and answer["id"] not in self.ended:
                    self.judge(answer)
            if rng.random() < 0.3:
                self.delete(self.deletable(rng))

    def deletable(self, rng):
        with self.lock:
            found = [job for job in self.ended if job in self.receiver.told and job not in self.maybe_deleted]
            job = rng.choice(found) if found else None
            self.maybe_deleted.add(job)
            return job

    def delete(self, job):
        """Deletes a job until it is known to be gone."""
        while job and not self.ending.is_set():
            answer = self.ask(lambda: self.server.request("DELETE", f"/v1/jobs/{job}"))
            if answer:
                self.checks.expect(answer[0] in (204, 410), "an ended job can be deleted", answer)
                self.deleted.add(job)
                return

    # The moment of a kill: each returns when the server is to be killed.

    def aim_random(self, rng):
        time.sleep(rng.random() * 2)

    def aim_upload(self, rng):
        scan = self.scans[0]
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(scan)}\r\n\r\n".encode())
            client.sendall(scan[:rng.randrange(1, len(scan))])
            time.sleep(rng.random() * 0.05)
            self.server.kill()

    def aim_accepted(self, rng):
        number, key = rng.randrange(len(self.scans)), f"{SEED}-aimed-{rng.random()}"
        answer = self.server.submit(self.scans[number], f"?webhook={self.receiver.url}", Idempotency_Key=key)
        self.server.kill()
        self.checks.expect(answer[0] == 202, "a sound scan is answered 202", answer)
        self.accepted(answer[1], number, key)

    def aim_mask(self, rng):
        end, jobs = time.monotonic() + 4, os.path.join(self.server.data, "jobs")
        while time.monotonic() < end:
            for job in names(jobs):
                if any(name.startswith(".hepar-") for name in names(jobs, job)):
                    return time.sleep(rng.random() * 0.01)
            time.sleep(0.001)

    def aim_webhook(self, rng):
        self.receiver.hold = 0.05
        self.receiver.arrived.clear()
        self.receiver.arrived.wait(4)
        time.sleep(rng.random() * 0.06)
        self.receiver.hold = 0

    def aim_delete(self, rng):
        job = self.deletable(rng)
        if not job:
            return self.aim_random(rng)
        thread = threading.Thread(target=self.delete, args=(job,))
        thread.start()
        time.sleep(rng.random() * 0.01)

    def let_live(self):
        """Leaves the server alone while a job has few of its attempts left: who never lives long enough ends nothing."""
        tired = "SELECT count(*) FROM job WHERE state IN ('queued', 'running') AND attempts >= 7"
        end = time.monotonic() + 60
        while self.server.rows(tired)[0][0] and time.monotonic() < end:
            time.sleep(0.1)

    def look_through(self):
        """What must hold right after each start, before any client speaks."""
        rows = dict(self.server.rows("SELECT id, state FROM job"))
        folders = set(names(self.server.data, "jobs"))
        self.checks.expect(not names(self.server.data, "incoming"), "nothing is in incoming/ after a start")
        self.checks.expect(not folders - set(rows), "no folder without a job", folders - set(rows))
        self.checks.expect(not set(rows) - folders, "no job without its folder", set(rows) - folders)
        running = sum(state == "running" for state in rows.values())
        self.checks.expect(running <= 1, "no row is stuck in running", running)
        missing = [job for job in self.jobs if job not in rows and job not in self.maybe_deleted]
        self.checks.expect(not missing, "a job answered 202 is not lost", missing)


def judge_feed(checks, campaign, earlier):
    """Events: numbered without a gap, unchanged by restarts, and one end for each job."""
    feed = campaign.server.events()
    checks.expect([event["sequence"] for event in feed] == list(range(1, len(feed) + 1)), "events have no gap")
    checks.expect(all(feed[event["sequence"] - 1] == event for event in earlier), "events do not change")
    ends = {}
    for event in feed:
        if event["type"] in ENDS:
            ends.setdefault(event["job"], []).append(event["type"])
    for job in campaign.jobs:
        checks.expect(ends.get(job) == ["succeeded"], "a job ends once", (job, ends.get(job)))
    unknown = set(ends) - set(campaign.jobs)
    checks.expect(not unknown, "no job that nobody sent", unknown)
    return feed


def main():
    checks, rng, receiver = Checks("crash"), random.Random(SEED), Receiver()
    scans = [phantom(checks.folder, seed) for seed in (1, 2, 3)]
    hashes, idle = undisturbed(scans, checks)
    server = Server(checks.folder, jobs_attempts=10, jobs_queue_limit=1000, **receiver.settings(checks.folder))
    campaign = Campaign(checks, server, scans, hashes, receiver)
    starts, aims, seen, begin = [server.start()], {}, [], time.monotonic()
    campaign.gate.set()
    for number in range(CLIENTS):
        threading.Thread(target=campaign.client, args=(number,), daemon=True).start()
    for kill in range(KILLS):
        aim = rng.choice(AIMS)
        aims[aim] = aims.get(aim, 0) + 1
        try:
            getattr(campaign, "aim_" + aim)(rng)
        except OSError as error:
            checks.expect(False, "a server that is not killed answers", error)
        checks.expect(server.process.poll() in (None, -9), "the server ends only when killed", server.process.poll())
        server.kill()
        campaign.close_gate()
        starts.append(server.start())
        if not checks.expect(starts[-1] is not None, "the server starts again", kill):
            break
        campaign.look_through()
        seen += server.events(after=len(seen))
        campaign.gate.set()
        campaign.let_live()
        if (kill + 1) % 50 == 0:
            print(f"{kill + 1} kills, {len(campaign.jobs)} jobs, {checks.failed} failed", flush=True)
    campaign.ending.set()
    for job in list(campaign.jobs):
        if job not in campaign.ended:
            campaign.judge(server.finish(job))
    end = time.monotonic() + (5 if SHORT else 150)
    while time.monotonic() < end and not set(campaign.jobs) <= set(receiver.told):
        time.sleep(0.2)
    due = {row[0] for row in server.rows("SELECT job_id FROM delivery WHERE NOT is_dead")} if SHORT else set()
    for job in campaign.jobs:
        told = receiver.told.get(job, [])
        checks.expect(told or job in due, "a webhook arrives for each end", job)
        checks.expect(len(set(told)) <= 1, "a webhook sent twice has one number", told)
    for job in campaign.deleted - {None}:
        checks.expect(server.request("GET", f"/v1/jobs/{job}")[0] == 410, "a deleted job stays deleted", job)
    feed = judge_feed(checks, campaign, seen)
    stuck = server.rows("SELECT state, count(*) FROM job WHERE state IN ('queued', 'running') GROUP BY state")
    checks.expect(not stuck, "no row is left queued or running", stuck)
    stray = [f"{job}/{name}" for job in names(server.data, "jobs") for name in names(server.data, "jobs", job)
             if name not in ("image.nii.gz", "job.json", "mask.nii.gz", "report.json")]
    checks.expect(not stray, "a job's folder holds only its files", (len(stray), stray[:3]))
    server.kill(15)
    starts = [start for start in starts if start]
    # Of a machine that others share only the median can be promised; the summary tells the rest.
    checks.expect(statistics.median(starts) < 1, "from exec to the first answer below 1 s", sorted(starts)[-5:])
    repeated = sum(len(told) > 1 for told in receiver.told.values())
    checks.close(kills=KILLS, aims=aims, seed=SEED, jobs=len(campaign.jobs), deleted=len(campaign.deleted - {None}),
                 events=len(feed), webhooks_cut_off=len(receiver.cut), webhooks_told_twice=repeated,
                 seconds=round(time.monotonic() - begin), idle_job_seconds=round(idle, 2),
                 start_median_ms=round(statistics.median(starts) * 1e3),
                 start_p99_ms=round(percentile(starts, 0.99) * 1e3), start_max_ms=round(max(starts) * 1e3))


if __name__ == "__main__":
    main()
