"""Status: what a run folder tells about how far it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from rushes.errors import StoreError, UserError
from rushes.plan.counts import planned_totals
from rushes.plan.status import StageStatus, read_status, working_pid
from rushes.recipe.load import load_recipe
from rushes.records import CostEntry, Failure, Prompt, Scorecard
from rushes.store.identity import work_key
from rushes.store.run import Run
from rushes.store.sums import write_summed
from tests.support.sandbox_recipe import sandbox_recipe


def prompt(index: int) -> Prompt:
    key = work_key("prompt", None, index=index)
    return Prompt(key=key, text="t", base_text="t", dimension="Composition", origin="probe", index=index)


def failure(index: int) -> Failure:
    key = work_key("prompt", None, index=index)
    return Failure(work_key=key, stage="prompts", attempt=1, error_type="ValueError", message="[b]no[/b]")


def begin(home: Path, done: Sequence[int] = (), failed: Sequence[int] = (), seconds: float = 0.0) -> Run:
    """A run with some prompts made, some failed, and time spent on them."""
    run = Run.open(home, load_recipe("tiny"))
    cost = CostEntry(stage="prompts", seconds=seconds, num_items=len(done), device="cpu") if seconds else None
    run.prompts.land([prompt(i) for i in done], [failure(i) for i in failed], cost)
    return run


def stage(home: Path, name: str = "prompts") -> StageStatus:
    return next(each for each in read_status(home).stages if each.stage == name)


def test_done_left_failed_time_and_time_to_come_of_a_planned_stage(tmp_path: Path) -> None:
    with begin(tmp_path, done=range(6), failed=[7], seconds=12.0) as run:
        run.log.write("stage_planned", stage="prompts", num_total=5)
        run.log.write("stage_planned", stage="prompts", num_total=10)
    found = stage(tmp_path)
    assert (found.num_done, found.num_failed, found.num_total, found.num_left) == (6, 1, 10, 3)
    assert found.seconds == 12.0
    assert found.left_s == pytest.approx(3 * 12.0 / 6)
    assert found.is_total_exact


def test_a_stage_without_a_plan_has_the_recipes_upper_bound(tmp_path: Path) -> None:
    begin(tmp_path, done=[0]).close()
    found = stage(tmp_path)
    assert found.num_total == planned_totals(load_recipe("tiny"))["prompts"]
    assert not found.is_total_exact
    assert found.left_s is None  # no time was booked, so the pace is unknown: never zero


def test_a_failure_that_was_made_up_for_no_longer_counts(tmp_path: Path) -> None:
    with begin(tmp_path, failed=[3]) as run:
        run.prompts.land([prompt(3)])
    assert (stage(tmp_path).num_done, stage(tmp_path).num_failed) == (1, 0)


def test_steps_that_only_the_log_knows_are_shown_as_last_told(tmp_path: Path) -> None:
    with begin(tmp_path) as run:
        for done, left in ((10, 90.0), (20, 80.0)):
            run.log.write("progress", stage="training steps", num_done=done, num_total=100, num_failed=0, left_s=left)
    found = stage(tmp_path, "training steps")
    assert (found.num_done, found.num_total, found.left_s) == (20, 100, 80.0)


def test_state_and_last_failure(tmp_path: Path) -> None:
    with begin(tmp_path) as run:
        run.log.write("item_failed", stage="clips", error_type="ValueError", message="nan")
        working = read_status(tmp_path)
        assert (working.state, working.pid) == ("running", os.getpid())
    stopped = read_status(tmp_path)
    assert (stopped.state, stopped.pid, stopped.name) == ("stopped", None, "tiny")
    assert stopped.last_failure == "clips: ValueError: nan"
    assert stopped.left_s is None


def test_what_failed_is_counted_with_its_commonest_reason(tmp_path: Path) -> None:
    with begin(tmp_path, done=[0], failed=[3, 4]):
        pass
    (said,) = read_status(tmp_path).failures
    assert said.startswith("2 of 3 prompts failed: "), "all that was tried counts, not only what failed"


def test_what_ended_a_run_is_kept_for_those_who_ask_later(tmp_path: Path) -> None:
    with pytest.raises(UserError), begin(tmp_path):
        raise UserError("nothing is left", got="39 of 42 drafts failed: cut off")
    assert "39 of 42 drafts failed: cut off" in str(read_status(tmp_path).last_failure)


def test_a_finished_run_has_nothing_left(tmp_path: Path) -> None:
    with begin(tmp_path, done=[0, 1], seconds=4.0) as run:
        run.finish(Scorecard(base_model="b", tuned_model="t", measurer="m", judge="j", rows=()))
    status = read_status(tmp_path)
    assert (status.state, status.left_s, status.seconds) == ("finished", 0.0, 4.0)
    assert all(each.num_left == 0 for each in status.stages)
    assert json.loads(json.dumps(status.as_json()))["stages"][0]["num_done"] == 2


def test_torn_and_foreign_events_do_no_harm(tmp_path: Path) -> None:
    with begin(tmp_path, done=[0]) as run:
        run.log.write("stage_planned", stage=["prompts"], num_total=3)
        run.log.write("stage_planned", stage="prompts", num_total="many")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "stage_planned", "stage": "prompts", "num_')
    assert stage(tmp_path).num_done == 1


def test_a_recipe_that_this_version_cannot_read_leaves_totals_unknown(tmp_path: Path) -> None:
    begin(tmp_path, done=[0]).close()
    write_summed(tmp_path / "recipe.yaml", b"setting_of_the_future: 1")
    assert (stage(tmp_path).num_total, stage(tmp_path).num_left) == (None, None)


def test_looking_changes_nothing(tmp_path: Path) -> None:
    begin(tmp_path, done=[0]).close()
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.suffix in (".jsonl", ".json", "")}
    read_status(tmp_path)
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for home in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match="not a run folder"):
            read_status(home)


def test_a_number_in_the_lock_file_is_not_enough(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert working_pid(lock) is None
    for content in ("", "word", f"{os.getpid()}\n"):  # the last: alive, but does not hold the lock
        lock.write_text(content)
        assert working_pid(lock) is None
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock.write_text(f"{gone.pid}\n")
    assert working_pid(lock) is None


def test_the_default_recipe_plans_every_table() -> None:
    assert set(planned_totals(sandbox_recipe())) == {"prompts", "clips", "answers", "measurements", "checkpoints"}
