"""Tensors in a file: what the library reads back, the same bytes twice, readable by whom the umask says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from rushes.store.files import write_atomic
from rushes.store.tensors import write_tensors

FORMATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8)
HEADER = {name: f"<{name}>" for name in ("zeta", "format", "alpha", "größe", 'quote"s\\')}


def tensors() -> dict[str, Tensor]:
    """Every number format and odd shapes; nothing is in the order of the file."""
    numbers = {f"{number}": torch.arange(6).to(dtype).reshape(2, 3) for number, dtype in enumerate(FORMATS)}
    odd = {"scalar": torch.tensor(1.5), "nothing": torch.zeros(0, 3), "turned": torch.randn(3, 5).T}
    return {**odd, "yes": torch.tensor([True, False, True]), **numbers}


@pytest.fixture(params=[0o022, 0o002, 0o027])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_the_library_reads_back_every_bit_and_the_header(tmp_path: Path) -> None:
    written = tensors()
    write_tensors(tmp_path / "a.safetensors", written, HEADER)
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == written.keys()
    for name, value in written.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value), name
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == HEADER


def test_order_does_not_reach_the_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    written = tensors()
    write_tensors(tmp_path / "a", written, HEADER)
    write_tensors(tmp_path / "b", dict(reversed(written.items())), dict(reversed(HEADER.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_without_a_header_it_is_the_librarys_own_file(tmp_path: Path) -> None:
    written = {"b": torch.randn(2, 3), "a": torch.arange(3)}
    write_tensors(tmp_path / "a", written)
    assert (tmp_path / "a").read_bytes() == save(written)


def test_a_format_without_a_name_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="waves must be of one of"):
        write_tensors(tmp_path / "a", {"waves": torch.zeros(2, dtype=torch.complex64)})
    assert not any(tmp_path.iterdir())


def test_new_files_have_the_permissions_of_new_files(umask: int, tmp_path: Path) -> None:
    write_tensors(tmp_path / "tensors", {"a": torch.zeros(2)})
    write_atomic(tmp_path / "bytes", b"abc")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~umask}
