"""Samples of a run: base beside tuned from the same noise, kept apart from the run, made once, and told when not."""

from __future__ import annotations

import io
import json
import shutil
import threading
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.cli import main
from rushes.errors import InputError, RunLocked, StoreError
from rushes.export.source import choose
from rushes.families.load import load_family
from rushes.families.models import Model
from rushes.pipeline import improve
from rushes.plan.status import read_status
from rushes.recipe.train import LoraSpec
from rushes.recipe.watch import WatchSpec
from rushes.records import SampledClip
from rushes.sample.choose import column
from rushes.sample.stage import TABLE, Request, sample
from rushes.store.check import examine
from rushes.store.lock import ProcessLock
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.store.video import read_video
from rushes.view.jobs import Queue, Wish, _reason
from tests.support.studio import address, client
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

TEXT, OTHER = "a red circle moves to the left", "a blue square"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an adapter, watched, so that it has a checkpoint at steps 3 and 6."""
    recipe = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    train = recipe.train.model_copy(update={"lora": LoraSpec(rank=2, alpha=2), "learning_rate": 0.05})
    recipe = recipe.model_copy(update={"train": train, "watch": WatchSpec(every=3, keep=2, stop_after=None)})
    home = tmp_path_factory.mktemp("runs") / "run"
    assert improve(recipe, home) is not None
    return home


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def result(home: Path) -> str:
    """Label of the run's result: the watch decides whether that is the checkpoint after 3 or after 6 steps."""
    with Run.view(home) as run:
        return f"step {choose(run).checkpoint.step}"


def sampled(home: Path) -> list[SampledClip]:
    with Run.view(home) as run:
        return run.table(TABLE, SampledClip).all()


def pixels(home: Path, clip: SampledClip) -> np.ndarray:
    with Run.view(home) as run:
        return run.blobs.read_video(clip.video)


def files(home: Path) -> dict[str, bytes]:
    """What the run itself consists of, without its database and its stored clips."""
    names = ("header.json", "recipe.yaml", "scorecard.json", "done", "events.jsonl", "report.html")
    return {name: (home / name).read_bytes() for name in names}


def test_base_and_tuned_start_from_the_noise_of_each_seed(home: Path) -> None:
    made = sample(home, Request((TEXT,), num_seeds=2, first_seed=7))
    last = result(home)
    assert [each.label for each in made.columns] == ["base", last]
    assert [(each[1], each[2]) for each in made.clips] == [(7, "base"), (8, "base"), (7, last), (8, last)]
    family = load_family(recipe_of(home).base)
    sampler, shape = recipe_of(home).measure.sampler, recipe_of(home).shape
    with Run.view(home) as run:
        weights = choose(run).weights
        tuned = run.blobs.read_tensors(weights)
    for label in ("base", last):
        if label == last:
            family.load_weights(tuned)
        for seed in (7, 8):
            (expected,) = family.decode(family.sample([TEXT], [seed], sampler, shape))
            assert np.array_equal(pixels(home, made.clips[TEXT, seed, label]), expected)
    assert not np.array_equal(*(pixels(home, made.clips[TEXT, 7, label]) for label in ("base", last)))


def test_what_is_there_is_not_made_again_and_nothing_of_the_run_changes(home: Path) -> None:
    before, status, checked = files(home), read_status(home).as_json(), examine(home)
    with Run.view(home) as run:
        costs, clips = run.costs(), run.clips.num_records()
    first = sample(home, Request((TEXT,), num_seeds=1))
    again = sample(home, Request((TEXT, OTHER), num_seeds=2))
    assert (first.num_new, again.num_new) == (2, 6)
    assert first.clips[TEXT, 0, "base"] == again.clips[TEXT, 0, "base"], "also beside other prompts and seeds"
    assert files(home) == before
    assert read_status(home).as_json() == status
    assert not examine(home).findings and examine(home).num_checked > checked.num_checked
    with Run.view(home) as run:
        assert (run.costs(), run.clips.num_records()) == (costs, clips)
        assert run.is_done and not run.owes_work
    assert improve(recipe_of(home), home) is not None


def test_a_damaged_clip_is_found_and_sampled_again(home: Path) -> None:
    made = sample(home, Request((TEXT,), num_seeds=1, beside=None))
    (clip,) = made.clips.values()
    path = home / "blobs" / clip.video.sha256[:2]
    (file,) = [each for each in path.iterdir() if each.name.startswith(clip.video.sha256)]
    expected = file.read_bytes()
    file.write_bytes(expected[:-1] + bytes([expected[-1] ^ 1]))
    assert [each.records for each in examine(home).findings] == [((TABLE, clip.key),)]
    assert sample(home, Request((TEXT,), num_seeds=1, beside=None)).num_new == 1
    assert file.read_bytes() == expected


def test_strength_lies_between_base_and_checkpoint(home: Path) -> None:
    by = {s: sample(home, Request((TEXT,), num_seeds=1, beside=None, strength=s)) for s in (0.0, 0.5, 1.0)}
    labels = [each.columns[0].label for each in by.values()]
    assert labels == [f"{result(home)} x 0", f"{result(home)} x 0.5", result(home)]
    none, half, whole = (pixels(home, next(iter(each.clips.values()))) for each in by.values())
    base = sample(home, Request((TEXT,), num_seeds=1, checkpoint="base"))
    assert base.num_new == 0, "a strength of 0 is the base, whose clip is there"
    assert np.array_equal(none, pixels(home, base.clips[TEXT, 0, "base"]))
    assert not np.array_equal(half, none) and not np.array_equal(half, whole)
    # By the definition: W + (W' - W) / 2 in every weight.
    family = load_family(recipe_of(home).base)
    before = {name: value.clone() for name, value in family.transformer.state_dict().items()}
    with Run.view(home) as run:
        after = run.blobs.read_tensors(choose(run).weights)
    family.load_weights({name: torch.lerp(value, after[name], 0.5) for name, value in before.items()})
    (expected,) = family.decode(family.sample([TEXT], [0], recipe_of(home).measure.sampler, recipe_of(home).shape))
    assert np.abs(expected.astype(int) - half).max() <= 1


def test_a_checkpoint_by_its_step_beside_another(home: Path) -> None:
    made = sample(home, Request((TEXT,), num_seeds=1, checkpoint="6", beside="@3"))
    assert [(each.label, each.step) for each in made.columns] == [("step 3", 3), ("step 6", 6)]
    with Run.view(home) as run:
        steps = {each.key: each.step for each in run.checkpoints.all()}
    assert [steps[each.model] for each in made.clips.values()] == [3, 6]


@pytest.mark.parametrize("dialect", ["lora", "comfyui", "kohya"])
def test_an_exported_adapter_gives_the_clips_of_its_checkpoint(home: Path, tmp_path: Path, dialect: str) -> None:
    out = tmp_path / "adapter"
    assert main(["export", dialect, str(home), "--out", str(out)]) == 0
    made = sample(home, Request((TEXT,), num_seeds=1, checkpoint=str(out)))
    own = sample(home, Request((TEXT,), num_seeds=1))
    there, here = pixels(home, made.clips[TEXT, 0, "adapter"]), pixels(home, own.clips[TEXT, 0, result(home)])
    assert np.abs(there.astype(int) - here).mean() < 1.0
    assert not np.array_equal(there, pixels(home, own.clips[TEXT, 0, "base"]))


def test_all_weights_from_a_file(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "whole"
    assert main(["export", "transformer", str(home), "--out", str(out)]) == 0
    made = sample(home, Request((TEXT,), num_seeds=1, checkpoint=str(out)))
    own = sample(home, Request((TEXT,), num_seeds=1))
    assert np.array_equal(pixels(home, made.clips[TEXT, 0, "whole"]), pixels(home, own.clips[TEXT, 0, result(home)]))


def test_the_command_writes_clips_a_sheet_and_a_page(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(f"# two of them\n{OTHER}\n\n{TEXT}\n", encoding="utf-8")
    words = ["sample", str(home), "--prompts", str(prompts), "--seeds", "2", "--json"]
    assert main(words) == 0
    shown = json.loads(capsys.readouterr().out)
    page = Path(shown["page"])
    assert page.parent.parent == home / "samples"
    assert [(each["prompt"], each["seed"], each["model"]) for each in shown["clips"]][:3] == [
        (OTHER, 0, "base"),
        (OTHER, 0, result(home)),
        (OTHER, 1, "base"),
    ]
    text = unescape(page.read_text(encoding="utf-8"))
    assert all(f'src="{each["file"]}"' in text for each in shown["clips"])
    first = read_video(page.parent / shown["clips"][0]["file"])
    assert first.frames_THWC.shape == (5, 256, 256, 3), "tiny clips are enlarged"
    assert (page.parent / "sheet.jpg").stat().st_size > 1000
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == {**shown, "num_new": 0}


def test_a_prompt_is_text_on_the_page(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rushes.sample import page, stage

    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    monkeypatch.setattr(stage, "unreadable", lambda *_: None)
    made = sample(home, Request((evil,), num_seeds=1))
    with Run.view(home) as run:
        shown = page.write_page(tmp_path / "page", made, run.blobs).read_text(encoding="utf-8")
    assert "<script>alert" not in shown and "<img" not in shown and "&lt;script&gt;alert(1)" in shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a green elephant", "the model cannot read 'elephant'"),
        ("a red circle " * 9, "tokens, at most 16"),
        ("  ", "it has no words"),
        ("a red\x1b[31m circle", ""),
    ],
)
def test_a_prompt_that_the_model_cannot_read_is_refused_at_once(home: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match="cannot read this prompt") as caught:
        sample(home, Request((text,)))
    assert why in str(caught.value) and "\x1b" not in str(caught.value)
    assert not sampled(home)


def test_no_checkpoint_yet(tmp_path: Path, finished: Path) -> None:
    recipe = tiny_recipe(Path(recipe_of(finished).base.model))
    home = tmp_path / "new"
    assert improve(recipe, home, until="prompts") is None
    with pytest.raises(StoreError, match="has no checkpoint yet") as caught:
        sample(home, Request((TEXT,)))
    assert "--checkpoint base" in str(caught.value)
    assert sample(home, Request((TEXT,), num_seeds=1, checkpoint="base")).num_new == 1


def test_no_such_checkpoint_or_strength(home: Path) -> None:
    with Run.view(home) as run:
        base = Model("0" * 64, None)
        with pytest.raises(InputError, match="no checkpoint at step 5") as caught:
            column(run, base, "5")
        assert "3 (" in str(caught.value) and "6 (" in str(caught.value)
        with pytest.raises(InputError, match="strength is out of range"):
            column(run, base, None, -0.1)
        with pytest.raises(InputError, match="holds no weights"):
            column(run, base, "/nowhere/x.safetensors")


def test_a_run_in_progress_is_left_alone(home: Path) -> None:
    lock = ProcessLock(home / "lock")
    try:
        with pytest.raises(RunLocked, match="is working in"):
            sample(home, Request((TEXT,)))
    finally:
        lock.release()
    assert not sampled(home)


def test_settings_of_the_sampler_make_another_clip_and_others_are_refused(home: Path) -> None:
    sample(home, Request((TEXT,), num_seeds=1))
    other = sample(home, Request((TEXT,), num_seeds=1, settings=("measure.sampler.guidance_scale=5.0",)))
    assert other.num_new == 2 and all(each.sampler.guidance_scale == 5.0 for each in other.clips.values())
    with pytest.raises(InputError, match="cannot differ in its samples"):
        sample(home, Request((TEXT,), settings=("base.model=elsewhere",)))
    assert recipe_of(home).measure.sampler.guidance_scale == 2.0


# ---------------------------------------------------------------------------------------------- the studio

HERE = {"origin": "http://127.0.0.1:8600"}
FORM = {"prompt": f"{TEXT}\n{OTHER}", "seeds": "2", "first_seed": "1", "strength": "0.5", "checkpoint": ""}


class Said:
    """A process that says one thing and ends."""

    def __init__(self, text: str, status: int) -> None:
        self.stderr, self.status = io.StringIO(text), status

    def wait(self, _: float | None = None) -> int:
        return self.status

    def terminate(self) -> None:
        pass


def waited(queue: Queue, home: Path) -> list[tuple[str, str]]:
    """State and message of each job, once none is open; a condition, not a time, ends the wait."""
    while any(job.state in ("waiting", "working") for job in queue.jobs(home)):
        threading.Event().wait(0.01)
    return [(job.state, job.message) for job in queue.jobs(home)]


def test_requests_run_one_after_the_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_now, most, started = 0, 0, []

    class Watched(Said):
        def wait(self, _: float | None = None) -> int:
            nonlocal open_now
            open_now -= 1
            return super().wait()

    def start(words: list[str]) -> Said:
        nonlocal open_now, most
        open_now, started_now = open_now + 1, words[words.index("--") :]
        most = max(most, open_now)
        started.append(started_now)
        return Watched("sampled_clips 0/4, 0 s\nsampled_clips 4/4, 9 s\n", 0)

    monkeypatch.setattr("rushes.view.jobs._started", start)
    queue = Queue()
    wishes = [Wish(home, (f"--open {number}",), 2, 0, None, 1.0) for number in range(5)]
    for wish in wishes:
        assert queue.add(wish) is not None
    assert waited(queue, home) == [("done", "")] * 5
    assert most == 1 and started == [["--", str(home), *wish.texts] for wish in wishes]
    assert {(job.num_done, job.num_total) for job in queue.jobs(home)} == {(4, 4)}
    assert not queue.jobs(home.parent)
    queue.close()
    assert queue.add(wishes[0]) is None


def test_a_failed_request_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "warning: x\nerror: another process (pid 7) is working in runs/a\n  next:     wait for it\n"
    monkeypatch.setattr("rushes.view.jobs._started", lambda _: Said(text, 2))
    queue = Queue()
    queue.add(Wish(home, (TEXT,), 1, 0, None, 1.0))
    ((state, message),) = waited(queue, home)
    assert state == "failed" and message.startswith("another process (pid 7)") and "wait for it" in message
    assert "\x1b" not in _reason(["Traceback\n", "ValueError: \x1b[2Jx\n"])
    queue.close()


def test_the_page_samples_in_a_process_of_its_own(home: Path) -> None:
    web = client(home, may_write=True)
    queue = web.app.state.studio.queue  # type: ignore[attr-defined]
    answer = web.post(address(home, "generate"), data=FORM, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, address(home, "generate"))
    assert waited(queue, home) == [("done", "")]
    queue.close()
    made = sample(home, Request((TEXT, OTHER), num_seeds=2, first_seed=1, strength=0.5))
    assert made.num_new == 0, "the same clips as by the command"
    page = web.get(address(home, "generate")).text
    assert page.count("<video") == 8 and f"{result(home)} x 0.5" in page
    key = next(iter(made.clips.values())).key
    assert web.get(address(home, f"generate/{key}/video.mp4")).content[4:8] == b"ftyp"
    assert web.get(address(home, f"generate/{'0' * 64}/video.mp4")).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"prompt": "a green elephant"}, 400),
        ({"prompt": " "}, 400),
        ({"seeds": "1000"}, 400),
        ({"strength": "nan"}, 400),
        ({"strength": "x"}, 400),
        ({"checkpoint": "../../x.safetensors"}, 400),
        ({"first_seed": "-1"}, 400),
        ({"prompt": "a" * 70_000}, 413),
    ],
)
def test_the_page_refuses_what_cannot_be_sampled(home: Path, changes: dict[str, str], status: int) -> None:
    web = client(home, may_write=True)
    answer = web.post(address(home, "generate"), data={**FORM, **changes}, headers=HERE)
    assert answer.status_code == status
    assert not web.app.state.studio.queue.jobs(home)  # type: ignore[attr-defined]


def test_without_write_nothing_is_sampled(home: Path) -> None:
    web = client(home)
    assert web.post(address(home, "generate"), data=FORM, headers=HERE).status_code == 405
    page = web.get(address(home, "generate")).text
    assert "<form" not in page and "--write" in page
