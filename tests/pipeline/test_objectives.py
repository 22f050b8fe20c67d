"""Every objective through the whole loop of a tiny model, and its training through every family."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from rushes.families.load import load_family
from rushes.pipeline import improve
from rushes.recipe.objectives import NftSpec
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.records import Sample
from rushes.store.run import Run
from rushes.train.data import TrainingSet
from rushes.train.handover import Material
from tests.support.judges import SMOOTH
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan
from tests.support.training import assignment_of, columns_of_takes, teach_alone

KINDS: dict[str, dict[str, Any]] = {
    "flow": {"kind": "flow"},
    "nft": {"kind": "nft", "adaptive": True},
    "dpo": {"kind": "dpo", "min_gap": 0.0},
    "crd": {"kind": "crd", "num_takes": 2, "min_gap": 0.0},
    "rvm": {"kind": "rvm"},
    "awm": {"kind": "awm"},
    "online": {"kind": "online", "normalise": "sigma_bin", "denoiser": "base", "num_ode_steps": 2},
    "reward_gradient": {"kind": "reward_gradient"},
    "art": {"kind": "art", "min_gap": 0.0, "window": 2},
}


def spec_of(kind: str, **settings: Any) -> TrainSpec:
    plain = {"num_steps": 3, "batch_size": 4, "warmup_steps": 0, "learning_rate": 1e-3, "precision": "float32"}
    return TrainSpec.model_validate({**plain, "objective": KINDS[kind], **settings})


def test_runs_train_by_each_objective_on_the_same_clips(tmp_path: Path) -> None:
    """One run folder: clips and answers are made once, for all of them but the one that needs another judge."""
    recipe = tiny_recipe(make_tiny_wan(tmp_path / "model"))
    for kind in KINDS:
        lora = LoraSpec(rank=2, alpha=2) if kind in ("flow", "dpo", "awm", "reward_gradient", "art") else None
        train = spec_of(kind, lora=lora, **({"num_steps": None, "num_epochs": 1.5} if kind == "dpo" else {}))
        made = recipe.model_copy(update={"train": train})
        if kind == "reward_gradient":  # the judge of the others gives none
            made = made.model_copy(update={"judge": SMOOTH})
        assert improve(made, tmp_path / "run", allow_change=True) is not None
    with Run.view(tmp_path / "run") as run:
        checkpoints = run.checkpoints.all()
        models = {clip.model for clip in run.clips.all() if clip.origin == "model"}
        num_own = sum(each.source == "own" for each in run.read_derived("samples-0", Sample) or [])
    assert len(models) == 1 + len(KINDS), "the base, and one tuned model each"
    terms = {min({loss.term for loss in each.losses} & {*KINDS, "weighted_flow"}): each.step for each in checkpoints}
    # Two of a step's four clips are own ones, in a pair; an epoch reads as many as the screen left prompts for.
    assert {*terms} == {*KINDS, "weighted_flow"} - {"flow"}
    assert terms.pop("dpo") == math.ceil(1.5 * num_own / 2)
    assert set(terms.values()) == {3}


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, LoraSpec(rank=2, alpha=2)], ids=["full", "lora"])
@pytest.mark.parametrize("name", TINY)
def test_every_family_trains_by_every_objective(name: str, lora: LoraSpec | None, tmp_path: Path) -> None:
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path / "model")))
    data = TrainingSet(
        z_0_NCThw=torch.randn((10, *family.latent_shape(tiny.shape)), generator=torch.Generator().manual_seed(0)),
        text=family.encode_text([f"a red circle moves {way}" for way in ("left", "right", "up", "down", "in")] * 2),
        empty=family.encode_text([""]),
        weight_N=torch.ones(10),
        preference_N=torch.tensor([0.1, 0.9, 0.5, 0.2, 0.6, 0.8, 1, 1, 1, 1]),
        is_real_N=torch.tensor([False] * 6 + [True] * 4),
        **columns_of_takes(),
    )
    for kind in KINDS:
        spec = spec_of(kind, lora=lora, anchor=0.0 if kind == "flow" else 0.1)
        assignment = assignment_of(family, tmp_path / kind, spec)
        if family.has_experts:  # only the one of low noise can denoise to the end
            assignment = assignment.model_copy(update={"expert": "low"})
        taught = teach_alone(assignment, family, Material(data))
        assert taught.record.num_skipped_steps == 0
        started = [value for step, value in taught.curves.get("distance_to_start", []) if step == 1]
        assert started == ([] if kind == "flow" else [0.0]), "the network is the base, exactly, before step 1"


def test_a_recipe_of_an_earlier_release_trains_as_it_did() -> None:
    assert TrainSpec.model_validate({"negative": 0.5}).objective == NftSpec(beta=0.5, strength=0.5)
    assert TrainSpec.model_validate({"negative": 0.0}) == TrainSpec()
    for given, says in (
        ({"negative": 0.5, "objective": {"kind": "flow"}}, "beta: 0.5, strength: 0.5"),
        ({"negative": 0, "objective": {"kind": "nft"}}, "kind: flow"),
        ({"negative": -1}, "a number >= 0"),
        ({"negative": "much"}, "a number >= 0"),
    ):
        with pytest.raises(ValueError, match=says):
            TrainSpec.model_validate(given)
