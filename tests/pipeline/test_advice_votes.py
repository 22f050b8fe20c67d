"""Votes that cannot be used: the error is met, what it says is done as a rater's host would, and the error is gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rushes.cli.main import main
from rushes.vote import pairs
from rushes.vote.folder import studies
from rushes.vote.records import Replies, Reply, Study
from tests.support.followed import commands_in, failing
from tests.support.voted import make_voted_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voted_run(tmp_path_factory.mktemp("runs") / "run", 4)


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


def exported(home: Path, *more: str) -> Study:
    """Export a study, as the command line does."""
    before = {each.study for each in studies(home)}
    assert main(["vote", "export", str(home), *more]) == 0
    (new,) = [each for each in studies(home) if each.study not in before]
    return new


def saved(study: Study, path: Path, choice: str = "left") -> Path:
    """What the page of a study saves: the same choice for every pair."""
    given = tuple(
        Reply.model_validate({"pair": pair.name, "question": question, "choice": choice})
        for pair in study.pairs
        for question in pair.questions
    )
    replies = Replies.model_validate({"study": study.study, "rater": "Ann", "replies": given})
    path.write_text(replies.model_dump_json())
    return path


def test_write_a_study_and_take_votes_in(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = failing(["vote", "result", str(home)], capsys)
    ((command),) = commands_in(step)
    assert main([*command, "--no-checks"]) == 0
    (study,) = studies(home)
    ((command),) = commands_in(failing(["vote", "result", str(home)], capsys))
    assert command[-1] == "FILE"
    assert main([*command[:-1], str(saved(study, tmp_path / "ann.json"))]) == 0
    assert main(["vote", "result", str(home)]) == 0


def test_name_the_study(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = exported(home, "--no-checks"), exported(home, "--no-checks", "--seed", "1")
    votes = str(saved(second, tmp_path / "ann.json"))
    for command in (["vote", "import", str(home), votes], ["vote", "result", str(home)]):
        assert "--study" in failing(command, capsys)
    assert "name the study with --study" in failing(
        ["vote", "import", str(home), votes, "--study", first.study], capsys
    )
    assert main(["vote", "import", str(home), votes, "--study", second.study]) == 0
    assert main(["vote", "result", str(home), "--study", second.study]) == 0


def test_save_the_votes_again(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = exported(home, "--no-checks")
    votes = tmp_path / "ann.json"
    command = ["vote", "import", str(home), str(votes)]
    assert failing(command, capsys) == "name a file that the page has saved"
    votes.write_text("{}")
    assert failing(command, capsys) == "save the file again with the page of this study"
    whole = json.loads(saved(study, votes).read_text())
    votes.write_text(json.dumps({**whole, "replies": whole["replies"] * 2}))
    assert failing(command, capsys) == "save the file again with the page of this study"
    saved(study, votes)
    assert main(command) == 0


def test_replace_the_votes_of_the_same_person(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = exported(home, "--no-checks")
    assert main(["vote", "import", str(home), str(saved(study, tmp_path / "ann.json"))]) == 0
    later = ["vote", "import", str(home), str(saved(study, tmp_path / "later.json", "right"))]
    assert failing(later, capsys).endswith("--replace")
    assert main([*later, "--replace"]) == 0


def test_ask_about_what_there_is_and_about_fewer(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(["vote", "export", str(home), "--ask", "Colour"], capsys).startswith("leave --ask out")
    monkeypatch.setattr(pairs, "MAX_PAIRS", 2)
    assert failing(["vote", "export", str(home), "--no-checks"], capsys) == "lower --num"
    exported(home, "--no-checks", "--num", "1")
