"""Sample clips while training: the averaged weights through the stock pipeline, and training as without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.errors import RecipeError
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.model_size import loaded_model_size, sampling_bytes
from rushes.families.offload import Placement
from rushes.families.recompute import SAFETY
from rushes.families.wan import Wan
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.runtime import PreviewRuntime
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.records import SamplerSettings
from rushes.store.identity import seed_from_key
from rushes.store.video import read_video
from rushes.train import preview
from rushes.train.data import TrainingSet
from rushes.train.hooks import Hooks
from rushes.train.job import Job
from rushes.train.loop import optimise
from rushes.train.network import make_network, merged_weights
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective
from rushes.train.preview import MARGIN, PreviewOrder, Previews, shape_that_fits, texts_at_hand
from rushes.train.state import Trained
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

SAMPLER = SamplerSettings(num_steps=3, guidance_scale=1.0, shift=2.0, scheduler="FlowMatchEulerDiscreteScheduler")
SPEC = TrainSpec(num_steps=4, batch_size=2, learning_rate=1e-2, warmup_steps=1, checkpoint_every=2, precision="float32")
TEXT = "a red circle moves up"


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


def order_in(folder: Path, *texts: str, every: int = 3) -> PreviewOrder:
    runtime = PreviewRuntime(every=every, prompts=texts)
    return PreviewOrder.of(runtime, (), sampler=SAMPLER, shape=TINY_SHAPE, num_steps=4, folder=folder)


class Diary:
    """Remembers events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))


def trained(
    wan: Family, folder: Path, previews: Previews | None, spec: TrainSpec = SPEC
) -> tuple[Trained, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    data = TrainingSet(
        z_0_NCThw=torch.randn((3, 4, 2, 4, 4), generator=generator),
        text=wan.encode_text([TEXT, "a blue square", "a ball"]),
        empty=wan.encode_text([""]),
        weight_N=torch.ones(3),
        preference_N=torch.ones(3),
        is_real_N=torch.tensor([False, False, True]),
    )
    network = make_network(wan, spec.lora, None, autocast=spec.precision == "bfloat16")
    folder.mkdir()
    job = Job(
        network, data, TrainingLoss(spec, build_objective(spec), None, torch.zeros(4), torch.ones(4)), spec, seed=3
    )
    found = optimise(job, folder, Hooks(on_average=previews.make) if previews else None)
    assert network.tuned.training
    return found, merged_weights(network, found.average)


@pytest.mark.parametrize("name", ["full", "adapter over rounded weights"])
def test_previews_move_no_bit_and_show_the_averaged_weights(
    name: str, wan: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SPEC if name == "full" else SPEC.model_copy(update={"lora": LoraSpec(rank=2), "precision": "bfloat16"})
    shown: dict[str, np.ndarray] = {}
    write = preview.write_video

    def watched(path: Path, frames: np.ndarray, fps: float, *, scale: int) -> None:
        shown[path.name] = frames
        write(path, frames, fps, scale=scale)

    monkeypatch.setattr(preview, "write_video", watched)
    alone, _ = trained(wan, tmp_path / "a", None, spec)
    log, base = Diary(), wan.transformer
    looked, merged = trained(wan, tmp_path / "b", Previews(order_in(tmp_path / "clips", TEXT), log), spec)
    assert [(event, fields.get("step")) for event, fields in log.events] == [("preview", step) for step in (0, 3, 4)]
    assert alone.progress.curves == looked.progress.curves
    for key, value in alone.average.items():
        assert torch.equal(value, looked.average[key]), key
    assert wan.transformer is base
    assert read_video(tmp_path / "clips" / "step-000004-0.mp4").frames_THWC.shape == (5, 256, 256, 3)
    assert not np.array_equal(shown["step-000000-0.mp4"], shown["step-000004-0.mp4"])
    if name == "full":
        kept = {key: value.clone() for key, value in base.state_dict().items()}
        try:
            wan.load_weights(merged)
            latents = wan.sample([TEXT], [seed_from_key(TEXT, "preview")], SAMPLER, TINY_SHAPE)
            np.testing.assert_array_equal(wan.decode(latents)[0], shown["step-000004-0.mp4"])
        finally:
            wan.load_weights(kept)


def test_an_offloaded_model_makes_no_previews(wan: Family, tmp_path: Path) -> None:
    assert isinstance(wan, Wan)
    network = make_network(replace(wan, placement=Placement("model")), None, None, autocast=False)
    log = Diary()
    Previews(order_in(tmp_path / "clips", TEXT), log).make(network, {}, 0)
    assert [event for event, _ in log.events] == ["preview_skipped"] and "offloaded" in str(log.events[0][1]["reason"])
    assert not (tmp_path / "clips").exists()


def test_an_error_is_told_and_training_goes_on_to_the_same_bits(
    wan: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = trained(wan, tmp_path / "a", None)
    log, base = Diary(), wan.transformer

    def broken(self: object, latents: torch.Tensor) -> list[np.ndarray]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(wan), "decode", broken)
    looked, _ = trained(wan, tmp_path / "b", Previews(order_in(tmp_path / "clips", TEXT), log))
    assert [event for event, _ in log.events] == ["preview_failed"] * 3
    assert "CUDA out of memory" in str(log.events[0][1]["error"])
    assert all(torch.equal(value, looked.average[key]) for key, value in alone.average.items())
    assert wan.transformer is base


def test_short_memory_means_fewer_frames_and_none_means_a_reason(wan: Family, tmp_path: Path) -> None:
    size = loaded_model_size(wan.pipeline)
    assert size is not None
    one_frame = TINY_SHAPE.model_copy(update={"num_frames": 1})
    least = round(MARGIN * sampling_bytes(size, one_frame, 1) / SAFETY) + 1
    assert sampling_bytes(size, TINY_SHAPE, 1) > sampling_bytes(size, one_frame, 1)
    network = make_network(wan, None, None, autocast=False)
    average = {name: value.detach().clone() for name, value in network.parameters().items()}
    for free, expected in ((least, ("preview", 1)), (least - 2, ("preview_skipped", None)), (None, ("preview", 5))):
        log = Diary()
        order = order_in(tmp_path / str(free), TEXT)
        Previews(order, log, free=lambda device, free=free: free).make(network, average, 3)
        ((event, fields),) = log.events
        assert (event, fields.get("num_frames")) == expected
        assert order.path(3, 0).exists() == (event == "preview")


def test_only_legal_numbers_of_frames_are_tried(wan: Family) -> None:
    size = loaded_model_size(wan.pipeline)
    assert size is not None

    class Eights:
        def latent_shape(self, shape: object) -> None:
            if shape.num_frames % 8 != 1:  # type: ignore[attr-defined]
                raise RecipeError("frames must be 8 k + 1")

    wanted = TINY_SHAPE.model_copy(update={"num_frames": 49})
    need = {
        num: MARGIN * sampling_bytes(size, wanted.model_copy(update={"num_frames": num}), 1) / SAFETY
        for num in (49, 41, 25)
    }
    for num in (49, 41, 25):
        found = shape_that_fits(Eights(), size, wanted, round(need[num]) + 1)  # type: ignore[arg-type]
        assert found is not None and found.num_frames == num


def test_what_is_asked_for_is_what_is_due(tmp_path: Path) -> None:
    order = order_in(tmp_path, TEXT, every=3)
    assert [step for step in range(5) if order.is_due(step)] == [0, 3, 4]
    runtime = PreviewRuntime(every=2, num_prompts=2, num_frames=1, num_steps=7)
    texts = ["a", "b", "a", "c"]
    own = PreviewOrder.of(runtime, texts, sampler=SAMPLER, shape=TINY_SHAPE, num_steps=4, folder=tmp_path)
    assert (own.texts, own.shape.num_frames, own.sampler.num_steps) == (("a", "b"), 1, 7)
    assert own.read == ("", "a", "b")
    off = PreviewOrder.of(PreviewRuntime(), ["a"], sampler=SAMPLER, shape=TINY_SHAPE, num_steps=4, folder=tmp_path)
    assert not off.is_due(0) and off.read == ()


def test_texts_are_at_hand_meanwhile_and_forgotten_after(wan: Family) -> None:
    before = dict(wan.kept)
    with texts_at_hand(wan, ["", TEXT], free_encoder=False):
        assert set(wan.kept) == {*before, "", TEXT}
        with texts_at_hand(wan, [TEXT, "other"], free_encoder=False):
            pass
        assert set(wan.kept) == {*before, "", TEXT}
    assert wan.kept == before
