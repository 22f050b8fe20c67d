"""Rows on disk: the same numbers as in memory, read back by any reader, and gone on with after a kill."""

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rushes.store.rows import finished
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
    if torn:  # the last row was cut in the middle, or the next rows of one field were written
        file = tmp_path / "text-states.safetensors"
        file.write_bytes(file.read_bytes()[:-torn] if torn == 1 else file.read_bytes() + b"x" * torn)
    again = Source()
    check(shelved(tmp_path, "text", 10, 4, again))
    assert again.asked == ([(4, 8), (8, 10)] if torn == 1 else [(8, 10)])


class Killed(BaseException):
    """Stands for SIGKILL: no code of ours may go on after it."""


def die_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the process die after that many writes have reached the disk."""
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def call(*args: Any, real: Callable[..., Any] = real, name: str = name) -> None:
            real(*args)
            calls.append(name)
            if len(calls) == number:
                raise Killed

        monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize(("num_rows", "at_once"), [(6, 8), (10, 4)])
def test_a_kill_after_any_write_changes_nothing(
    num_rows: int, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(part: slice) -> Mapping[str, Tensor]:
        return {"states": ROWS[part], "mask": MASK[part], "pooled": ROWS[part, 0]}

    for number in range(1, 40):
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            die_at(patch, number)
            try:
                shelved(folder, "text", num_rows, at_once, make)
            except Killed:
                pass
            else:
                break
        found = shelved(folder, "text", num_rows, at_once, make)
        assert found.keys() == {"states", "mask", "pooled"}, number
        for name, rows in make(slice(0, num_rows)).items():
            assert torch.equal(found[name], rows), (number, name)
    assert number > 6, "each field and the manifest is a write"


def test_a_finished_shelf_is_one_with_all_fields(tmp_path: Path) -> None:
    shelved(tmp_path, "text", 10, 4, Source())
    assert finished(tmp_path, "text").keys() == {"states", "mask"}
    with pytest.raises(KeyboardInterrupt):
        shelved(tmp_path, "half", 10, 4, Source(dies_at=2))
    assert finished(tmp_path, "half") == {}
    (tmp_path / "text.rows.json").unlink()
    assert finished(tmp_path, "text") == {}


@pytest.mark.parametrize("at", [0, 8, 20, -1, -8])
def test_a_changed_byte_is_found_and_only_what_follows_is_made_again(at: int, tmp_path: Path) -> None:
    shelved(tmp_path, "text", 10, 4, Source())
    file = tmp_path / "text-states.safetensors"
    data = bytearray(file.read_bytes())
    data[at] ^= 4
    file.write_bytes(data)
    again = Source()
    check(shelved(tmp_path, "text", 10, 4, again))
    assert again.asked == ([(8, 10)] if at < 0 else [(0, 4), (4, 8), (8, 10)])


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b"\xff" * 40, struct.pack("<Q", 2**63) + b"{}"])
@pytest.mark.parametrize("name", ["text.rows.json", "text-mask.safetensors"])
def test_garbage_is_written_again(damage: bytes, name: str, tmp_path: Path) -> None:
    shelved(tmp_path, "text", 10, 4, Source())
    (tmp_path / name).write_bytes(damage)
    check(shelved(tmp_path, "text", 10, 4, Source()))
    check({field: load_file(path)["rows"] for field, path in finished(tmp_path, "text").items()})


@pytest.mark.parametrize(("num_rows", "at_once"), [(8, 4), (10, 5)])
def test_rows_or_chunks_of_something_else_are_written_again(num_rows: int, at_once: int, tmp_path: Path) -> None:
    shelved(tmp_path, "text", 10, 4, Source())
    again = Source()
    found = shelved(tmp_path, "text", num_rows, at_once, again)
    assert torch.equal(found["states"], ROWS[:num_rows]) and len(again.asked) == 2


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
