"""What the parts of the comparison share: Hepar's commands, timing in rounds, the table."""
import json
import os
import statistics
import subprocess
import time

HEPAR = os.path.abspath(os.environ.get("HEPAR", ".build/release/hepar"))
THREADS = 2
PAUSE = 0.3  # seconds; spinning thread pools sleep by then


def hepar(*arguments):
    """Runs Hepar and returns what it prints."""
    return subprocess.run([HEPAR, *map(str, arguments)], check=True, capture_output=True).stdout.decode()


def bench(*arguments):
    """The lines of `hepar bench`."""
    return [json.loads(line) for line in hepar("bench", *arguments, "--threads", THREADS).splitlines()]


def median_ms(body, runs):
    """Median time of `body` in milliseconds over `runs` runs."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        body()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def interleave(engines, rounds):
    """Calls each engine once a round, after a pause; an engine returns milliseconds.

    Returns the median over the rounds by engine.
    """
    times = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            time.sleep(PAUSE)
            times[name].append(engine())
    return {name: statistics.median(values) for name, values in times.items()}


class Table:
    """The rows so far; the JSON file is written anew with each case, so that an interrupted run keeps what it has."""

    def __init__(self, path):
        self.path, self.rows, self.notes = path, [], []

    def add(self, case, times, note=None):
        """Adds a case: `times` in milliseconds by engine, ours under "hepar"."""
        ours = times["hepar"]
        for peer, value in times.items():
            if peer != "hepar":
                self.rows.append({"case": case, "peer": peer, "ours_ms": round(ours, 3), "peer_ms": round(value, 3),
                                  "ratio": round(value / ours, 3)})
        if note:
            self.notes.append(f"{case}: {note}")
        summary = ", ".join(f"{peer} {value / ours:.2f}x" for peer, value in times.items() if peer != "hepar")
        print(f"{case}: ours {ours:.1f} ms, {summary}{'; ' + note if note else ''}", flush=True)
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        with open(self.path, "w") as file:
            json.dump(self.rows, file, indent=1)
            file.write("\n")

    def text(self):
        """One line a case, one column a peer: Markdown."""
        peers = list(dict.fromkeys(row["peer"] for row in self.rows))
        lines = ["| case | ours ms | " + " | ".join(peers) + " |", "|---|---|" + "---|" * len(peers)]
        for case in dict.fromkeys(row["case"] for row in self.rows):
            rows = {row["peer"]: row for row in self.rows if row["case"] == case}
            cells = [f"{rows[peer]['ratio']:.2f}" if peer in rows else "" for peer in peers]
            lines.append(f"| {case} | {next(iter(rows.values()))['ours_ms']:.1f} | " + " | ".join(cells) + " |")
        return "\n".join(lines + [""] + [f"- {note}" for note in self.notes])
