"""The recomputation policy: a pure function of bytes, the same numbers under each, less memory where it says so."""

import pytest
import torch

from rushes.families.recompute import SAFETY, BlockBytes, activation_bytes, choose_recompute, free_bytes, is_recomputed

BLOCKS = (BlockBytes(kept=100, inputs=10),) * 4


def test_bytes_by_hand() -> None:
    assert activation_bytes(BLOCKS, "none") == 400
    assert activation_bytes(BLOCKS, "half") == 2 * 100 + 2 * 10 + 100
    assert activation_bytes(BLOCKS, "all") == 4 * 10 + 100
    uneven = (BlockBytes(100, 10), BlockBytes(30, 5), BlockBytes(60, 5))
    assert activation_bytes(uneven, "half") == 30 + 10 + 5 + 100


def test_half_is_every_second_block() -> None:
    assert [is_recomputed(i, "half") for i in range(4)] == [True, False, True, False]


@pytest.mark.parametrize(
    ("room", "chosen"), [(1000, "none"), (400, "none"), (399, "half"), (320, "half"), (319, "all"), (1, "all")]
)
def test_the_fastest_that_fits(room: int, chosen: str) -> None:
    assert choose_recompute(BLOCKS, free_bytes=round((room + 0.5) / SAFETY)) == chosen


def test_what_training_takes_besides_is_left_free() -> None:
    free = round(1000 / SAFETY)
    assert choose_recompute(BLOCKS, free, reserved_bytes=500) == "none"
    assert choose_recompute(BLOCKS, free, reserved_bytes=650) == "half"
    assert choose_recompute(BLOCKS, free, reserved_bytes=2000) == "all"


def test_unknown_memory_and_no_blocks_recompute_nothing() -> None:
    assert choose_recompute(BLOCKS, None) == "none"
    assert choose_recompute((), 10**9) == "none"


def test_free_memory_of_this_machine_is_plausible() -> None:
    found = free_bytes(torch.device("cpu"))
    assert found is not None and 2**20 < found < 2**50
    assert free_bytes(torch.device("meta")) is None
