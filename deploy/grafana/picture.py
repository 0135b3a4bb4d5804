"""Draws the dashboard hepar.json with the data of a running Prometheus, where no Grafana is at hand.

picture.py hepar.json http://127.0.0.1:9090 dashboard.png [--minutes 15] [--rate 1m]: asks Prometheus each panel's
queries as Grafana would, and draws every panel in its place, near to Grafana's dark theme. It knows what this dashboard
uses: rows, stat and timeseries panels, value mappings, thresholds, the units below, and annotations as lines; no
overrides. Needs matplotlib. Prints how many panels and series it drew, and the panels without data.
"""

import argparse
import datetime
import itertools
import json
import math
import re
import textwrap
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.dates import MINUTELY, AutoDateLocator, DateFormatter
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

BACK, PANEL, EDGE, TEXT, DIM, GRID = "#111217", "#181b1f", "#2a2d33", "#ccccdc", "#8e8f9b", "#2b2e34"
PALETTE = ("#73bf69 #f2cc0c #8ab8ff #ff780a #f2495c #5794f2 #b877d9 #705da0 #37872d #fade2a #447ebc #c15c17 #890f02 "
           "#0a437c #6d1f62 #584477").split()
NAMED = {"green": "#73bf69", "red": "#f2495c", "orange": "#ff9830", "blue": "#5794f2"}
# Pixels: a column, a line of the grid, the space between panels, the margin, head and foot.
COLUMN, LINE, GAP, MARGIN, HEAD, FOOT = 60, 36, 8, 14, 52, 32
SCALES = {
    "short": [(1, ""), (1e3, " K"), (1e6, " Mil")],
    "s": [(1e-3, " ms"), (1, " s"), (60, " min"), (3600, " h"), (86400, " days")],
    "bytes": [(1, " B"), (2**10, " KiB"), (2**20, " MiB"), (2**30, " GiB"), (2**40, " TiB")],
    "Bps": [(1, " B/s"), (1e3, " kB/s"), (1e6, " MB/s"), (1e9, " GB/s")],
}
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
# What Grafana takes where a panel says nothing.
THRESHOLDS = [{"color": "green", "value": None}, {"color": "red", "value": 80}]

arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
for name in ("dashboard", "prometheus", "output"):
    arguments.add_argument(name)
arguments.add_argument("--minutes", type=float, default=15, help="how far back")
arguments.add_argument("--rate", help="$__rate_interval; unless set, as Grafana computes it")
asked = arguments.parse_args()
dashboard = json.load(open(asked.dashboard, encoding="utf-8"))


def ask(path, **parameters):
    """The data of an answer of Prometheus' API."""
    with urllib.request.urlopen(f"{asked.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
        return json.load(answer)["data"]


def seconds(duration):
    """Of Prometheus' way to write it, such as 1m30s."""
    return sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhd])", duration))


# As Grafana: a point for about two pixels, but none between two scrapes; and never a rate of less than four scrapes.
targets = ask("targets", state="active")["activeTargets"]
scrape = min(seconds(target["scrapeInterval"]) for target in targets)
step = max(scrape, math.ceil(asked.minutes * 60 / (4 * COLUMN)))
end = time.time() // step * step
times = [end - step * back for back in range(int(asked.minutes * 60 / step), -1, -1)]
dates = [datetime.datetime.fromtimestamp(at) for at in times]
variables = {"__rate_interval": asked.rate or f"{max(step + scrape, 4 * scrape):.0f}s", "__interval": f"{step:.0f}s"}
variables |= {v["name"]: v.get("allValue", ".*") for v in dashboard["templating"]["list"] if v["type"] == "query"}


def filled_in(query):
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables[found[1]], query)


def series_of(panel, at_once):
    """Pairs of a name and what there is to show: the value now, or a value for each of `times`."""
    found = []
    for target in panel["targets"]:
        query = filled_in(target["expr"])
        result = ask("query", query=query) if at_once else ask(
            "query_range", query=query, start=times[0], end=times[-1], step=step)
        for one in result["result"]:
            labels = one["metric"]
            name = re.sub(r"\{\{(\w+)\}\}", lambda label: labels.get(label[1], ""), target["legendFormat"])
            if at_once:
                found.append((name, float(one["value"][1])))
            else:
                values = {round(float(at)): float(value) for at, value in one["values"]}
                found.append((name or target["expr"], [values.get(round(at), math.nan) for at in times]))
    return found


def scale_of(unit, largest):
    return next((scale for scale in reversed(SCALES[unit]) if largest >= scale[0]), SCALES[unit][0])


figure = plt.figure(dpi=100, facecolor=BACK)
lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
width, height = 24 * COLUMN + 2 * MARGIN, lines * LINE + HEAD + FOOT
figure.set_size_inches(width / 100, height / 100)


def write(x, y, text, size, color=TEXT, **more):
    """Text at pixels from the left upper corner; `size` in pixels."""
    return figure.text(x / width, 1 - y / height, text, fontsize=size * 0.72, color=color, parse_math=False, **more)


def width_of(text):
    return text.get_window_extent(figure.canvas.get_renderer()).width


def draw_stat(panel, x, y, w, h):
    defaults, found = panel["fieldConfig"]["defaults"], series_of(panel, at_once=True)
    texts = {key: to["text"] for mapping in defaults.get("mappings", []) for key, to in mapping["options"].items()}
    for index, (name, value) in enumerate(found):
        divisor, suffix = scale_of(defaults["unit"], abs(value))
        text = name if panel["options"].get("textMode") == "name" else texts.get(
            f"{value:g}", f"{value / divisor:.3g}{suffix}")
        steps = defaults.get("thresholds", {"steps": THRESHOLDS})["steps"]
        color = [s["color"] for s in steps if s["value"] is None or value >= s["value"]][-1]
        room = (h - 34) / len(found)
        # The largest letters that fit, on as many lines as that takes.
        for size in range(min(44 if len(text) < 12 else 26, int(room * 0.6)), 9, -1):
            wrapped = textwrap.fill(text, max(8, int(w / size / 0.58)))
            drawn = write(x + w / 2, y + 30 + room * (index + 0.5), wrapped, size, NAMED[color], ha="center",
                          va="center", linespacing=1.4)
            if width_of(drawn) <= w - 24 and drawn.get_window_extent().height <= room:
                break
            drawn.remove()
    return len(found)


def draw_legend(names, x, bottom, w):
    """From the bottom up, so that the answer is how high it is."""
    at, line, marks = 0, 0, []
    for name, color in zip(names, itertools.cycle(PALETTE)):
        text = write(0, 0, name, 12.5, va="center")
        room = width_of(text) + 34
        if at and at + room > w:
            at, line = 0, line + 1
        marks.append((text, at, line, color))
        at += room
    for text, at, which, color in marks:
        y = bottom - (line - which) * 18
        text.set_position(((x + at + 20) / width, 1 - y / height))
        mark = [(x + at) / width, (x + at + 14) / width]
        figure.add_artist(plt.Line2D(mark, [1 - y / height] * 2, color=color, lw=3))
    return (line + 1) * 18


def draw_lines(panel, x, y, w, h):
    found = series_of(panel, at_once=False)
    legend = draw_legend([name for name, _ in found], x + 12, y + h - 14, w - 20) if found else 0
    finite = [value for _, values in found for value in values if math.isfinite(value)]
    divisor, suffix = scale_of(panel["fieldConfig"]["defaults"]["unit"], max(map(abs, finite), default=0))
    left, top, right, bottom = x + 68, y + 40, x + w - 14, y + h - legend - 30
    place = [left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height]
    axes = figure.add_axes(place, facecolor=PANEL)
    for (_, values), color in zip(found, itertools.cycle(PALETTE)):
        # A value between gaps makes no line: it is a dot.
        gaps = [True, *map(math.isnan, values), True]
        alone = [i for i in range(len(values)) if gaps[i] and not gaps[i + 1] and gaps[i + 2]]
        scaled = [value / divisor for value in values]
        axes.plot(dates, scaled, color=color, lw=1.3, marker="o", ms=2.5, markevery=alone)
    for start in starts:
        axes.axvline(start, color=NAMED["blue"], lw=1, ls=(0, (4, 3)))
    lowest, highest = (min(finite) / divisor, max(finite) / divisor) if finite else (0, 1)
    # From zero, but where all lies far from it.
    lowest = min(0, lowest) if lowest < highest / 2 or highest == lowest == 0 else lowest
    pad = (highest - lowest) * 0.06 or max(abs(highest) * 0.05, 0.5)
    axes.set_ylim(lowest - pad if lowest else 0, highest + pad)
    axes.set_xlim(dates[0], dates[-1])
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ticks = axes.get_yticks()
    decimals = max(0, -math.floor(math.log10((ticks[1] - ticks[0]) * 1.0001)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.{decimals}f}{suffix}" if value else "0"))
    locator = AutoDateLocator(minticks=3, maxticks=max(3, (right - left) // 55))
    locator.intervald[MINUTELY] = [1, 2, 3, 5, 10, 15, 30]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.tick_params(colors=DIM, labelsize=8.6, length=0, pad=5)
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    return len(found)


# Where an annotation's query begins to be true.
starts = set()
for query in (annotation["expr"] for annotation in dashboard["annotations"]["list"] if "expr" in annotation):
    for one in ask("query_range", query=filled_in(query), start=times[0], end=times[-1], step=step)["result"]:
        told = [float(at) for at, value in one["values"] if float(value)]
        starts |= {datetime.datetime.fromtimestamp(b) for a, b in zip([0] + told, told) if b - a > 1.5 * step}

write(MARGIN + 4, HEAD / 2, dashboard["title"], 20, va="center")
write(width - MARGIN - 4, HEAD / 2, f"{dates[0]:%Y-%m-%d %H:%M} to {dates[-1]:%H:%M}", 13, DIM, va="center", ha="right")
drawn, total, empty = 0, 0, []
for panel in dashboard["panels"]:
    grid = panel["gridPos"]
    x, y = MARGIN + grid["x"] * COLUMN + GAP / 2, HEAD + grid["y"] * LINE + GAP / 2
    w, h = grid["w"] * COLUMN - GAP, grid["h"] * LINE - GAP
    if panel["type"] == "row":
        write(x + 4, y + h / 2, panel["title"], 16, va="center")
        continue
    figure.add_artist(FancyBboxPatch((x / width, 1 - (y + h) / height), w / width, h / height, boxstyle="square,pad=0",
                                     facecolor=PANEL, edgecolor=EDGE, lw=0.8, zorder=-1))
    write(x + 12, y + 18, panel["title"], 14, va="center")
    count = {"stat": draw_stat, "timeseries": draw_lines}[panel["type"]](panel, x, y, w, h)
    if not count:
        empty.append(panel["title"])
        write(x + w / 2, y + h / 2, "No data", 14, DIM, va="center", ha="center")
    drawn, total = drawn + 1, total + count
write(MARGIN + 4, height - FOOT / 2, "drawn from hepar.json by deploy/grafana/picture.py with what a Prometheus "
      "answered; not a screenshot of Grafana", 12, DIM, va="center")
figure.canvas.draw()
# 256 colours are enough, and a third of the bytes.
picture = Image.frombuffer("RGBA", figure.canvas.get_width_height(), figure.canvas.buffer_rgba())
picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(asked.output, optimize=True)
print(f"measured: {drawn} panels, {total} series" + "; without data: " * bool(empty) + ", ".join(empty))
