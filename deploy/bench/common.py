"""What the parts of the comparison share: Hepar's commands, timing in rounds, the table."""
import json
import os
import statistics
import subprocess
import time
import typing

HEPAR = os.path.abspath(os.environ.get("HEPAR", ".build/release/hepar"))
THREADS = 2
PAUSE = 0.3  # seconds; spinning thread pools sleep by then


def hepar(*arguments):
    """Runs Hepar and returns what it prints."""
    return subprocess.run([HEPAR, *map(str, arguments)], check=True, capture_output=True).stdout.decode()


def bench(*arguments):
    """The lines of `hepar bench`."""
    return [json.loads(line) for line in hepar("bench", *arguments, "--threads", THREADS).splitlines()]


class Times(typing.NamedTuple):
    """Milliseconds of several runs."""
    median: float
    least: float


def timed(body, runs=1):
    """Runs `body` and times it."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        body()
        times.append((time.perf_counter() - start) * 1e3)
    return Times(statistics.median(times), min(times))


def bench_times(*arguments):
    """The times of the one line that a `hepar bench` command prints."""
    line, = bench(*arguments)
    return Times(line["median_ms"], line["min_ms"])


def interleave(engines, rounds):
    """Calls each engine once a round, after a pause; an engine returns `Times`.

    Returns the median of the rounds' medians and the least of all, by engine.
    """
    times = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            time.sleep(PAUSE)
            times[name].append(engine())
    return {name: Times(statistics.median(value.median for value in values), min(value.least for value in values))
            for name, values in times.items()}


class Table:
    """The cases so far; the JSON file is written anew with each, so that an interrupted run keeps what it has."""

    def __init__(self, path):
        self.path, self.cases, self.notes = path, {}, []

    def add(self, case, times, note=None):
        """Adds a case: `Times` by engine, ours under "hepar"."""
        self.cases[case] = times
        if note:
            self.notes.append(f"{case}: {note}")
        print(f"{case}: {', '.join(f'{name} {value.median:.1f} ms' for name, value in times.items())}"
              f"{'; ' + note if note else ''}", flush=True)
        rows = [{"case": case, "peer": peer, "ours_ms": round(times["hepar"].median, 3),
                 "peer_ms": round(value.median, 3), "ratio": round(value.median / times["hepar"].median, 3)}
                for case, times in self.cases.items() for peer, value in times.items() if peer != "hepar"]
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        with open(self.path, "w") as file:
            json.dump(rows, file, indent=1)
            file.write("\n")

    def text(self):
        """Markdown: one line a case, one column a peer; the ratio of medians, in brackets that of the least times."""
        peers = list(dict.fromkeys(peer for times in self.cases.values() for peer in times if peer != "hepar"))
        lines = ["| case | ours ms | " + " | ".join(peers) + " |", "|---|---|" + "---|" * len(peers)]
        for case, times in self.cases.items():
            ours = times["hepar"]
            cells = [f"{times[peer].median / ours.median:.2f} ({times[peer].least / ours.least:.2f})"
                     if peer in times else "" for peer in peers]
            lines.append(f"| {case} | {ours.median:.1f} ({ours.least:.1f}) | {' | '.join(cells)} |")
        return "\n".join(lines + [""] + [f"- {note}" for note in self.notes])
