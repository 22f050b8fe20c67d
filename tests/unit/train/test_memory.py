"""What the judge said is remembered by clip and tenth of the noise levels, and only where it is read again."""

from __future__ import annotations

import math

import torch

from rushes.families.texts import TextStates
from rushes.roles import ObjectiveNeeds
from rushes.train.batch import FlowBatch
from rushes.train.data import Step
from rushes.train.memory import nothing_yet, recalled, remember

NEEDS = ObjectiveNeeds(judge="value", judge_every=3)


def step_of(rows: list[int], sigma: list[float]) -> Step:
    z, num = torch.zeros((len(rows), 1, 1, 1, 1)), len(rows)
    batch = FlowBatch(z, z, torch.tensor(sigma), TextStates(z[..., 0, 0]), torch.ones(num), torch.zeros(num).bool())
    return Step(batch, rows_B=torch.tensor(rows))


def test_the_last_score_of_the_same_clip_at_about_the_same_noise_counts() -> None:
    memory = nothing_yet(NEEDS, 5)
    remember(memory, step_of([3, 1, 3], [0.42, 0.95, 0.48]), torch.tensor([0.2, math.nan, 0.3]))
    remember(memory, step_of([3], [0.41]), torch.tensor([math.nan]))  # the judge failed: what it said before stays
    asked = step_of([3, 3, 1, 0], [0.4499, 0.5, 0.95, 0.42])
    known = recalled(memory, asked, 4, NEEDS).columns["judged"].tolist()
    assert known[0] == torch.tensor(0.3).item() and all(map(math.isnan, known[1:]))


def test_it_asks_in_the_first_step_and_every_third() -> None:
    memory, step = nothing_yet(NEEDS, 5), step_of([0], [0.1])
    assert [recalled(memory, step, number, NEEDS).asks for number in range(5)] == [True, False, False, True, False]


def test_what_asks_in_every_step_remembers_nothing() -> None:
    plain, step = ObjectiveNeeds(judge="value"), step_of([0], [0.1])
    memory = nothing_yet(plain, 5)
    remember(memory, step, torch.tensor([0.5]))
    assert memory == {} and recalled(memory, step, 1, plain) is step and step.asks
