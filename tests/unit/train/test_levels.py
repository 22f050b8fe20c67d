"""Noise levels of one of two transformers: the recipe's density cut where it predicts, for every kind of draw."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from rushes.recipe.objectives import ArtSpec, FlowSpec, ObjectiveSpec, OnlineSpec, RewardGradientSpec
from rushes.recipe.train import TrainSpec, expert_problem, positions_in
from rushes.roles import ObjectiveNeeds
from rushes.train.flow import draw_sigma
from rushes.train.watch import fixed_noise

HIGH, LOW, ALL = (0.875, 1.0), (0.0, 0.875), (0.0, 1.0)


@pytest.mark.parametrize("density", ["uniform", "logit_normal", "mixed"])
@pytest.mark.parametrize("levels", [HIGH, LOW])
def test_the_density_keeps_its_form_inside_the_levels(
    density: Literal["uniform", "logit_normal", "mixed"], levels: tuple[float, float]
) -> None:
    """As draws from the whole density of which those outside are thrown away."""
    whole = draw_sigma(200_000, density, 5.0, torch.Generator().manual_seed(0))
    wanted = whole[(whole >= levels[0]) & (whole <= levels[1])]
    found = draw_sigma(50_000, density, 5.0, torch.Generator().manual_seed(1), levels)
    assert float(found.min()) >= levels[0] and float(found.max()) <= levels[1]
    if density == "mixed":  # alternates within the levels, so its halves are those of the two others
        even = found[::2]
        uniform = draw_sigma(50_000, "uniform", 5.0, torch.Generator().manual_seed(1), levels)
        assert torch.equal(even, uniform[::2])
        return
    shares = torch.linspace(0.05, 0.95, 10)
    gap = (found.quantile(shares) - wanted[:100_000].quantile(shares)).abs().max()
    assert float(gap) < 0.02 * (levels[1] - levels[0])


def test_all_levels_are_drawn_as_ever() -> None:
    generator = torch.Generator().manual_seed(3)
    uniform, normal = torch.rand(8, generator=generator), torch.randn(8, generator=generator)
    for density, u in (("uniform", uniform), ("logit_normal", torch.sigmoid(normal))):
        found = draw_sigma(8, density, 2.0, torch.Generator().manual_seed(3), ALL)  # type: ignore[arg-type]
        assert torch.equal(found, 2 * u / (1 + u))


def test_errors_on_held_out_clips_are_taken_at_the_same_levels() -> None:
    epsilon, sigma = fixed_noise((8, 2, 1, 2, 2))
    again, high = fixed_noise((8, 2, 1, 2, 2), HIGH)
    assert torch.equal(epsilon, again)
    torch.testing.assert_close(high, 0.875 + 0.125 * sigma)


@pytest.mark.parametrize(
    ("objective", "can"),
    [
        (FlowSpec(), {"high", "low"}),
        (ArtSpec(), {"high", "low"}),
        (ArtSpec(positions=(0.95, 0.9)), {"high"}),
        (RewardGradientSpec(), {"low"}),
        (RewardGradientSpec(at="last_step", last_sigma=0.1), {"low"}),
        (RewardGradientSpec(at="last_step", last_sigma=0.9), {"high"}),
        (OnlineSpec(), {"high", "low"}),
        (OnlineSpec(num_ode_steps=2), {"low"}),
    ],
)
def test_an_objective_tunes_the_transformers_at_whose_levels_it_reads(objective: ObjectiveSpec, can: set[str]) -> None:
    spec = TrainSpec(objective=objective)
    needs = objective.needs()  # type: ignore[union-attr]
    assert {name for name, at in (("high", HIGH), ("low", LOW)) if expert_problem(spec, needs, at) is None} == can
    assert expert_problem(spec, needs, ALL) is None


def test_positions_are_those_at_which_a_transformer_predicts() -> None:
    needs = ObjectiveNeeds(positions=(1.0, 0.9, 0.875, 0.5))
    assert positions_in(needs, HIGH) == (1.0, 0.9, 0.875)
    assert positions_in(needs, LOW) == (0.5,)
    assert positions_in(needs, ALL) == needs.positions
