"""Latents of several shapes in one training set: a pass has one shape, a unit is never split, the mean is of all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from rushes.families.texts import TextStates
from rushes.plugins import objective_needs
from rushes.recipe.objectives import CrdSpec, DpoSpec
from rushes.recipe.train import RealismSpec, TrainSpec
from rushes.train import loop
from rushes.train.batch import LossTerms
from rushes.train.data import Step, TrainingSet, step_batch
from rushes.train.draw import units_of
from rushes.train.setup import _as_large_as_any

NAN = float("nan")
SHAPE = torch.tensor([0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1])
"""Rows 0 to 7 are takes of two prompts, 8 to 11 real clips."""
PLAIN = TrainSpec(num_steps=9, batch_size=4, realism=RealismSpec(kind="real_flow", share=0.5), caption_drop=0.0)


def training_set() -> TrainingSet:
    """Clip i is i everywhere: of 3 x 3 in shape 0, of 2 x 5 in shape 1; text i belongs to it."""
    num = len(SHAPE)
    score = torch.tensor([0.1, 0.9, 0.5, 0.6, 0.3, 0.8, 0.2, 0.4, *[NAN] * 4])

    def clips(number: int, h: int, w: int) -> torch.Tensor:
        rows = torch.nonzero(SHAPE == number).flatten()
        return rows.float().view(-1, 1, 1, 1, 1).expand(len(rows), 2, 1, h, w)

    return TrainingSet(
        z_0_NCThw=clips(0, 3, 3),
        further=(clips(1, 2, 5),),
        shape_N=SHAPE,
        text=TextStates(torch.arange(1.0, num + 1).view(num, 1, 1)),
        empty=TextStates(torch.zeros(1, 1, 1)),
        weight_N=torch.ones(num),
        preference_N=score,
        is_real_N=torch.arange(num) >= 8,
        score_N=score,
        advantage_N=score - 0.5,
        group_N=torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 5]),
        partner_N=torch.tensor([1, 0, 3, 2, 7, 6, 5, 4, -1, -1, -1, -1]),
        seed_N=torch.arange(num),
    )


def drawn(spec: TrainSpec, num: int = 12) -> list[Step]:
    return [step_batch(training_set(), spec, number, 5) for number in range(num)]


def rows_in(part: Step) -> list[int]:
    assert part.rows_B is not None
    return part.rows_B.tolist()


def test_every_part_has_one_shape_and_everything_in_it_belongs_to_its_clips() -> None:
    steps = drawn(PLAIN)
    assert {len(step.parts) for step in steps} == {1, 2}
    for step in steps:
        assert sum(len(rows_in(part)) for part in step.parts) == PLAIN.batch_size
        for part in step.parts:
            rows, batch = rows_in(part), part.batch
            assert len({int(SHAPE[row]) for row in rows}) == 1
            assert batch.z_0_BCTHW.shape[3:] == ((3, 3), (2, 5))[int(SHAPE[rows[0]])]
            assert batch.z_0_BCTHW[:, 0, 0, 0, 0].tolist() == rows
            assert batch.text.states_BLD[:, 0, 0].tolist() == [row + 1 for row in rows]
            assert batch.is_real_B.tolist() == [row >= 8 for row in rows]
            assert batch.epsilon_BCTHW.shape == batch.z_0_BCTHW.shape and len(batch.sigma_B) == len(rows)


def test_a_step_is_the_same_whenever_it_is_drawn_and_nothing_is_left_out() -> None:
    once, again = drawn(PLAIN), drawn(PLAIN)
    for one, other in zip(once, again, strict=True):
        for part, same in zip(one.parts, other.parts, strict=True):
            assert rows_in(part) == rows_in(same)
            assert torch.equal(part.batch.epsilon_BCTHW, same.batch.epsilon_BCTHW)
            assert torch.equal(part.batch.sigma_B, same.batch.sigma_B)
    assert sorted({row for step in once for part in step.parts for row in rows_in(part)}) == list(range(12))


@pytest.mark.parametrize("named", [False, True])
def test_a_pair_of_two_shapes_is_left_out_and_the_others_stay_whole(named: bool) -> None:
    spec = PLAIN.model_copy(update={"objective": DpoSpec(), "realism": RealismSpec(kind="none")})
    data = replace(training_set(), is_real_N=torch.zeros(12, dtype=torch.bool))
    if named:
        data = replace(data, pairs_P2=torch.tensor([[1, 0], [3, 2], [5, 6], [7, 4]]))
    # 0 and 1, 2 and 3 have two shapes.
    assert sorted(units_of(data, objective_needs(spec)).members.tolist()) == sorted(  # type: ignore[union-attr]
        [[5, 6], [7, 4]]
    )
    for number in range(6):
        for part in step_batch(data, spec, number, 5).parts:
            pairs = list(zip(rows_in(part)[::2], rows_in(part)[1::2], strict=True))
            assert set(pairs) <= {(5, 6), (7, 4)}
            first, second = part.batch.epsilon_BCTHW[::2], part.batch.epsilon_BCTHW[1::2]
            assert torch.equal(first, second), "tied noise"
            assert torch.equal(part.batch.sigma_B[::2], part.batch.sigma_B[1::2])


def test_a_group_has_takes_of_one_prompt_and_one_shape() -> None:
    spec = PLAIN.model_copy(update={"objective": CrdSpec(num_takes=2), "realism": RealismSpec(kind="none")})
    data = training_set()
    groups = units_of(data, objective_needs(spec)).members
    assert sorted(sorted(each.tolist()) for each in groups) == [[0, 2], [1, 3], [4, 7], [5, 6]]


class Linear:
    """A loss whose gradient tells which items were counted how much: the mean of parameter x z_0 over items."""

    names = ("loss",)

    def __init__(self, parameter: torch.Tensor) -> None:
        self.parameter = parameter

    def terms(self, velocity: Any, part: Step) -> LossTerms:
        velocity(part.batch.z_0_BCTHW, part.batch.sigma_B, part.batch.text)
        return LossTerms({"loss": (self.parameter * part.batch.z_0_BCTHW.mean(dim=(1, 2, 3, 4))).mean()}, {"loss": 1.0})


@pytest.mark.parametrize("num_accumulation", [1, 2, 4])
def test_the_gradient_is_that_of_the_mean_over_all_clips_of_a_step(num_accumulation: int) -> None:
    spec = PLAIN.model_copy(update={"num_accumulation": num_accumulation})
    step = next(each for each in drawn(spec) if len({len(part.batch.sigma_B) for part in each.parts}) == 2)
    parameter = torch.zeros((), requires_grad=True)
    job = FakeJob(spec, Linear(parameter))
    found = loop._backward(job, step.parts, 0)  # type: ignore[arg-type]
    rows = [row for part in step.parts for row in rows_in(part)]
    assert parameter.grad is not None
    assert float(parameter.grad) == pytest.approx(sum(rows) / len(rows))
    assert len(found.error_B) == spec.batch_size


class FakeJob:
    """As much of a job as a backward pass reads: a network that predicts its input."""

    def __init__(self, spec: TrainSpec, objective: Linear) -> None:
        from rushes.families.path import STRAIGHT
        from rushes.train.parallel import ALONE
        from rushes.train.setup import PLAIN_SETUP

        family = type("Family", (), {"path": STRAIGHT})()
        self.network = type(
            "Network",
            (),
            {
                "device": torch.device("cpu"),
                "family": family,
                "called": None,
                "velocity": staticmethod(lambda z, sigma, text: z),
            },
        )()
        self.spec, self.objective, self.parallel, self.setup, self.seed = spec, objective, ALONE, PLAIN_SETUP, 0


def test_memory_is_measured_with_the_largest_shape() -> None:
    data = training_set()
    small = next(part for step in drawn(PLAIN) for part in step.parts if part.batch.z_0_BCTHW.shape[3:] == (3, 3))
    found = _as_large_as_any(small, data, 3).batch
    assert found.z_0_BCTHW.shape == (3, 2, 1, 2, 5) and len(found.sigma_B) == 3
    assert len(found.text.states_BLD) == 3
