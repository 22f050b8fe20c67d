"""Three hundred damaged result files and archives, seeded: each is read with faults named, or an error that teaches."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rushes.cli import main
from rushes.errors import InputError
from rushes_vbench.results import read_results
from rushes_vbench.suite import suite_of
from tests.support.suite import small_suite

NUM = 300
TOKENS = (
    b"NaN", b"-Infinity", b"9" * 400, b"9" * 5000, b"1e999", b"null", b"true", b'"\\ud800"', b"\xff\xfe", b"[" * 2000,
    b'{"a":1,"a":2}', b"-1", b"0.5", b"\x00", b"\x1b[2J", b'"x-99999.mp4"', b'"%ff%fe-0.mp4"', "\u202e".encode(),
)  # fmt: skip
"""What is put in place of some bytes of a file."""


def good() -> bytes:
    """A complete result file of two dimensions."""
    suite = small_suite()
    found = {
        name: [0.5, [{"video_path": f"m/{each}", "video_results": i % 2} for i, each in enumerate(names)]]
        for name, names in suite.names_by_dimension.items()
        if name in ("Material", "Thermotics")
    }
    return json.dumps(found).encode()


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Some bytes of it are others."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """It ends early, or a piece is missing."""
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:a] if rng.random() < 0.5 else data[:a] + data[b:]


def replaced(data: bytes, rng: random.Random) -> bytes:
    """Values, names or signs are something else."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        data = data[:at] + rng.choice(TOKENS) + data[at + rng.randint(0, 6) :]
    return data


def other_values(data: bytes, rng: random.Random) -> bytes:
    """Good JSON of a wrong shape, at any place."""
    whole = json.loads(data)
    wrong = [None, True, -1, 7.5, "x", [], {}, 10**400, "\ud800", [[1, 2]], {"video_path": "A\x00-0.mp4"}]

    def spoil(value: object) -> object:
        if rng.random() < 0.02:
            return rng.choice(wrong)
        if isinstance(value, list):
            return [spoil(each) for each in value]
        return {name: spoil(each) for name, each in value.items()} if isinstance(value, dict) else value

    return json.dumps(spoil(whole)).encode()


DAMAGE: tuple[Callable[[bytes, random.Random], bytes], ...] = (flipped, cut, replaced, other_values)


def packed(data: bytes, rng: random.Random) -> bytes:
    """The file in an archive."""
    out = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(rng.choice(("a.json", "m/\u00e9.json", "../a.json", "m/" * 20 + "a.json")), data)
    return out.getvalue()


def damaged(number: int) -> tuple[str, bytes]:
    """Name and content of one damaged input; every third is a good file in a damaged archive, or the other way."""
    rng = random.Random(number)
    harm = DAMAGE[number % len(DAMAGE)]
    if number % 3:
        return "a_eval_results.json", harm(good(), rng)
    if rng.random() < 0.5:
        return "results.zip", packed(harm(good(), rng), rng)
    spoiled = packed(good(), rng)
    return "results.zip", (flipped if harm is other_values else harm)(spoiled, rng)


@pytest.mark.parametrize("start", range(0, NUM, 50))
def test_no_damage_is_a_traceback(start: int, tmp_path: Path) -> None:
    suite = small_suite()
    for number in range(start, start + 50):
        name, data = damaged(number)
        (tmp_path / name).write_bytes(data)
        try:
            found = read_results(tmp_path / name, suite=suite if number % 2 else None)
        except InputError as error:
            assert error.next_step or error.expected, f"input {number}: {error}"
        else:
            assert json.loads(found.model_dump_json()), f"input {number}"
            assert all(0.0 <= (each.values.mean or 0.0) <= 1.0 for each in found.dimensions if each.values)


def test_no_name_of_a_file_is_a_traceback() -> None:
    """Names as an operating system gives them: any bytes but / and 0."""
    lookup, prompts = small_suite().lookup, small_suite().prompts
    for number in range(NUM):
        rng = random.Random(number)
        data = f"{rng.choice(prompts)}-{rng.randrange(30)}.mp4".encode(
            rng.choice(("utf-8", "gb18030", "cp1252")), "ignore"
        )
        data = rng.choice((flipped, cut, replaced))(data, rng).translate(None, b"/\x00")
        found = lookup.read(data.decode("utf-8", "surrogateescape"))
        assert found is None or found[0] in prompts


@pytest.mark.parametrize(
    "content", ['[{"prompt_en": "\\ud800", "dimension": ["Diversity"]}]', '[{"a": 1, "a": 2}]', "[" * 5000, "9" * 5000]
)
def test_a_suite_that_holds_no_text_or_contradicts_itself_is_an_error(content: str) -> None:
    with pytest.raises(InputError):
        suite_of(content.encode(), "suite")


def test_damage_ends_the_command_with_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(0, NUM, 12):
        name, data = damaged(number)
        (tmp_path / name).write_bytes(data)
        assert main(["vbench", "import", str(tmp_path / name), "--json"]) in (0, 2), f"input {number}"
    assert "Traceback" not in capsys.readouterr().err
