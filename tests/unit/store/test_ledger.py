"""The cost ledger: what it sums, and that it does not grow with the chunks."""

from __future__ import annotations

import pytest

from rushes.errors import RecordCorrupt
from rushes.records import CostEntry
from rushes.store.ledger import ITEMS_IN_A_ROW
from rushes.store.run import Run


def spend(run: Run, num_items: int, device: str = "cpu", stage: str = "clips") -> None:
    run.clips.land([], cost=CostEntry(stage=stage, seconds=0.5, num_items=num_items, device=device))


def num_rows(run: Run) -> int:
    ((num,),) = run.database.rows("SELECT count(*) FROM costs")
    return int(num)


def test_chunks_of_a_stage_share_a_row_until_it_is_full(run: Run) -> None:
    for _ in range(12):
        spend(run, ITEMS_IN_A_ROW // 4)
    assert num_rows(run) == 3
    (entry,) = run.costs()
    assert (entry.seconds, entry.num_items) == (6.0, 3 * ITEMS_IN_A_ROW)


def test_devices_and_stages_stay_apart(run: Run) -> None:
    for device, stage in (("cpu", "clips"), ("cuda", "clips"), ("cpu", "answers"), ("cpu", "clips")):
        spend(run, 1, device, stage)
    found = {(each.stage, each.device): each.num_items for each in run.costs()}
    assert found == {("clips", "cpu"): 2, ("clips", "cuda"): 1, ("answers", "cpu"): 1}


def test_a_damaged_row_is_never_covered_up(run: Run) -> None:
    spend(run, 1)
    run.database.execute("UPDATE costs SET body = replace(body, '0.5', '9.5')")
    spend(run, 1)
    assert num_rows(run) == 2 and len(run.database.damaged_rows()) == 1
    with pytest.raises(RecordCorrupt):
        run.costs()
