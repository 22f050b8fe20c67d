"""A model with two transformers by noise level through the whole loop: either or both of them tuned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rushes.errors import RecipeError
from rushes.families.experts import of_part
from rushes.families.load import load_family
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec
from rushes.records import Checkpoint
from rushes.store.run import Run
from rushes.train import job as jobs
from rushes.train import stage
from rushes.train.data import Step
from rushes.train.merge import unmerged_of
from rushes.train.network import Network
from rushes.train.objective import TrainingLoss
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import small

TINY_A14B = TINY["wan-a14b"]
BOUNDARY = 0.875


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY_A14B.save(tmp_path_factory.mktemp("model"))


def with_train(recipe: Recipe, **changes: object) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=changes)})


def checkpoints(home: Path) -> list[Checkpoint]:
    with Run.view(home) as run:
        return list(run.checkpoints.all())


def weights(home: Path, checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    with Run.view(home) as run:
        refs = [each for each in (checkpoint.weights, checkpoint.weights_2) if each is not None]
        return {name: value for ref in refs for name, value in run.blobs.read_tensors(ref).items()}


def test_both_are_tuned_each_at_its_noise_levels_and_measured_together(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, float, float]] = []
    terms = TrainingLoss.terms

    def watched(self: TrainingLoss, velocity: object, step: Step) -> object:
        network: Network = velocity.__self__.network  # type: ignore[attr-defined]
        sigma_B = step.batch.sigma_B
        seen.append((network.family.part, float(sigma_B.min()), float(sigma_B.max())))
        return terms(self, velocity, step)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainingLoss, "terms", watched)
    recipe = with_train(small(TINY_A14B, folder), lora=LoraSpec(rank=2, alpha=2))
    assert improve(recipe, tmp_path / "run") is not None
    assert [part for part, _, _ in seen] == ["transformer"] * 3 + ["transformer_2"] * 3
    assert all(low >= BOUNDARY for part, low, _ in seen if part == "transformer")
    assert all(high <= BOUNDARY for part, _, high in seen if part == "transformer_2")
    (tuned,) = checkpoints(tmp_path / "run")
    assert tuned.weights_2 is not None and len(tuned.parts) == 2
    names = {loss.term for loss in tuned.losses}
    assert {f"{term}_{expert}" for term in ("weighted_flow", "held_out_real") for expert in ("high", "low")} <= names
    family = load_family(TINY_A14B.base(folder))
    before, after = family.weights(), weights(tmp_path / "run", tuned)
    assert set(after) == set(before)
    for part in ("transformer", "transformer_2"):
        one, other = of_part(before, part), of_part(after, part)  # type: ignore[arg-type]
        assert any(not torch.equal(one[name], other[name]) for name in one)
    with Run.view(tmp_path / "run") as run:
        clips = [clip for clip in run.clips.all() if clip.model == tuned.key]
        assert clips and clips[0].sampler == TINY_A14B.sampler
        kept = run.blobs.read_tensors(clips[0].latents)["latents"]  # type: ignore[arg-type]
        text = run.prompts.get(clips[0].prompt_key).text
    family.load_weights(after)
    again = family.sample([text], [clips[0].seed], TINY_A14B.sampler, TINY_A14B.shape)[0]
    torch.testing.assert_close(again, kept, atol=1e-3, rtol=1e-3)


def test_one_alone_leaves_the_other_and_is_not_trained_again_for_both(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, home = small(TINY_A14B, folder), tmp_path / "run"
    improve(with_train(recipe, experts="high"), home)
    (high,) = checkpoints(home)
    assert high.weights_2 is None and high.kind == "full"
    assert set(weights(home, high)) == set(of_part(load_family(TINY_A14B.base(folder)).weights(), "transformer"))
    trained: list[object] = []
    ready = jobs.ready

    def counted(assignment: jobs.Assignment, *rest: object) -> object:
        trained.append(assignment.expert)
        return ready(assignment, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "ready", counted)
    improve(recipe, home, until="train", allow_change=True)
    assert trained == ["low"]
    both = next(each for each in checkpoints(home) if each.parts)
    assert both.weights == high.weights and high.key == both.parts[0]
    trained.clear()
    improve(with_train(recipe, experts="low"), home, until="train", allow_change=True)
    assert trained == [], "it is the second part of both"
    assert all(name.startswith("transformer_2.") for name in weights(home, both) if name not in weights(home, high))


def test_a_run_that_is_killed_between_the_two_goes_on_with_the_second(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, home = small(TINY_A14B, folder), tmp_path / "run"
    teach, calls = stage.teach, list[object]()

    def killed_at_the_second(context: object, chunk: object) -> object:
        calls.append(chunk)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return teach(context, chunk)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "teach", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        improve(recipe, home, until="train")
    monkeypatch.setattr(stage, "teach", teach)
    improve(recipe, home, until="train")
    improve(recipe, tmp_path / "at once", until="train")
    (resumed,), (at_once,) = checkpoints(home), checkpoints(tmp_path / "at once")
    assert resumed.content() == at_once.content()
    with Run.view(home) as run:
        assert {each.key for each in unmerged_of(run).all()} == set(resumed.parts)
        assert not list((home / "scratch").glob("*/*")), "nothing to resume from is left"


def test_choosing_one_of_two_needs_two(tmp_path: Path) -> None:
    tiny = TINY["wan-2.1"]
    recipe = with_train(small(tiny, tiny.save(tmp_path / "model")), experts="low")
    with pytest.raises(RecipeError, match=r"train\.experts"):
        improve(recipe, tmp_path / "run")
