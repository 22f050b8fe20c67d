"""Rewritten prompts: what a model is given in place of the suite's short ones, from the user's copy or a file.

The clips of the benchmark's leaderboard were generated from such texts, and named and measured by the original prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rushes.errors import InputError
from rushes_vbench.strict_json import strict_json
from rushes_vbench.suite import Suite

SETS: Final[Mapping[str, str]] = {"vbench2": "VBench2_full_text_aug.txt", "wanx": "Wanx_full_text_aug.txt"}
"""The sets of a checkout by our names: the file in `prompts/prompt_aug`, line by line as `ORIGINALS`."""
ORIGINALS: Final = "VBench2_full_text.txt"
_FOLDERS: Final = ("prompts", "VBench-2.0/prompts", "../prompts")
"""Where `prompts` is, seen from a folder that a user may name as the suite."""
_GET_IT: Final = "git clone --depth 1 https://github.com/Vchitect/VBench (then name that folder as the suite)"
_CORRECT_IT: Final = "correct it, or name a set: vbench2, wanx"
_MAX_BYTES: Final = 64 << 20


def read_augmented(name: str, suite: Suite, path: str) -> dict[str, str]:
    """Original prompt -> rewritten text, for every prompt of the suite.

    Args:
        name: a set of `SETS`, or a JSON file: an object with the rewritten text under each original prompt.
        suite: the prompts that need one.
        path: what the user named as the suite.

    Raises:
        InputError: there is no such set or file, it does not fit, or a prompt has no rewritten text.
    """
    found = _of_checkout(name, path) if name in SETS else _of_file(Path(name))
    lacking = [prompt for prompt in suite.prompts if not found.get(prompt, "").strip()]
    if lacking:
        raise InputError(
            f"the rewritten prompts {name} have no text for {len(lacking)} of {len(suite.prompts)} prompts",
            expected="a text for every prompt of the suite, word for word as the suite has it",
            got=lacking[0],
            next_step="take the suite and the rewritten prompts from one checkout of VBench, or add the texts",
        )
    return {prompt: found[prompt] for prompt in suite.prompts}


def _of_checkout(name: str, path: str) -> dict[str, str]:
    own = Path(path) if Path(path).is_dir() else Path(path).parent
    folder = next((place for each in _FOLDERS if (place := own / each / "prompt_aug").is_dir()), None)
    if folder is None:
        raise InputError(
            f"this copy of the suite has no rewritten prompts {name}",
            expected="a checkout of VBench, with VBench-2.0/prompts/prompt_aug",
            got=path,
            next_step=_GET_IT,
        )
    originals, rewritten = _lines(folder.parent / ORIGINALS), _lines(folder / SETS[name])
    if len(originals) != len(rewritten):
        raise InputError(
            f"{folder / SETS[name]} does not fit {ORIGINALS} line by line",
            expected=f"{len(originals)} lines",
            got=len(rewritten),
            next_step=_GET_IT,
        )
    return dict(zip(originals, rewritten, strict=True))


def _lines(path: Path) -> list[str]:
    """The lines of a text file; a text may hold signs that Python takes for ends of lines as well."""
    try:
        text = _read(path).decode("utf-8-sig")
    except UnicodeError as error:
        raise _unreadable(path, error) from error
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _of_file(path: Path) -> dict[str, str]:
    try:
        found = strict_json(_read(path))
    except ValueError as error:
        raise InputError(
            f"{path} is not JSON: {error}", next_step="correct it, or name a set: vbench2, wanx"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise InputError(
            f"{path} holds no rewritten prompts",
            expected='an object: {"the original prompt": "the rewritten one", ...}',
            got=type(found).__name__,
            next_step=_CORRECT_IT,
        )
    return found


def _read(path: Path) -> bytes:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            raise OSError("not a file, or too large")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"the rewritten prompts {path} cannot be read",
        expected=f"one of {', '.join(SETS)}, or a JSON file in UTF-8",
        got=str(error),
        next_step="correct the option augmented of the suite",
    )
