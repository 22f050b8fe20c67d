"""Rows on disk: the same numbers as in memory, read back by any reader, and gone on with after a kill."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rushes.errors import StoreError
from rushes.train.realism import moments_of_rows, weighted_moments
from rushes.train.shelf import shelved

ROWS = torch.randn((10, 2, 3), generator=torch.Generator().manual_seed(0))
MASK = torch.arange(10).view(10, 1) % 2 == 0


class Source:
    """Hands out rows, remembers which, and dies after some calls."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.asked: list[tuple[int, int]] = []
        self.dies_at = dies_at

    def __call__(self, part: slice) -> Mapping[str, Tensor]:
        if len(self.asked) == self.dies_at:
            raise KeyboardInterrupt
        self.asked.append((part.start, part.stop))
        return {"states": ROWS[part], "mask": MASK[part]}


def check(found: Mapping[str, Tensor]) -> None:
    assert torch.equal(found["states"], ROWS) and torch.equal(found["mask"], MASK)
    assert found["states"].dtype == torch.float32 and found["mask"].dtype == torch.bool


def test_rows_come_back_bit_for_bit_also_through_another_reader(tmp_path: Path) -> None:
    source = Source()
    found = shelved(tmp_path, "text", 10, 4, source)
    check(found)
    assert source.asked == [(0, 4), (4, 8), (8, 10)]
    assert torch.equal(load_file(tmp_path / "text-states.safetensors")["rows"], ROWS)
    picked = torch.tensor([7, 1, 7])
    assert torch.equal(found["states"][picked], ROWS[picked])


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    shelved(tmp_path, "text", 10, 4, Source())
    again = Source()
    check(shelved(tmp_path, "text", 10, 4, again))
    assert again.asked == []


@pytest.mark.parametrize("torn", [0, 1, 30])
def test_a_kill_costs_one_chunk(torn: int, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        shelved(tmp_path, "text", 10, 4, Source(dies_at=2))
    if torn:  # the last row was cut in the middle, or a row too many of one field was written
        file = tmp_path / "text-states.partial"
        file.write_bytes(file.read_bytes()[:-torn] if torn == 1 else file.read_bytes() + b"x" * torn)
    again = Source()
    check(shelved(tmp_path, "text", 10, 4, again))
    assert again.asked == ([(4, 8), (8, 10)] if torn == 1 else [(8, 10)])


def test_a_kill_between_two_renames_or_in_a_header_is_mended(tmp_path: Path) -> None:
    shelved(tmp_path, "text", 10, 4, Source())
    (tmp_path / "text-mask.safetensors").rename(tmp_path / "text-mask.partial")
    again = Source()
    check(shelved(tmp_path, "text", 10, 4, again))
    assert again.asked == []
    (tmp_path / "other-states.partial").write_bytes(b"\x40\x00")
    check(shelved(tmp_path, "other", 10, 4, Source()))


def test_rows_of_something_else_are_refused(tmp_path: Path) -> None:
    shelved(tmp_path, "text", 10, 4, Source())
    with pytest.raises(StoreError, match="other rows") as caught:
        shelved(tmp_path, "text", 8, 4, Source())
    assert caught.value.next_step == "delete that file; it will be written again"


def test_writing_into_a_mapped_tensor_leaves_the_file(tmp_path: Path) -> None:
    found = shelved(tmp_path, "text", 10, 4, Source())["states"]
    found[0] = 0.0
    assert torch.equal(load_file(tmp_path / "text-states.safetensors")["rows"], ROWS)


def test_moments_a_few_rows_at_a_time_are_those_of_all_together() -> None:
    z = torch.randn((9, 3, 2, 4, 5), generator=torch.Generator().manual_seed(1)) * 3 + 1
    rows = torch.tensor([8, 0, 3, 4, 1])
    for found, expected in zip(
        moments_of_rows(z, rows, num_at_once=2), weighted_moments(z[rows], torch.ones(5)), strict=True
    ):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
