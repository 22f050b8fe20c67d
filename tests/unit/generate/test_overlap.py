"""Sampling beside decoding: the same records in the same order; never two batches sampled at once; off on a CPU."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rushes.errors import InputError
from rushes.execute import turns
from rushes.execute.turns import TwoAtOnce
from rushes.generate import clips as clips_of
from rushes.generate.clips import PipelineGenerator, generate_chunk
from rushes.generate.overlap import overlapping
from rushes.generate.takes import How, takes
from rushes.recipe.base import ShapeSpec
from rushes.recipe.runtime import RuntimeSpec, SamplingRuntime
from rushes.records import Clip, Prompt, SamplerSettings
from rushes.store import advance as advancing
from rushes.store.advance import Place, advance
from rushes.store.run import Run

SAMPLER = SamplerSettings(num_steps=1, guidance_scale=1.0, shift=2.0, scheduler="FlowMatchEulerDiscreteScheduler")
HOW = How("base", SAMPLER, ShapeSpec(height_px=8, width_px=8, num_frames=5))
PROMPTS = [
    Prompt(key=f"{index:064x}", text=text, base_text=text, dimension="Simple", origin="weakness", index=index)
    for index, text in enumerate(("one", "two", "three", "four"))
]
PATIENCE_S = 20.0
"""Longest wait for another thread: a test that waits so long has failed."""


class Model:
    """Samples noise, and notes what begins and ends."""

    def __init__(self, *, waits: bool = False, fails_at: str = "") -> None:
        self.said: list[str] = []
        self.begun = {prompt.text: threading.Event() for prompt in PROMPTS}
        self.waits, self.fails_at, self.num_sampling, self.most = waits, fails_at, 0, 0

    def sample(self, texts: Sequence[str], seeds: Sequence[int], *_: Any) -> torch.Tensor:
        self.num_sampling += 1
        self.most = max(self.most, self.num_sampling)
        self.begun[texts[0]].set()
        self.said.append(f"sample {texts[0]}")
        if texts[0] == self.fails_at:
            self.num_sampling -= 1
            raise InputError("the model is gone")
        made = torch.stack([torch.randn(4, 2, 1, 1, generator=torch.Generator().manual_seed(s)) for s in seeds])
        self.num_sampling -= 1
        self.last = {float(z.sum()): text for z, text in zip(made, texts, strict=True)} | getattr(self, "last", {})
        return made

    def decode(self, latents: torch.Tensor) -> list[Any]:
        text = self.last[float(latents[0].sum())]
        following = PROMPTS[min(len(PROMPTS) - 1, [p.text for p in PROMPTS].index(text) + 1)].text
        if self.waits:
            assert self.begun[following].wait(PATIENCE_S), "the next batch is sampled meanwhile"
        self.said.append(f"decoded {text}")
        pixels = (latents.reshape(len(latents), -1)[:, :1].numpy() * 50 + 128).clip(0, 255).astype(np.uint8)
        return [np.full((5, 8, 8, 3), value, dtype=np.uint8) for value in pixels[:, 0]]


def made(home: Path, model: Model, place: Any = None, generator_turns: turns.Turns | None = None) -> list[Clip]:
    generator = PipelineGenerator(model, generator_turns or turns.Turns())  # type: ignore[arg-type]
    with Run.open(home, {"toy": 1}) as run:
        do = partial(generate_chunk, generator, blobs=run.blobs, how=HOW)
        where = run.place() if place is None else run.place(place)
        try:
            advance(run.clips, takes(PROMPTS, 1, HOW), do, chunk_size=1, place=where)
        finally:
            by_key = {clip.key: clip for clip in run.clips.all()}
    return [by_key[key] for key in stored(home)]


def stored(home: Path) -> list[str]:
    """Keys of the records, in the order in which they were stored."""
    with closing(sqlite3.connect(home / "records.sqlite")) as database:
        return [key for (key,) in database.execute("SELECT key FROM records WHERE name = 'clips' ORDER BY position")]


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU with room for both."""
    monkeypatch.setattr(clips_of, "can_overlap", lambda *_: True)
    monkeypatch.setattr(clips_of, "beside", lambda family, _: family.decode)


@pytest.mark.usefixtures("beside")
def test_a_batch_is_decoded_while_the_next_is_sampled_and_records_stay_in_order(tmp_path: Path) -> None:
    one_by_one = made(tmp_path / "plain", Model())
    model = Model(waits=True)
    found = made(tmp_path / "beside", model, TwoAtOnce())
    assert [clip.prompt_key for clip in found] == [prompt.key for prompt in PROMPTS]
    assert [(each.key, each.video, each.latents) for each in found] == [
        (each.key, each.video, each.latents) for each in one_by_one
    ]
    assert model.most == 1, "never two at once"
    assert [each for each in model.said if each.startswith("decoded")] == [f"decoded {p.text}" for p in PROMPTS]


def test_without_room_a_batch_is_decoded_before_the_next_is_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips_of, "can_overlap", lambda *_: False)
    model = Model()
    made(tmp_path / "run", model, TwoAtOnce())
    assert model.said == [f"{what} {prompt.text}" for prompt in PROMPTS for what in ("sample", "decoded")]


@pytest.mark.usefixtures("beside")
def test_an_error_ends_the_stage_and_what_came_before_it_is_stored(tmp_path: Path) -> None:
    model = Model(fails_at="three")
    with pytest.raises(InputError, match="the model is gone"):
        made(tmp_path / "run", model, TwoAtOnce())
    found, keys = stored(tmp_path / "run"), [work.key for work in takes(PROMPTS, 1, HOW)]
    # The fourth is stored too if it had begun by then: what is in work is never lost.
    assert found in (keys[:2], [*keys[:2], keys[3]])


@pytest.mark.usefixtures("beside")
def test_waiting_for_a_turn_is_no_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of its own, that sampling, decoding and waiting put forward."""
    now = [0.0]

    class Crowded:
        def acquire(self) -> None:
            now[0] += 1000.0

        def release(self) -> None:
            pass

    class Slow(Model):
        def sample(self, *args: Any) -> torch.Tensor:
            now[0] += 3.0
            return super().sample(*args)

        def decode(self, latents: torch.Tensor) -> list[Any]:
            now[0] += 2.0
            return super().decode(latents)

    clock = SimpleNamespace(perf_counter=lambda: now[0])
    for module in (turns, clips_of, advancing):
        monkeypatch.setattr(module, "time", clock)
    own = turns.Turns(turns.Turn(Crowded()), turns.Turn(Crowded()))  # type: ignore[arg-type]
    clips = made(tmp_path / "run", Slow(), generator_turns=own)
    assert [clip.seconds for clip in clips] == [5.0] * 4 and now[0] == 4 * 2005.0
    with Run.view(tmp_path / "run") as run:
        (cost,) = run.costs()
    assert cost.seconds == 20.0


def test_results_come_in_order_whichever_is_finished_first() -> None:
    second = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            assert second.wait(PATIENCE_S)
        if item == 1:
            second.set()
        return item * 10

    assert [(done.index, done.result) for done in TwoAtOnce().map(call, range(4))] == [(i, 10 * i) for i in range(4)]


def test_two_batches_are_in_work_on_a_gpu_of_this_process_alone() -> None:
    place = Place()
    assert overlapping(place, RuntimeSpec()) is place
    assert overlapping(place, RuntimeSpec(device="cuda", executor="ray")) is place
    assert overlapping(place, RuntimeSpec(device="cuda", sampling=SamplingRuntime(overlap=False))) is place
    assert isinstance(overlapping(place, RuntimeSpec(device="cuda:1")).executor, TwoAtOnce)
