"""`rushes check`: what it prints, its exit status, and that the command it names works as printed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from rushes.cli.check import cost_text
from rushes.cli.main import main
from rushes.errors import heal_command
from rushes.llm.ledger import Ledger
from rushes.records import CostEntry, Prompt, Scorecard
from rushes.store.check import Finding
from rushes.store.run import Run

PROMPT = Prompt(key="ab" * 32, text="a red ball", base_text="a ball", dimension="D", origin="weakness", index=0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A finished run of one prompt, in a folder whose name needs quotes."""
    home = tmp_path / "my run"
    with Run.open(home, {"toy": 1}) as run:
        run.prompts.land([PROMPT], cost=CostEntry(stage="prompts", seconds=90.0, num_items=1, device="cpu"))
        run.finish(Scorecard(base_model="b", tuned_model="t", measurer="m", judge="j", rows=()))
    return home


def damage(home: Path) -> None:
    path = home / "records.sqlite"
    path.write_bytes(path.read_bytes().replace(b"a red ball", b"a rad ball"))


def test_nothing_damaged(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(home)]) == 0
    assert "nothing is damaged" in capsys.readouterr().out


def test_damage_is_named_with_its_cost_and_healed_by_the_command_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(home)
    assert main(["check", str(home)]) == 1
    said = capsys.readouterr().out
    assert f"prompts/{'ab' * 32}" in said and "1 in prompts, about 1 min" in said
    (command,) = [line.removeprefix("next: ") for line in said.splitlines() if line.startswith("next: ")]
    name, *arguments = shlex.split(command.partition(" && ")[0])
    assert name == "rushes" and main(arguments) == 0
    said = capsys.readouterr().out
    assert "dropped" in said and heal_command(str(home)).partition(" && ")[2] in said
    assert main(["check", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["damaged"] == []
    with Run.view(home) as run:
        assert run.prompts.num_records() == 0 and not run.is_done


def test_healing_waits_for_the_process_that_works_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(home)
    with Run.open(home, {"toy": 1}):
        assert main(["check", str(home), "--heal"]) == 2
    assert "is working in" in capsys.readouterr().err


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_the_cost_counts_a_record_once() -> None:
    found = [
        Finding("blobs/a", "altered", (("clips", "k"), ("clips", "l"))),
        Finding("blobs/b", "missing", (("clips", "k"), ("checkpoints", "c"))),
    ]
    assert cost_text(found, {"clips": 30.0}) == "2 in clips, 1 in checkpoints, over 1 min 00 s"
    assert cost_text([Finding("derived/focus.json", "altered")], {}) == "only files that follow from the records"


def test_money_is_at_least_and_nothing_is_made_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = home / "llm" / "cost-main.jsonl"
    for usd in (0.25, 0.5):
        Ledger(ledger).add(1, 1, usd)
    ledger.write_bytes(ledger.read_bytes().replace(b"0.25", b"0.15"))
    assert main(["check", str(home)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "at least 0.5000 US dollars are spent" in said and "to make again: nothing" in said
    assert "max_cost_usd then limits only what is known" in said
    assert main(["check", str(home), "--heal"]) == 0
    assert "set aside" in capsys.readouterr().out
    with Run.view(home) as run:
        assert run.is_done
    assert main(["check", str(home)]) == 0
