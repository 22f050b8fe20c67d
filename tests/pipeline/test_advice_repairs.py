"""A table of files, environments and lists with a fault: what the error says is done, and the error is gone.

`tests/unit/advice.yaml` says which texts these are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rushes.audit.expectations import chosen_controls
from rushes.audit.labels import read_labels
from rushes.cli.main import main
from rushes.dimensions.catalogue import catalogue
from rushes.errors import InputError
from rushes.families.folder import family_of, read_index
from rushes.preflight.folders import check_fixed_prompts
from rushes.prompts.briefs import _identity as brief_identity
from rushes.prompts.contact_sheet import check_sheet
from rushes.prompts.fixed import FixedWriter
from rushes.prompts.metadata import read_metadata
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.dimensions import probed
from rushes.recipe.load import load_recipe, parse_recipe
from rushes.recipe.prompts import FixedWriterSpec
from rushes.train.launch import device_of
from rushes.train.launched import check_launch
from rushes_sandbox.real_clips import write_clip_folder
from tests.support.advice import how_covered
from tests.support.audited import make_cases
from tests.support.followed import failing, step_of
from tests.support.vbench1 import write_results

CASES = make_cases(1)
FILE = Path("file")
GOOD = '{"text": "a red ball", "dimension": "Composition"}\n'
LABELS = "clip,question,answer\nclip_00.mp4,is it red?,yes\n"
OWN = "{name: Glow, description: how things glow, examples: [{prompt: a lamp glows}]}"
EMPTY, TAKEN = OWN.replace("how things glow", "' '"), OWN.replace("Glow", "mechanics")


@dataclass(frozen=True)
class Repair:
    """A fault, and what its advice says to do."""

    name: str
    spoil: Callable[[], object]
    meet: Callable[[], object]
    says: str
    """Words of the advice that `mend` does."""
    mend: Callable[[str], object]
    """Given the advice."""


def write(text: str | bytes) -> Callable[..., object]:
    return lambda *_: FILE.write_bytes(text.encode() if isinstance(text, str) else text)


def written_after(words: str) -> Callable[[str], object]:
    """Write what the advice shows after some words, before what is there."""
    return lambda step: FILE.write_text(f"{step.partition(words)[2]}\n{FILE.read_text() if FILE.exists() else ''}")


def nothing(*_: object) -> None: ...


def labels() -> object:
    return read_labels(FILE, CASES)


def prompts() -> object:
    return FixedWriter.read(FixedWriterSpec(path=str(FILE)))


def planned() -> object:
    """The part of the work keys that a list of prompts has."""
    return brief_identity(FixedWriterSpec(path=str(FILE)))


def fixed_prompts() -> object:
    wrong = [f"prompts.writer={{kind: fixed, path: {FILE}}}", "diagnose.dimensions=[Composition]"]
    for finding in check_fixed_prompts(load_recipe("tiny", wrong)):
        raise InputError(finding.problem, next_step=finding.next_step)
    return None


def index_of(pipeline: str) -> Callable[[], object]:
    return lambda: Path("model_index.json").write_text(json.dumps({"_class_name": pipeline}))


def recipe() -> object:
    return parse_recipe(FILE.read_text(), source="recipe")


def dimensions(*settings: str) -> Callable[[], object]:
    return lambda: probed(load_recipe("tiny", settings).diagnose)


def leave(*names: str) -> Callable[[str], object]:
    return lambda step: [os.environ.pop(name, None) for name in names if name in step]


def without_accelerate(_: str) -> None:
    for name in ("ACCELERATE_USE_CPU", "MASTER_ADDR"):
        del os.environ[name]


def launch_of(**variables: str) -> Callable[[], object]:
    return lambda: os.environ.update(variables)


REPAIRS = [
    Repair("labels: no file", nothing, labels, "name a CSV file", write(LABELS)),
    Repair("labels: bytes", write(b"\xff\xfe\x00"), labels, "save it as UTF-8 text", write(LABELS)),
    Repair(
        "labels: no columns",
        write(LABELS.partition("\n")[2]),
        labels,
        "first line: clip",
        written_after("first line: "),
    ),
    Repair(
        "labels: no clip",
        write(LABELS.replace("clip_00", "clip_99")),
        labels,
        "correct the rows named",
        write(LABELS),
    ),
    Repair("prompts: no file yet", nothing, planned, "write it, or correct prompts.writer.path", write(GOOD)),
    Repair(
        "prompts: none of that kind",
        write(GOOD),
        fixed_prompts,
        "add them to the file",
        write("".join(GOOD.replace("}", f', "origin": "{each}"}}') for each in ("probe", "held_out", "weakness"))),
    ),
    Repair(
        "metadata: no folder",
        nothing,
        lambda: read_metadata(Path("my clips")),
        "create it with metadata.jsonl in it",
        lambda step: (Path("my clips").mkdir(), Path("my clips", step.split()[3]).touch()),
    ),
    Repair(
        "recipe: no name",
        nothing,
        lambda: load_recipe("recipe.yaml" if Path("recipe.yaml").exists() else "zzzzzz"),
        "or a file (./recipe.yaml); rushes init writes one",
        lambda step: main(["init", step.partition("(")[2].partition(")")[0]]),
    ),
    Repair(
        "recipe: settings that do not fit",
        write("from: tiny\ntrain: {batch_size: 6, num_accumulation: 4}\n"),
        recipe,
        "change one of the settings that the error names",
        write("from: tiny\ntrain: {batch_size: 6, num_accumulation: 3}\n"),
    ),
    Repair(
        "base: folder above",
        lambda: Path("above/model").mkdir(parents=True),
        lambda: read_index(BaseModelSpec(model=FILE.read_text() if FILE.exists() else "above")),
        "point base.model at the folder that holds model_index.json",
        lambda _: (Path("above/model/model_index.json").write_text("{}"), FILE.write_text("above/model")),
    ),
    Repair(
        "base: of no family",
        index_of("StableDiffusionPipeline"),
        lambda: family_of(BaseModelSpec(model=".")),
        "choose a text-to-video model of one of these",
        lambda _: index_of("WanPipeline")(),
    ),
    Repair(
        "launch: another number",
        launch_of(TORCHELASTIC_RUN_ID="1", WORLD_SIZE="3", RANK="0"),
        lambda: check_launch(2),
        "or launch that number of processes",
        lambda _: os.environ.update(WORLD_SIZE="2"),
    ),
    Repair("prompts: no file", nothing, prompts, "correct prompts.writer.path", write(GOOD)),
    Repair("prompts: empty", write("\n"), prompts, "write lines like", written_after("write lines like ")),
    Repair("prompts: no line", write('{"text": 5}\n'), prompts, "correct that line", write(GOOD)),
    Repair(
        "metadata: bytes",
        lambda: Path("metadata.csv").write_bytes(b"\xff\xfe\x00\xd8"),
        lambda: read_metadata(Path()),
        "save it as UTF-8",
        lambda _: Path("metadata.csv").write_text("file_name,text\n"),
    ),
    Repair(
        "recipe: tab",
        write("from: tiny\ntrain:\n\tnum_steps: 5\n"),
        recipe,
        "indent with spaces",
        lambda _: FILE.write_text(FILE.read_text().replace("\t", "  ")),
    ),
    Repair(
        "recipe: colon",
        write("from: tiny\nname a: b: c\n"),
        recipe,
        "check that line and the one above",
        write("from: tiny\nname: a\n"),
    ),
    Repair(
        "recipe: bytes",
        lambda: Path("mine.yaml").write_bytes(b"\xff"),
        lambda: load_recipe("mine.yaml"),
        "save it as UTF-8",
        lambda _: Path("mine.yaml").write_text("from: tiny\n"),
    ),
    Repair(
        "sheet",
        nothing,
        lambda: check_sheet(Path(FILE.read_text() if FILE.exists() else "sheet.gif")),
        "name it ",
        lambda step: FILE.write_text(step.removeprefix("name it ")),
    ),
    Repair(
        "clips: full folder",
        lambda: (Path("x").mkdir(), Path("x/y").touch()),
        lambda: write_clip_folder("x", 1),
        "empty this one",
        lambda _: Path("x/y").unlink(),
    ),
    Repair(
        "launch: no number",
        launch_of(TORCHELASTIC_RUN_ID="1", WORLD_SIZE="two", RANK="0"),
        lambda: check_launch(1),
        "unset TORCHELASTIC_RUN_ID WORLD_SIZE RANK",
        leave("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "RANK"),
    ),
    Repair(
        "launch: left over",
        launch_of(WORLD_SIZE="2", RANK="0"),
        lambda: check_launch(2),
        "unset RANK WORLD_SIZE",
        leave("WORLD_SIZE", "RANK"),
    ),
    Repair(
        "launch: accelerate",
        launch_of(ACCELERATE_USE_CPU="1", MASTER_ADDR="x"),
        lambda: check_launch(2),
        "rushes run --num-processes N",
        without_accelerate,
    ),
    Repair(
        "catalogue: no file",
        nothing,
        lambda: catalogue(str(FILE)),
        "correct diagnose.catalogue",
        write("- {name: A, description: b, category: c, examples: [d]}\n"),
    ),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "RANK", "ACCELERATE_USE_CPU", "MASTER_ADDR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda repair: repair.name)
def test_do_what_the_error_says(repair: Repair) -> None:
    repair.spoil()
    step = step_of(repair.meet)
    assert repair.says in step and "test_do_what_the_error_says" in how_covered(step)
    repair.mend(step)
    repair.meet()


@pytest.mark.parametrize(
    ("wrong", "says", "right"),
    [
        (["diagnose.dimensions=[Glow]"], "add your own with diagnose.extra", [f"diagnose.extra=[{OWN}]"]),
        (["diagnose.dimensions=[Diversity]"], "remove it; Diversity is compared", ["diagnose.dimensions=[]"]),
        (["diagnose.dimensions=[Mechanics, Mechanics]"], "name Mechanics once", ["diagnose.dimensions=[Mechanics]"]),
        (
            [f"diagnose.extra=[{TAKEN}]"],
            "leave it out of diagnose.extra and use 'Mechanics'",
            ["diagnose.extra=[]", "diagnose.dimensions=[Mechanics]"],
        ),
        ([f"diagnose.extra=[{EMPTY}]"], "or leave the entry out", ["diagnose.extra=[]"]),
    ],
)
def test_name_the_dimensions_as_the_error_says(wrong: Sequence[str], says: str, right: Sequence[str]) -> None:
    assert says in step_of(dimensions(*wrong))
    assert dimensions(*wrong, *right)()


def test_leave_the_option_out(capsys: pytest.CaptureFixture[str]) -> None:
    enough = ["plan", "tiny", "--set", "measure.num_prompts=32"]
    assert "leave --gpu out" in failing([*enough, "--gpu", "H100"], capsys)
    assert main([*enough, "--no-calibrate"]) == 0
    assert step_of(lambda: chosen_controls(["zzzzz"])) == "leave --control out to ask all of them"
    assert chosen_controls()


def test_lower_the_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert step_of(lambda: device_of("cuda", 2)) == "lower --num-processes"
    assert device_of("cuda", 1).index == 1


def test_leave_out_an_option_of_the_other_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = str(write_results(tmp_path / "er", {"color": [0.5, []]}))
    for options in (["--published"], ["--suite", "VBench"]):
        assert f"leave out {options[0]}" in failing(["vbench", "import", first, *options], capsys)
    assert main(["vbench", "import", first]) == 0
