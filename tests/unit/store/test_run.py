"""A run folder: made once, by one recipe, worked in by one process; resumes, heals, ends with `done`."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
import yaml
from pydantic import BaseModel

from rushes.errors import BlobCorrupt, FileCorrupt, RecipeChanged, RunLocked, StoreError
from rushes.plan.status import working_pid
from rushes.records import Clip, Focus, Prompt, SamplerSettings, Scorecard
from rushes.roles import Runtime, Spec
from rushes.store.advance import Work, advance
from rushes.store.check import Finding, examine, mend
from rushes.store.files import write_atomic
from rushes.store.heal import healing
from rushes.store.identity import work_key
from rushes.store.run import Run
from rushes.store.sums import sum_path, write_summed

T = TypeVar("T")
CARD = Scorecard(base_model="b", tuned_model="t", measurer="m", judge="j", rows=())


class Train(Spec):
    spec_name: ClassVar[str] = "tests.train"
    steps: int = 10


class Machine(Runtime):
    batch_size: int = 4


class Recipe(BaseModel):
    train: Train = Train()
    machine: Machine = Machine()


def test_header_and_recipe_are_there_from_the_start(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", Recipe()) as run:
        assert run.header.versions["python"].startswith("3.")
        assert yaml.safe_load((run.home / "recipe.yaml").read_text()) == Recipe().model_dump()
        header = run.header
    with Run.open(tmp_path / "run", Recipe()) as again:
        assert again.header == header


def test_runtime_may_change_between_openings(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", Recipe()).close()
    with Run.open(tmp_path / "run", Recipe(machine=Machine(batch_size=8))) as run:
        assert "batch_size: 8" in (run.home / "recipe.yaml").read_text()


def test_another_recipe_is_refused_by_name_of_what_differs(tmp_path: Path) -> None:
    home = tmp_path / "run"
    Run.open(home, Recipe()).close()
    with pytest.raises(RecipeChanged, match=r"train\.steps: 10 -> 20(.|\n)*--allow-change") as caught:
        Run.open(home, Recipe(train=Train(steps=20)))
    assert caught.value.paths == ("train.steps",)
    with Run.open(home, Recipe()) as run:
        run.finish(CARD)
    with Run.open(home, Recipe(train=Train(steps=20)), allow_change=True) as run:
        assert not run.is_done
        assert [event["paths"] for event in run.log.read() if event["event"] == "recipe_changed"] == [["train.steps"]]
    Run.open(home, Recipe(train=Train(steps=20))).close()


def test_json_text_and_mappings_are_recipes_too(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", {"a": {"b": [1, 2]}}).close()
    Run.open(tmp_path / "run", '{"a": {"b": [1, 2]}}').close()
    with pytest.raises(RecipeChanged) as caught:
        Run.open(tmp_path / "run", {"a": {"b": [1, 3]}, "c": 1})
    assert caught.value.paths == ("a.b.1", "c")


@pytest.mark.parametrize(("version", "word"), [(99, "newer"), (0, "older")])
def test_a_run_of_another_version_is_refused(tmp_path: Path, version: int, word: str) -> None:
    Run.open(tmp_path / "run", {}).close()
    path = tmp_path / "run" / "header.json"
    header = json.loads(path.read_text())
    header["header"]["identity_version"] = version
    write_summed(path, json.dumps(header).encode())
    with pytest.raises(StoreError, match=f"made by an? {word} version"):
        Run.open(tmp_path / "run", {})
    with pytest.raises(StoreError, match=f"made by an? {word} version"):
        Run.view(tmp_path / "run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"header": 1}'])
def test_a_damaged_header_is_said_plainly_and_written_again(tmp_path: Path, text: str) -> None:
    Run.open(tmp_path / "run", {}).close()
    path = tmp_path / "run" / "header.json"
    path.write_text(text)
    with pytest.raises(FileCorrupt, match=r"is altered(.|\n)*rushes check .* --heal"):
        Run.open(tmp_path / "run", {})
    sum_path(path).unlink()  # as an older version wrote it
    with pytest.raises(FileCorrupt, match="is damaged"):
        Run.open(tmp_path / "run", {})
    mend(tmp_path / "run", examine(tmp_path / "run").findings or [Finding("header.json", "damaged")])
    Run.open(tmp_path / "run", {}).close()


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"not a run folder(.|\n)*thesis.tex"):
        Run.open(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(StoreError, match="is a file"):
        Run.open(tmp_path / "thesis.tex", {})


def test_a_read_only_folder_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(StoreError, match="no permission to write"):
            Run.open(tmp_path / "run", {})
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(StoreError, match="no permission to write"):
            Run.open(tmp_path / "other", {})


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_write_permission_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="no permission to write"):
        Run.open(tmp_path / "run", {})


def test_a_second_process_is_refused_with_the_pid_of_the_first(run: Run) -> None:
    with pytest.raises(RunLocked, match=f"pid {os.getpid()}"):
        Run.open(run.home, {"toy": 1})
    code = (
        f"from rushes.store.run import Run; from pathlib import Path; Run.open(Path({str(run.home)!r}), {{'toy': 1}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "RunLocked" in done.stderr
    assert f"pid {os.getpid()}" in done.stderr


def test_the_lock_is_free_after_closing_and_after_a_failed_opening(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", {"a": 1}).close()
    with pytest.raises(RecipeChanged):
        Run.open(tmp_path / "run", {"a": 2})
    Run.open(tmp_path / "run", {"a": 1}).close()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_disk_without_locks_is_said_plainly(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    Run.open(tmp_path / "run", {}).close()
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match=r"no file locks(.|\n)*--home"):
        Run.open(tmp_path / "run", {})
    assert working_pid(tmp_path / "run" / "lock") is None


def test_what_a_killed_process_left_stands_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container every process that runs has the same number."""
    monkeypatch.setattr(os, "getpid", lambda: 7)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with Run.open(tmp_path / "run", {}) as run:
        scratch = run.scratch("ab" * 32)
        for folder in (run.home, scratch):
            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", die)
                patch.setattr(Path, "unlink", lambda *_, **__: None)  # nothing is cleaned up, as by SIGKILL
                for _ in range(2):
                    with pytest.raises(KeyboardInterrupt):
                        write_atomic(folder / "state", b"half")
            write_atomic(folder / "state", b"whole")
            assert len(list(folder.glob(".*.tmp"))) == 2
        (run.home / "state").unlink()
    with Run.open(tmp_path / "run", {}) as run:
        assert not list(run.home.rglob("*.tmp"))
        assert (run.scratch("ab" * 32) / "state").read_bytes() == b"whole"


def test_looking_on_needs_no_lock_and_writes_nothing(run: Run, toy_writer: Any, toy_work: Any) -> None:
    advance(run.prompts, toy_work(3), toy_writer(), chunk_size=2, place=run.place())
    num_events = len(run.log.read())
    with Run.view(run.home) as seen:
        assert seen.prompts.num_records() == 3
        assert seen.header == run.header
    assert len(run.log.read()) == num_events


def test_looking_at_no_run_is_said_plainly(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreError, match="not a run folder"):
            Run.view(folder)


def test_done_comes_last_and_gives_the_scorecard_back(run: Run) -> None:
    assert run.scorecard() is None
    run.finish(CARD)
    assert run.is_done
    assert run.scorecard() == CARD


def test_derived_records_and_scratch_are_safe_to_delete(run: Run) -> None:
    focus = Focus(dimension="D", baseline=0.5, low=0.4, high=0.6, gap=0.5, share=1.0, num_prompts=3, reason="r")
    assert run.read_derived("focus", Focus) is None
    run.write_derived("focus", [focus])
    assert run.read_derived("focus", Focus) == [focus]
    scratch = run.scratch("ab" * 32)
    (scratch / "optimizer").write_bytes(b"x")
    assert (run.scratch("ab" * 32) / "optimizer").exists()
    run.clear_scratch("ab" * 32)
    assert not scratch.exists()


def test_a_table_holds_one_type(run: Run) -> None:
    assert run.table("probe_prompts", Prompt) is run.table("probe_prompts", Prompt)
    with pytest.raises(ValueError, match="holds Prompt, not Clip"):
        run.table("prompts", Clip)


# ------------------------------------------------------------------------------------------------ healing

TAKES = [Work(work_key("clip", None, index=i), i) for i in range(6)]


def generate(run: Run) -> list[bytes]:
    """A stage that generates clips and a stage that reads them."""

    def do(chunk: Sequence[Work[int]]) -> list[Clip]:
        return [
            Clip(
                key=piece.key,
                prompt_key=piece.key,
                dimension="D",
                seed=1,
                seed_index=0,
                model="toy",
                origin="model",
                sampler=SamplerSettings(num_steps=1, guidance_scale=1.0, shift=1.0, scheduler="toy"),
                height_px=1,
                width_px=1,
                num_frames=1,
                fps=1.0,
                seconds=0.0,
                video=run.blobs.put_bytes(b"%d of %d" % (piece.payload, len(chunk)), ".bin"),
            )
            for piece in chunk
        ]

    clips = advance(run.clips, TAKES, do, chunk_size=4, place=run.place())
    return [run.blobs.read_bytes(clip.video) for clip in clips]


def healed(run: Run, job: Callable[[], T]) -> T:
    """What the job returns, tried again after each damaged file."""
    for attempt in healing(run):
        with attempt:
            return job()
    raise AssertionError("healing ended without a result")


@pytest.mark.parametrize("damage", ["truncate", "alter", "remove"])
def test_a_damaged_file_is_reported_and_made_again(run: Run, damage: str) -> None:
    whole = generate(run)
    run.finish(CARD)
    before = run.clips.all()
    path = run.blobs.path(before[0].video)
    data = path.read_bytes()
    path.unlink()
    if damage != "remove":
        path.write_bytes(data[:3] if damage == "truncate" else data[::-1])
    with pytest.raises(BlobCorrupt):
        generate(run)
    assert healed(run, lambda: generate(run)) == whole
    assert run.clips.all() == before
    assert not run.is_done
    (event,) = [event for event in run.log.read() if event["event"] == "damaged"]
    assert event["dropped"] == [f"clips/{before[0].key}"]
    assert examine(run.home).findings == ()


def test_damage_that_no_record_explains_is_not_healed_for_ever(run: Run) -> None:
    ref = run.blobs.put_bytes(b"x", ".bin")
    run.blobs.path(ref).unlink()
    with pytest.raises(BlobCorrupt):
        healed(run, lambda: run.blobs.read_bytes(ref))


def test_a_torn_event_line_is_left_out_and_the_next_one_is_whole(run: Run) -> None:
    with run.log.path.open("a") as file:
        file.write('{"event": "torn')
    run.log.write("whole", note="Grün\n")
    assert run.log.read()[-1]["note"] == "Grün\n"
    assert all(event["event"] != "torn" for event in run.log.read())
