"""Axes hold what is drawn on them, and labels are escaped."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import make_row

from rushes.display.svg import Axis, nice_ticks, tag
from rushes.records import DriftRow
from rushes.report import plots


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-0.225, 0.276), (-1, 1), (0.2501, 0.2502), (3, 3), (0, 1e-6), (-7e5, 12), (0.1, 0.3)]
)
@pytest.mark.parametrize("most", [3, 4, 5])
def test_ticks_hold_the_range_and_are_few_even_and_round(low: float, high: float, most: int) -> None:
    ticks = nice_ticks(low, high, most)
    step = ticks[1] - ticks[0]
    assert 2 <= len(ticks) <= most
    assert ticks[0] <= low + 1e-6 * step and ticks[-1] >= high - 1e-6 * step
    np.testing.assert_allclose(np.diff(ticks), step)
    assert float(f"{step:.1e}") == pytest.approx(step) and f"{step:.1e}"[0] in "125"


def test_an_axis_maps_its_ends_to_the_margins_and_keeps_the_rest_inside() -> None:
    axis = Axis(-1, 3, margin=5)
    assert [axis.percent(value) for value in (-1, 1, 3, 99)] == [5, 50, 95, 95]
    with pytest.raises(ValueError, match="low to high"):
        Axis(1, 1)


def test_attributes_and_texts_are_escaped() -> None:
    assert str(tag("text", "<b>&", x='"><script>')) == '<text x="&#34;&gt;&lt;script&gt;">&lt;b&gt;&amp;</text>'


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def centres(picture: str, kind: str) -> list[float]:
    return [
        float(each.attrib["cx"].rstrip("%")) for each in parsed(picture).iter("circle") if kind in each.attrib["class"]
    ]


def test_the_score_plot_puts_both_scores_on_the_axis() -> None:
    picture = plots.score_plot(make_row("A", 0.25, 0.5, 0.1, True))
    assert centres(picture, "before") == [pytest.approx(3 + 0.25 * 94)]
    assert centres(picture, "after") == [pytest.approx(3 + 0.75 * 94)]
    assert "25.0 before, 75.0 after" in parsed(picture).attrib["aria-label"]


def test_the_gain_plot_draws_its_interval_where_the_axis_says() -> None:
    row = make_row("A", 0.3, 0.1, 0.05, True)
    ticks = plots.gain_ticks([row])
    assert ticks[0] <= 0 and ticks[-1] >= 0.15
    picture = plots.row_gain_plot(row, ticks)
    axis = Axis(ticks[0], ticks[-1])
    bars = [each for each in parsed(picture).iter("line") if each.attrib["class"].startswith("bar")]
    assert (bars[0].attrib["x1"], bars[0].attrib["x2"]) == (axis.at(0.05), axis.at(0.15))
    assert centres(picture, "after good") == [pytest.approx(axis.percent(0.1), abs=0.01)]


def test_a_histogram_counts_every_value_once() -> None:
    values = list(np.random.default_rng(2).gamma(1.5, 1, 300))
    titles = [each.text or "" for each in parsed(plots.histogram(values, "weight")).iter("title")]
    assert sum(int(title.split()[0]) for title in titles) == 300
    assert len(list(parsed(plots.histogram([0.0, 0.0], "weight")).iter("rect"))) == 1
    assert len(list(parsed(plots.histogram([1.0] * 5, "weight")).iter("rect"))) == 1


def test_a_loss_curve_stays_in_its_square_and_a_spike_does_not_press_it_flat() -> None:
    values = [0.3 - 0.001 * i for i in range(100)]
    values[50] = 1e6
    picture = plots.loss_curve(list(range(1, 101)), values, "flow")
    raw, smooth = parsed(picture).iter("polyline")
    for line in (raw, smooth):
        ys = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
        assert min(ys) >= 0 and max(ys) <= 1
    one_step = plots.loss_curve([7], [0.5], "flow")
    assert "step 7" in one_step


def test_the_running_mean_is_over_the_last_values() -> None:
    np.testing.assert_allclose(plots.running_mean(np.array([1.0, 2, 3, 4, 5]), 2), [1, 1.5, 2.5, 3.5, 4.5])


def test_drift_without_real_clips_draws_none_and_survives_zeros_and_negatives() -> None:
    def marks(row: DriftRow) -> int:
        return len(re.findall('class="real"', plots.drift_plot(row)))

    assert marks(DriftRow(name="latent mean, distance to real", before=1.0, after=2.0, real=1.5)) == 1
    assert marks(DriftRow(name="motion amount", before=1.0, after=2.0, real=1.5)) == 0, "other prompts, no reference"
    assert marks(DriftRow(name="a", before=0.0, after=0.0)) == 0
    assert marks(DriftRow(name="a", before=-3.0, after=-1.0)) == 0
