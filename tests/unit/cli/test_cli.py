"""The command line: start-up, exit codes, how errors look, and what each command hands to the library."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rushes.cli import main
from rushes.cli.show import bytes_text
from rushes.cli.work import default_home
from rushes.errors import InputError, RecipeChanged, Stopped
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.records import CostEntry, DimensionRow, Scorecard
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_recipe

HEAVY = ("torch", "numpy", "diffusers", "transformers", "peft", "av", "cv2", "scipy", "jinja2")


def card(name: str = "base") -> Scorecard:
    row = DimensionRow(
        dimension="Composition", before=0.4, after=0.5, gain=0.1, gain_low=0.05, gain_high=0.15, num_prompts=4,
        num_clips=4, num_unscored=0, is_focus=True, p_holm=0.01, verdict="better",
    )  # fmt: skip
    return Scorecard(
        base_model=name, tuned_model="t", measurer="m", judge="j", rows=(row,), focus_gain=0.1, focus_gain_low=0.05,
        focus_gain_high=0.15, focus_p_value=0.01, focus_verdict="better", notes=("[red]a note[/red]",),
    )  # fmt: skip


@dataclass
class FakePipeline:
    """Stands for `rushes.pipeline`: remembers its calls and does what the test wants."""

    result: Callable[[], Scorecard | None] = card
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def improve(self, recipe: Recipe, home: Path, **options: Any) -> Scorecard | None:
        self.calls.append({"recipe": recipe, "home": home, **options})
        return self.result()


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePipeline:
    """The fake in place, and an empty folder to work in."""
    fake = FakePipeline()
    module = types.ModuleType("rushes.pipeline")
    module.improve = fake.improve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rushes.pipeline", module)
    monkeypatch.chdir(tmp_path)
    return fake


def raising(error: BaseException) -> Callable[[], Scorecard | None]:
    def raise_it() -> Scorecard | None:
        raise error

    return raise_it


# ---------------------------------------------------------------------------------------------- start-up


def in_process(code: str) -> tuple[str, float]:
    """Output of a fresh Python, and its processor time: the clock on the wall depends on who else works here."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_loads_nothing_heavy_and_answers_at_once() -> None:
    code = (
        "import sys, os; from rushes.cli import main; code = main(['--help']);"
        f"print(code, [n for n in {HEAVY!r} if n in sys.modules], os.environ['GOMP_SPINCOUNT'])"
    )
    output, seconds = in_process(code)
    assert output.splitlines()[-1] == f"0 [] {os.environ.get('GOMP_SPINCOUNT', '10000')}"
    for command in ("init", "run", "status", "report", "plan", "prompts", "generate", "judge", "train", "measure"):
        assert f"\n  {command} " in output
    fastest = min(seconds, *(in_process(code)[1] for _ in range(2)))
    assert fastest < 0.5


@pytest.mark.parametrize("arguments", [["status"], ["doctor"], ["sandbox", "clips"], ["plan"], ["run"], ["init"]])
def test_every_command_has_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--help"]) == 0
    assert arguments[-1] in capsys.readouterr().out


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "rushes", "status", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere is not a run folder")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()


# ---------------------------------------------------------------------------------------------- how things end


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["rum"], "run"),
        (["run"], "recipe"),
        (["run", "tiny", "--colour"], "--colour"),
        (["run", "tinny"], "did you mean tiny?"),
        (["run", "tiny", "--set", "train.stps=1"], "did you mean train.num_steps?"),
        (["status", "nowhere"], "not a run folder"),
        (["report", "nowhere"], "not a run folder"),
        (["init", "--from", "sandbx"], "did you mean sandbox?"),
    ],
)
def test_what_the_user_can_put_right_ends_with_2_and_no_traceback(
    arguments: list[str], word: str, pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert word.lower() in said.err.lower()
    assert "Traceback" not in said.err + said.out
    assert not pipeline.calls


def test_a_bug_keeps_its_traceback(pipeline: FakePipeline) -> None:
    pipeline.result = raising(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["run", "tiny"])


@pytest.mark.parametrize("error", [Stopped("stopped in 'clips' with 3 of 9 done; run it again"), KeyboardInterrupt()])
def test_ctrl_c_says_how_to_go_on(
    error: BaseException, pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.result = raising(error)
    assert main(["run", "tiny"]) == 130
    said = capsys.readouterr().err
    when = "after the current item" if isinstance(error, Stopped) else "at once"
    assert f"stopped {when}; run the same command to resume" in said
    assert ("in 'clips' with 3 of 9 done" in said) == isinstance(error, Stopped)


def test_a_stop_while_the_program_loads_is_a_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(app: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("typer.main.get_command", interrupted)
    try:
        code = main(["run", "tiny"])
    except KeyboardInterrupt:
        pytest.fail("it came out as an exception, which would end the tests and not fail them")
    assert code == 130
    assert "run the same command to resume" in capsys.readouterr().err


def test_text_in_an_error_is_not_read_as_markup(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.result = raising(InputError("[red]no[/nonsense]", got="[bold]"))
    assert main(["run", "tiny"]) == 2
    assert "[red]no[/nonsense]" in capsys.readouterr().err


def test_on_a_terminal_an_error_has_no_frame_that_would_be_copied(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.result = raising(InputError("[red]no[/nonsense]", next_step=f"rushes status {'x' * 200}"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["run", "tiny"]) == 2
    said = capsys.readouterr().err
    assert "[red]no[/nonsense]" in said
    assert f"\n            rushes status {'x' * 200}\n" in said or f"next:     rushes status {'x' * 200}\n" in said
    assert "Traceback" not in said


def test_another_recipe_in_the_folder_says_what_would_run_again(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ("judge.aggregate", "train.num_steps")
    pipeline.result = raising(RecipeChanged("differs", paths=paths, next_step="allow the change"))
    assert main(["run", "tiny"]) == 2
    assert "again:    weigh, train, measure, report" in capsys.readouterr().err
    pipeline.result = raising(RecipeChanged("differs", paths=("from.the.future",), next_step="allow the change"))
    assert main(["run", "tiny"]) == 2
    assert "again:" not in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------- run and its stages


def test_run_hands_over_the_recipe_the_folder_and_the_progress(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "tiny", "--set", "seed=3", "--set", "train.num_steps=1", "--home", "here"]) == 0
    (call,) = pipeline.calls
    assert call["recipe"] == load_recipe("tiny", ["seed=3", "train.num_steps=1"])
    assert call["home"] == Path("here")
    assert (call["until"], call["allow_change"]) == (None, False)
    assert callable(call["on_progress"])
    said = capsys.readouterr()
    assert "+10.0" in said.out
    assert "[red]a note[/red]" in said.out
    assert str(Path("here") / "report.html") in said.out


@pytest.mark.parametrize("stage", ["prompts", "generate", "judge", "train", "measure"])
def test_a_stage_command_stops_after_its_stage(
    stage: str, pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.result = lambda: None
    assert main([stage, "tiny", "--allow-change"]) == 0
    (call,) = pipeline.calls
    assert (call["until"], call["allow_change"], call["home"]) == (stage, True, Path("runs/tiny"))
    assert "rushes run tiny --home runs/tiny" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("demo", "demo"),
        ("../../etc", "etc"),
        ("/tmp/x", "tmp-x"),
        ("a b/c", "a-b-c"),
        ("..", "run"),
        ("", "run"),
        ("雨", "雨"),
    ],
)
def test_the_default_folder_never_leaves_runs(name: str, folder: str) -> None:
    assert default_home(sandbox_recipe(name=name)) == Path("runs") / folder


# ---------------------------------------------------------------------------------------------- status, plan, report


def finished(home: Path, scorecard: Scorecard) -> None:
    with Run.open(home, load_recipe("tiny")) as run:
        run.clips.land([], cost=CostEntry(stage="clips", seconds=90.0, num_items=3, device="cpu"))
        run.finish(scorecard)


def test_status_as_a_table_and_as_json(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    finished(Path("home"), card())
    assert main(["status", "home"]) == 0
    table = capsys.readouterr().out
    assert "tiny in home: finished" in table
    assert "1 min 30 s" in table
    assert main(["status", "home", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "finished"


def test_plan_as_a_table_and_as_json(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "tiny", "--no-calibrate"]) == 0
    table = capsys.readouterr().out
    assert "unknown" in table
    assert "steps of 4 clips" in table
    assert main(["plan", "tiny", "--no-calibrate", "--set", "train.num_steps=5", "--json"]) == 0
    rows = {row["stage"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["train"]["num_items"], rows["train"]["seconds"]) == (5, None)
    assert "memory" in table
    assert rows["train"]["peak_bytes"] > rows["generate"]["peak_bytes"] > 0
    elsewhere = ["plan", "tiny", "--no-calibrate", "--json", "--set", "base.model=nobody/nothing"]
    assert main(elsewhere) == 0
    unknown = json.loads(capsys.readouterr().out)
    assert {row["peak_bytes"] for row in unknown} == {None}, "a model that is not here has no memory, not 0"


def test_plan_takes_the_pace_of_runs_beside_it_and_names_those_it_cannot_read(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    with Run.open(Path("runs/earlier"), load_recipe("tiny")) as run:
        run.answers.land([], cost=CostEntry(stage="answers", seconds=8.0, num_items=16, device="cpu"))
    Path("runs/broken").mkdir()
    for name in ("records.sqlite", "header.json"):
        Path("runs/broken", name).write_bytes(b"no")
    assert main(["plan", "tiny", "--no-calibrate"]) == 0
    said = capsys.readouterr().out
    assert "runs/earlier" in said
    assert "not used: runs/broken" in said


def test_report_of_a_finished_run(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    finished(Path("home"), card())
    Path("home/report.html").write_text("<p>")
    assert main(["report", "home"]) == 0
    assert "home/report.html" in capsys.readouterr().out
    assert not pipeline.calls


def test_report_rebuild_runs_the_kept_recipe_to_its_end_again(pipeline: FakePipeline) -> None:
    finished(Path("home"), card())
    Path("home/report.html").write_text("<p>")
    seen: list[bool] = []

    def again() -> Scorecard:
        seen.append(Path("home/done").exists())
        return card()

    pipeline.result = again
    assert main(["report", "home", "--rebuild"]) == 0
    (call,) = pipeline.calls
    assert (call["recipe"], call["home"], seen) == (load_recipe("tiny"), Path("home"), [False])


def test_report_of_an_unfinished_run_says_how_to_go_on(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    Run.open(Path("home"), load_recipe("tiny")).close()
    assert main(["report", "home"]) == 2
    assert "rushes status home" in capsys.readouterr().err
    assert not pipeline.calls


def test_report_opens_in_the_browser_when_asked(pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    import webbrowser

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    finished(Path("home"), card())
    Path("home/report.html").write_text("<p>")
    assert main(["report", "home", "--open"]) == 0
    assert opened == [Path("home/report.html").absolute().as_uri()]


def test_doctor_ends_with_1_when_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rushes import doctor
    from rushes.doctor.check import Check

    checks = [Check("torch", "ok", "2.13"), Check("av", "missing", "not installed", "pip install av")]
    monkeypatch.setattr(doctor, "examine", lambda home: checks)
    assert main(["doctor"]) == 1
    assert "av: pip install av" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[1]["fix"] == "pip install av"
    monkeypatch.setattr(doctor, "examine", lambda home: checks[:1])
    assert main(["doctor"]) == 0


# ---------------------------------------------------------------------------------------------- sandbox


def test_clips_are_written_by_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rushes_sandbox import real_clips

    calls: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(real_clips, "write_clip_folder", lambda folder, num, seed: calls.append((folder, num, seed)))
    assert main(["sandbox", "clips", str(tmp_path), "--num", "3", "--seed", "5"]) == 0
    assert calls == [(tmp_path, 3, 5)]
    assert "wrote 3 clips" in capsys.readouterr().out


def test_bytes_in_words() -> None:
    sizes: Sequence[tuple[float | None, str]] = ((None, "?"), (0, "0 B"), (812_345, "812 kB"), (1.4e9, "1.4 GB"))
    assert [bytes_text(size) for size, _ in sizes] == [text for _, text in sizes]
