"""Each test lets a check find a fault, gives the settings that it prints, and sees the fault gone.

`tests/unit/advice.yaml` says which text each of them covers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rushes.audit.run import AUDIT_FILE, read_audit
from rushes.audit.second import second_judge
from rushes.cli.main import main
from rushes.errors import RecipeError
from rushes.execute.machine import check_device
from rushes.extensions import extensions
from rushes.findings import Finding
from rushes.judge.stage import build_judge
from rushes.llm.build import chat_model
from rushes.measure.stage import build_measurer
from rushes.plan.budget import fit
from rushes.plan.models import known_model
from rushes.plugins import CLIP_SOURCE, MEASURER, resolved
from rushes.preflight.device import check_gpus
from rushes.preflight.plugins import check_judge_gradient
from rushes.preflight.servers import check_servers
from rushes.prompts.llm_writer import LlmWriter
from rushes.recipe.load import load_recipe
from rushes.recipe.models import LlmWriterSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Question, Score, Scored
from rushes.roles import Brief, Draft, Failed, Judge, JudgeRequest, Video
from rushes.store.video import write_video
from rushes.weights.weigh import weights_of
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.metrics.told import Telling, TellsMany
from tests.support.followed import commands_in, failing, printed_step, read, settings_in, step_of, ways_in
from tests.support.odd_server import Handler, OddServer, completion, says, status
from tests.support.preflight import found
from tests.support.suite import write_suite
from tests.support.tiny_families import TINY
from tests.unit.audit.test_sources import make_run

SANDBOX = "from: sandbox\n"
CLIPS = "prompts.real={folder: clips, num_clips: 4}"
EYES = "{kind: vlm, model: {kind: server, model: eyes}}"
PEN = "prompts.writer={kind: llm, model: {kind: server, model: pen}}"
SERVER = "runtime.servers.main.url=http://127.0.0.1:9/v1"
NO_CLIPS = ["prompts.real={}", "train.realism={kind: none}"]
VBENCH = ["diagnose.catalogue=rushes_vbench:dimensions.yaml", "measure.measurer={use: vbench2}"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def cures(finding: Finding) -> Iterator[list[str]]:
    """Each way out that a finding prints, as settings; at least one."""
    ways = ways_in(printed_step(str(finding)))
    assert ways, finding
    yield from ways


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("shape.num_frames", ["shape.num_frames=16"]),
        ("generate.draft.num_frames", ["generate.draft={num_frames: 8}"]),
        ("generate.sampler.scheduler", ["generate.sampler.scheduler=Euler"]),
        ("prompts.num_weakness", ["prompts.num_weakness=0", *NO_CLIPS]),
        ("prompts.num_caption", ["prompts.num_weakness=0", "prompts.num_caption=4", *NO_CLIPS]),
        ("runtime.device", ["runtime.device=gpu"]),
        ("runtime.device", ["runtime.device=mps"]),
        ("train.optimizer", ["train.optimizer=adamw_8bit"]),
        ("measure.num_prompts", ["measure.num_prompts=2"]),
        ("measure.num_diversity_prompts", [f"measure.measurer={EYES}", SERVER, "measure.num_diversity_prompts=2"]),
        ("judge.judge", [PEN, SERVER, f"judge.judge={EYES}"]),
        ("measure.measurer", [*VBENCH, "diagnose.dimensions=[Camera_Motion, Mechanics]"]),
        ("measure.measurer", [*VBENCH, "diagnose.focus=[Mechanics, Camera_Motion]"]),
    ],
)  # fmt: skip
def test_set_what_the_check_prints(setting: str, wrong: list[str]) -> None:
    finding = found(*wrong)[setting]
    for cure in cures(finding):
        assert setting not in found(*wrong, *cure), cure


@pytest.mark.parametrize(
    ("setting", "package", "wrong"),
    [
        ("runtime.train.tracker", "tensorboard", "runtime.train.tracker=tensorboard"),
        ("runtime.train.tracker", "wandb", "runtime.train.tracker=wandb"),
        ("train.optimizer", "bitsandbytes", "train.optimizer=adamw_8bit"),
        ("runtime.executor", "ray", "runtime.executor=ray"),
    ],
)
def test_do_without_the_package(setting: str, package: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def there(name: str) -> object:
        return None if name == package else find_spec(name)

    monkeypatch.setattr("rushes.preflight.packages.find_spec", there)
    for cure in cures(found(wrong)[setting]):
        assert setting not in found(wrong, *cure), cure


def test_set_the_suite_and_its_catalogue(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    write_suite(tmp_path / "suite")
    wrong = ["measure.suite={use: vbench2, options: {path: suite}}", "diagnose.dimensions=[]", "diagnose.focus=[]"]
    first = found(*wrong)["measure.suite"]
    assert "holds prompts of" in first.problem
    for cure in cures(first):
        assert "holds prompts of" not in str(found(*wrong, *cure).get("measure.suite"))


def test_keep_fewer_clips_out_of_training(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    rows = [{"file_name": f"{number}.mp4", "text": "a red circle"} for number in range(4)]
    (tmp_path / "clips" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for row in rows:
        (tmp_path / "clips" / row["file_name"]).touch()
    wrong = ["prompts.real={folder: clips, num_clips: 8}", "train.num_held_out=4"]
    for cure in cures(found(*wrong)["train.num_held_out"]):
        assert "train.num_held_out" not in found(*wrong, *cure)


def test_set_the_text_length_that_the_model_takes(tmp_path: Path) -> None:
    wrong = [f"base.model={TINY['cogvideox-2b'].save(tmp_path / 'model')}", "base.max_tokens=5"]
    for cure in cures(found(*wrong)["base.max_tokens"]):
        assert "base.max_tokens" not in found(*wrong, *cure)


def test_use_the_gpus_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    wrong = ["runtime.device=cuda", "train.batch_size=6", "runtime.train.num_processes=3"]
    (finding,) = check_gpus(load_recipe("tiny", wrong))
    for cure in cures(finding):
        assert not list(check_gpus(load_recipe("tiny", [*wrong, *cure])))


@pytest.mark.parametrize(("is_built", "num", "device"), [(False, 0, "cuda"), (True, 0, "cuda"), (True, 2, "cuda:2")])
def test_name_a_device_that_exists(is_built: bool, num: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.cuda.is_built", lambda: is_built)
    monkeypatch.setattr("torch.cuda.device_count", lambda: num)
    for cure in ways_in(step_of(lambda: check_device(device))):
        check_device(load_recipe("tiny", cure).runtime.device)


# ---------------------------------------------------------------------------------------------- servers


def recipe_of(server: OddServer, *overrides: str) -> Recipe:
    judge = f"judge.judge={EYES}"
    return load_recipe("tiny", [judge, f"runtime.servers.main.url={server.url}", *overrides])


@pytest.mark.parametrize("said", ["At most 1 image(s) may be provided in one prompt.", "image input is too large"])
def test_show_fewer_frames(said: str) -> None:
    with OddServer(status(400, said)) as server:
        (finding,) = check_servers(recipe_of(server, "judge.judge.num_frames=4"))
    ways = list(cures(finding))
    with OddServer(says("yes", {"yes": 0.9, "no": 0.1})) as server:
        for cure in ways:
            assert not list(check_servers(recipe_of(server, "judge.judge.num_frames=4", *cure)))
            content = server.bodies[-1]["messages"][-1]["content"]
            assert sum(part["type"] == "image_url" for part in content) == 1


def test_show_the_teller_fewer_frames() -> None:
    """Both before the run and in it: the check's way out, and that of the error, are the same setting."""
    model = "{kind: server, model: tells}"
    named = f"teller: {{kind: vlm, model: {model}}}, text_judge: {{kind: llm, model: {model}}}"
    told = [
        *VBENCH[:1],
        f"measure.measurer={{use: vbench2, options: {{{named}}}}}",
        "diagnose.dimensions=[]",
        "diagnose.focus=[Complex_Plot]",
    ]
    with OddServer(status(400, "At most 4 image(s) may be provided in one prompt.")) as server:
        (finding,) = [each for each in check_servers(recipe_of(server, *told)) if "num_told" in each.setting]
        spec = resolved(recipe_of(server, *told).measure.measurer, MEASURER)
        assert isinstance(spec, VBenchMeasurerSpec) and spec.teller is not None
        teller = spec.teller.build(recipe_of(server).runtime)
        assert isinstance(teller, TellsMany)
        request = Telling(Video(np.zeros((17, 16, 16, 3), np.uint8), 8.0), range(17), "what?")
        step = step_of(lambda: teller.tell_all([request]))
    for cure in [*cures(finding), *ways_in(step)]:
        with OddServer(says("yes", {"yes": 0.9, "no": 0.1})) as server:
            assert not list(check_servers(recipe_of(server, *told, *cure)))
        (content,) = [body["messages"][-1]["content"] for body in server.bodies if body["model"] == "tells"]
        assert sum(part["type"] == "image_url" for part in content) == 4


@pytest.mark.parametrize("listed", [["eyes-7b", "other"], ["other"]])
def test_name_a_model_that_the_server_lists(listed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in listed]}).encode()
    monkeypatch.setattr(Handler, "do_GET", lambda handler: handler.send(200, body), raising=False)
    with OddServer(says("yes", {"yes": 0.9, "no": 0.1})) as server:
        (finding,) = check_servers(recipe_of(server))
        for cure in cures(finding):
            assert not list(check_servers(recipe_of(server, *cure)))
            assert server.bodies[-1]["model"] == listed[0], "the one that is most alike, or the first"


# ---------------------------------------------------------------------------------------------- recipes


def test_choose_the_kind_that_has_the_setting() -> None:
    wrong = ["prompts.writer={kind: fixed, path: x}", "prompts.writer.temperature=1"]
    ((cure,),) = ways_in(step_of(lambda: read(SANDBOX, *wrong)))
    assert read(SANDBOX, "prompts.writer={kind: fixed}", cure, wrong[1]).prompts.writer.kind == "llm"


def test_leave_the_key_to_the_environment() -> None:
    url = "runtime.servers.eyes.url=http://localhost:1/v1"
    step = step_of(lambda: read(SANDBOX, url, "runtime.servers.eyes.api_key=sk-0123456789abcdef"))
    (cure,) = ways_in(step)
    assert read(SANDBOX, url, *cure).runtime.servers["eyes"].key_env == "MY_KEY"


@pytest.mark.parametrize("wrong", ["train.num_steps=no", "judge.judge={}", "weights.kind=5", "prompts.writer.kind=zzz"])
def test_change_or_add_the_setting(wrong: str) -> None:
    step = step_of(lambda: read(SANDBOX, wrong))
    name = step.removesuffix(", or leave it out for its default").split()[-1]
    right = {"train.num_steps": "5", "judge.judge.kind": "vlm", "weights.kind": "rank", "prompts.writer.kind": "llm"}
    try:
        assert read(SANDBOX, wrong, f"{name}={right[name]}")
    except RecipeError as error:
        assert name not in error.problem, "what is missing now is another"


def test_raise_the_budget_or_drop_it() -> None:
    small = ["budget.gpu_hours=0.01"]
    step = step_of(lambda: fit(load_recipe("wan2.1-1.3b", small)))
    (cure,) = ways_in(step)
    assert fit(load_recipe("wan2.1-1.3b", [*small, *cure])).recipe
    unknown = load_recipe("tiny", ["budget.gpu_hours=1"])
    (cure,) = ways_in(step_of(lambda: fit(unknown)))
    assert fit(load_recipe("tiny", ["budget.gpu_hours=1", *cure])).trades == ()
    assert settings_in(step) and known_model(load_recipe("wan2.1-1.3b"), otherwise="")


def test_train_by_scores_where_there_is_no_gradient() -> None:
    wrong = [
        "train.objective={kind: reward_gradient, clip: 2}",
        "judge.judge={use: 'tests.support.fakes:HashJudgeSpec'}",
    ]
    recipe = load_recipe("tiny", wrong)
    (finding,) = check_judge_gradient(recipe)
    assert finding.setting == "train.objective" and "judge.judge" in finding.problem
    (cure,) = ways_in(str(finding.next_step))
    assert not [*check_judge_gradient(load_recipe("tiny", [*wrong, *cure]))]
    assert not [*check_judge_gradient(load_recipe("tiny", wrong[:1]))], "the sandbox's judge gives one"


# ---------------------------------------------------------------------------------------------- in the middle of work


@pytest.mark.parametrize(
    ("place", "build"),
    [
        ("judge.judge", lambda recipe: build_judge(recipe.judge, recipe.runtime)),
        ("measure.measurer", lambda recipe: build_measurer(recipe.measure, recipe.runtime).judge),
    ],
)
def test_show_as_many_frames_as_the_server_takes(place: str, build: Callable[[Recipe], Judge]) -> None:
    video = Video(np.zeros((8, 32, 32, 3), np.uint8), 8.0)
    question = Question(text="Is it red?", dimension="Color", expected="yes", about="semantics")
    request = JudgeRequest(video, "x", (question,))
    with OddServer(status(400, "At most 2 image(s) may be provided in one prompt.")) as server:
        runtime = [SERVER.partition("=")[0] + f"={server.url}", f"{place}={EYES}", f"{place}.num_frames=4"]
        judge = build(load_recipe("tiny", runtime))
        (cure,) = ways_in(step_of(lambda: judge.answer([request])))
    with OddServer(says("yes", {"yes": 0.9, "no": 0.1})) as server:
        runtime[0] = SERVER.partition("=")[0] + f"={server.url}"
        assert build(load_recipe("tiny", [*runtime, *cure])).answer([request])
        content = server.bodies[-1]["messages"][-1]["content"]
        assert sum(part["type"] == "image_url" for part in content) == 2


def test_allow_longer_replies() -> None:
    """What a stage, its error and its report say is the reason of the failure, so the setting stands in that."""

    def think(handler: Handler, body: dict[str, Any]) -> None:
        done = completion('{"prompt": "a red fox crosses the snow at dawn"}')
        handler.send(200, done if body["max_tokens"] > 1000 else completion("<think> Hm", finish="length"))

    brief = Brief("Color", "what colours things have", ("a red ball",), (), "weakness", 0, seed=7)
    with OddServer(think) as server:
        settings = [PEN, f"runtime.servers.main.url={server.url}", "prompts.writer.detailed=0"]

        def written(*overrides: str) -> Draft | Failed:
            recipe = load_recipe("tiny", [*settings, *overrides])
            assert isinstance(recipe.prompts.writer, LlmWriterSpec)
            writer = LlmWriter(recipe.prompts.writer, chat_model(recipe.prompts.writer.model, recipe.runtime))
            return writer.write([brief])[0]

        lost = written()
        assert isinstance(lost, Failed) and "cut off" in lost.message
        (cure,) = ways_in(lost.message)
        assert isinstance(written(*cure), Draft)


@pytest.mark.parametrize(("kind", "values"), [("raw", (0.0, 0.0)), ("filter", (0.1, 0.2)), ("centred", (0.5, 0.5))])
def test_weigh_in_another_way(kind: str, values: tuple[float, float]) -> None:
    scores = [
        Score(clip_key=str(number) * 64, prompt_key="c" * 64, dimension="Color", outcome=Scored(value=value, parts=()))
        for number, value in enumerate(values)
    ]
    wrong = f"weights={{kind: {kind}}}"
    for cure in ways_in(step_of(lambda: weights_of(scores, load_recipe("tiny", [wrong]).weights))):
        assert any(weights_of(scores, load_recipe("tiny", [wrong, *cure]).weights))


def test_see_why_no_caption_file_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my clips"
    folder.mkdir()
    (folder / "a.mp4").touch()
    (folder / "a.txt").touch()
    (command,) = commands_in(failing(["data", "table", str(folder)], capsys))
    main(command)
    assert "a.mp4" in capsys.readouterr().out


def test_arrange_the_clips_by_dimension(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "suite").mkdir()
    write_suite(tmp_path / "suite")
    folder = tmp_path / "my clips"
    folder.mkdir()
    write_video(folder / "Barn, zoom in.-0.mp4", np.zeros((8, 32, 32, 3), np.uint8), 8.0)
    check = ["vbench", "check", "--suite", str(tmp_path / "suite"), "--dimension", "Camera_Motion"]
    (command,) = commands_in(failing([*check, str(folder)], capsys))
    assert main(command) == 0
    assert main([*check, "--names-only", str(Path(command[3]) / "my-clips")]) == 1
    assert "Camera_Motion" in capsys.readouterr().out, "it is checked now, and lacks clips"


def test_ask_a_control_or_a_second_judge_that_exists(capsys: pytest.CaptureFixture[str]) -> None:
    step = step_of(lambda: second_judge("sandbx", RuntimeSpec()))
    assert second_judge(step.split()[-1], RuntimeSpec()).judge
    step = failing(["judge", "audit", "nowhere"], capsys)
    (command,) = commands_in(step)
    assert command == ["judge", "audit", "sandbox"] and "sandbox" in extensions(CLIP_SOURCE.group)


def test_audit_again_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "my run"
    make_run(home)
    file = home / "audit" / AUDIT_FILE
    file.parent.mkdir()
    file.write_text("{")
    (command,) = commands_in(step_of(lambda: read_audit(file.parent)))
    file.unlink()
    quick = ["--set", "judge.judge={use: 'tests.support.fakes:HashJudgeSpec'}", "--control", "black_video"]
    assert main([*command, "--recipe", "tiny", *quick]) == 0
    assert read_audit(file.parent)
