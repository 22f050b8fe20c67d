"""The example package is built, installed, held to the contracts, and used by a run through nothing but its recipe."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.context import Context
from rushes.errors import RecipeError
from rushes.extensions import extensions
from rushes.families.load import load_family
from rushes.judge.grade import check_unscored_share
from rushes.judge.key import judge_name
from rushes.judge.question_needs import QuestionNeeds, question_needs
from rushes.judge.stage import judge
from rushes.pipeline import improve
from rushes.plugins import JUDGE, OBJECTIVE, WEIGHTING, build, plugin
from rushes.preflight.plugins import check_plugins
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.load import parse_recipe
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.template import recipe_yaml
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.recipe.weights import WeightsSpec
from rushes.records import Sample, Scored, Unscored
from rushes.roles import JudgeRequest, Runtime, Video
from rushes.store.identity import content_hash
from rushes.store.run import Run
from rushes.testing import judge_checks
from rushes.train.data import TrainingSet
from rushes.train.handover import Material
from rushes.train.lesson import Lesson, lesson_key
from rushes.weights.report import report_weights
from rushes.weights.weigh import build_weighting, weighed
from tests.contract.judge import check_judge
from tests.contract.spec import check_spec
from tests.contract.weighting import check_weighting
from tests.support.judged import make_clip, make_prompt, make_question
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan
from tests.support.training import assignment_of, columns_of_takes, teach_alone

PROJECT = Path(__file__).parent / "night_shoot"
DARK = PluginSpec(use="night_shoot.judge:DarkJudgeSpec", options={"dark_below": 0.2})
BEST_TAKES = PluginSpec(use="night_shoot.weighting:BestTakesSpec", options={"num_best": 1})
REWARD = PluginSpec(use="night_shoot.reward:NightRewardSpec")
DUEL = PluginSpec(use="night_shoot.duel:DuelSpec", options={"bias": 0.3})
HINGE = PluginSpec(use="night_shoot.objective:HingeSpec", options={"margin": 0.3})
JUDGE_SPEC = JudgeSpec.model_validate({"judge": DARK.model_dump()})
WEIGHTS_SPEC = WeightsSpec.model_validate({"kind": "plugin", "plugin": BEST_TAKES.model_dump()})


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example package, installed into a folder of its own that is on the import path; no network is needed."""
    assert find_spec("night_shoot") is None, "the example package must come from the folder that this test installs"
    folder = tmp_path_factory.mktemp("plugin")
    target = folder / "installed"
    project = shutil.copytree(PROJECT, folder / "project")  # setuptools builds inside the project's folder
    if find_spec("setuptools") is not None:
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(project)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert list(target.glob("night_shoot-*.dist-info")), "expected an installed distribution, not only files"
    else:  # an environment without a build tool: the files are the package
        shutil.copytree(project / "src", target)
        _write_entry_points(target / "night_shoot-0.1.0.dist-info")
    sys.path.insert(0, str(target))
    importlib.invalidate_caches()
    extensions.cache_clear()
    yield target
    extensions.cache_clear()
    sys.path.remove(str(target))
    for name in [name for name in sys.modules if name.split(".")[0] == "night_shoot"]:
        del sys.modules[name]


def _write_entry_points(folder: Path) -> None:
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: night-shoot\nVersion: 0.1.0\n")
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [f"[{group}]\n{name} = {value}\n" for group, names in groups.items() for name, value in names.items()]
    (folder / "entry_points.txt").write_text("".join(lines))


@pytest.mark.usefixtures("installed")
class TestContracts:
    def test_specs(self) -> None:
        check_spec(plugin(DARK, JUDGE))
        check_spec(plugin(BEST_TAKES, WEIGHTING))
        check_spec(plugin(HINGE, OBJECTIVE))

    def test_judge(self) -> None:
        asked = (make_question("Is it dark?"), make_question("Is there a moon?"))
        videos = [Video(np.full((3, 4, 4, 3), level, np.uint8), 8.0) for level in (10, 60, 200)]
        check_judge(
            build(DARK, JUDGE, Runtime(), "judge.judge"), [JudgeRequest(video, "night", asked) for video in videos]
        )

    @pytest.mark.parametrize("judge", [DARK, REWARD, DUEL], ids=lambda each: each.use)
    def test_judges_of_each_kind(self, judge: PluginSpec) -> None:
        spec = plugin(judge, JUDGE)
        asked = () if judge is not DARK else (make_question("Is it dark?"),)
        videos = [Video(np.full((3, 4, 4, 3), level, np.uint8), 8.0) for level in (10, 60, 200)]
        requests = [JudgeRequest(video, "night", asked) for video in videos] if judge is DARK else []
        checks = judge_checks(spec, requests)
        assert len(checks) >= 9
        for check in checks:
            check()

    @pytest.mark.parametrize("num_best", [1, 2, 10])
    def test_weighting(self, num_best: int) -> None:
        spec = PluginSpec(use=BEST_TAKES.use, options={"num_best": num_best})
        check_weighting(build(spec, WEIGHTING, Runtime(), "weights.plugin"))
        assert type(build_weighting(WEIGHTS_SPEC)).__module__ == "night_shoot.weighting"


def test_a_run_judges_and_weighs_with_the_plug_in(installed: Path, tmp_path: Path) -> None:
    night = make_prompt("night", make_question("Is it dark?"), make_question("Does it look dark?"))
    noon = make_prompt("noon", make_question("Is it dark?", "no"))
    odd = make_prompt("odd", make_question("Is it dark?"), make_question("Is there a moon?"))
    prompts = {prompt.key: prompt for prompt in (night, noon, odd)}
    recipe = sandbox_recipe(judge=JUDGE_SPEC, weights=WEIGHTS_SPEC)
    with Run.open(tmp_path / "run", recipe.model_dump(mode="json")) as run:
        lights = [(night, 0, 20), (night, 1, 50), (noon, 0, 50), (noon, 1, 250), (odd, 0, 20)]
        clips = [make_clip(prompt, take, brightness=light, blobs=run.blobs) for prompt, take, light in lights]
        context = Context(recipe, run)
        context.prompts.update(prompts)
        scores = judge(context, clips)
        answers = run.answers.all()
    assert Path(sys.modules["night_shoot.judge"].__file__ or "").is_relative_to(installed)
    assert {answer.judge for answer in answers} == {judge_name(JUDGE_SPEC)} == {"night_shoot.judge"}

    values = [score.outcome.value if isinstance(score.outcome, Scored) else None for score in scores]

    def p_dark(light: int) -> float:
        return float(1 / (1 + np.exp(40 * (light / 255 - 0.2))))

    assert values[:4] == pytest.approx([p_dark(20), p_dark(50), 1 - p_dark(50), 1 - p_dark(250)])
    last = scores[4].outcome
    assert isinstance(last, Unscored)
    assert "'Is there a moon?': this judge only knows dark from bright" in last.reason
    check_unscored_share(scores, JUDGE_SPEC.max_unscored)

    samples = weighed(clips, scores, WEIGHTS_SPEC)
    weights = [sample.weight for sample in samples]
    assert weights[1:3] == [0.0, 0.0] and weights[4] == 0.0
    assert weights[0] / weights[3] == pytest.approx(p_dark(20) / (1 - p_dark(250)))
    assert sum(weights) == pytest.approx(4.0)
    assert report_weights(samples, scores, WEIGHTS_SPEC).num_weighted == 2


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("judge", "objective"), [("night-reward", "flow"), ("duel", "dpo")])
def test_a_run_trains_by_what_it_gives(judge: str, objective: str, tmp_path: Path) -> None:
    """From its short name in a recipe to the scorecard, checks before the run included."""
    base = tiny_recipe(make_tiny_wan(tmp_path / "wan"))
    recipe = parse_recipe(
        recipe_yaml(base),
        source="recipe",
        overrides=[
            f"judge={{default: {{use: {judge}}}}}",
            "weights={kind: exponential, temperature: 1.0}",
            f"train.objective={{kind: {objective}}}",
        ],
    )
    scorecard = improve(recipe, tmp_path / "run")
    assert scorecard is not None
    with Run.view(tmp_path / "run") as run:
        ratings, votes = run.ratings.all(), run.votes.all()
        samples = [each for each in run.read_derived("samples-0", Sample) or [] if each.source == "own"]
        assert not run.failures() and not run.answers.num_records()
    if judge == "duel":
        assert not ratings and all(0 < (vote.p_first or 0) < 1 for vote in votes)
        assert {row.judge_unit for row in scorecard.rows if row.judge_before is not None} == {
            "share of comparisons won"
        }
    else:
        darkness = [each.value for each in ratings if each.scale == "darkness" and each.value is not None]
        assert len(darkness) == len(ratings) / 2 and all(-3 <= value <= 5 for value in darkness)
        assert max(darkness) > 1, "no score of a judge that answers questions"
    by_prompt: dict[str, list[Sample]] = {}
    for sample in samples:
        by_prompt.setdefault(sample.prompt_key, []).append(sample)
    better = [max(takes, key=lambda each: each.score or 0.0) for takes in by_prompt.values()]
    assert all(each.weight >= max(other.weight for other in by_prompt[each.prompt_key]) > 0 for each in better)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("lora", [None, LoraSpec(rank=2, alpha=2)], ids=["full", "lora"])
def test_training_learns_by_the_plug_in(lora: LoraSpec | None, tmp_path: Path) -> None:
    """It draws whole pairs under common noise, records its curves, and its options enter the checkpoint's key."""
    objective = parse_recipe(
        "from: sandbox\nweights: {kind: raw}\ntrain: {objective: {use: hinge, options: {margin: 0.3}}}", source="recipe"
    ).train.objective
    spec = TrainSpec(
        objective=objective,
        lora=lora,
        num_steps=4,
        batch_size=4,
        learning_rate=1e-3,
        warmup_steps=0,
        num_accumulation=2,
    )
    wan = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path / "wan")), max_tokens=8))
    data = TrainingSet(
        z_0_NCThw=torch.randn((10, 4, 2, 4, 4), generator=torch.Generator().manual_seed(0)),
        text=wan.encode_text([f"a red circle moves {way}" for way in ("left", "right", "up", "down", "in")] * 2),
        empty=wan.encode_text([""]),
        weight_N=torch.ones(10),
        preference_N=torch.ones(10),
        is_real_N=torch.tensor([False] * 6 + [True] * 4),
        **columns_of_takes(),
    )
    taught = teach_alone(assignment_of(wan, tmp_path / "run", spec), wan, Material(data))
    assert [step for step, _ in taught.curves["hinge"]] == [1, 2, 3, 4]
    assert {"hinge_rests", "real_flow"} < set(taught.curves) and "weighted_flow" not in taught.curves
    keys = [
        lesson_key(Lesson((), "ab" * 32, None, spec.model_copy(update={"objective": each}), reencode=False))
        for each in (objective, HINGE, PluginSpec(use="hinge", options={"margin": 0.2}))
    ]
    assert keys[0] == keys[1] != keys[2], "the short name means the same, another margin does not"


@pytest.mark.usefixtures("installed")
def test_a_batch_that_would_divide_the_plug_ins_pairs_is_found_before_anything_is_spent() -> None:
    recipe = parse_recipe(
        "from: sandbox\nweights: {kind: raw}\ntrain: {objective: {use: hinge}, batch_size: 6, num_accumulation: 2}",
        source="recipe",
    )
    (finding,) = [each for each in check_plugins(recipe) if each.setting == "train.objective"]
    assert "compares 2 clips at once, but a micro-batch holds 3" in finding.problem


@pytest.mark.usefixtures("installed")
def test_the_short_names_that_the_package_offers_mean_the_same_plug_ins() -> None:
    for full, short, role in (
        (DARK, "dark", JUDGE),
        (REWARD, "night-reward", JUDGE),
        (DUEL, "duel", JUDGE),
        (BEST_TAKES, "best-takes", WEIGHTING),
        (HINGE, "hinge", OBJECTIVE),
    ):
        same = plugin(PluginSpec(use=short, options=full.options), role)
        assert same == plugin(full, role)
        assert content_hash(same) == content_hash(full)


@pytest.mark.usefixtures("installed")
def test_a_wrong_option_is_explained_with_the_nearest_right_one() -> None:
    with pytest.raises(RecipeError, match="option 'dark_bellow' of the plug-in night_shoot") as caught:
        plugin(PluginSpec(use=DARK.use, options={"dark_bellow": 0.1}), JUDGE)
    assert caught.value.next_step == "did you mean 'dark_below'?"


def test_without_the_package_the_recipe_says_what_to_install() -> None:
    with pytest.raises(RecipeError, match="cannot be imported") as caught:
        plugin(PluginSpec(use="night_shoot_missing.judge:DarkJudgeSpec"), JUDGE)
    assert "install the package with 'night_shoot_missing'" in str(caught.value.next_step)


@pytest.mark.usefixtures("installed")
def test_questions_about_its_own_dimension_need_what_the_package_says() -> None:
    assert question_needs("Darkness") == QuestionNeeds(num_frames=3, of_clip=("picture",))
