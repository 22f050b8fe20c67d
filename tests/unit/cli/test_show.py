"""What the command line prints of other people's texts: no control character, no key."""

from __future__ import annotations

import ast
import sys
import warnings
from pathlib import Path

import pytest

import rushes
from rushes.cli import main
from rushes.cli.show import Column, say, show_json, show_table, wrapped

BAD = "red \x1b[31m\x1b]0;x\x07 \x9b2J \udcff http://me:hunter2@host sk-abcdef123456"


def test_lines_tables_and_json_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    say(BAD)
    show_table([Column(BAD)], [[BAD]])
    show_json("\x1b\udcff \x9b")
    said = capsys.readouterr().out
    assert not any(char in said for char in "\x1b\x07\x9b\udcff") and "hunter2" not in said and "abcdef" not in said


def test_warnings_and_tracebacks_are_clean(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    assert main(["--version"]) == 0
    sys.excepthook(ValueError, ValueError(BAD), None)
    said = capsys.readouterr().err + warnings.formatwarning(UserWarning(BAD), UserWarning, "a.py", 1)
    assert "ValueError: red" in said and "\x1b" not in said and "hunter2" not in said


def test_a_command_is_never_broken_over_lines() -> None:
    command = "rushes run 'my runs/a, b/recipe.yaml' --home 'my runs/a, b'"
    said = wrapped(f"error: not finished\n  next:     see why it stopped; then continue it: {command}, or wait", 60)
    assert command in said.splitlines()[2]
    assert said.splitlines()[1] == "  next:     see why it stopped; then continue it:"
    said = wrapped(f"  expected: {'word ' * 30}", 60)
    assert all(len(line) <= 60 for line in said.splitlines())
    assert all(line.startswith(" " * 12 + "word") for line in said.splitlines()[1:]), "under the words above"


def test_a_sentence_about_a_command_is_broken_as_any_other() -> None:
    said = wrapped("  expected: 6 at least; rushes plan shows what a number of held-out prompts can see", 50)
    assert [len(line) <= 50 for line in said.splitlines()] == [True, True]


def test_a_warning_says_nothing_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    assert main(["--version"]) == 0
    assert warnings.formatwarning(UserWarning("no probabilities"), UserWarning, "call.py", 142) == (
        "warning: no probabilities\n"
    )


def test_a_name_with_escapes_is_printed_without_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "\x1b[2Jodd.yaml"
    file.write_text('from: tiny\nname: "\\e[31mred"\ntrain: {num_steps: "\\e[31m"}\n')
    assert main(["plan", str(file), "--no-calibrate"]) == 2
    assert "\x1b" not in capsys.readouterr().err
    assert main(["plan", str(file), "--no-calibrate", "--set", "train.num_steps=2"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_commands_print_what_they_fill_in_through_say() -> None:
    source = Path(rushes.__file__).parents[1]
    for path in [*source.glob("rushes/cli/*.py"), *source.glob("rushes_*/cli/*.py"), source / "rushes_sandbox/cli.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if path.stem in ("gpu_plan", "show", "main") and path.parent.parent.name == "rushes":
                continue  # numbers and names of settings; `say` itself
            is_print = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            assert not is_print, f"{path}, line {node.lineno}: use rushes.cli.show.say"
