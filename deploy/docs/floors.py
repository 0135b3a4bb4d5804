#!/usr/bin/env python3
"""The house's floors, from Package.swift: docs/floors.svg, and the column "uses" of the table in docs/architecture.md.

    deploy/docs/floors.py           writes both
    deploy/docs/floors.py --check   fails if one of them is not what Package.swift says
"""

import html
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs/floors.svg"
PAGE = ROOT / "docs/architecture.md"
# Bands, in the order of the legend, with colours that colour-blind people tell apart (Okabe and Ito, 2008).
BANDS = {
    "C and system libraries": ("#dddddd", r"C[A-Z]\w*"),
    "computing": ("#56B4E9", "Compute|Engine|Inference|Training|Segmentation|Imaging|Metrics|Phantom|Preview|Digests|Files"),
    "DICOM": ("#CC79A7", "Dicom|Bridge"),
    "jobs": ("#009E73", r"Jobs|\w+Jobs|Work|Webhooks"),
    "requests": ("#F0E442", "HTTPDaemon|Access|API|Telemetry"),
    "cases, wiring and program": ("#E69F00", ".*"),
}
WIDTH, HEIGHT, GAP, LEFT, TOP = 118, 34, 12, 20, 56


def targets() -> dict[str, list[str]]:
    """What each target of Sources uses; products of other packages stand in brackets."""
    package = json.loads(
        subprocess.run(["swift", "package", "dump-package"], cwd=ROOT, check=True, capture_output=True).stdout)
    found = {}
    for target in package["targets"]:
        if target["type"] not in ("test", "plugin") and not (target.get("path") or "").startswith("Tests"):
            names = []
            for dependency in target["dependencies"]:
                kind, value = next(iter(dependency.items()))
                names.append(f"[{value[0]}]" if kind == "product" else value[0])
            found[target["name"]] = names
    return found


def picture(uses: dict[str, list[str]]) -> str:
    """Each target stands above all that it uses."""
    floor: dict[str, int] = {}

    def floor_of(name: str) -> int:
        if name not in floor:
            floor[name] = 1 + max((floor_of(below) for below in uses[name] if below in uses), default=-1)
        return floor[name]

    floors: dict[int, list[str]] = {}
    for name in uses:
        floors.setdefault(floor_of(name), []).append(name)
    bands = list(BANDS)

    def band(name: str) -> str:
        return next(b for b in bands if re.fullmatch(BANDS[b][1], name))

    # A long floor takes two lines.
    lines = []
    for number in sorted(floors, reverse=True):
        names = sorted(floors[number], key=lambda name: (bands.index(band(name)), name))
        lines += [(number, names[at : at + 8]) for at in range(0, len(names), 8)]
    wide = max(len(names) for _, names in lines) * (WIDTH + GAP) + 2 * LEFT
    high = TOP + len(lines) * (HEIGHT + GAP) + GAP
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
        ' font-family="sans-serif" font-size="13" role="img">',
        "<title>The targets of Hepar: each uses only what stands on lower floors</title>",
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
    ]
    across = LEFT
    for name in bands:
        out.append(f'<rect x="{across}" y="14" width="14" height="14" fill="{BANDS[name][0]}" stroke="#333333"/>')
        out.append(f'<text x="{across + 20}" y="26" fill="#333333">{name}</text>')
        across += 34 + 8 * len(name)
    for row, (_, names) in enumerate(lines):
        y = TOP + row * (HEIGHT + GAP)
        x = (wide - len(names) * (WIDTH + GAP) + GAP) / 2
        for name in names:
            tip = html.escape(f"{name} uses {', '.join(uses[name]) or 'nothing of the house'}")
            out.append(
                f'<g><title>{tip}</title><rect x="{x:g}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4"'
                f' fill="{BANDS[band(name)][0]}" stroke="#333333"/><text x="{x + WIDTH / 2:g}" y="{y + 22}"'
                f' text-anchor="middle">{name}</text></g>')
            x += WIDTH + GAP
    return "\n".join(out) + "\n</svg>\n"


def page(uses: dict[str, list[str]]) -> str:
    """The page with the column as it should be."""
    text, missing = PAGE.read_text(), set(uses)

    def row(match: re.Match) -> str:
        names = match[1].split(", ")
        if not set(names) <= set(uses):
            return match[0]
        missing.difference_update(names)
        below = sorted({below for name in names for below in uses[name]}, key=lambda name: (name[0] == "[", name))
        outside = [name.strip("[]") for name in below if name[0] == "["]
        below = [name for name in below if name[0] != "["] + ([f"[{', '.join(outside)}]"] if outside else [])
        return f"| {match[1]} | {', '.join(below) or '-'} |"

    text = re.sub(r"^\| ([A-Za-z]\w*(?:, \w+)*) \| ([^|]*) \|", row, text, flags=re.M)
    if missing:
        sys.exit(f"docs/architecture.md has no row for {', '.join(sorted(missing))}: add one to the table of targets.")
    return text


def main() -> None:
    uses = targets()
    for file, right in ((PICTURE, picture(uses)), (PAGE, page(uses))):
        if "--check" not in sys.argv:
            file.write_text(right)
        elif not file.exists() or file.read_text() != right:
            sys.exit(f"{file.relative_to(ROOT)} is not what Package.swift says. Run deploy/docs/floors.py.")


main()
