"""Files that cannot be used: the error is met, another file is named or this one corrected, and the error is gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rushes.audit.sheet import write_sheet
from rushes.cli.main import main
from rushes.cli.sample import _lines
from rushes.errors import TrainingError
from rushes.families.added import lora_file
from rushes.families.folder import read_index
from rushes.judge.labels import read_label_file
from rushes.llm.pretrained import source
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.generate import GenerateLoraSpec
from rushes.recipe.load import load_recipe
from rushes.recipe.models import LocalModelSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.recipe.weights import WeightsSpec
from rushes.records import Stated
from rushes.store.files import write_atomic
from rushes.store.run import Run
from rushes.weights.brought import _weights
from rushes_vbench.catalogue import named
from rushes_vbench.results import merged, read_results
from rushes_vbench.vbench1 import results as vbench1
from tests.support.audited import make_cases
from tests.support.followed import failing, printed_step, step_of
from tests.support.tiny_wan import make_tiny_wan
from tests.support.vbench1 import rows, write_results


def test_name_a_recipe_that_can_be_read(tmp_path: Path) -> None:
    assert step_of(lambda: load_recipe("/dev/zero")) == "name a .yaml file"
    loop, good = tmp_path / "loop.yaml", tmp_path / "good.yaml"
    loop.symlink_to(loop.name)
    assert step_of(lambda: load_recipe(str(loop))) == "check that path"
    good.write_text("from: tiny\n")
    loop.unlink()
    loop.symlink_to(good.name)
    assert load_recipe(str(loop)).base == load_recipe(str(good)).base


def test_name_another_file_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder.yaml").mkdir()
    command = ["init", str(tmp_path / "folder.yaml")]
    assert failing([*command, "--force"], capsys) == "name another file"
    assert main([*command[:-1], str(tmp_path / "mine.yaml")]) == 0 and (tmp_path / "mine.yaml").is_file()

    write_sheet(tmp_path / "sheet", make_cases(1))
    assert step_of(lambda: write_sheet(tmp_path / "sheet", make_cases(1))).startswith("name another folder")
    (tmp_path / "sheet" / "labels.csv").rename(tmp_path / "labels.csv")
    assert write_sheet(tmp_path / "sheet", make_cases(1)).is_file()


def test_name_a_text_file(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_bytes(b"\xff\xfe\x00")
    assert step_of(lambda: _lines(prompts)) == "name a text file"
    prompts.write_text("# mine\na red ball\n\n")
    assert _lines(prompts) == ["a red ball"]


def test_keep_the_columns_of_one_kind(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("clip,score,other,preferred\n" + f"{'a' * 12},1,{'b' * 12},first\n")
    assert step_of(lambda: read_label_file(file)) == "keep the columns of one of them"
    file.write_text(f"clip,score\n{'a' * 12},1\n")
    assert read_label_file(file).kind == "scores"


def test_correct_the_column_of_weights() -> None:
    with pytest.raises(TrainingError) as told:
        _weights([Stated(weight=0.0), Stated(weight=0.0)], [], WeightsSpec())
    assert printed_step(str(told.value)).startswith("correct the column weight, or remove it")
    assert _weights([Stated(weight=0.0), Stated(weight=2.0)], [], WeightsSpec()) == [0.0, 2.0]
    assert _weights([Stated(), Stated()], [], WeightsSpec()) == [1.0, 1.0]


def test_name_a_dimension_as_the_benchmark_does() -> None:
    assert step_of(lambda: named("Camera movement of all")).startswith("name it as the benchmark does")
    assert named("camera motion") == named("CAMERA_MOTION") == "Camera_Motion"


def of_2(folder: Path, dimension: str) -> Path:
    row = {"video_path": "./m/Camera_Motion/a red bus-0.mp4", "video_results": 1.0}
    return write_results(folder, {dimension: [1.0, [row]]})


def test_name_the_folder_with_results(tmp_path: Path) -> None:
    empty, color = tmp_path / "empty", write_results(tmp_path / "color", {"color": [1.0, rows([1.0])]})
    empty.mkdir()
    step = "name the folder that was given to evaluate.py as --output_path"
    assert step_of(lambda: read_results(empty)) == step_of(lambda: vbench1.read_results([empty])) == step
    assert step_of(lambda: merged([])) == "name the folder of the official results"
    second = read_results(of_2(tmp_path / "motion", "Camera_Motion"))
    assert merged([second]).dimensions == second.dimensions
    assert vbench1.read_results([color]).dimensions


def test_name_each_dimension_once_and_each_benchmark_by_itself(tmp_path: Path) -> None:
    color, motion = (
        write_results(tmp_path / "color", {"color": [1.0, rows([1.0])]}),
        of_2(tmp_path / "m", "Camera_Motion"),
    )
    second = read_results(motion)
    once: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (lambda: vbench1.read_results([color, color]), lambda: vbench1.read_results([color])),
        (lambda: merged([second, second]), lambda: merged([second])),
    ]
    for twice, single in once:
        assert step_of(twice) == "name each dimension once"
        single()
    assert step_of(lambda: vbench1.is_vbench1([color, motion])) == "import the files of each by themselves"
    assert vbench1.is_vbench1([color]) and not vbench1.is_vbench1([motion])
    image = write_results(tmp_path / "i2v", {"i2v_subject": [1.0, rows([1.0], "i2v_subject")]})
    assert step_of(lambda: vbench1.is_vbench1([color, image])).startswith("leave these files out")
    shutil.rmtree(image)
    assert vbench1.is_vbench1([color])


def test_name_the_model_that_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, folder = str(tmp_path / "bese"), make_tiny_wan(tmp_path / "base")
    assert step_of(lambda: read_index(BaseModelSpec(model=wrong))) == "correct that path"
    assert read_index(BaseModelSpec(model=str(folder)))
    # A recipe may say it with ~.
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_recipe("tiny", ["base.model=~/base"]).base.model == str(folder)
    assert step_of(lambda: source(LocalModelSpec(model=wrong), RuntimeSpec())) == "correct the path in the recipe"
    assert source(LocalModelSpec(model=str(folder)), RuntimeSpec())[0] == str(folder)


def test_name_the_lora_that_there_is(tmp_path: Path) -> None:
    for name in ("one.safetensors", "two.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    assert step_of(lambda: lora_file(GenerateLoraSpec(model=f"{tmp_path}/none"))) == "correct that path"
    assert step_of(lambda: lora_file(GenerateLoraSpec(model=str(tmp_path)))) == "name the file in generate.lora.file"
    found = lora_file(GenerateLoraSpec(model=str(tmp_path), file="two.safetensors"))
    assert found == tmp_path / "two.safetensors" == lora_file(GenerateLoraSpec(model=str(found)))


def test_name_another_run_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    assert step_of(lambda: Run.open(tmp_path / "file", {"toy": 1})) == "name another run folder"
    assert step_of(lambda: Run.open(tmp_path / "mine", {"toy": 1})) == "name another run folder"
    Run.open(tmp_path / "new", {"toy": 1}).close()


def test_repair_the_path_that_cannot_be_used(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    assert step_of(lambda: write_atomic(loop / "x.json", b"{}")).startswith("check that path; once it is usable")
    loop.unlink()
    loop.mkdir()
    write_atomic(loop / "x.json", b"{}")
    assert (loop / "x.json").read_bytes() == b"{}"
