"""`advance` makes what is missing, in whole chunks, once; failures are stored, counted and tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from rushes.errors import StageFailed, Stopped, UserError
from rushes.execute import LocalExecutor, ProgressUpdate
from rushes.records import Prompt
from rushes.roles import Failed
from rushes.store.advance import MAX_ATTEMPTS, MAX_LOSSES, MAX_TRIES, Do, Work, advance
from rushes.store.run import Run


def make(run: Run, work: Sequence[Work[int]], do: Do[int, Prompt], *, must_finish: bool = False, **how: Any) -> Any:
    """The prompts of a run, made where they are missing; `how` is of `advance` and of `Run.place`."""
    chunk_size = how.pop("chunk_size")
    return advance(run.prompts, work, do, chunk_size=chunk_size, place=run.place(**how), must_finish=must_finish)


def test_records_come_back_in_the_order_of_the_work(run: Run, writer: Any, work: list[Work[int]]) -> None:
    made = make(run, work, writer, chunk_size=4)
    assert [prompt.index for prompt in made] == list(range(10))
    assert writer.chunks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_second_call_does_nothing(run: Run, writer: Any, work: list[Work[int]]) -> None:
    first = make(run, work, writer, chunk_size=4)
    writer.chunks.clear()
    assert make(run, work, writer, chunk_size=4) == first
    assert writer.chunks == []


def test_a_chunk_with_one_missing_record_is_made_whole_and_the_rest_stays(
    run: Run, work: list[Work[int]], toy_writer: Any
) -> None:
    first = make(run, work, toy_writer(), chunk_size=4)
    run.prompts.drop([work[5].key])
    writer = toy_writer()
    assert make(run, work, writer, chunk_size=4) == first
    assert writer.chunks == [[4, 5, 6, 7]]


def test_threads_give_the_same_set(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    first = make(run, work, toy_writer(), chunk_size=2)
    run.prompts.drop([piece.key for piece in work])
    threads = LocalExecutor(num_workers=3)
    assert make(run, work, toy_writer(), chunk_size=2, executor=threads) == first


def test_a_failure_is_stored_and_tried_again_up_to_the_limit(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    writer = toy_writer(failing={6})
    for attempt in range(1, MAX_ATTEMPTS + 1):
        made = make(run, work, writer, chunk_size=4)
        assert len(made) == 9
        (failure,) = run.prompts.failures()
        assert (failure.work_key, failure.attempt, failure.message) == (work[6].key, attempt, "no 6")
        assert writer.chunks.count([4, 5, 6, 7]) == MAX_TRIES * attempt
    writer.chunks.clear()
    make(run, work, writer, chunk_size=4)
    assert writer.chunks == []
    run.database.execute("DELETE FROM failures")
    assert len(make(run, work, toy_writer(), chunk_size=4)) == 10
    assert run.prompts.failures() == []
    assert [event["error_type"] for event in run.log.read() if event["event"] == "item_failed"] == ["ToyError"] * 3


def test_what_fails_in_passing_is_made_before_the_stage_ends(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    straight = make(run, work, toy_writer(), chunk_size=4)
    run.prompts.drop([piece.key for piece in work])
    writer = toy_writer(failing={1, 6})

    def do(chunk: Sequence[Work[int]]) -> Any:
        made = writer(chunk)
        if len(writer.chunks) == 4:  # the first retry fails too
            writer.failing = set()
        return made

    assert make(run, work, do, chunk_size=4) == straight, "made with the same companions as in an undisturbed run"
    assert writer.chunks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]
    assert run.prompts.failures() == [] and run.shortfall.words() == ()
    assert [event["event"] for event in run.log.read() if event["event"].startswith("item")] == ["item_tried"] * 3


def test_what_failed_in_a_call_of_its_own_is_tried_again_without_what_succeeded(
    run: Run, work: list[Work[int]], toy_writer: Any
) -> None:
    writer = toy_writer()

    def do(chunk: Sequence[Work[int]]) -> Any:
        made = writer(chunk)
        return [
            Failed("OutOfMemory", "no", was_alone=True) if piece.payload in (5, 8, 9) else each
            for piece, each in zip(chunk, made, strict=True)
        ]

    assert len(make(run, work, do, chunk_size=4)) == 7
    turn = [[5], [8, 9]]
    assert writer.chunks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], *turn, *turn], "of [8, 9] none succeeded"


def test_a_run_with_nothing_left_but_what_failed_before_comes_to_its_end(
    run: Run, work: list[Work[int]], toy_writer: Any
) -> None:
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert len(make(run, work, toy_writer(failing={0, 3, 5, 8}), chunk_size=1)) == 6
        assert [each.attempt for each in run.prompts.failures()] == [attempt] * 4
    assert not run.shortfall.may_try_again


def test_work_whose_worker_is_lost_costs_no_try(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    lost, failed = Failed("ActorDiedError", "preempted", retry="free"), Failed("ToyError", "no")
    ends = [lost] * (MAX_LOSSES - 1) + [failed] * (MAX_TRIES - 1)

    def do(chunk: Sequence[Work[int]]) -> Any:
        return [ends.pop(0)] if chunk[0].payload == 3 and ends else toy_writer()(chunk)

    assert len(make(run, work, do, chunk_size=1)) == 10 and not ends
    assert run.prompts.failures() == []


def test_work_that_always_loses_its_worker_fails(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    tries: list[int] = []

    def do(chunk: Sequence[Work[int]]) -> Any:
        tries.append(chunk[0].payload)
        return [Failed("Killed", "", retry="free")] if chunk[0].payload == 3 else toy_writer()(chunk)

    assert len(make(run, work, do, chunk_size=1)) == 9
    assert tries.count(3) == MAX_LOSSES
    assert run.shortfall.words() == ("1 of 10 prompts failed: Killed. The same command tries it again.",)


def test_machines_that_go_away_together_do_not_end_the_stage(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    tries: list[int] = []

    def do(chunk: Sequence[Work[int]]) -> Any:
        tries.append(chunk[0].payload)
        is_lost = len(tries) in range(2, 9)  # seven in a row
        return [Failed("ActorDiedError", "killed", retry="free")] if is_lost else toy_writer()(chunk)

    assert len(make(run, work, do, chunk_size=1)) == 10
    assert sorted(tries) == sorted([*range(10), *range(1, 8)])


def test_a_try_that_would_give_the_same_is_not_made(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    calls: list[int] = []

    def do(chunk: Sequence[Work[int]]) -> Any:
        calls.append(chunk[0].payload)
        return [Failed("UnusableReply", "cut off", retry="useless")] if chunk[0].payload == 3 else toy_writer()(chunk)

    for _ in range(2):
        assert len(make(run, work, do, chunk_size=1)) == 9
    assert calls == list(range(10))
    assert run.shortfall.words() == ("1 of 10 prompts failed: UnusableReply: cut off. The run goes on without it.",)
    assert not run.shortfall.may_try_again


def test_an_outage_uses_up_no_attempts(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    def down(chunk: Sequence[Work[int]]) -> Any:
        return [Failed("Http500", f"request {piece.payload}: try later") for piece in chunk]

    for _ in range(MAX_ATTEMPTS + 1):
        with pytest.raises(StageFailed, match="2 of 2 are missing; 2 of 2 prompts failed: Http500: request 0: try"):
            make(run, work[:2], down, chunk_size=2)
    assert run.prompts.failures() == []
    assert len(make(run, work, toy_writer(), chunk_size=4)) == 10


def test_a_stop_before_the_retry_leaves_the_work_for_the_next_run(
    run: Run, work: list[Work[int]], toy_writer: Any
) -> None:
    writer = toy_writer(failing={9})

    def do(chunk: Sequence[Work[int]]) -> Any:
        if chunk[-1].payload == 9:
            run.stop.request()
        return writer(chunk)

    with pytest.raises(Stopped, match="9 of 10 done"):
        make(run, work, do, chunk_size=4)
    assert run.prompts.failures() == [] and len(writer.chunks) == 3


def test_what_do_raises_fails_its_chunk_only(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    def do(chunk: Sequence[Work[int]]) -> Any:
        if chunk[0].payload == 4:
            raise ValueError("judge raised")
        return toy_writer()(chunk)

    assert [prompt.index for prompt in make(run, work, do, chunk_size=4)] == [0, 1, 2, 3, 8, 9]
    failures = run.prompts.failures()
    assert {failure.error_type for failure in failures} == {"ValueError"}
    assert all("judge raised" in failure.trace for failure in failures)


def test_a_stage_that_only_fails_is_stopped_early_with_the_trace(run: Run, toy_work: Any) -> None:
    calls: list[int] = []

    def do(chunk: Sequence[Work[int]]) -> Any:
        calls.append(len(chunk))
        raise AttributeError("no such method")

    with pytest.raises(StageFailed, match=r"3 chunks in a row(.|\n)*no such method(.|\n)*test_advance"):
        make(run, toy_work(40), do, chunk_size=2)
    assert len(calls) == 3


@pytest.mark.parametrize(
    "answer",
    [[], [None, None], [Failed("E", "m")], [Failed("E", "m")] * 3],
    ids=["nothing", "none", "too few", "too many"],
)
def test_an_answer_that_does_not_fit_is_a_failure(run: Run, answer: list[Failed], toy_work: Any) -> None:
    with pytest.raises(StageFailed, match="TypeError: expected"):
        make(run, toy_work(2), lambda chunk: answer, chunk_size=2, must_finish=True)


def test_must_finish_raises_and_never_gives_up(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    for _ in range(MAX_ATTEMPTS + 2):
        with pytest.raises(StageFailed, match="1 of 10 are missing"):
            make(run, work, toy_writer(failing={3}), chunk_size=4, must_finish=True)
    assert len(make(run, work, toy_writer(), chunk_size=4, must_finish=True)) == 10


def test_a_user_error_goes_up_at_once_and_keeps_what_landed(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    def do(chunk: Sequence[Work[int]]) -> Any:
        if chunk[0].payload == 4:
            raise UserError("no server", next_step="start it")
        return toy_writer()(chunk)

    with pytest.raises(UserError, match="no server"):
        make(run, work, do, chunk_size=4)
    assert run.prompts.num_records() == 4
    assert run.prompts.failures() == []


def test_a_stop_request_ends_after_the_chunk_in_hand(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    writer = toy_writer()

    def do(chunk: Sequence[Work[int]]) -> Any:
        run.stop.request()
        return writer(chunk)

    with pytest.raises(Stopped, match=r"4 of 10 done; run the same command again"):
        make(run, work, do, chunk_size=4)
    assert run.prompts.num_records() == 4
    assert len(writer.chunks) == 1


def test_a_stop_request_in_the_last_chunk_does_not_interrupt(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    def do(chunk: Sequence[Work[int]]) -> Any:
        run.stop.request()
        return toy_writer()(chunk)

    assert len(make(run, work, do, chunk_size=10)) == 10


def test_progress_counts_before_done_and_failed(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    make(run, work[:4], toy_writer(), chunk_size=4)
    seen: list[ProgressUpdate] = []
    run.on_progress = seen.append
    make(run, work, toy_writer(failing={9}), chunk_size=4)
    assert [(u.num_before, u.num_done, u.num_failed) for u in seen] == [
        (4, 4, 0), (4, 8, 0), (4, 9, 0), (4, 9, 0), (4, 9, 1)
    ]  # fmt: skip
    assert [update.is_last for update in seen] == [False] * 4 + [True]
    assert seen[-1].problem == "ToyError: no 9"


def test_costs_count_landed_records(run: Run, work: list[Work[int]], toy_writer: Any) -> None:
    make(run, work, toy_writer(failing={9}), chunk_size=4, device="toy")
    advance(run.table("more", Prompt), work[:3], toy_writer(), chunk_size=2, place=run.place(device="other"))
    prompts, more = run.costs()
    assert (prompts.stage, prompts.num_items, prompts.device) == ("prompts", 9, "toy")
    assert (more.stage, more.num_items, more.device) == ("more", 3, "other")


def test_wrong_calls_are_bugs(run: Run, writer: Any, work: list[Work[int]]) -> None:
    with pytest.raises(ValueError, match="unique keys"):
        make(run, [work[0], work[0]], writer, chunk_size=4)
    with pytest.raises(ValueError, match="chunk_size=0"):
        make(run, work, writer, chunk_size=0)


def test_what_came_before_an_error_is_stored_and_the_error_ends_the_stage(
    run: Run, work: list[Work[int]], writer: Any
) -> None:
    broke = UserError("no more credit")

    def do(chunk: Sequence[Work[int]]) -> list[Prompt | Failed]:
        made = writer(chunk)
        rest = replace(Failed.of(broke), ends=broke)
        return made if chunk[0].payload == 0 else [made[0], *[rest] * (len(made) - 1)]

    for last in (4, 5):
        with pytest.raises(UserError, match="no more credit"):
            make(run, work, do, chunk_size=4)
        assert sorted(each.index for each in run.prompts.all()) == list(range(last + 1))
    assert writer.chunks == [[0, 1, 2, 3], [4, 5, 6, 7], [5, 6, 7]], "what was paid for is not made twice"
    assert run.failures() == []
    assert len(make(run, work, writer, chunk_size=4)) == 10
