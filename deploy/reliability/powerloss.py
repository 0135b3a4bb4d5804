"""A server whose power fails at any of its file operations loses nothing that it has answered.

powerloss.c, preloaded, counts the calls by which the server changes or syncs files; before one of them, chosen by lot, the
process dies and what was not synced until then is taken back, all of it or half or a tenth of it, block by block and name by
name. Then the data folder is examined as it lies there: the database is sound, every job that was answered 202 has its row
and its whole scan, every result that the database tells is there, and what was deleted stays deleted. In the end all jobs
must end with the mask of a server that nobody disturbed. powerloss.c says what is not imitated.

    HEPAR=.build/release/hepar python3 deploy/reliability/powerloss.py 200    # losses; SEED=1 repeats a run's lots
    HEPAR=... LIES=1 python3 deploy/reliability/powerloss.py 10               # on a disk whose syncs do nothing: must fail
"""
import fcntl
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

from common import Checks, Server, names, phantom, sha256, undisturbed

LOSSES = int(sys.argv[1]) if len(sys.argv) > 1 else 200
SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
MOST_CALLS = 1500  # of a start and some jobs
HERE = os.path.dirname(os.path.abspath(__file__))


class Campaign:
    def __init__(self, checks, scans, hashes):
        self.checks, self.scans, self.hashes = checks, scans, hashes
        self.server = Server(checks.folder, jobs_attempts=10)
        self.jobs, self.deleted, self.maybe_deleted, self.key, self.count = {}, set(), set(), None, 0
        self.drained = []  # jobs that have ended, to be deleted in later rounds
        self.grave = os.path.join(checks.folder, "grave")
        os.makedirs(self.server.data, mode=0o700)
        self.shim = os.path.join(checks.folder, "powerloss.so")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", self.shim, os.path.join(HERE, "powerloss.c"), "-ldl",
                        "-lpthread"], check=True)

    def start(self, at, keep):
        """Starts the server with the loss set to its call number `at`."""
        shutil.rmtree(self.grave, ignore_errors=True)
        os.makedirs(self.grave)
        return self.server.start(
            LD_PRELOAD=self.shim, POWERLOSS_FOLDER=self.server.data, POWERLOSS_GRAVE=self.grave, POWERLOSS_AT=str(at),
            POWERLOSS_KEEP=str(keep), POWERLOSS_SEED=str(SEED + self.count), POWERLOSS_LIES=os.environ.get("LIES", "0"))

    def traffic(self, rng, seconds):
        """Submits, waits and deletes until the power fails or the time is over."""
        end, waiting = time.monotonic() + seconds, []
        try:
            key = self.server.json("GET", "/v1/signing-key")["public_key"]
            self.key = self.key or key
            self.checks.expect(key == self.key, "the signing key is not lost", "another key after a loss")
            self.key = key
            while time.monotonic() < end:
                self.count += 1
                number = rng.randrange(len(self.scans))
                status, job = self.server.submit(self.scans[number], Idempotency_Key=f"{SEED}-{self.count}")
                if self.checks.expect(status == 202, "a sound scan is answered 202", job):
                    self.jobs[job["id"]] = number
                    waiting.append(job["id"])
                if self.drained and rng.random() < 0.5:
                    self.delete(self.drained.pop())
                if len(waiting) > 1:
                    ended = self.server.finish(waiting.pop(0), seconds=20)
                    if ended["state"] == "succeeded" and rng.random() < 0.5:
                        self.delete(ended["id"])
        except OSError:
            pass

    def delete(self, job):
        self.maybe_deleted.add(job)
        if self.server.request("DELETE", f"/v1/jobs/{job}")[0] == 204:
            self.deleted.add(job)

    def wait_for_loss(self):
        """Waits until the loss is complete; false if the power did not fail, and the server was killed instead."""
        self.server.kill()
        end = time.monotonic() + 1 if not names(self.grave) else time.monotonic() + 20
        while "done" not in names(self.grave) and time.monotonic() < end:
            time.sleep(0.005)
        with open(os.path.join(self.server.data, "lock"), "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the imitation's last process has ended
        return "done" in names(self.grave)

    def examine(self, loss):
        """Holds the folder, as the loss left it, against what was answered."""
        copy, data, expect = os.path.join(self.checks.folder, "copy"), self.server.data, self.checks.expect
        shutil.rmtree(copy, ignore_errors=True)
        os.makedirs(copy)
        for name in ("jobs.sqlite", "jobs.sqlite-wal"):
            if os.path.exists(os.path.join(data, name)):
                shutil.copy(os.path.join(data, name), copy)
        try:
            base = sqlite3.connect(os.path.join(copy, "jobs.sqlite"))
            sound = base.execute("PRAGMA integrity_check").fetchone()[0]
            rows = dict(base.execute("SELECT id, state FROM job")) if self.jobs else {}
            results = dict(base.execute("SELECT id, result FROM job WHERE state = 'succeeded'")) if self.jobs else {}
            base.close()
        except sqlite3.Error as error:
            return expect(False, "the database is sound", (loss, error))
        expect(sound == "ok", "the database is sound", (loss, sound))
        for job, number in self.jobs.items():
            if job in self.deleted:
                expect(job not in rows, "a deleted job stays deleted", (loss, job))
            if job in self.maybe_deleted:
                continue
            if not expect(job in rows, "a job answered 202 has its row", (loss, job)):
                continue
            expect(self.hash_of(job, "image.nii.gz") == sha256(self.scans[number]), "its scan is whole", (loss, job))
            if job in results:
                told = json.loads(results[job])
                expect(self.hash_of(job, "mask.nii.gz") == self.hashes[number], "a result told is there", (loss, job))
                expect(b'"provenance"' in self.read(job, "report.json"), "a report told is there", (loss, job, told))
        return True

    def read(self, job, name):
        try:
            with open(os.path.join(self.server.data, "jobs", job, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def hash_of(self, job, name):
        return sha256(self.read(job, name))

    def drain(self):
        """Lets a server without the imitation end all jobs."""
        expect = self.checks.expect
        if not expect(self.server.start() is not None, "the server starts after a loss"):
            return
        for job in [job for job in self.jobs if job not in self.maybe_deleted]:
            try:
                document = self.server.finish(job)
            except OSError as error:
                expect(False, "a job that was accepted is known", error)
                continue
            expect(document["state"] == "succeeded" and document["mask_sha256"] == self.hashes[self.jobs[job]],
                   "a job ends with the undisturbed mask", document)
        self.drained = [job for job in self.jobs if job not in self.maybe_deleted]
        feed = self.server.events()
        expect([event["sequence"] for event in feed] == list(range(1, len(feed) + 1)), "events have no gap")
        self.server.kill(15)


def main():
    checks, rng = Checks("powerloss"), random.Random(SEED)
    scans = [phantom(checks.folder, seed) for seed in (1, 2)]
    hashes, _ = undisturbed(scans, checks)
    campaign, losses, early, starts, begin = Campaign(checks, scans, hashes), 0, 0, [], time.monotonic()
    for loss in range(LOSSES):
        # Each fourth loss comes while the server starts; the first one late, so that what only the first start makes is tried.
        at, keep = rng.randint(1, MOST_CALLS if loss % 4 else 60), rng.choice((0, 0, 50, 90))
        if loss == 0:
            at, keep = MOST_CALLS, 0
        started = campaign.start(at, keep)
        if started:
            starts.append(started)
            campaign.traffic(rng, seconds=8)
        else:
            early += 1
        code = campaign.server.process.poll()
        checks.expect(code in (None, -9), "the server ends only when the power fails", (loss, code))
        losses += campaign.wait_for_loss()
        campaign.examine((loss, at, keep))
        if loss % 10 == 9:
            campaign.drain()
            print(f"{loss + 1} rounds, {losses} losses, {len(campaign.jobs)} jobs, {checks.failed} failed", flush=True)
    campaign.drain()
    checks.close(rounds=LOSSES, losses=losses, while_starting=early, seed=SEED, jobs=len(campaign.jobs),
                 deleted=len(campaign.deleted), seconds=round(time.monotonic() - begin),
                 start_median_ms=round(statistics.median(starts) * 1e3) if starts else None)


if __name__ == "__main__":
    main()
