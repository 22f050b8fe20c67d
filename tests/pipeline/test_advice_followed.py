"""Each test meets an error, does what its next step says as it is printed, and sees the error gone.

`tests/unit/advice.yaml` says which text each of them covers.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from rushes.audit.expectations import chosen_controls
from rushes.cli.main import main
from rushes.context import executor_of
from rushes.families.attention import AttentionCall
from rushes.families.folder import family_of
from rushes.families.load import load_family
from rushes.judge.reward_server import reward_server
from rushes.llm.connect import connect
from rushes.llm.ledger import Ledger
from rushes.llm.server_key import secret_from
from rushes.pipeline import improve
from rushes.plan.gpus import find_gpu
from rushes.prompts.captions import read_clip_folder
from rushes.recipe.load import load_recipe
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec
from rushes.recipe.train import check_held_out
from rushes.store.run import Run
from rushes.store.video import write_video
from rushes.train.kernels import choose_kernel
from rushes.train.launch import device_of
from rushes.train.optimizer import make_optimizer
from rushes.train.tracker import make_tracker
from tests.support.followed import commands_in, failing, meant, printed_step, read, settings_in, step_of
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import small
from tests.support.tiny_wan import TINY_SHAPE

SANDBOX = "from: sandbox\n"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("model")
    return small(TINY["wan-2.1"], TINY["wan-2.1"].save(folder))


@pytest.fixture(scope="module")
def finished(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; only read."""
    home = tmp_path_factory.mktemp("finished") / "run"
    improve(recipe, home)
    return home


@pytest.fixture
def begun(recipe: Recipe, tmp_path: Path) -> Path:
    """A run that has prompts alone."""
    improve(recipe, tmp_path / "begun", until="prompts")
    return tmp_path / "begun"


# ---------------------------------------------------------------------------------------------- recipes


def test_write_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    step = step_of(lambda: load_recipe("absent/mine.yaml"))
    (tmp_path / "absent").mkdir()
    (command,) = commands_in(step)
    assert main(command) == 0
    assert load_recipe("absent/mine.yaml").base.model
    again = failing(command, capsys)
    assert main([*command, again.split()[-1]]) == 0, "--force"


def test_take_the_recipe_that_was_meant(tmp_path: Path) -> None:
    assert load_recipe(meant(step_of(lambda: load_recipe("sandbxo")))).name == "sandbox"
    (tmp_path / "recipe.yaml").write_text(SANDBOX)
    named = step_of(lambda: load_recipe(f"{tmp_path}/recpie.yaml"))
    assert load_recipe(meant(named)).base.model
    folder = step_of(lambda: load_recipe(f"{tmp_path}/"))
    assert load_recipe(folder.removeprefix("name the file: ")).base.model


def test_start_from_a_complete_recipe() -> None:
    step = step_of(lambda: read("train: {num_steps: 5}\n"))
    line = step.partition("from a complete recipe: ")[2]
    assert read(f"{line}\ntrain: {{num_steps: 5}}\n").train.num_steps == 5


def test_name_a_base_to_inherit_from() -> None:
    step = step_of(lambda: read("from: 5\n"))
    assert read(f"{step.removeprefix('for example: ')}\n").base.model


def test_read_how_recipes_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = commands_in(step_of(lambda: read("")))
    assert main(command) == 0 and "recipe" in capsys.readouterr().out
    (command,) = commands_in(step_of(lambda: read(SANDBOX, "train.zzzzzz=1")))
    assert main(command) == 0 and "num_steps" in capsys.readouterr().out


def test_set_what_was_meant() -> None:
    step = step_of(lambda: read(SANDBOX, "train.num_stepps=7"))
    assert read(SANDBOX, f"{meant(step)}=7").train.num_steps == 7


def test_set_as_in_the_example() -> None:
    step = step_of(lambda: read(SANDBOX, "train.num_steps"))
    assert read(SANDBOX, step.split()[-1]).train.num_steps == 200


def test_set_the_setting_itself() -> None:
    step = step_of(lambda: read(SANDBOX, "train.num_steps.x=5"))
    assert read(SANDBOX, f"{step.split()[1]}=5").train.num_steps == 5


def test_set_the_whole_list() -> None:
    text = f"{SANDBOX}diagnose: {{focus: [Mechanics]}}\n"
    step = step_of(lambda: read(text, "diagnose.focus.7=Composition"))
    (override,) = shlex.split(step.partition("--set ")[2])
    asked = override.replace("a.b", "diagnose.focus").replace("x, y", "Composition")
    assert read(text, asked).diagnose.focus == ("Composition",)


def test_quote_or_do_not() -> None:
    step = step_of(lambda: read(SANDBOX, "name=5"))
    assert read(SANDBOX, f"name={step.partition(': ')[2]}").name == "5"
    step = step_of(lambda: read(SANDBOX, "train.num_steps='5'"))
    assert "without quotes" in step and read(SANDBOX, "train.num_steps=5").train.num_steps == 5


def test_take_the_kind_that_was_meant() -> None:
    step = step_of(lambda: read(SANDBOX, "prompts.writer.kind=fixd", "prompts.writer.path=x"))
    assert read(SANDBOX, f"prompts.writer.kind={meant(step)}", "prompts.writer.path=x").prompts.writer.kind == "fixed"


def test_take_the_dimension_that_was_meant() -> None:
    step = step_of(lambda: read(SANDBOX, "diagnose.focus=[Mechanic]"))
    assert read(SANDBOX, f"diagnose.focus=[{meant(step)}]").diagnose.focus == ("Mechanics",)


def test_take_the_gpu_and_the_control_that_were_meant() -> None:
    assert find_gpu(meant(step_of(lambda: find_gpu("RTX 4091"))))
    (known, *_) = chosen_controls()
    assert chosen_controls([meant(step_of(lambda: chosen_controls([f"{known}x"])))]) == (known,)


def test_set_the_device_that_ray_takes() -> None:
    wrong = ["runtime.executor=ray", "runtime.device=cuda:1"]
    step = step_of(lambda: executor_of(read(SANDBOX, *wrong).runtime))
    assert executor_of(read(SANDBOX, *wrong, *settings_in(step)).runtime) is not None


def test_set_the_device_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    (override,) = settings_in(step_of(lambda: device_of("cuda:1", 0)))
    assert device_of(read(SANDBOX, override).runtime.device, 0).type == "cuda"


def test_set_the_optimizer() -> None:
    import torch

    device, parameter = torch.device("cpu"), torch.nn.Parameter(torch.zeros(2))
    wrong = read(SANDBOX, "train.optimizer=adamw_8bit").train
    (override,) = settings_in(step_of(lambda: make_optimizer([parameter], wrong, device)))
    assert make_optimizer([parameter], read(SANDBOX, override).train, device)


def test_set_the_kernel() -> None:
    import torch

    cpu, short = torch.device("cpu"), AttentionCall((1, 2, 16, 8), (1, 2, 24, 8), torch.float32, None)
    (override,) = settings_in(step_of(lambda: choose_kernel("cudnn", [short], cpu)))
    assert choose_kernel(read(SANDBOX, override).runtime.train.attention, [short], cpu)


def test_set_the_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    (override,) = settings_in(step_of(lambda: make_tracker("wandb", tmp_path, "x")))
    assert make_tracker(read(SANDBOX, override).runtime.train.tracker, tmp_path, "x")


def test_set_the_text_length_and_the_family(tmp_path: Path) -> None:
    tiny = TINY["cogvideox-2b"]
    base = tiny.base(tiny.save(tmp_path))
    (override,) = settings_in(step_of(lambda: load_family(base.model_copy(update={"max_tokens": 5}))))
    assert load_family(base.model_copy(update={"max_tokens": read(SANDBOX, override).base.max_tokens}))
    for override in settings_in(step_of(lambda: family_of(base.model_copy(update={"family": "wan"})))):
        assert family_of(base.model_copy(update={"family": read(SANDBOX, override).base.family})) == "cogvideox"


def test_lower_what_is_held_out() -> None:
    step = step_of(lambda: check_held_out(4, 4))
    assert "lower train.num_held_out" in step
    check_held_out(3, 4)


# ---------------------------------------------------------------------------------------------- servers


def test_define_the_server() -> None:
    spec = ServerModelSpec(server="eyes", model="m")
    step = step_of(lambda: connect(spec, RuntimeSpec()))
    runtime = read(SANDBOX, step.split()[-1]).runtime
    assert connect(spec, runtime)
    near = ServerModelSpec(server="eye", model="m")
    assert connect(near.model_copy(update={"server": meant(step_of(lambda: connect(near, runtime)))}), runtime)


def test_define_the_reward_server() -> None:
    step = step_of(lambda: reward_server("eyes", RuntimeSpec()))
    (setting,) = [word for word in shlex.split(step) if word.startswith("runtime.")]
    runtime = read(SANDBOX, setting).runtime
    assert reward_server("eyes", runtime).command == "python my_server.py"
    assert meant(step_of(lambda: reward_server("eye", runtime))) == "eyes"


def test_give_the_key_or_say_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    step = step_of(lambda: secret_from("SOME_KEY", "eyes"))
    url = "runtime.servers.eyes.url=http://localhost:1/v1"
    server = read(SANDBOX, url, *settings_in(step)).runtime.servers["eyes"]
    assert secret_from(server.key_env, "eyes").value == ""
    name = step.removeprefix("export ").partition("=")[0]
    monkeypatch.setenv(name, "sk-1234567890")
    assert secret_from("SOME_KEY", "eyes").value == "sk-1234567890"


def test_heal_the_ledger_that_is_damaged(tmp_path: Path) -> None:
    shared = tmp_path / "shared" / "cost-x.jsonl"
    Ledger(shared).add(1, 1, 0.5)
    home = tmp_path / "run"
    with Run.open(home, {"runtime": {"cache_folder": str(shared.parent)}}):
        pass
    own = home / "llm" / "cost-x.jsonl"
    Ledger(own).add(1, 1, 0.5)
    for file in (own, shared):
        file.write_bytes(file.read_bytes().replace(b"0.5", b"0.1"))
    heal, _ = commands_in(step_of(lambda: Ledger(own)))
    assert main(heal) == 0 and Ledger(own).num_unknown == 1
    shared.write_bytes(shared.read_bytes() + b"damage\n")
    step = step_of(lambda: Ledger(shared))
    (command,) = commands_in(step.partition(",")[0].replace("HOME", str(home)))
    assert main(command) == 0
    assert Ledger(shared).num_unknown == 2


# ---------------------------------------------------------------------------------------------- clips and prompts


def test_write_the_metadata(tmp_path: Path) -> None:
    write_video(tmp_path / "clip_0001.mp4", np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), np.uint8), 8.0)
    step = step_of(lambda: read_clip_folder(tmp_path, TINY_SHAPE))
    name, line = step.split()[1], step.partition("like ")[2]
    (tmp_path / name).write_text(line)
    assert len(read_clip_folder(tmp_path, TINY_SHAPE).clips) == 1


def test_name_the_columns(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), np.uint8), 8.0)
    (tmp_path / "metadata.csv").write_text("a.mp4,a red circle\n")
    step = step_of(lambda: read_clip_folder(tmp_path, TINY_SHAPE))
    (tmp_path / "metadata.csv").write_text(f"{step.partition(': ')[2]}\na.mp4,a red circle\n")
    assert len(read_clip_folder(tmp_path, TINY_SHAPE).clips) == 1


# ---------------------------------------------------------------------------------------------- run folders


def test_see_the_progress(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [failing(command, capsys) for command in (["report", str(begun)], ["export", "transformer", str(begun)])]
    assert commands_in(steps[0]) == commands_in(steps[1])
    for command in commands_in(steps[0]):
        assert main(command) == 0
        capsys.readouterr()
    assert main(["report", str(begun)]) == 0
    assert main(["export", "transformer", str(begun)]) == 0


def test_take_all_clips(begun: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    improve(recipe, begun, until="generate")
    command = ["export", "dataset", str(begun), "--out", str(tmp_path / "out")]
    step = failing(command, capsys)
    (status, *_) = commands_in(step)
    assert main(status) == 0
    assert main([*command, *step.partition("use ")[2].split()]) == 0


def test_see_who_works_there(begun: Path, recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    with Run.open(begun, recipe):
        (status,) = commands_in(step_of(lambda: Run.open(begun, recipe)))
        assert main(status) == 0
    with Run.open(begun, recipe):
        pass


def test_allow_the_change(begun: Path, recipe: Recipe) -> None:
    changed = recipe.model_copy(update={"seed": 5})
    assert "--allow-change" in step_of(lambda: Run.open(begun, changed))
    with Run.open(begun, changed, allow_change=True):
        pass


# ---------------------------------------------------------------------------------------------- export


def test_extract_an_adapter(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "lora", str(finished), "--out", str(tmp_path / "a")]
    lora, transformer = commands_in(failing(command, capsys))
    assert main([*lora, "--out", str(tmp_path / "a")]) == 0
    assert main([*transformer, "--out", str(tmp_path / "b")]) == 0
    capsys.readouterr()
    for wrong in (["--rank", "0"], ["--rank", "2", "--strength", "9"], ["--energy", "7"]):
        step = failing([*command[:-1], str(tmp_path / wrong[1]), *wrong], capsys)
        option, value = step.split()[:2]
        kept = [] if option in ("--rank", "--energy") else ["--rank", "2"]
        assert main([*command[:-1], str(tmp_path / f"c{option}"), *kept, option, value]) == 0
        capsys.readouterr()


def test_name_another_folder(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "transformer", str(finished), "--out"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for taken in ("full", "full/x"):
        assert "--out" in failing([*command, str(tmp_path / taken)], capsys)
    assert main([*command, str(tmp_path / "new")]) == 0


def test_export_what_an_unfinished_run_has(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "my first run"
    improve(recipe, home, until="train")
    step = failing(["export", "hub", str(home), "--license", "mit"], capsys)
    run, lora, transformer = commands_in(step)
    assert main([*lora, "--rank", "2"]) == 0 and main(transformer) == 0
    assert main(run) == 0 and main(["export", "hub", str(home), "--license", "mit"]) == 0


def test_name_a_checkpoint(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "transformer", str(finished), "--out", str(tmp_path / "out"), "--checkpoint"]
    assert main([*command, "zz"]) == 2
    said = capsys.readouterr().err
    assert "--checkpoint" in printed_step(said)
    assert main([*command, said.partition("expected: one of ")[2].split()[0]]) == 0


@pytest.mark.parametrize(("names", "form"), [("_KOHYA", "kohya"), ("_NAMES", "comfyui"), ("_NAMES", "merged")])
def test_export_for_diffusers_what_others_do_not_know(
    names: str,
    form: str,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(f"rushes.export.native.{names}", {})
    rank = [] if form == "merged" else ["--rank", "2"]
    step = failing(["export", form, str(finished), "--out", str(tmp_path / "a"), *rank], capsys)
    (transformer,) = commands_in(step)
    assert main([*transformer, "--out", str(tmp_path / "b")]) == 0


def test_name_the_licence(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "hub", str(finished), "--out", str(tmp_path / "out")]
    licence = failing(command, capsys).split()[-2:]
    assert main([*command, *licence]) == 0


# ---------------------------------------------------------------------------------------------- damage


def test_check_and_run_again_what_is_damaged(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / 'it\'s "my" run'
    shutil.copytree(finished, home)
    blob = max((home / "blobs").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else -1)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    (home / "derived" / "focus.json").write_text("{")
    step = failing(["export", "transformer", str(home)], capsys)
    check, run = commands_in(step)
    assert check[0] == "check" and run[0] == "run"
    assert main(check) in (0, 1) and main(run) == 0
    assert main(["check", str(home)]) == 0, "nothing is damaged any more"
    assert main(["export", "transformer", str(home)]) == 0
