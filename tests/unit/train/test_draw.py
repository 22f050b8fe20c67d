"""Which rows a step trains on: whole epochs, whole units, ties inside units, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rushes.errors import TrainingError
from rushes.families.texts import TextStates
from rushes.plugins import objective_needs
from rushes.recipe.objectives import RvmSpec
from rushes.recipe.train import RealismSpec, TrainSpec, in_steps
from rushes.roles import ObjectiveNeeds
from rushes.train.data import TrainingSet, step_batch
from rushes.train.draw import drawn, rows_of_step, units_of
from rushes.train.handover import Material, read_material, write_material

NAN = float("nan")
SCORES = [
    *(0.1, 0.9, 0.5, 0.6),  # rows 0 to 3: pairs 1 over 0, 3 over 2
    *(0.4, 0.4, NAN, 0.4),  # nothing to tell apart, and one without a score
    *(0.2, 0.8, 0.3, NAN),  # rows 8 to 11: 9 over 8
    *(NAN, NAN, NAN, NAN),  # real clips
]
PARTNERS = [1, 0, 3, 2, 5, 4, -1, -1, 9, 8, -1, -1, -1, -1, -1, -1]


def training_set(weight: list[float] | None = None) -> TrainingSet:
    num = len(SCORES)
    score = torch.tensor(SCORES)
    return TrainingSet(
        z_0_NCThw=torch.arange(float(num)).view(num, 1, 1, 1, 1).expand(num, 2, 1, 3, 3),
        text=TextStates(torch.arange(1.0, num + 1).view(num, 1, 1)),
        empty=TextStates(torch.zeros(1, 1, 1)),
        weight_N=torch.ones(num) if weight is None else torch.tensor(weight),
        preference_N=score,
        is_real_N=torch.arange(num) >= 12,
        score_N=score,
        advantage_N=score - 0.4,
        group_N=torch.arange(num) // 4,
        partner_N=torch.tensor(PARTNERS),
    )


# ---------------------------------------------------------------------------------------------- epochs


@pytest.mark.parametrize("num_at_once", [1, 3, 7, 50])
def test_an_epoch_reads_everything_once_and_each_in_an_order_of_its_own(num_at_once: int) -> None:
    steps = -(-200 // num_at_once)
    found = torch.cat([drawn(torch.ones(50), 50, i * num_at_once, num_at_once, seed=3) for i in range(steps)])[:200]
    epochs = found.view(4, 50)
    assert all(sorted(epoch.tolist()) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 4
    assert not torch.equal(drawn(torch.ones(50), 50, 0, 50, seed=4), epochs[0])


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-3])
def test_a_weight_is_how_often_it_comes_up_to_one(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(300, generator=generator) * (torch.rand(300, generator=generator) > 0.2) * scale
    num = int((weight > 0).sum())
    expected = weight.double() / weight.sum() * num
    for epoch in range(5):
        counts = drawn(weight, num, epoch * num, num, seed=1).bincount(minlength=300)
        assert bool(((counts - expected).abs() < 1).all()), "floor or ceil of it"
    counts = drawn(weight, num, 0, 20 * num, seed=1).bincount(minlength=300)
    assert float((counts / 20 - expected).abs().max()) < 0.15
    assert bool((counts[expected > 0.15] > 0).all()), "what one epoch leaves out comes in the next ones"


def test_clips_are_read_evenly_and_real_ones_as_well() -> None:
    data, spec = training_set(), TrainSpec(batch_size=4, realism=RealismSpec(share=0.25))
    rows = torch.cat([rows_of_step(data, spec, ObjectiveNeeds(columns=("weight",)), step, 5) for step in range(4)])
    assert sorted(rows.tolist()) == list(range(16)), "twelve own clips and four real ones, in four steps"


# ---------------------------------------------------------------------------------------------- units


def units(**needs: Any) -> list[list[int]]:
    return [each.tolist() for each in units_of(training_set(), ObjectiveNeeds(**needs)).members]


def test_pairs_are_the_better_take_and_the_worse_one_and_ties_are_none() -> None:
    assert units(unit="pair", unit_size=2, columns=("score",)) == [[1, 0], [3, 2], [9, 8]]
    assert units(unit="pair", unit_size=2, columns=("score",), min_gap=0.1001) == [[1, 0], [9, 8]]


def test_pairs_that_people_named_take_the_place_of_those_by_score() -> None:
    needs = ObjectiveNeeds(unit="pair", unit_size=2, columns=("score",), min_gap=0.9)
    named = torch.tensor([[0, 1], [2, 1], [6, 3]])  # against the scores, twice with one clip, one without a score
    found = units_of(replace(training_set(), pairs_P2=named), needs)
    assert [each.tolist() for each in found.members] == [[0, 1], [2, 1]]
    with pytest.raises(TrainingError, match="finds no pair to learn from"):
        units_of(replace(training_set(), pairs_P2=torch.zeros((0, 2), dtype=torch.int64)), needs)


def test_groups_are_the_scored_takes_of_a_prompt_if_they_differ_and_suffice() -> None:
    assert units(unit="group", unit_size=3, columns=("score",)) == [[0, 1, 2, 3], [8, 9, 10]]
    assert units(unit="group", unit_size=4, columns=("score",)) == [[0, 1, 2, 3]]
    assert units(unit="group", unit_size=2, columns=("score",), min_gap=0.7) == [[0, 1, 2, 3]]


def test_clips_without_what_is_read_or_without_a_signal_are_left_out() -> None:
    assert units(columns=("score",)) == [[row] for row in (0, 1, 2, 3, 4, 5, 7, 8, 9, 10)]
    assert units(columns=("advantage",)) == [[row] for row in (0, 1, 2, 3, 8, 9, 10)]


def test_nothing_to_learn_from_is_an_error_and_not_training_on_real_clips_alone() -> None:
    with pytest.raises(TrainingError, match="finds no pair to learn from") as told:
        units(unit="pair", unit_size=2, columns=("score",), min_gap=0.9)
    assert "generate.num_takes" in (told.value.next_step or "")


@pytest.mark.parametrize(
    ("objective", "size"),
    [({"kind": "dpo"}, 2), ({"kind": "crd", "num_takes": 3}, 3), ({"kind": "rvm"}, 1), ({"kind": "nft"}, 1)],
)
def test_units_share_noise_and_caption_drop_and_real_clips_do_not(objective: dict[str, Any], size: int) -> None:
    spec = TrainSpec.model_validate(
        {"objective": objective, "batch_size": 12, "caption_drop": 0.5, "realism": {"share": 0.5}}
    )
    data, seen = training_set(), set()
    for step in range(20):
        made = step_batch(data, spec, step, seed=7)
        batch, own = made.batch, ~made.batch.is_real_B
        assert own.tolist() == [True] * 6 + [False] * 6
        rows = batch.z_0_BCTHW[:, 0, 0, 0, 0].long()
        is_empty = batch.text.states_BLD[:, 0, 0] == 0
        for values in (batch.epsilon_BCTHW.flatten(1)[:, 0], batch.sigma_B, is_empty.float()):
            tied = values[own].view(-1, size)
            assert bool((tied == tied[:, :1]).all())
        assert len(batch.sigma_B.unique()) == 6 // size + 6, "units and real clips each have a noise level of their own"
        assert len(batch.epsilon_BCTHW.flatten(1)[:, 0].unique()) == 6 // size + 6
        if size > 1:
            assert all(len((unit // 4).unique()) == 1 for unit in rows[own].view(-1, size)), "takes of one prompt"
            assert all(len(unit.unique()) == size for unit in rows[own].view(-1, size))
        seen.update(rows.tolist())
        for name, values in made.columns.items():
            assert torch.equal(values[own], data.column(name)[rows[own]]), name  # type: ignore[arg-type]
            assert not values[own].isnan().any()
    usable = {"dpo": {0, 1, 2, 3, 8, 9}, "crd": {0, 1, 2, 3, 8, 9, 10}, "rvm": {0, 1, 2, 3, 8, 9, 10}}
    expected = usable.get(objective["kind"], {0, 1, 2, 3, 4, 5, 7, 8, 9, 10})
    assert seen == expected | {12, 13, 14, 15}


@pytest.mark.parametrize("changes", [{"num_accumulation": 2}, {"batch_size": 9}, {"objective": {"kind": "crd"}}])
def test_a_batch_that_would_divide_a_unit_is_refused(changes: dict[str, Any]) -> None:
    fine = {"objective": {"kind": "dpo"}, "batch_size": 6}
    TrainSpec.model_validate(fine)
    with pytest.raises(ValueError, match=r"compares [24] clips at once"):
        TrainSpec.model_validate({**fine, **changes})


def test_a_batch_without_room_for_real_clips_is_refused() -> None:
    with pytest.raises(ValueError, match="no room for real clips"):
        TrainSpec.model_validate({"objective": {"kind": "crd"}, "batch_size": 4})
    TrainSpec.model_validate({"objective": {"kind": "crd"}, "batch_size": 4, "realism": {"kind": "none"}})


@pytest.mark.parametrize(
    ("objective", "num_steps"),
    [({"kind": "flow"}, 3), ({"kind": "dpo"}, 2), ({"kind": "crd", "num_takes": 2}, 2), ({"kind": "rvm"}, 2)],
)
def test_so_many_steps_read_every_usable_clip_once(objective: dict[str, Any], num_steps: int) -> None:
    spec = TrainSpec.model_validate(
        {"objective": objective, "num_epochs": 1, "batch_size": 8, "realism": {"share": 0.5}}
    )
    needs = objective_needs(spec)
    num_clips = units_of(training_set(), needs).num_draws * needs.unit_size
    found = in_steps(spec, num_clips, needs)
    assert (found.steps, found.num_epochs) == (num_steps, None)
    assert in_steps(found, 0, needs) is found
    with pytest.raises(ValueError, match="follows from num_epochs"):
        _ = spec.steps


def test_a_recipe_says_once_how_long_to_train() -> None:
    assert TrainSpec().steps == 200 and TrainSpec(num_steps=7).steps == 7
    with pytest.raises(ValueError, match="set one of them to null"):
        TrainSpec(num_steps=7, num_epochs=1)


@pytest.mark.parametrize(
    ("objective", "lowest", "highest"),
    [
        ({"kind": "reward_gradient", "max_sigma": 0.2}, 0.0, 0.2),
        ({"kind": "reward_gradient", "at": "last_step", "last_sigma": 0.1}, 0.1, 0.1),
        ({"kind": "online"}, 0.0, 1.0),
    ],
)
def test_own_clips_have_the_noise_that_the_objective_needs_and_real_ones_any(
    objective: dict[str, Any], lowest: float, highest: float
) -> None:
    spec = TrainSpec.model_validate({"objective": objective, "batch_size": 12, "realism": {"share": 0.5}})
    plain = spec.model_copy(update={"objective": RvmSpec()})
    for step in range(5):
        made, as_ever = (step_batch(training_set(), each, step, seed=7) for each in (spec, plain))
        own = ~made.batch.is_real_B
        assert made.rows_B is not None
        assert torch.equal(made.batch.z_0_BCTHW[:, 0, 0, 0, 0].long(), made.rows_B)
        expected = lowest + (highest - lowest) * as_ever.batch.sigma_B[own]
        torch.testing.assert_close(made.batch.sigma_B[own], expected)
        assert torch.equal(made.batch.sigma_B[~own], as_ever.batch.sigma_B[~own])
        assert torch.equal(made.batch.epsilon_BCTHW, as_ever.batch.epsilon_BCTHW)


# ---------------------------------------------------------------------------------------------- halves


def test_two_steps_read_two_halves_of_the_takes_of_the_same_prompts() -> None:
    """Four takes of one prompt, two that count of another, three of a third: each epoch leaves one of these out."""
    data = replace(
        training_set(), score_N=torch.tensor([0.1, 0.9, 0.5, 0.6, 0.4, NAN, NAN, 0.5, 0.2, 0.8, 0.3, *[NAN] * 5])
    )
    needs = ObjectiveNeeds(halves=True, columns=("score",))
    spec = TrainSpec(batch_size=2, realism=RealismSpec(kind="none"))
    read = [rows_of_step(data, spec, needs, step, 5).tolist() for step in range(32)]
    for first, second in zip(read[::2], read[1::2], strict=True):
        assert not set(first) & set(second)
        assert [row // 4 for row in first] == [row // 4 for row in second], "the same prompts"
    couples = [
        pair for first, second in zip(read[::2], read[1::2], strict=True) for pair in zip(first, second, strict=True)
    ]
    epochs = [couples[at : at + 4] for at in range(0, len(couples), 4)]
    for epoch in epochs:
        rows = sorted(row for pair in epoch for row in pair)
        assert len(set(rows)) == 8 and set(rows) >= {0, 1, 2, 3, 4, 7}
    assert {row for pair in couples for row in pair} == {0, 1, 2, 3, 4, 7, 8, 9, 10}
    assert len({tuple(sorted(map(tuple, map(sorted, epoch)))) for epoch in epochs}) > 1, "cut anew in every epoch"


def test_halves_of_a_single_take_are_none() -> None:
    single = replace(training_set(), score_N=torch.tensor([0.1, *[NAN] * 3, 0.4, *[NAN] * 11]))
    with pytest.raises(TrainingError, match="finds no clip to learn from"):
        rows_of_step(single, TrainSpec(batch_size=2), ObjectiveNeeds(halves=True, columns=("score",)), 0, 5)


def test_both_halves_need_one_old_model() -> None:
    with pytest.raises(ValueError, match="window must be even or null, got 3"):
        TrainSpec.model_validate({"objective": {"kind": "art", "halves": True, "window": 3}})
    found = TrainSpec.model_validate({"objective": {"kind": "art", "halves": True, "window": 2}})
    assert (
        objective_needs(found).halves
        and not objective_needs(TrainSpec.model_validate({"objective": {"kind": "art"}})).halves
    )


def test_a_take_is_noised_with_what_it_was_sampled_from() -> None:
    """Own clips alone, the same in every step; real clips get new noise."""
    data = replace(training_set(), seed_N=torch.arange(16) + 2**40)
    art = {"kind": "art", "noise": "own", "min_gap": 0.0}
    spec = TrainSpec.model_validate({"objective": art, "batch_size": 8, "realism": {"share": 0.25}})
    for number in range(3):
        step = step_batch(data, spec, number, 5)
        assert step.rows_B is not None and step.batch.is_real_B.tolist() == [False] * 6 + [True] * 2
        for i, row in enumerate(step.rows_B.tolist()):
            of_seed = torch.randn((2, 1, 3, 3), generator=torch.Generator().manual_seed(row + 2**40))
            assert torch.equal(step.batch.epsilon_BCTHW[i], of_seed) == (i < 6)
    plain = TrainSpec.model_validate({"objective": {**art, "noise": "new"}, "batch_size": 8})
    assert torch.equal(step_batch(data, plain, 2, 5).batch.epsilon_BCTHW[6:], step.batch.epsilon_BCTHW[6:])


def test_named_pairs_reach_the_other_processes(tmp_path: Path) -> None:
    named = torch.tensor([[0, 1], [2, 1]])
    write_material(tmp_path, Material(replace(training_set(), pairs_P2=named)))
    found = read_material(tmp_path).data
    assert found.pairs_P2 is not None and torch.equal(found.pairs_P2, named)
    assert found.group_N is not None and found.partner_N is not None and found.text_row_N is None
