"""The README is executed: shell lines, recipes, Python. Every path, link and make target named in the docs exists."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rushes.cli import main
from rushes.recipe.load import load_recipe
from rushes.records import Scorecard
from tests.support.pages import ROOT, Block, blocks, own_dimension

PAGES = ("README.md", "CONTRIBUTING.md")
SMALL = (
    "diagnose.dimensions=[Composition, Camera_Motion]",
    "diagnose.focus=[Camera_Motion]",
    "diagnose.num_prompts=2",
    "diagnose.num_takes=2",
    "prompts.num_weakness=4",
    "prompts.real.num_clips=4",
    "generate.sampler.num_steps=2",
    "generate.num_takes=4",
    "train.num_steps=2",
    "train.batch_size=8",
    "measure.sampler.num_steps=2",
    "measure.num_prompts=2",
    "measure.num_extra_focus_prompts=0",
    "measure.num_diversity_prompts=2",
    "measure.num_diversity_takes=2",
    "measure.num_bootstrap=100",
    "runtime.num_threads=1",
    "runtime.generate_batch=8",
)
"""What makes the demo's recipe end in seconds: how many of everything, about as in `recipes/tiny.yaml`. The focus is
named, since two takes of two prompts are too few to choose it by: the run would say so and end."""


def commands() -> list[tuple[str, str]]:
    """(page:line, command) of every shell line."""
    return [
        (f"{block}", line)
        for page in PAGES
        for block in blocks("sh", page)
        for line in block.text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]


def environment() -> dict[str, str]:
    """This process's, with the checkout's package first."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "120"}


def run_rushes(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from rushes.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def ran(words: list[str], folder: Path, place: str) -> str:
    """What a command says on standard output, run as it stands there but with a run's numbers made small."""
    done = run_rushes([*words, *small(words)], folder)
    # `doctor` ends with 1 where something is missing; that is for it to say, and no mistake of the README.
    fine = (0, 1) if words[0] == "doctor" else (0,)
    assert done.returncode in fine and "Traceback" not in done.stderr, f"{place}: {words}\n{done.stderr}"
    return done.stdout


def small(words: list[str]) -> list[str]:
    """Further words for what works with the sandbox's model: `run`, and `plan` where it tries out this machine."""
    works = words[0] == "run" or (words[0] == "plan" and "--gpu" not in words)
    return [word for setting in SMALL for word in ("--set", setting)] if works else []


def went_to_its_end(home: Path) -> None:
    """The run folder holds what the README promises of a finished run."""
    scorecard = Scorecard.model_validate_json((home / "scorecard.json").read_bytes())
    assert {row.dimension for row in scorecard.rows} == {"Composition", "Camera_Motion", "Diversity"}
    page = (home / "report.html").read_text(encoding="utf-8")
    assert "Camera Motion" in page and "<video" in page
    assert all((home / name).exists() for name in ("records.sqlite", "blobs", "recipe.yaml", "header.json"))


def test_every_language_is_executed() -> None:
    fences = re.findall(r"^```(\w*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for name in fences if name} == {"sh", "yaml", "python"}
    assert fences.count("") == len(fences) / 2, "a fenced block has no language, so nothing checks it"


def test_every_shell_line_is_make_rushes_or_pytest() -> None:
    """Nothing in the pages is a command that the tests below do not know."""
    known = ("make", ".venv/bin/rushes", ".venv/bin/python")
    assert commands()
    assert not [line for _, line in commands() if shlex.split(line)[0] not in known]


@pytest.mark.parametrize(("place", "line"), [pair for pair in commands() if pair[1].startswith("make ")])
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_lines(place: str, line: str) -> None:
    """Dry: make only tells what it would do, since it would install into `.venv`, and `make test` would run this test.

    What `make demo` runs after the set-up is run for real below.
    """
    assert told_by_make(shlex.split(line)[1:]), f"{place}: {line} would do nothing"


def told_by_make(targets: list[str]) -> list[str]:
    """The shell lines that make would run for some targets."""
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", *targets],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"make {targets}\n{done.stderr}"
    return done.stdout.strip().splitlines()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_demo_after_its_set_up(tmp_path: Path) -> None:
    """The line with which `make demo` ends is run for real, to the report and the scorecard.

    Dry is the set-up before it, which installs; the recipe is the demo's own, with fewer prompts, takes and steps.
    """
    line = told_by_make(["demo"])[-1]
    words = shlex.split(line)
    assert words[:3] == [".venv/bin/rushes", "run", "sandbox"]
    said = ran(words[1:], tmp_path, line)
    went_to_its_end(tmp_path / "runs" / "demo")
    assert "report.html" in said and "Camera Motion" in said


def test_pytest_lines() -> None:
    """Dry: they would run the tests inside of the tests. That they name what is there is checked."""
    lines = [line for _, line in commands() if line.startswith(".venv/bin/python")]
    assert lines
    for line in lines:
        words = shlex.split(line)
        assert words[1:3] == ["-m", "pytest"]
        paths = [word for word in words[3:] if word.startswith("tests")]
        assert paths and all((ROOT / path).exists() for path in paths), line


@pytest.mark.slow
def test_rushes_lines(tmp_path: Path) -> None:
    """In order and in one folder, as a reader types them: what one line writes, the next one reads.

    Nothing is dry: each runs in a process of its own, by this checkout's package in place of `.venv/bin/rushes`. `run`
    gets further `--set` after the reader's, which make its numbers small, and goes to its end; so does `plan`, which
    tries out the machine.
    """
    lines = [(place, shlex.split(line)[1:]) for place, line in commands() if line.startswith(".venv/bin/rushes")]
    assert {words[0] for _, words in lines} >= {"init", "plan", "run", "status"}
    said = {words[0]: ran(words, tmp_path, place) for place, words in lines}
    went_to_its_end(tmp_path / "runs" / "mine")
    assert "report.html" in said["run"]
    assert "mine in runs/mine: finished" in said["status"]


@pytest.mark.slow
def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From a copied recipe to a dimension of one's own, as a reader types it, with small numbers.

    Left out are the demo, which is run above, and what reads it.
    """
    page = "docs/tutorial.md"
    (recipe,) = blocks("yaml", page)
    (tmp_path / "mine.yaml").write_text(recipe.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    lines = [shlex.split(line) for block in blocks("sh", page) for line in block.text.splitlines()]
    assert lines[0] == ["make", "demo"] and ["rushes", "view"] in lines and ["rushes", "report", "runs/demo"] in lines
    # So few steps and takes give no groups to learn from: the objective is one that takes each clip by itself.
    own = ["train.objective={kind: flow}", "weights={kind: raw}"]
    own += [setting for setting in SMALL if not setting.startswith(("diagnose.dimensions", "diagnose.focus"))]
    said = {}
    for _, *words in lines[3:]:
        if words == ["view"] or "runs/demo" in words:
            continue
        less = {"plan": ["--no-calibrate"], "judge audit": ["--num", "2"]}
        more = [word for setting in own for word in ("--set", setting)] if "mine.yaml" in words else []
        more += less.get(words[0], less.get(" ".join(words[:2]), []))
        assert main([*words, *more]) == 0, f"{words}\n{capsys.readouterr().err}"
        said[" ".join(words)] = capsys.readouterr().out
    assert "continue with: rushes run mine.yaml" in said["judge mine.yaml"].replace("\n", " ")
    assert "Side By Side" in said["report runs/side-by-side"]


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_recipes(block: Block, tmp_path: Path) -> None:
    """Each is a recipe that is read without complaint and says what its block says."""
    path = tmp_path / "recipe.yaml"
    path.write_text(block.text, encoding="utf-8")
    recipe = load_recipe(path)
    named = re.search(r"^name: (\S+)$", block.text, re.MULTILINE)
    assert named is None or recipe.name == named[1]


def test_own_dimension_can_be_generated_judged_and_measured() -> None:
    """Its words are the sandbox model's, and its questions are ones that the measurer can answer."""
    import yaml

    from rushes_sandbox.captions import words
    from rushes_sandbox.questions import read
    from rushes_sandbox.text import vocabulary

    vocabulary_ = set(vocabulary())
    for dimension in yaml.safe_load(own_dimension().text)["diagnose"]["extra"]:
        for example in dimension["examples"]:
            assert set(words(example["prompt"])) <= vocabulary_
            assert all(read(question) is not None for question in example["questions"])


def test_plugin_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python block, saved under the name that the text says, works as the recipe after it names it."""
    from rushes.records import Score, Scored, Unscored
    from rushes.weights.weigh import weights_of

    (python,) = blocks("python")
    (recipe_block,) = [block for block in blocks("yaml") if "my_weights:" in block.text]
    assert "`my_weights.py`" in (ROOT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "my_weights.py").write_text(python.text, encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(recipe_block.text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_weights", raising=False)
    spec = load_recipe(tmp_path / "recipe.yaml").weights
    outcomes = (Scored(value=1.0), Scored(value=0.5), Unscored(reason="no answer"))
    scores = [
        Score(clip_key=f"{i}" * 64, prompt_key="a" * 64, dimension="Composition", outcome=outcome)
        for i, outcome in enumerate(outcomes)
    ]
    weights = weights_of(scores, spec)
    assert weights[1] / weights[0] == pytest.approx(0.5**4)
    assert weights[2] == 0.0


def documents() -> list[Path]:
    """Every page of the project."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.name)
def test_paths_and_links_exist(page: Path) -> None:
    """Links, and whatever stands in backticks and looks like a path of this project."""
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http", "#"))]
    missing = [link for link in links if not (page.parent / link.split("#")[0]).exists()]
    paths = re.findall(r"`((?:src|tests|docs|benchmarks|\.ci)/[\w./-]*)`", text)
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert not missing, f"{page.name} names what does not exist: {missing}"


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    """Every `make x` in running text is a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8")))
    assert named <= targets


def test_paper_map_names_functions_that_exist() -> None:
    """`file.py: name` in the map is a function or class of that file, below `src/` or in `lab/`."""
    named = re.findall(r"`([\w/]+\.py): (\w+)`", (ROOT / "docs" / "paper_map.md").read_text(encoding="utf-8"))
    assert len(named) > 30
    missing = []
    for file, name in named:
        path = ROOT / file if file.startswith("lab/") else ROOT / "src" / file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if not re.search(rf"^(def|class) {name}\b|^    def {name}\b", text, re.MULTILINE):
            missing.append(f"{file}: {name}")
    assert not missing
