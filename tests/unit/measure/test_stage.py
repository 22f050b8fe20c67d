"""Reading clips for a measurer: a clip that several subjects share is read once, however small the chunks are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from rushes.context import Context
from rushes.families.models import Model
from rushes.generate.stage import evaluation_how
from rushes.generate.takes import How
from rushes.measure.stage import MOST_FOR_SERVERS, Seen, measure, measured, num_at_once, subjects
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from rushes.records import BlobRef, Clip, Measurement, Outcome, Prompt, Scored
from rushes.roles import Failed, Runtime, Spec, Subject
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from rushes.store.decoded import Decoded, side_by_side
from rushes.store.run import Run
from tests.support.judged import make_prompt
from tests.support.measured_clips import clip, key
from tests.support.sandbox_recipe import measure_spec, sandbox_recipe
from tests.support.travelling import Travelling

PROMPT = make_prompt("glass")


class FirstPixel:
    """Scores a clip by its first pixel, and keeps what it was shown."""

    def __init__(self) -> None:
        self.asked: list[Subject] = []

    def measure(self, subjects: Sequence[Subject]) -> list[Outcome | Failed]:
        self.asked.extend(subjects)
        return [Scored(value=float(each.clips[0].frames_THWC[0, 0, 0, 0]) / 255) for each in subjects]


class FirstPixelSpec(Spec):
    """The same for a recipe, as a plug-in."""

    spec_name: ClassVar[str] = "tests.first-pixel"

    def build(self, runtime: Runtime) -> FirstPixel:
        return FirstPixel()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[BlobRef]:
    """What is read from now on, in order."""
    found, read = list[BlobRef](), Blobs.read_video

    def counted(self: Blobs, ref: BlobRef) -> npt.NDArray[np.uint8]:
        found.append(ref)
        return read(self, ref)

    monkeypatch.setattr(Blobs, "read_video", counted)
    return found


def grey(blobs: Blobs, value: int) -> BlobRef:
    return blobs.put_video(np.full((3, 8, 8, 3), value, np.uint8))


def seen(number: int, dimension: str, *videos: BlobRef) -> Work[Seen]:
    clips = [clip("base", dimension, number, take).model_copy(update={"video": v}) for take, v in enumerate(videos)]
    return Work(key("m", number), Seen(tuple(clips), PROMPT, PROMPT.text))


def values(found: Sequence[Measurement | Failed]) -> list[float]:
    return [m.outcome.value for m in found if isinstance(m, Measurement) and isinstance(m.outcome, Scored)]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_clip_that_serves_two_dimensions_is_read_once(tmp_path: Path, reads: list[BlobRef], size: int) -> None:
    blobs = Blobs(tmp_path)
    dark, light = grey(blobs, 51), grey(blobs, 255)
    work = [seen(0, "Material", dark), seen(1, "Mechanics", dark), seen(2, "Material", light)]
    measurer, videos = FirstPixel(), Decoded(blobs)
    chunks = [work[at : at + size] for at in range(0, len(work), size)]
    found = [each for chunk in chunks for each in measured(measurer, chunk, videos=videos, name="tester")]
    assert reads == [dark, light]
    assert values(found) == pytest.approx([0.2, 0.2, 1.0])
    first, second, _ = measurer.asked
    assert first.clips[0].frames_THWC is second.clips[0].frames_THWC


def test_only_what_the_next_chunk_needs_is_kept(tmp_path: Path, reads: list[BlobRef]) -> None:
    blobs = Blobs(tmp_path)
    a, b, c = (grey(blobs, value) for value in (1, 2, 3))
    videos = Decoded(blobs)
    show = partial(measured, FirstPixel(), videos=videos, name="tester")
    show([seen(0, "Diversity", a, b)])
    (kept,) = videos.of(seen(1, "Material", b).payload.clips)
    assert reads == [a, b] and kept.frames_THWC[0, 0, 0, 0] == 2
    show([seen(2, "Material", c)])
    show([seen(3, "Material", a)])
    assert reads == [a, b, c, a], "what the chunk between did not need was let go"
    slower = clip("base", "Material", 4).model_copy(update={"video": a, "fps": 4.0})
    assert [each.fps for each in videos.of([slower])] == [4.0]


def test_takes_stay_with_their_subject(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    a, b = grey(blobs, 1), grey(blobs, 2)
    measurer = FirstPixel()
    measured(measurer, [seen(0, "Diversity", a, b, a), seen(1, "Material", b)], videos=Decoded(blobs), name="tester")
    shown = [[int(video.frames_THWC[0, 0, 0, 0]) for video in subject.clips] for subject in measurer.asked]
    assert shown == [[1, 2, 1], [2]]


def test_pieces_of_one_clip_stand_side_by_side_and_others_keep_their_order(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    a, b, c = (grey(blobs, value) for value in (1, 2, 3))
    work = [seen(n, "Material", video) for n, video in enumerate([b, a, c, a, b])]
    assert side_by_side(work, first_clip) == [work[n] for n in (0, 4, 1, 3, 2)]
    assert side_by_side(work[:3], first_clip) == work[:3]
    assert side_by_side([], first_clip) == []


def first_clip(piece: Work[Seen]) -> Clip:
    return piece.payload.clips[0]


def test_dimension_by_dimension_one_at_a_time_still_reads_each_clip_once(
    tmp_path: Path, reads: list[BlobRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage itself, on clips that are there, with a measurer that travels to a worker."""
    spec = measure_spec(measurer=PluginSpec(use=f"{__name__}:FirstPixelSpec"))
    away = Travelling()
    monkeypatch.setattr("rushes.context.executor_of", lambda runtime: away)
    with Run.open(tmp_path / "run", {"test": 1}) as run:
        videos = [grey(run.blobs, value) for value in (51, 102)]
        clips = [
            clip("base", dimension, number).model_copy(update={"video": video})
            for dimension in ("Material", "Mechanics", "Thermotics")
            for number, video in enumerate(videos)
        ]
        prompts = {
            each.prompt_key: PROMPT.model_copy(update={"key": each.prompt_key, "dimension": each.dimension})
            for each in clips
        }

        def there(context: Context, model: Model, wanted: Sequence[Prompt], num_takes: int, how: How) -> list[Clip]:
            return [each for each in clips for prompt in wanted if prompt.key == each.prompt_key]

        monkeypatch.setattr("rushes.measure.stage.clips_of", there)
        context = Context(sandbox_recipe(measure=spec, runtime=RuntimeSpec(num_threads=1, judge_batch=1)), run)
        context.prompts.update(prompts)
        found = measure(context, Model("base", None), list(prompts.values()), "held_out")
    work = subjects(clips, prompts, spec)
    assert reads == videos and away.num_calls == 1
    assert [each.key for each in found] == [piece.key for piece in work], "in the order of the clips"
    assert values(found) == pytest.approx([0.2 * (1 + n % 2) for n in range(len(work))])
    assert all(each.subject == (clips[n].key,) for n, each in enumerate(found))
    assert {each.measurer for each in found} == {"tests.first-pixel"}


def test_the_takes_of_a_group_dimension_are_measured_together_and_of_others_one_by_one() -> None:
    spec = measure_spec()
    clips = [clip("base", dimension, 0, take) for dimension in ("Diversity", "Material") for take in range(3)]
    prompts = {each.prompt_key: PROMPT.model_copy(update={"key": each.prompt_key}) for each in clips}

    work = subjects(clips, prompts, spec, frozenset({"Diversity"}))

    assert [piece.payload.clips for piece in work] == [tuple(clips[:3]), *((each,) for each in clips[3:])]


def test_evaluation_clips_are_sampled_as_the_comparison_says_whatever_training_clips_are(tmp_path: Path) -> None:
    recipe = sandbox_recipe()
    sampler = recipe.measure.sampler.model_copy(update={"num_steps": recipe.generate.sampler.num_steps + 7})
    recipe = sandbox_recipe(measure=measure_spec(sampler=sampler))
    with Run.open(tmp_path / "run", recipe) as run:
        assert evaluation_how(Context(recipe, run), Model("base", None)).sampler == sampler


def test_a_measurer_with_models_on_servers_gets_enough_clips_to_keep_them_busy() -> None:
    judge = {"kind": "vlm", "model": {"kind": "server", "server": "eyes", "model": "m"}}
    servers = {"eyes": ServerRuntime(url="http://localhost:1/v1"), "big": ServerRuntime(url="http://localhost:2/v1")}
    one = RuntimeSpec(
        judge_batch=1, servers={**servers, "big": servers["big"].model_copy(update={"max_concurrent": 9})}
    )
    many = RuntimeSpec(judge_batch=1, servers={"eyes": servers["eyes"].model_copy(update={"max_concurrent": 512})})
    asks = measure_spec(measurer=PluginSpec(use="vbench2", options={"judge": judge}))
    assert num_at_once(asks, one) == 8 and num_at_once(asks, many) == MOST_FOR_SERVERS
    assert num_at_once(asks, many.model_copy(update={"judge_batch": 40})) == 40
    assert num_at_once(measure_spec(), one) == 1
