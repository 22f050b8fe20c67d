"""How a watched training is drawn: which curves share an axis, limits, rings around looks with an alarm."""

from __future__ import annotations

import re

import pytest

from rushes.recipe.watch import WatchSpec
from rushes.records import WatchedPrompt, WatchPoint
from rushes.report.data import LossCurve
from rushes.report.html import render_report
from rushes.report.watch_plot import looks_plot
from rushes.report.watched import watched_round
from rushes.watch.rules import Course
from tests.unit.report.synthetic_run import make_data

SPEC = WatchSpec(max_motion_loss=0.25, max_norm_rise=0.1)


def point(step: int, judge: float, motion: float | None = 2.0, norm: float | None = 1.0) -> WatchPoint:
    # Prompts differ a little: where all agree exactly, an interval is as wide as if two did not.
    apart = 0.02 if step else 0.0
    prompts = tuple(
        WatchedPrompt(prompt_key=f"{n:064x}", judge=judge + apart * (n % 3 - 1), measurer=0.5) for n in range(24)
    )
    return WatchPoint(
        key=f"{step:064x}",
        model=f"{step:064x}",
        training="ab" * 32 if step else None,
        step=step,
        prompts=prompts,
        diversity=0.4,
        motion=motion,
        saturation=0.2,
        velocity_norm=norm,
    )


def test_each_alarm_rings_on_its_own_axis() -> None:
    found = watched_round(1, Course(SPEC, point(0, 0.5), (point(10, 0.6), point(20, 0.5, motion=1.0))))
    together, diversity, motion, saturation, norm = found.panels
    assert [each.term for each in together.curves] == ["judge", "measurer"]
    assert list(together.curves[0].values) == pytest.approx([50.0, 60.0, 50.0]), "points of 100"
    assert list(motion.curves[0].values) == [2.0, 2.0, 1.0], "its own unit"
    assert (list(together.alarms), list(motion.alarms)) == ([10], [20])
    assert not diversity.alarms and not saturation.alarms and not norm.alarms
    assert motion.limit == pytest.approx(1.5) and diversity.limit == pytest.approx(36.0) and norm.limit == 1.1
    assert together.limit is None and saturation.limit is None


def test_what_is_unknown_is_not_drawn() -> None:
    found = watched_round(1, Course(SPEC, point(0, 0.5, None, None), (point(10, 0.5, None, None),)))
    assert [panel.curves[0].term for panel in found.panels] == ["judge", "diversity", "saturation"]


def test_a_plot_shows_looks_alarms_limit_and_result() -> None:
    found = watched_round(1, Course(SPEC, point(0, 0.5), (point(10, 0.6), point(20, 0.7, motion=1.0))))
    together, _, motion, *_ = (str(looks_plot(panel, 10, 20)) for panel in found.panels)
    assert together.count('class="dot second"') == together.count('class="dot"') == 3
    assert together.count('class="rang"') == 4, "both curves, at both steps"
    assert [motion.count(f'class="{each}"') for each in ("rang", "limit", "result")] == [1, 1, 1]
    (ring,) = re.findall(r'<circle cx="([\d.]+)%" cy="([\d.]+)" r="7" class="rang"', motion)
    assert float(ring[0]) == 97.0, "the last look is at the right end"
    assert "motion at step 20: 1.00" in motion and "alarms at step 20" in motion


def test_a_loss_with_one_value_is_told_not_drawn() -> None:
    page = render_report(make_data(losses=(LossCurve("held_out_own", (0,), (0.25,)),)))
    assert "0.250 at step 0, its only value" in page


def test_the_page_has_the_looks() -> None:
    found = watched_round(1, Course(SPEC, point(0, 0.5), (point(10, 0.6),)))
    page = render_report(make_data(watched=(found,)))
    assert page.count('class="result"') == len(found.panels) and "Judge and measurer, points" in page
