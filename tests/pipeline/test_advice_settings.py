"""A table of settings with a fault: the error is met, its advice is set as it is printed, and the error is gone.

`tests/unit/advice.yaml` says which texts these are.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from rushes.context import Context
from rushes.diagnose import weakest
from rushes.errors import UserError
from rushes.families.attention import AttentionCall
from rushes.families.folder import family_of
from rushes.families.loaded import check_sampler, check_shape
from rushes.families.speed import Speed
from rushes.families.texts import TextStates
from rushes.families.trainable import add_adapter
from rushes.findings import Finding
from rushes.judge.grade import check_unscored_share
from rushes.llm.chat import ChatRequest, Message
from rushes.llm.cost import CostMeter
from rushes.llm.pretrained import explained, source
from rushes.plan.plan import stored_bytes
from rushes.plugins import MEASURER, objective_needs, resolved
from rushes.preflight import found_in_recipe, found_on_machine
from rushes.preflight.device import check_attention
from rushes.preflight.plugins import check_plugins
from rushes.preflight.resources import check_disk
from rushes.prompts.real import real_material
from rushes.recipe.load import load_recipe
from rushes.recipe.models import LocalModelSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Measurement, Score, Scored, Unscored
from rushes.roles import ObjectiveNeeds, Runtime, Spec
from rushes.store.run import Run
from rushes.train.data import TrainingSet
from rushes.train.draw import units_of
from rushes.train.optimizer import make_optimizer
from rushes.train.setup import compile_blocks
from rushes.weights.weigh import weights_of
from rushes_sandbox.real_clips import sandbox_real_clips
from rushes_vbench.metrics.build import MEASURER_OPTIONS, _anomaly, _flow, build_tracker
from tests.support.advice import how_covered
from tests.support.followed import printed_step, ways_in
from tests.support.suite import write_suite

KEY = "c" * 64
LARGE = ("shape.height_px=480", "shape.width_px=480")
VBENCH = ("diagnose.catalogue=rushes_vbench:dimensions.yaml", "diagnose.dimensions=[Camera_Motion]")
SCORES = [
    Score(
        clip_key=f"{number:064x}",
        prompt_key=KEY,
        dimension="Composition",
        outcome=Unscored(reason="too dark") if number < 3 else Scored(value=0.5, parts=()),
    )
    for number in range(10)
]
PROBES = [
    Measurement(
        key=f"{number:064x}",
        subject=(f"{number:064x}",),
        dimension=dimension,
        prompt_key=f"{number // 2:064x}",
        measurer="test",
        outcome=Scored(value=value),
    )
    for number, (dimension, value) in enumerate([("Composition", 0.5), ("Camera_Motion", 0.7)] * 8)
]


class NothingSpec(Spec):
    """A weighting that leaves nothing."""

    spec_name: ClassVar[str] = "tests.advice.nothing"

    def build(self, runtime: Runtime) -> Any:
        return SimpleNamespace(weigh=lambda scores: [0.0 for _ in scores])


class PairsSpec(Spec):
    """An objective of pairs."""

    spec_name: ClassVar[str] = "tests.advice.pairs"

    def needs(self) -> ObjectiveNeeds:
        return ObjectiveNeeds(unit="pair", unit_size=2)

    def build(self, runtime: Runtime) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Case:
    """A fault that a setting mends."""

    name: str
    wrong: Sequence[str]
    """Settings of the smallest recipe."""
    meet: Callable[[Recipe], Iterable[Finding] | object]
    """Raises the error, or returns findings, the first of which counts."""
    is_there: Callable[[], bool] = lambda: True
    """False where this machine cannot have the fault."""


def problem_of(case: Case, settings: Sequence[str]) -> UserError | Finding | None:
    """What goes wrong with these settings."""
    recipe = load_recipe("tiny", settings)
    try:
        met = case.meet(recipe)
    except UserError as error:
        return error
    return next((each for each in met if isinstance(each, Finding)), None) if isinstance(met, list) else None


def family(pipeline: str) -> Callable[[Recipe], object]:
    """Read the family of a folder that says so."""

    def read(recipe: Recipe) -> object:
        Path(pipeline).mkdir(exist_ok=True)
        (Path(pipeline) / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
        return family_of(recipe.base.model_copy(update={"model": str(Path(pipeline).absolute())}))

    return read


def samplers(family: Any) -> Callable[[Recipe], object]:
    return lambda recipe: [check_sampler(family, each.sampler) for each in (recipe.generate, recipe.measure)]


def both(setting: str) -> list[str]:
    return [f"{each}.sampler.{setting}" for each in ("generate", "measure")]


def spend(recipe: Recipe) -> None:
    async def once() -> None:
        meter = CostMeter("main", recipe.runtime.servers["main"], None)
        async with meter.room_for(ChatRequest((Message("user", "hi"),), max_tokens=2)):
            pass

    asyncio.run(once())


def needs_code(recipe: Recipe) -> None:
    def load() -> None:
        if not source(model, recipe.runtime)[1]["trust_remote_code"]:
            raise ValueError("pass trust_remote_code=True")

    model = LocalModelSpec(model="somebody/odd")
    explained(model, "the model", load)


def pairs(recipe: Recipe) -> object:
    """One take of each prompt, which is no pair."""
    num, ones = 4, torch.ones(4)
    data = TrainingSet(
        z_0_NCThw=torch.ones(num, 2, 1, 3, 3),
        text=TextStates(torch.ones(num, 1, 1)),
        empty=TextStates(torch.zeros(1, 1, 1)),
        weight_N=ones,
        preference_N=ones,
        is_real_N=torch.zeros(num, dtype=torch.bool),
        score_N=ones,
        advantage_N=ones,
        group_N=torch.arange(num),
        partner_N=torch.full((num,), -1),
    )
    return units_of(data, objective_needs(recipe.train))


def real_clips(recipe: Recipe) -> object:
    shutil.rmtree("run", ignore_errors=True)
    with Run.open(Path("run"), recipe) as run:
        return real_material(Context(recipe, run), SimpleNamespace(guarded=()))  # type: ignore[arg-type]


def small_disk(recipe: Recipe) -> list[Finding]:
    """A disk with room for videos, and not for lossless ones."""
    room = stored_bytes(load_recipe("tiny", [*LARGE, "generate.stored_as=h264"]), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rushes.preflight.resources._size", lambda _: None)
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=room))
        return list(check_disk(recipe, Path("run")))


def no_suite(recipe: Recipe) -> list[Finding]:
    findings = (*found_in_recipe(recipe), *found_on_machine(recipe, fetch=False))
    return [each for each in findings if each.setting == "measure.suite"]


def vbench(part: Callable[[Any], object]) -> Callable[[Recipe], object]:
    return lambda recipe: part(resolved(recipe.measure.measurer, MEASURER))


def optimizer(recipe: Recipe) -> object:
    device = torch.device(recipe.runtime.device)
    return make_optimizer([torch.nn.Parameter(torch.zeros(2))], recipe.train, device)


def optimizer_on_gpu(recipe: Recipe) -> object:
    """Where bitsandbytes is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "bitsandbytes", None)
        return make_optimizer([torch.nn.Parameter(torch.zeros(2))], recipe.train, torch.device("cuda"))


def adapter(recipe: Recipe) -> None:
    """For a model that has none of the layers."""
    if recipe.train.lora is not None:
        add_adapter(torch.nn.Linear(2, 2), recipe.train.lora, ("to_q",), autocast=False)


def compiled(recipe: Recipe) -> None:
    """A model that does not say what its blocks are."""
    if recipe.runtime.train.compile_blocks:
        compile_blocks(torch.nn.Linear(2, 2))


def sampled_compiled(recipe: Recipe) -> None:
    """The same where clips are sampled."""
    if recipe.runtime.sampling.compile_blocks:
        compile_blocks(torch.nn.Linear(2, 2), setting="runtime.sampling.compile_blocks")


def kernel(recipe: Recipe) -> object:
    """A kernel of torch's that this machine's device does not have."""
    call = AttentionCall((1, 2, 16, 8), (1, 2, 24, 8), torch.float32, None)
    sampling = recipe.runtime.sampling
    if sampling.attention == "auto":
        return None
    return Speed(sampling).chosen([call], recipe.generate.sampler, torch.device("cpu"))


def has_torchvision() -> bool:
    from importlib.util import find_spec

    return find_spec("torchvision") is not None


DEAR = (
    "runtime.servers.main={url: 'http://127.0.0.1:9/v1', usd_per_million_input: 0, usd_per_million_output: 1000000, "
    "max_cost_usd: 1}"
)
SCORER = "measure.measurer={use: vbench2, options: {suite: 'my, suite', %s}}"
CASES = [
    Case("shape", ["shape.num_frames=16"], lambda r: check_shape(r.shape, "m", frame_step=4, pixel_step=16)),
    Case("scheduler", [f"{each}=Euler" for each in both("scheduler")], samplers("wan")),
    Case("shift", [], samplers("cogvideox")),
    Case("no negative prompt", [f"{each}=blur" for each in both("negative_prompt")], samplers("hunyuan")),
    Case("hunyuan", ["base.family=wan"], family("HunyuanVideoPipeline")),
    Case("ltx", ["base.family=wan"], family("LTXPipeline")),
    Case("sana", ["base.family=wan"], family("SanaVideoPipeline")),
    Case("hunyuan15", ["base.family=wan"], family("HunyuanVideo15Pipeline")),
    Case("ltx2", ["base.family=wan"], family("LTX2Pipeline")),
    Case("wan", ["base.family=ltx"], family("WanPipeline")),
    Case("target", ["diagnose.target=0.1"], lambda r: weakest(PROBES, r.diagnose, 8)),
    Case("rarely", ["diagnose.min_score=0.99", "diagnose.choose=gap"], lambda r: weakest(PROBES, r.diagnose, 8)),
    Case("headroom", ["diagnose.choose=headroom", "diagnose.num_takes=2"], lambda r: weakest(PROBES, r.diagnose, 8)),
    Case("unscored", ["judge.max_unscored=0.2"], lambda r: check_unscored_share(SCORES, r.judge.max_unscored)),
    Case("cost", [DEAR], spend),
    Case("remote code", [], needs_code),
    Case("pairs", ["train.objective={kind: dpo}"], pairs),
    Case("contrast", ["train.objective={kind: dpo}", "weights={kind: contrast}"], pairs),
    Case(
        "own weighting",
        [f"weights={{kind: plugin, plugin: {{use: '{__name__}:NothingSpec'}}}}"],
        lambda r: weights_of(SCORES, r.weights),
    ),
    Case("no real clip", ["prompts.real={folder: clips, num_clips: 4}"], real_clips),
    Case("no suite", [SCORER % "flow: dis", *VBENCH], no_suite),
    Case(
        "raft", [SCORER % "flow: raft", *VBENCH], vbench(lambda spec: _flow(spec, "cpu")), lambda: not has_torchvision()
    ),
    Case(
        "tracker without folder",
        [SCORER % "tracker: cotracker2", *VBENCH],
        vbench(lambda spec: build_tracker(spec.tracker, spec.cotracker_folder, "cpu", MEASURER_OPTIONS)),
    ),
    Case("anomaly", [SCORER % "anomaly: nowhere", *VBENCH], vbench(lambda spec: _anomaly(spec, None, "cpu"))),
    Case("square", ["shape.width_px=80"], lambda r: sandbox_real_clips(1, 0, None, r.shape)),
    Case("disk", LARGE, small_disk),
    Case(
        "batch",
        [f"train.objective={{use: '{__name__}:PairsSpec'}}", "train.batch_size=6", "train.num_accumulation=2"],
        lambda r: list(check_plugins(r)),
    ),
    Case("eight bit", ["train.optimizer=adamw_8bit"], optimizer),
    Case("eight bit on a GPU", ["train.optimizer=adamw_8bit"], optimizer_on_gpu),
    Case("adapter", ["train.lora={rank: 2}"], adapter),
    Case("compiled", ["runtime.train.compile_blocks=true"], compiled),
    Case("sampled compiled", ["runtime.sampling.compile_blocks=true"], sampled_compiled),
    Case("kernel of a GPU", ["runtime.sampling.attention=flash_attn"], lambda r: list(check_attention(r))),
    Case("its own for training", ["runtime.train.attention=xformers"], lambda r: list(check_attention(r))),
    Case("approximate kernel", ["generate.sampler.attention=sage"], lambda r: list(check_attention(r))),
    Case(
        "kernel from the Hub",
        ["runtime.device=cuda", "runtime.sampling.attention=flash_attn_hub"],
        lambda r: list(check_attention(r)),
    ),
    Case(
        "kernel that is not installed",
        ["runtime.device=cuda", "measure.sampler.attention=sage_fp8"],
        lambda r: list(check_attention(r)),
    ),
    Case("kernel of another device", ["runtime.sampling.attention=cudnn"], kernel),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my, suite").mkdir()
    write_suite(tmp_path / "my, suite")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "metadata.jsonl").write_text('{"file_name": "a.mp4", "text": "a red circle"}\n')


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_set_what_the_error_prints(case: Case) -> None:
    if not case.is_there():
        pytest.skip("this machine cannot have the fault")
    first = problem_of(case, case.wrong)
    assert first is not None, "the fault is not met"
    step = printed_step(str(first))
    assert "test_set_what_the_error_prints" in how_covered(step), f"say so in the table: {step}"
    ways = ways_in(step)
    assert ways, first
    for way in ways:
        left = problem_of(case, [*case.wrong, *way])
        assert left is None or left.problem != first.problem, (way, left)
