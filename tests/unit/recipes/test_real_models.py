"""The recipes for real models: loaded strictly, legal for their family, their roles built, all without weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.errors import InputError, RecipeError
from rushes.families.defaults import USUAL, WAN_TWO
from rushes.judge.vlm import build_vlm_judge
from rushes.plan.chat_models import chat_price
from rushes.plan.detectable import in_words
from rushes.plan.gpus import find_gpu
from rushes.plan.judged import QUESTIONS_PER_PROMPT
from rushes.plan.models import real_model
from rushes.plugins import MEASURER, plugin
from rushes.prompts.objections import build_critic
from rushes.prompts.write import build_question_writer, build_writer
from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.recipe.models import LlmQuestionsSpec, LlmWriterSpec, VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec

NAMES = [name for name in packaged_recipes() if name not in ("sandbox", "tiny")]
GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "real_models.md").read_text(encoding="utf-8")


def test_every_family_has_a_recipe() -> None:
    assert {load_recipe(name).base.family for name in NAMES} == set(USUAL)
    assert "wan2.1-1.3b" in NAMES and "wan2.1-1.3b-lora-24gb" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_sampled_as_is_usual_for_the_family(name: str) -> None:
    recipe = load_recipe(name)
    usual = WAN_TWO if name == "wan2.2-t2v-a14b" else USUAL[recipe.base.family]
    assert recipe.generate.sampler == usual.sampler
    assert recipe.measure.sampler == usual.sampler
    assert recipe.base.max_tokens == usual.max_tokens
    if name != "wan2.2-ti2v-5b":
        assert recipe.shape == usual.shape


@pytest.mark.parametrize("name", NAMES)
def test_the_shape_is_legal(name: str) -> None:
    recipe = load_recipe(name)
    model = real_model(recipe)
    assert model is not None and model.family == recipe.base.family
    temporal, spatial = model.size.compression
    assert (recipe.shape.num_frames - 1) % temporal == 0
    assert recipe.shape.height_px % (spatial * model.size.patch[1]) == 0
    assert recipe.shape.width_px % (spatial * model.size.patch[2]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_roles_are_built_without_weights(name: str) -> None:
    recipe = load_recipe(name)
    runtime = recipe.runtime.model_copy(update={"device": "cpu"})
    writer, questions, judge = recipe.prompts.writer, recipe.prompts.questions, recipe.judge.judge
    assert isinstance(writer, LlmWriterSpec) and isinstance(questions, LlmQuestionsSpec)
    assert isinstance(judge, VlmJudgeSpec) and recipe.prompts.screen.critic is not None
    if recipe.runtime.servers:
        pytest.importorskip("openai")
    assert callable(build_writer(writer, runtime).write)
    assert callable(build_question_writer(questions, runtime).write)
    assert callable(build_vlm_judge(judge, runtime).answer)
    assert callable(build_critic(recipe.prompts.screen.critic, runtime).verdicts)
    assert recipe.prompts.screen.max_words > writer.max_words


@pytest.mark.parametrize("name", NAMES)
def test_the_measurer_is_another_than_the_judge_and_misses_only_the_suite(name: str) -> None:
    measurer = load_recipe(name).measure.measurer
    assert isinstance(measurer, PluginSpec)
    spec = plugin(measurer, MEASURER)
    assert isinstance(spec, VBenchMeasurerSpec)
    with pytest.raises(InputError):
        spec.model_copy(update={"suite": "no-such-folder"}).build(load_recipe(name).runtime)


@pytest.mark.parametrize("name", NAMES)
def test_some_real_clips_are_watched_and_most_are_trained_on(name: str) -> None:
    recipe = load_recipe(name)
    assert 8 <= recipe.train.num_held_out <= recipe.prompts.real.num_clips / 8
    with pytest.raises(RecipeError, match=r"train.num_held_out keeps 8 real clips .* there are 8"):
        load_recipe(name, ["prompts.real.num_clips=8"])


def test_the_papers_settings() -> None:
    recipe = load_recipe("wan2.1-1.3b")
    train, shape = recipe.train, recipe.shape
    assert (shape.width_px, shape.height_px, shape.num_frames, shape.fps) == (832, 480, 81, 16)
    assert (train.lora, train.learning_rate, train.batch_size) == (None, 1e-6, 4)
    assert recipe.weights.kind == "raw"
    num_clips = (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes
    num_own = train.num_steps * train.batch_size * (1 - train.realism.share)
    assert num_clips == 9500 and num_own == pytest.approx(num_clips, rel=0.001)  # one epoch


def test_what_families_need_in_training() -> None:
    for name in ("cogvideox-2b", "cogvideox-5b"):
        train = load_recipe(name).train
        assert (train.shift, train.sigma_density) == (1.0, "uniform")
    assert load_recipe("hunyuanvideo").train.caption_drop == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_in_the_guide(name: str) -> None:
    model = real_model(load_recipe(name))
    assert model is not None
    size = model.size
    weights = 2 * (size.num_all + size.num_text + size.num_autoencoder) / 1e9
    rows = [line.split(" | ") for line in GUIDE.splitlines() if line.startswith(f"| `{name}` |")]
    assert rows and rows[0][2] == f"{weights:.0f} GB"


def test_the_guide_says_what_an_audit_of_the_judge_takes() -> None:
    recipe = load_recipe("wan2.1-1.3b")
    found = [chat_price(recipe, "answers", find_gpu(name)) for name in ("H100", "RTX 4090")]
    fast, slow = (12 * QUESTIONS_PER_PROMPT * each.seconds for each in found if each is not None)
    assert f"{fast:.1f} s a clip on an H100 and {slow:.0f} s on an RTX 4090" in GUIDE
    assert f"so {24 * fast / 60:.0f} and {24 * slow / 60:.0f} minutes for the 24 clips" in GUIDE


@pytest.mark.parametrize("name", packaged_recipes())
def test_the_first_lines_say_what_gain_the_recipe_can_see(name: str) -> None:
    head = packaged_recipes()[name].partition("\nname:")[0]
    assert in_words(load_recipe(name)) in " ".join(line.removeprefix("#").strip() for line in head.splitlines()[:4])
