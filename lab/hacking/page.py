"""The figures of docs/hacking.md: tables of looks, their curves, and the same takes at three looks.

Legend: T frames, H height, W width.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rushes.display.svg import tag
from rushes.generate.stage import WATCH_CLIPS
from rushes.records import Clip, WatchPoint
from rushes.report.watch_plot import looks_plot
from rushes.report.watched import watched_round
from rushes.store.files import make_folder, write_atomic
from rushes.store.provenance import commit, hardware
from rushes.store.run import Run
from rushes.watch.rules import Course
from rushes.watch.words import values

MARK: Final = "<!-- figures: python -m lab.hacking --write docs/hacking.md -->"
"""Stands before and after what is written into the page."""
NUM_PROMPTS, NUM_FRAMES, CELL_PX = 2, 8, 88
"""Prompts and frames of the picture of takes, and the side of a frame in it."""
_RESULT: Final = r" \*"
_STYLE: Final = """
svg { --text: #1d2126; --soft: #5f6670; --grid: #dfe2df; --accent: #2b6a99; --warn: #8a6100; --bad: #bf3338;
  font-family: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --text: #e7e9ec; --soft: #a3abb6; --grid: #3a3f48; --accent: #79b4e0;
  --warn: #e4bd62; --bad: #ff8480; } }
text { fill: var(--soft); font-size: 11px; } .title { fill: var(--text); font-size: 13px; font-weight: 600; }
.grid { stroke: var(--grid); } .result { stroke: var(--soft); } .limit { stroke: var(--bad); stroke-dasharray: 3 4; }
polyline { fill: none; stroke: var(--accent); stroke-width: 2.2; }
polyline.second { stroke: var(--warn); stroke-dasharray: 7 4; }
.dot { fill: var(--accent); } .dot.second { fill: var(--warn); }
.name { fill: var(--accent); font-size: 12px; font-weight: 600; } .name.second { fill: var(--warn); }
.rang { fill: none; stroke: var(--bad); stroke-width: 2; }
"""


@dataclass(frozen=True, eq=False)
class Shown:
    """A finished run."""

    name: str
    """What its judge is."""
    home: Path
    """Its folder."""
    course: Course
    """Its looks."""
    notes: tuple[str, ...]
    """What the watch told of it."""


def write_figures(hacked: Shown, honest: Shown, folder: Path, page: Path | None) -> str:
    """Write the pictures, and the tables into a page.

    Args:
        hacked, honest: the two runs.
        folder: where the pictures go without a page.
        page: a page with the two marks; its pictures go to `images` beside it.

    Returns:
        The tables.
    """
    text = _text(hacked, honest)  # first: it says whether the checkout has changes, and the pictures are such
    images = folder if page is None else page.parent / "images"
    make_folder(images)
    for shown, name in ((hacked, "hacking_curves.svg"), (honest, "hacking_honest.svg")):
        write_atomic(images / name, _curves(shown.course).encode())
    takes = _takes(hacked)
    takes.save(images / "hacking_takes.jpg", quality=82, optimize=True)
    if page is not None:
        before, _, rest = page.read_text(encoding="utf-8").partition(MARK)
        after = rest.partition(MARK)[2]
        page.write_text(f"{before}{MARK}\n\n{text}\n\n{MARK}{after}", encoding="utf-8")
    return text


# ---------------------------------------------------------------------------------------------- words


def _text(hacked: Shown, honest: Shown) -> str:
    machine, (name, is_changed) = hardware(), commit()
    took = " and ".join(f"{_seconds(each)} s" for each in (hacked, honest))
    parts = (
        "\n".join(_filled(f"- {each}", "  ") for each in findings(hacked, honest)),
        _filled(
            f"Measured at commit {(name or 'unknown')[:12]}{' with changes' if is_changed else ''}, on "
            f"{machine['num_cpus']} cores of {machine['cpu']}; {took} of work. Scores, Diversity and saturation are in "
            "points, motion in levels of 255 per frame; the norm is that of the velocity over the untouched model's. "
            r"\* marks the result."
        ),
        _table(hacked),
        "![Judge and measurer, and what may drift, at every look](images/hacking_curves.svg)",
        "![The same takes before training, at the worst look and at the result](images/hacking_takes.jpg)",
        "What the watch said when it stopped the run, before it was let go on:"
        if _stop(hacked) is not None
        else "What the watch said of it:",
        "\n".join(_filled(f"- {note}", "  ") for note in hacked.notes) or "- nothing",
        _table(honest),
        "![The same curves with the honest judge](images/hacking_honest.svg)",
    )
    return "\n\n".join(parts)


def findings(hacked: Shown, honest: Shown) -> tuple[str, ...]:
    """What both runs showed, in sentences that follow from their looks."""
    return (_parting(hacked), _caught(hacked), _prevented(hacked), _alarmed(honest))


def _parting(shown: Shown) -> str:
    base, worst = shown.course.base, _worst(shown.course)
    a, b, c, d = (_points(each) for each in (base.judge, worst.judge, base.measurer, worst.measurer))
    return (
        f"**Where judge and measurer part most**, after {worst.step} steps, the judge's score had gone from {a} to "
        f"{b} and the measurer's from {c} to {d}."
    )


def _caught(shown: Shown) -> str:
    rang = _rang(shown)
    if not rang:
        return "**It was not caught:** no alarm rang at any look."
    stop = _stop(shown)
    ended = "no training was stopped by it" if stop is None else stop.removeprefix("watch: ").partition(":")[0]
    return (
        f"**An alarm rang first** at step {rang[0]}, and at {len(rang)} of {len(shown.course.points)} looks; {ended}."
    )


def _stop(shown: Shown) -> str | None:
    """What the watch said of stopping the run; None if it did not."""
    return next((note for note in shown.notes if note.startswith("watch: training stopped after step ")), None)


def _prevented(shown: Shown) -> str:
    measured = [(each.measurer, each.step) for each in shown.course.points if each.measurer is not None]
    if not measured or shown.course.base.measurer is None:
        return "**What was prevented is unknown:** the measurer has no score."
    (low, at), (last, end) = min(measured), measured[-1]
    return (
        f"**Let go on to the last step**, the measurer's score was lowest at step {at}, {_points(low)} after "
        f"{_points(shown.course.base.measurer)} before training, and {_points(last)} at step {end}."
    )


def _worst(course: Course) -> WatchPoint:
    return max(course.points, key=lambda each: (each.judge or 0.0) - (each.measurer or 0.0))


def _rang(shown: Shown) -> list[int]:
    course = shown.course
    return [each.step for index, each in enumerate(course.points) if course.alarms(index)]


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _seconds(shown: Shown) -> int:
    with Run.view(shown.home) as run:
        return round(sum(entry.seconds for entry in run.costs()))


def _table(shown: Shown) -> str:
    head = f"| {shown.name}: step | judge | measurer | Diversity | motion | saturation | norm | alarms |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    course = shown.course
    for index, point in enumerate((course.base, *course.points), start=-1):
        found = values(point, course.base)
        scores = (_points(found[name]) for name in ("judge", "measurer", "diversity"))
        alarms = "; ".join(alarm.text for alarm in course.alarms(index)) if index >= 0 else ""
        cells = (
            f"{point.step}{_RESULT if point == course.best else ''}",
            *scores,
            _number(found["motion"]),
            _points(found["saturation"]),
            _number(found["velocity_norm_ratio"]),
            alarms,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _alarmed(shown: Shown) -> str:
    rang, num = _rang(shown), len(shown.course.points)
    at = f", after {', '.join(map(str, rang))} steps" if rang else ""
    return f"**With the {shown.name}** an alarm rang at {len(rang)} of {num} looks{at}."


# ---------------------------------------------------------------------------------------------- curves


def _curves(course: Course) -> str:
    """The report's plots of a round, below each other, as one file that needs no style sheet."""
    shown = watched_round(1, course)
    parts, top = [tag("style", _STYLE)], 0
    for panel in shown.panels:
        plot = looks_plot(panel, shown.best_step, shown.last_step)
        parts.append(tag("text", panel.title, x="12%", y=top + 16, class_="title"))
        parts.append(tag("svg", plot, x="0", y=top + 20, width="100%", height=150))
        top += 172
    return str(tag("svg", *parts, xmlns="http://www.w3.org/2000/svg", width="720", height=str(top)))


# ---------------------------------------------------------------------------------------------- takes


def _takes(shown: Shown) -> Image.Image:
    """Frames of the takes on which judge and measurer part most, at three looks: before, the worst, the result."""
    course = shown.course
    worst = _worst(course)
    looks = ((course.base, "untouched"), (worst, f"step {worst.step}"), (course.best, f"step {course.best.step}, kept"))
    gap, label, head = 4, 96, 26
    width, block = label + NUM_FRAMES * (CELL_PX + gap), head + len(looks) * (CELL_PX + gap) + 10
    with Run.view(shown.home) as run:
        keys = _fooled(course.base, worst)[:NUM_PROMPTS]
        sheet = Image.new("RGB", (width, block * len(keys)), "white")
        pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
        texts = run.prompts.get_many(keys)
        for number, key in enumerate(keys):
            top = number * block
            pen.text((4, top + 5), texts[key].text, "black", font)
            for row, (point, name) in enumerate(looks):
                y = top + head + row * (CELL_PX + gap)
                pen.text((4, y + CELL_PX // 2 - 8), name, "black", font)
                for column, frame in enumerate(_frames(run, point.model, key)):
                    sheet.paste(frame, (label + column * (CELL_PX + gap), y))
    return sheet


def _fooled(base: WatchPoint, worst: WatchPoint) -> Sequence[str]:
    """Prompts, first those for which the judge's score rises most over the measurer's."""
    partings = {
        a.prompt_key: (b.judge - a.judge) - (b.measurer - a.measurer)
        for a, b in zip(base.prompts, worst.prompts, strict=True)
        if a.judge is not None and b.judge is not None and a.measurer is not None and b.measurer is not None
    }
    return sorted(partings, key=lambda key: (-partings[key], key))


def _frames(run: Run, model: str, prompt_key: str) -> list[Image.Image]:
    """Some frames of the first take, from its first to its last, enlarged."""
    clip = next(
        each
        for each in run.table(WATCH_CLIPS, Clip).all()
        if each.model == model and each.prompt_key == prompt_key and each.seed_index == 0
    )
    frames_THWC = run.blobs.read_video(clip.frames)
    chosen = np.linspace(0, len(frames_THWC) - 1, NUM_FRAMES).round().astype(int)
    size = (CELL_PX, CELL_PX)
    return [Image.fromarray(frames_THWC[at]).resize(size, Image.Resampling.BICUBIC) for at in chosen]
