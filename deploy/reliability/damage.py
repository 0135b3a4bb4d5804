"""A data folder that is damaged, or whose database is swapped, loses no accepted job without a word.

A server takes scans, ends some jobs, deletes one, and is killed while others wait. Each round takes a copy of its data folder
and does it harm: bits flipped, ranges zeroed, ends cut off in the database, its log, its index pages, the texts of its rows and
the jobs' files; the database removed, emptied, or an older one put in its place, with and without the newer log; the clock set
100 days off, by libfaketime where it is installed, else by rows and files that are so much older. Then `hepar serve` is started
on it:

- If the start is refused, the sentence names what to do and nothing was changed; after `hepar recover --apply` the server
  starts, and each job whose own files are sound is what it was.
- If it starts, each job's files are still there, or in leftovers/, or the job says why it failed; and no job is unknown.

    HEPAR=.build/release/hepar python3 deploy/reliability/damage.py 200      # rounds; SEED=1 repeats a run's lots
"""
import collections
import glob
import gzip
import os
import random
import shutil
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import time
import zlib

from common import HEPAR, Checks, Server, names, phantom, sha256, undisturbed

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
PAGE, DAY = 4096, 86_400_000
FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
BASE, LOG = "jobs.sqlite", "jobs.sqlite-wal"


def digest_of_row(*values):
    """What stands in `row_digest`, as Sources/SQLiteJobs/RowDigests.swift makes it: FNV-1a."""
    state = 0xCBF29CE484222325
    for value in values:
        if value is None:
            data = b"\0"
        elif isinstance(value, int):
            data = b"\1" + struct.pack("<q", value)
        elif isinstance(value, float):
            data = b"\2" + struct.pack("<d", value)
        else:
            kind, value = (b"\3", value.encode()) if isinstance(value, str) else (b"\4", value)
            data = kind + struct.pack("<Q", len(value)) + value
        for byte in data:
            state = (state ^ byte) * 0x100000001B3 % 2**64
    return state - 2**64 if state >= 2**63 else state


class Folder:
    """The data folder that each round copies, and what was promised about it."""

    def __init__(self, checks, scans, hashes):
        self.checks, self.hashes, self.jobs, self.deleted = checks, hashes, {}, []
        folder = os.path.join(checks.folder, "whole")
        os.makedirs(folder)
        server = Server(folder, jobs_queue_limit=1000)
        self.data = server.data
        server.start()
        self.submit(server, scans, 4)
        for job in list(self.jobs):
            server.finish(job)
        self.deleted.append(next(iter(self.jobs)))
        server.request("DELETE", f"/v1/jobs/{self.deleted[0]}")
        del self.jobs[self.deleted[0]]
        server.kill(signal.SIGTERM)
        self.older = os.path.join(checks.folder, "older.sqlite")
        shutil.copy(os.path.join(self.data, BASE), self.older)
        server.start()
        self.submit(server, scans, 3)
        for job in list(self.jobs):
            server.finish(job)
        server.request("POST", "/v1/queue/pause")
        self.submit(server, scans, 1)
        server.kill()  # so that a log is there
        self.files = {job: self.contents(os.path.join(self.data, "jobs", job)) for job in self.jobs}

    def submit(self, server, scans, count):
        for _ in range(count):
            number = len(self.jobs) % len(scans)
            status, job = server.submit(scans[number], Idempotency_Key=f"key-{len(self.jobs)}-{time.time_ns()}")
            if self.checks.expect(status == 202, "a sound scan is answered 202", job):
                self.jobs[job["id"]] = number

    @staticmethod
    def contents(folder):
        """SHA-256 of each file that is part of a job."""
        found = {}
        for name in names(folder):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = sha256(file.read())
        return found


class Harm:
    """What can be done to a copy; each returns words that tell it, and marks the job whose own files it touched."""

    def __init__(self, folder, data, rng):
        self.folder, self.data, self.rng, self.touched, self.environment = folder, data, rng, None, {}

    def path(self, name):
        return os.path.join(self.data, name)

    def change(self, name, how=None, places=None):
        """Flips up to 4 bits, zeroes a range, or cuts the end off."""
        path, rng = self.path(name), self.rng
        size = os.path.getsize(path) if os.path.exists(path) else 0
        how = how or rng.choice(("flipped", "zeroed", "cut"))
        if not size:
            return f"{name} has nothing to harm"
        with open(path, "r+b") as file:
            if how == "flipped":
                for _ in range(rng.randint(1, 4)):
                    at = rng.choice(places) + rng.randrange(PAGE) if places else rng.randrange(size)
                    at = min(at, size - 1)
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ 1 << rng.randrange(8)]))
            elif how == "zeroed":
                at = rng.choice(places) if places else rng.randrange(size)
                file.seek(at)
                file.write(bytes(min(size - at, rng.choice((16, 512, PAGE)))))
            else:
                file.truncate(rng.randrange(size))
        return f"{name} {how}"

    def database(self):
        return self.change(BASE)

    def log(self):
        return self.change(LOG)

    def fold_log(self):
        """Has the log's pages in the database, so that harm to the database meets what is in force."""
        base = sqlite3.connect(self.path(BASE))
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        base.close()

    def pages(self, kinds):
        self.fold_log()
        with open(self.path(BASE), "rb") as file:
            data = file.read()
        return [at for at in range(PAGE, len(data), PAGE) if data[at] in kinds]

    def index(self):
        return "index of " + self.change(BASE, self.rng.choice(("flipped", "flipped", "zeroed")), self.pages((2, 10)))

    def table(self):
        return "table of " + self.change(BASE, self.rng.choice(("flipped", "flipped", "zeroed")), self.pages((5, 13)))

    def name(self):
        """One letter of a job's name changes, in one place of the database."""
        self.fold_log()
        with open(self.path(BASE), "rb") as file:
            data = file.read()
        job = self.rng.choice(list(self.folder.jobs)).encode()
        places, at = [], data.find(job)
        while at >= 0:
            places.append(at)
            at = data.find(job, at + 1)
        with open(self.path(BASE), "r+b") as file:
            file.seek(self.rng.choice(places) + self.rng.randrange(24, 36))
            file.write(b"0" if self.rng.random() < 0.5 else b"f")
        return "one letter of a name"

    def text(self):
        """One bit turns within a text of a row, where no rule of the schema and no index need contradict it."""
        self.fold_log()
        base = sqlite3.connect(self.path(BASE))
        tables = [row[0] for row in base.execute("SELECT DISTINCT m.name FROM sqlite_schema m, pragma_table_info(m.name) c "
                                                 "WHERE m.type = 'table' AND c.name = 'row_digest'")]
        texts = []
        for table in tables:
            for row in base.execute(f"SELECT * FROM {table}"):
                texts += [(table, value) for value in row if isinstance(value, (str, bytes)) and len(value) > 3]
        base.close()
        table, text = self.rng.choice(texts)
        # Of a long one the page has the beginning.
        text = (text.encode() if isinstance(text, str) else text)[:100]
        with open(self.path(BASE), "r+b") as file:
            at = file.read().find(text) + self.rng.randrange(len(text))
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << self.rng.randrange(8)]))
        return f"a bit of a text in {table}"

    def gone(self):
        for name in (BASE, LOG, "jobs.sqlite-shm"):
            if os.path.exists(self.path(name)) and (name == BASE or self.rng.random() < 0.7):
                os.remove(self.path(name))
        return "database removed"

    def emptied(self):
        with open(self.path(BASE), "wb"):
            pass
        if self.rng.random() < 0.5:
            self.remove_log()
        return "database emptied"

    def remove_log(self):
        for name in (LOG, "jobs.sqlite-shm"):
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))
        return "log removed"

    def older(self):
        shutil.copy(self.folder.older, self.path(BASE))
        return "older database" if self.rng.random() < 0.5 else "older database, " + self.remove_log()

    def job_file(self):
        self.touched = self.rng.choice(list(self.folder.jobs))
        name = self.rng.choice(names(self.data, "jobs", self.touched))
        if self.rng.random() < 0.3:
            os.remove(self.path(f"jobs/{self.touched}/{name}"))
            return f"{name} removed"
        self.change(f"jobs/{self.touched}/{name}")
        return f"{name} harmed"

    def clock(self):
        """A start 100 days ahead, or behind, of all that is kept."""
        ahead = self.rng.random() < 0.7
        if FAKETIME:
            self.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{'+' if ahead else '-'}100d",
                                "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            return f"clock 100 days {'ahead' if ahead else 'behind'}"
        shift = -100 * DAY if ahead else 100 * DAY
        base = sqlite3.connect(self.path(BASE))
        for column in ("created_ms", "queued_ms", "rank_ms", "started_ms", "finished_ms"):
            base.execute(f"UPDATE job SET {column} = {column} + ?", (shift,))
        base.execute("UPDATE job_event SET at_ms = at_ms + ?", (shift,))
        base.create_function("digest_of_row", -1, digest_of_row)
        for table in ("job", "job_event"):
            names = [row[1] for row in base.execute(f"PRAGMA table_info({table})") if row[1] != "row_digest"]
            base.execute(f"UPDATE {table} SET row_digest = digest_of_row({', '.join(names)})")
        base.commit()
        base.close()
        with open(self.path("retention.clock"), "w") as file:
            file.write(f"{time.time_ns() // 1_000_000 + shift}\n")
        return f"all {'older' if ahead else 'younger'} by 100 days"


KINDS = ["database", "database", "log", "index", "table", "text", "text", "name", "log", "index", "gone", "emptied",
         "remove_log", "older", "older", "job_file", "job_file", "clock"]


class Round:
    def __init__(self, checks, folder, rng, number):
        self.checks, self.folder, self.number = checks, folder, number
        place = os.path.join(checks.folder, "round")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder.data, os.path.join(place, "data"))
        self.server = Server(place, data_results_keep_days=30, jobs_attempts=2)
        self.harm = Harm(folder, self.server.data, rng)
        self.kind = KINDS[number % len(KINDS)] if ROUNDS <= len(KINDS) else rng.choice(KINDS)
        self.told = f"round {number}: {getattr(self.harm, self.kind)()}"

    def expect(self, holds, promise, detail=""):
        return self.checks.expect(holds, promise, (self.told, detail))

    def files(self):
        """What there is of each job, in jobs/ or in leftovers/."""
        found = {job: Folder.contents(os.path.join(self.server.data, "jobs", job)) for job in self.folder.jobs}
        for place in glob.glob(os.path.join(self.server.data, "leftovers", "*", "*")):
            if os.path.basename(place) in found:
                found[os.path.basename(place)].update(Folder.contents(place))
        return found

    def run(self):
        """Starts, recovers if that is refused, and holds all jobs against what was promised; "started" or "refused"."""
        before, outcome = self.files(), "started"
        if self.server.start(**self.harm.environment) is None:
            outcome = "refused"
            with open(self.server.log) as log:
                sentence = log.read().strip().split("\n")[-1]
            told = "hepar recover" in sentence and "docs/operations.md" in sentence
            self.expect(told, "a refusal says what to do", sentence)
            self.expect(self.files() == before, "a refused start changes no job's files")
            recovered = subprocess.run([HEPAR, "recover", "--apply", self.server.data], capture_output=True, text=True)
            self.expect(recovered.returncode == 0, "hepar recover works", recovered.stderr)
            if not self.expect(self.server.start(**self.harm.environment) is not None, "the server starts then"):
                return outcome
        self.server.request("POST", "/v1/queue/resume")
        for job, number in self.folder.jobs.items():
            self.judge(job, number)
        after = self.files()
        for job, files in self.folder.files.items():
            # The harmed file itself apart, and what a run has written anew.
            kept = {name for name, sum_ in files.items() if after[job].get(name) == sum_}
            lost = {name for name in files if name not in kept and name != "report.json" and job != self.harm.touched}
            self.expect(not lost, "an accepted job's files are still there", (job, lost))
        ready, status = self.server.request("GET", "/readyz")[0], self.server.process.poll()
        self.expect(status is None, "the server lives", status)
        self.expect(ready == 200, "the server is ready", ready)
        self.server.kill(signal.SIGTERM)
        return outcome

    def judge(self, job, number):
        status, _, _ = self.server.request("GET", f"/v1/jobs/{job}")
        is_aside = glob.glob(os.path.join(self.server.data, "leftovers", "*", job))
        if not self.expect(status == 200 or is_aside, "no accepted job is unknown", (job, status)) or status != 200:
            return
        document = self.server.finish(job, seconds=60)
        if self.harm.touched != job:
            good = document["state"] == "succeeded" and document.get("mask_sha256") == self.folder.hashes[number]
            self.expect(good, "a job whose files are sound is what it was", document)
        else:
            says = document.get("failure") or {}
            ended = document["state"] == "succeeded" or (document["state"] == "failed" and says.get("message"))
            self.expect(ended, "a job whose files were harmed ends, or says why not", document)
        if document["state"] == "succeeded":
            answer = self.server.request("GET", f"/v1/jobs/{job}/mask")
            self.expect(self.is_whole(answer, number), "no harmed mask is taken for a whole one", (job, answer[0]))

    def is_whole(self, answer, number):
        if answer[0] != 200 or sha256(answer[2]) == self.folder.hashes[number]:
            return True
        try:
            gzip.decompress(answer[2])
        except (OSError, EOFError, zlib.error):
            return True  # whoever reads it is told
        return False


def main():
    checks, rng = Checks("damage"), random.Random(SEED)
    scans = [phantom(checks.folder, seed, "64,56,12") for seed in (1, 2)]
    hashes, _ = undisturbed(scans, checks)
    folder, begin = Folder(checks, scans, hashes), time.monotonic()
    kinds, outcomes, seconds = collections.Counter(), collections.Counter(), []
    for number in range(ROUNDS):
        start = time.monotonic()
        trial = Round(checks, folder, rng, number)
        try:
            outcome = trial.run()
        except OSError as error:
            outcome = "silent"
            trial.expect(False, "the server answers", error)
        trial.server.kill()
        kinds[f"{trial.kind}, {outcome}"] += 1
        outcomes[outcome] += 1
        seconds.append(time.monotonic() - start)
        if number % 50 == 49:
            print(f"{number + 1} rounds, {checks.failed} failed", flush=True)
    checks.close(
        rounds=ROUNDS, seed=SEED, jobs=len(folder.jobs), outcomes=outcomes,
        kinds=dict(sorted(kinds.items())), faketime=bool(FAKETIME), round_seconds=round(statistics.median(seconds), 2),
        seconds=round(time.monotonic() - begin))


if __name__ == "__main__":
    main()
