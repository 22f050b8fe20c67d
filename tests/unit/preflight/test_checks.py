"""What is told before any work: every check finds its fault, all at once, and finds none where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rushes.families.load
from rushes.errors import RecipeError
from rushes.execute.machine import check_device
from rushes.families.limits import read_grid
from rushes.families.load import load_family
from rushes.findings import Unready
from rushes.pipeline import improve
from rushes.preflight import check
from rushes.preflight.model import check_adapter, check_experts
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec, TrainRuntime
from tests.support.preflight import found
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_families import TINY

FOLDER = "prompts.real={folder: clips, num_clips: 4}"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def errors(*overrides: str) -> set[str]:
    """The settings with a fault that would stop the run."""
    return {setting for setting, each in found(*overrides).items() if each.is_certain}


def test_the_packaged_recipes_of_the_sandbox_can_begin() -> None:
    for name in ("tiny", "sandbox"):
        assert all("prompts are no measurement" in each.problem for each in check(load_recipe(name), Path("run")))


def test_a_recipe_for_the_cpu_is_checked_without_transformers() -> None:
    """Torch is needed: its tensors without memory count what training takes."""
    code = (
        "import sys; from rushes.preflight import check; from rushes.recipe.load import load_recipe;"
        "check(load_recipe('tiny')); print([name for name in ('transformers', 'ray', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("override", "setting"),
    [
        ("shape.num_frames=16", "shape.num_frames"),
        ("shape.width_px=72", "shape.width_px"),
        ("generate.draft={num_frames: 8}", "generate.draft.num_frames"),
        ("generate.sampler.scheduler=Euler", "generate.sampler.scheduler"),
        ("measure.sampler.scheduler=CogVideoXDPMScheduler", "measure.sampler.scheduler"),
        ("prompts.real={folder: nowhere}", "prompts.real.folder"),
        ("prompts.writer={kind: fixed, path: nowhere.jsonl}", "prompts.writer.path"),
        ("prompts.writer={kind: llm, model: {kind: transformers, model: ./nowhere}}", "prompts.writer"),
        ("prompts.writer={kind: llm, model: {kind: transformers, model: nobody/nothing}}", "prompts.writer"),
        ("measure.suite={use: vbench2, options: {path: nowhere}}", "measure.suite"),
        ("measure.measurer={use: vbench2, options: {suite: nowhere}}", "measure.measurer.options.suite"),
        ("judge.judge={use: 'nowhere:JudgeSpec'}", "judge.judge"),
        ("judge.judge={use: sandbox, options: {colour: red}}", "judge.judge"),
        ("judge.judge={kind: vlm, model: {kind: server, model: x}}", "runtime.servers.main"),
        ("base.model=nowhere/", "base.model"),
        ("base.family=ltx", "base.model"),
        ("runtime.device=gpu", "runtime.device"),
        ("train.optimizer=adamw_8bit", "train.optimizer"),
        ("runtime.sampling.attention=flash_attn", "runtime.sampling.attention"),
        ("runtime.train.attention=xformers", "runtime.train.attention"),
        ("measure.sampler.attention=sage", "measure.sampler.attention"),
        ("runtime.executor=ray", "runtime.executor"),
    ],
)
def test_each_fault_is_found_with_its_setting(override: str, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ("ray", "bitsandbytes")
    monkeypatch.setattr("rushes.preflight.packages.find_spec", lambda name: None if name in missing else name)
    assert setting in errors(override)


def test_all_faults_are_told_at_once_before_the_run_folder_is_made() -> None:
    recipe = load_recipe("tiny", ["shape.num_frames=16", "generate.sampler.scheduler=Euler", "runtime.device=gpu"])
    with pytest.raises(Unready, match="3 settings of this recipe cannot work here") as refused:
        improve(recipe, Path("run"))
    said = str(refused.value)
    assert all(each in said for each in ("1. shape", "2. generate.sampler.scheduler", "3. runtime.device"))
    assert "--set shape.num_frames=17" in said
    assert not Path("run").exists()
    assert refused.value.findings[0].got == "16 frames of 64 x 64"


def test_a_folder_of_videos_with_caption_files_can_be_used_and_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    folder = f"prompts.real={{folder: {tmp_path}}}"
    (tmp_path / "a.mp4").write_bytes(b"not opened")
    (tmp_path / "a.txt").write_text("a red circle moves up", encoding="utf-8")
    assert not errors(folder)
    (tmp_path / "a.txt").write_text("a red circle moves up and " * 40, encoding="utf-8")
    assert "prompts.real.folder" in errors(folder), "the only caption is longer than the model reads"


def test_only_real_clips_need_no_writer_judge_or_measurer_and_pairs_where_they_are_compared(tmp_path: Path) -> None:
    nowhere = "{use: 'no_such_package:Spec'}"
    roles = [f"{name}={nowhere}" for name in ("prompts.writer", "judge.judge", "measure.measurer")]
    (tmp_path / "a.mp4").write_bytes(b"not opened")
    table = tmp_path / "metadata.jsonl"
    table.write_text('{"file_name": "a.mp4", "text": "a red circle"}\n', encoding="utf-8")
    own = [*roles, f"prompts.real={{folder: {tmp_path}}}", "prompts.num_weakness=0", "measure.num_prompts=0"]
    assert not errors(*own)
    assert errors(*own[:-1], "measure.num_prompts=8") == {"prompts.writer", "measure.measurer"}
    dpo = "train.objective={kind: dpo}"
    assert errors(*own, dpo) == {"train.objective"}
    table.write_text('{"file_name": "a.mp4", "text": "a red circle", "score": 1}\n', encoding="utf-8")
    assert not errors(*own, dpo)
    with pytest.raises(RecipeError, match="measures nothing, which is for training on real clips alone"):
        load_recipe("tiny", ["measure.num_prompts=0"])
    with pytest.raises(RecipeError, match="asks the judge in training"):
        load_recipe("tiny", [*own, "train.objective={kind: online}"])


def test_every_next_step_that_is_a_setting_works_as_printed() -> None:
    wrong = ["shape.num_frames=16", "generate.sampler.scheduler=Euler", "train.optimizer=adamw_8bit",
             "runtime.device=gpu:0"]  # fmt: skip
    for each in wrong:
        (finding,) = [finding for finding in found(each).values() if finding.is_certain]
        if "--set " in (finding.next_step or ""):
            cure = str(finding.next_step).partition("--set ")[2].split(",")[0]
            assert not errors(each, cure), finding


@pytest.mark.parametrize("name", TINY)
def test_the_shapes_that_pass_are_those_that_the_loaded_model_can_make(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    grid = read_grid(tmp_path, family.name)  # type: ignore[arg-type]
    assert grid is not None and grid.nearest(tiny.shape) == tiny.shape
    family.latent_shape(tiny.shape)
    for change in ({"num_frames": 1}, {"height_px": 1}, {"width_px": grid.pixel_step // 2}):
        ((side, step),) = change.items()
        other = tiny.shape.model_copy(update={side: getattr(tiny.shape, side) + step})
        assert grid.nearest(other) != other
        with pytest.raises(RecipeError, match="cannot make clips of this shape"):
            family.latent_shape(other)


def test_a_folder_of_clips_is_held_to_its_table(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    assert "prompts.real.folder" in errors(FOLDER), "no table"
    table = folder / "metadata.jsonl"
    for name in ("a.mp4", "a" * 300 + ".mp4"):
        table.write_text(json.dumps({"file_name": name, "text": "a red circle"}) + "\n")
        assert "prompts.real.folder" in errors(FOLDER), f"no file of the name {name}"
    table.write_text('{"file_name": "a.mp4", "text": "a red circle"}\n')
    (folder / "a.mp4").touch()
    assert not errors(FOLDER)
    assert "train.num_held_out" in errors(FOLDER, "train.num_held_out=1")


def test_captions_are_counted_by_the_models_own_tokenizer(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    rows = [
        {"file_name": "a.mp4", "text": "a red circle"},
        {"file_name": "a.mp4", "text": "红色的狐狸在雪地里奔跑" * 9},
    ]
    (folder / "a.mp4").touch()
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert found(FOLDER)["prompts.real.folder"].problem.startswith("1 of 2 texts")
    assert not errors(FOLDER), "one clip is left"
    (folder / "metadata.jsonl").write_text(json.dumps(rows[1]))
    assert "prompts.real.folder" in errors(FOLDER)


def test_a_list_of_prompts_has_some_for_each_use(tmp_path: Path) -> None:
    writer = "prompts.writer={kind: fixed, path: list.jsonl}"
    row = {"text": "a red circle", "dimension": "Composition"}
    origins = ("weakness", "probe", "held_out")
    (tmp_path / "list.jsonl").write_text("\n".join(json.dumps({**row, "origin": each}) for each in origins))
    assert not errors(writer)
    (tmp_path / "list.jsonl").write_text("\n".join(json.dumps({**row, "origin": each}) for each in origins[:2]))
    assert "'held_out'" in found(writer)["prompts.writer.path"].problem


def test_a_measurer_says_what_it_leaves_unmeasured() -> None:
    catalogue = "diagnose.catalogue=rushes_vbench:dimensions.yaml"
    vbench = (catalogue, "measure.measurer={use: vbench2}", "diagnose.dimensions=[Camera_Motion, Mechanics]")
    some = found(*vbench)["measure.measurer"]
    assert not some.is_certain and "1 of the 2 dimensions" in some.problem and "judge" in str(some.got)
    assert "Camera_Motion" in str(some.next_step)
    assert "measure.measurer" in errors(*vbench, "diagnose.focus=[Mechanics]")
    assert "measure.measurer" not in found(*vbench, "diagnose.focus=[Camera_Motion]", "diagnose.dimensions=[]")
    assert "measure.measurer" in errors(*vbench, "diagnose.dimensions=[Mechanics]")
    few = found(*vbench, "diagnose.focus=[Multi-View_Consistency]", "diagnose.dimensions=[]")["measure.measurer"]
    assert few.is_certain and "orbits" in str(few.got)


def test_a_measurer_of_a_suites_own_prompts_needs_that_suite() -> None:
    vbench = ("diagnose.catalogue=rushes_vbench:dimensions.yaml", "measure.measurer={use: vbench2}")
    told = found(*vbench)["measure.suite"]
    assert told.is_certain and told.next_step is not None
    setting = told.next_step.removeprefix("--set '").removesuffix("'")
    assert "not installed" in found(*vbench, setting)["measure.suite"].problem, "read as a suite, which is not here"
    fixed = found(*vbench, "prompts.writer={kind: fixed, path: my.jsonl}")["measure.suite"]
    assert not fixed.is_certain, "a list may hold the suite's prompts"


def test_a_judge_of_questions_needs_somebody_to_write_them() -> None:
    model = "{kind: server, model: m}"
    llm = (f"prompts.writer={{kind: llm, model: {model}}}", "runtime.servers.main.url=http://127.0.0.1:9/v1")
    judge = f"judge.judge={{kind: vlm, model: {model}}}"
    assert "judge.judge" in errors(*llm, judge)
    assert "judge.judge" not in errors(*llm, judge, f"prompts.questions={{kind: llm, model: {model}}}")
    assert "judge.judge" not in errors(judge), "the sandbox's writer writes its own questions"


def test_a_server_that_a_resumed_run_may_no_longer_need_is_a_warning() -> None:
    down = (
        "judge.judge={kind: vlm, model: {kind: server, model: x}}",
        "runtime.servers.main.url=http://127.0.0.1:9/v1",
    )
    assert "runtime.servers.main" in errors(*down)
    Path("run").mkdir()
    Path("run/header.json").touch()
    assert not found(*down)["runtime.servers.main"].is_certain


def test_disk_and_memory_are_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 10_000_000

    monkeypatch.setattr("rushes.preflight.resources.shutil.disk_usage", lambda _: Usage)
    monkeypatch.setattr("rushes.preflight.resources.free_main_memory", lambda: 900_000_000)
    some = found()
    assert some["--home"].is_certain is False or "GB" in str(some["--home"].expected)
    assert some["train.batch_size"].is_certain is False
    monkeypatch.setattr("rushes.preflight.resources.free_main_memory", lambda: 90_000_000)
    assert "train.batch_size" in errors()


def test_a_missing_device_ends_a_run_and_is_no_failed_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    assert "runtime.device" in errors("runtime.device=cuda")
    with pytest.raises(RecipeError, match="built without CUDA"):
        load_family(BaseModelSpec(model="rushes_sandbox:weights/base"), "cuda")
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("rushes.preflight.device.check_device", lambda _: None)
    monkeypatch.setattr("rushes.preflight.checks.OF_MACHINE", (rushes.preflight.checks.check_gpus,))
    with pytest.raises(RecipeError, match="no GPU number 2"):
        check_device("cuda:2")
    shared = ("runtime.device=cuda", "train.batch_size=6", "runtime.train.num_processes=3")
    assert errors(*shared) == {"runtime.train.num_processes"}
    assert not errors(*shared[:2], "runtime.train.num_processes=2")


def test_left_over_variables_are_refused_before_anything_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this check, `improve` would generate and judge for hours before the training refuses."""
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    one = sandbox_recipe()
    two: Recipe = one.model_copy(update={"runtime": RuntimeSpec(train=TrainRuntime(num_processes=2))})

    check(one)
    with pytest.raises(Unready, match="unset RANK WORLD_SIZE"):
        check(two)


@pytest.mark.parametrize(
    ("model", "overrides", "wrong"),
    [
        ("wan-2.1", ["train.experts=low"], True),
        ("wan-2.1", [], False),
        ("wan-a14b", ["train.experts=low"], False),
        ("wan-a14b", ["train.objective={kind: reward_gradient}"], True),
        ("wan-a14b", ["train.objective={kind: reward_gradient}", "train.experts=low"], False),
    ],
)
def test_which_of_two_transformers_is_tuned(model: str, overrides: list[str], wrong: bool, tmp_path: Path) -> None:
    folder = TINY[model].save(tmp_path / "model")
    recipe = load_recipe("tiny", [f"base.model={folder}", "base.max_tokens=16", *overrides])
    found = [each for each in check_experts(recipe) if each.setting == "train.experts"]
    assert bool(found) == wrong
    if found:
        _, _, step = found[0].next_step.partition("--set ")
        assert not list(check_experts(load_recipe("tiny", [f"base.model={folder}", *overrides, step])))


def test_an_adapter_is_there_and_fits(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from torch import ones

    folder, layer = TINY["wan-2.1"].save(tmp_path / "model"), "transformer.blocks.0.attn1.to_q"
    good = {f"{layer}.lora_A.weight": ones(2, 24), f"{layer}.lora_B.weight": ones(24, 2)}
    save_file(good, tmp_path / "good.safetensors")
    save_file({name: each.T.contiguous() for name, each in good.items()}, tmp_path / "wrong.safetensors")

    def found(*overrides: str) -> list[str]:
        recipe = load_recipe("tiny", [f"base.model={folder}", "base.max_tokens=16", *overrides])
        return [each.setting for each in check_adapter(recipe)]

    assert found() == found(f"base.lora.file={tmp_path}/good.safetensors") == []
    assert found(f"base.lora.file={tmp_path}/wrong.safetensors") == ["base.lora"]
    assert found(f"base.lora.file={tmp_path}/nowhere.safetensors") == ["base.lora"]
    assert found("train.lora={rank: 2, alpha: 2, continues: true}") == ["train.lora.continues"]
