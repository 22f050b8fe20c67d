"""Recipes: what YAML may say, how mistakes are told, overrides, the template, and comparing two recipes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rushes.errors import RecipeError
from rushes.recipe.generate import GenerateSpec
from rushes.recipe.load import load_recipe, packaged_recipes, parse_recipe
from rushes.recipe.models import LocalModelSpec, VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import FixedWriterSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.schema import all_settings, describe, kind_of, models_in
from rushes.recipe.template import recipe_yaml
from rushes.recipe.train import TrainSpec
from rushes.recipe.weights import WeightsSpec
from rushes.recipe.yaml_reader import dotted, read_value
from rushes.store.changes import STAGES, stage_of_path
from rushes.store.header import differing_paths
from rushes.store.identity import content_hash, spec_part
from rushes.store.run import Run
from tests.support.sandbox_recipe import CATALOGUE, judge_spec, sandbox_recipe

LEAST = Path(__file__).parents[1] / "support" / "least.yaml"
"""A recipe with what has no default."""


def parse(text: str, *overrides: str) -> Recipe:
    """The recipe with what has no default taken from `LEAST`, below the text so that its lines keep their numbers."""
    return alone(f"{text}\nfrom: {LEAST}\n", *overrides)


def alone(text: str, *overrides: str) -> Recipe:
    return parse_recipe(text, source="recipe.yaml", overrides=overrides)


def error(text: str, *overrides: str, read: Callable[..., Recipe] = parse) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        read(text, *overrides)
    return caught.value


# ---------------------------------------------------------------------------------------------- reading


def test_what_is_left_out_keeps_its_default() -> None:
    assert parse("name: x") == sandbox_recipe(name="x")
    assert parse("train: {num_steps: 7}").train == TrainSpec(num_steps=7)


def test_what_has_no_default_is_asked_for_by_name() -> None:
    said = str(error("name: x", read=alone))
    for name in ("base", "diagnose", "prompts", "judge", "measure"):
        assert f"{name} is missing" in said and Recipe.model_fields[name].is_required()
    said = str(error("base: {}\ndiagnose: {}\nprompts: {}\njudge: {}\nmeasure: {}", read=alone))
    for name in ("base.model", "diagnose.catalogue", "prompts.writer", "judge.judge", "measure.measurer"):
        assert f"{name} is missing" in said


def test_half_a_sampler_keeps_the_rest_of_the_default_sampler() -> None:
    recipe = parse("measure: {sampler: {num_steps: 3}}", "generate.sampler.guidance_scale=1.5")
    default = sandbox_recipe().measure.sampler
    assert recipe.measure.sampler == default.model_copy(update={"num_steps": 3})
    assert recipe.generate.sampler == default.model_copy(update={"guidance_scale": 1.5})


def test_a_section_that_names_a_plug_in_needs_no_kind() -> None:
    writer = PluginSpec(use="sandbox", options={"detailed": 0.25})
    assert parse("prompts: {writer: {use: sandbox, options: {detailed: 0.25}}}").prompts.writer == writer
    assert parse("prompts: {writer: {options: {detailed: 0.25}}}").prompts.writer == writer
    text = "judge: {judge: {use: 'a:B'}}\nmeasure: {measurer: {use: 'c:D'}}\nprompts: {questions: {use: 'e:F'}}"
    found = parse(text)
    assert found.judge.judge == PluginSpec(use="a:B") and found.measure.measurer == PluginSpec(use="c:D")
    assert found.prompts.questions == PluginSpec(use="e:F")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-05", 1e-5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-3", -3),
        ("+3", 3),
        ("012", 12),
        ("0x1f", 31),
        ("0o17", 15),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("null", None),
        ("~", None),
        ("", None),
        ("2026-01-31", "2026-01-31"),
        ("12:30:00", "12:30:00"),
        ("1_000", "1_000"),
        ('"12"', "12"),
        ("[a, 1]", ["a", 1]),
        ("{kind: none}", {"kind": "none"}),
        ("", None),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    got = read_value(text, "here")
    assert got == value
    assert type(got) is type(value)


def test_yes_and_no_are_answers_without_quotes() -> None:
    text = """
diagnose:
  extra:
    - {name: Rain, description: It rains., examples: [{prompt: rain on a roof, questions: {"Does it rain?": yes}}]}
"""
    assert parse(text).diagnose.extra[0].examples[0].questions == {"Does it rain?": "yes"}


# ---------------------------------------------------------------------------------------------- mistakes

MISTAKES = [
    ("train: {lerning_rate: 0.1}", [], ["line 1", "train.lerning_rate", "did you mean train.learning_rate?"]),
    ("train: {steps: 3}", [], ["train.steps", "did you mean train.num_steps?"]),
    ("learning_rate: 3", [], ["unknown setting learning_rate", "did you mean train.learning_rate?"]),
    ("quux: 3", [], ["unknown setting quux", "one of seed, num_rounds"]),
    ("train:\n  batch_size: 4\n  num_steps: '3'", [], ["line 3", "train.num_steps", "a whole number >= 1", "'3'"]),
    ("train: {num_steps: true}", [], ["train.num_steps", "a whole number", "True"]),
    ("train: {num_steps: 2.5}", [], ["train.num_steps", "a whole number", "2.5"]),
    ("train: {num_steps: 0}", [], ["train.num_steps", ">= 1", "0"]),
    ("train: {learning_rate: .nan}", [], ["train.learning_rate", "a number > 0", "nan"]),
    ("train: {learning_rate: '1e-4'}", [], ["train.learning_rate", "without quotes"]),
    ("train: {learning_rate: fast}", [], ["train.learning_rate", "a number > 0 (Peak learning rate)", "'fast'"]),
    ("measure: {num_bootstrap: 99}", [], ["measure.num_bootstrap", ">= 100", "99"]),
    ("train: {ema_decay: 1}", [], ["train.ema_decay", ">= 0 and < 1"]),
    ("train: 3", [], ["train", "a section with experts, lora, num_steps"]),
    ("train: {realism: {kind: flow}}", [], ["train.realism.kind", "one of 'none', 'real_flow', 'moments'", "'flow'"]),
    ("train: {batch_size: 3, num_accumulation: 2}", [], ["multiple of train.num_accumulation", "3 and 2"]),
    ("train: {realism: {kind: moments}, num_accumulation: 2}", [], ["train.num_accumulation: 1", "whole batch"]),
    (
        "train: {objective: {kind: reward_gradient}}\njudge: {judge: {kind: vlm, model: {kind: server, model: eyes}}}",
        [],
        ["train.objective: reward_gradient needs the gradient of judge.judge", "'eyes' is on a server", "kind: online"],
    ),
    (
        "train: {objective: {kind: online, num_ode_steps: 2}}\nruntime: {train: {num_processes: 2, parallel: fsdp}}",
        [],
        ["train.objective.num_ode_steps", "runtime.train.parallel: ddp"],
    ),
    ("weights: {kind: plugin}", [], ["weights.kind must be 'plugin' exactly when weights.plugin is set"]),
    ("name: 3", [], ["name", 'write it in quotes: "3"']),
    ("prompts: {writer: {kind: fixd}}", [], ["prompts.writer.kind", "did you mean fixed?"]),
    ("prompts: {writer: {kind: fixed}}", [], ["prompts.writer.path is missing"]),
    ("prompts: {writer: {path: a.jsonl}}", [], ["prompts.writer.path", "kind: plugin", "set prompts.writer.kind"]),
    ("prompts: {writer: {kind: plugin, use: 'no pe'}}", [], ["prompts.writer.use", "package.module:Class"]),
    ("prompts: {writer: {kind: plugin, use: 'a:B', options: {x: [1]}}}", [], ["prompts.writer.options.x"]),
    ("diagnose: {dimensions: [Compositon]}", [], ["diagnose.dimensions[0]", "did you mean 'Composition'?"]),
    ("diagnose: {extra: [{name: a, description: b, examples: []}]}", [], ["diagnose.extra.0.examples", "at least 1"]),
    ("name: x", ["train.lora.rnk=3"], ["--set train.lora.rnk", "did you mean train.lora.rank?"]),
    ("name: x", ["train.num_steps"], ["key=value"]),
    ("name: x", ["=3"], ["key=value"]),
    ("name: x", ["train..x=3"], ["key=value"]),
    ("name: x", ["train.num_steps=[1"], ["--set train.num_steps", "is not YAML", "[1"]),
    ("train: {num_steps: 3}", ["train.num_steps.x=3"], ["train.num_steps is a plain value"]),
    ("diagnose: {dimensions: [Composition]}", ["diagnose.dimensions.4=a"], ["no item '4'", "from 0 to 0"]),
]


@pytest.mark.parametrize(("text", "overrides", "words"), MISTAKES)
def test_a_mistake_is_told_with_path_expectation_and_hint(text: str, overrides: list[str], words: list[str]) -> None:
    said = str(error(text, *overrides))
    assert [word for word in words if word not in said] == []


KEPT_SECRET = [
    ("runtime: {servers: {main: {url: 'http://x/v1', api_key: hunter2}}}", []),
    ("name: x", ["runtime.servers.main.key=hunter2"]),
    ("name: x", ["runtime.servers.main.key=[hunter2"]),
    ("name: x", ["runtime.password=!!int hunter2"]),
    ("name: x", ["api_token: hunter2"]),
    ("name: x", ["train.unheard_of=hunter2"]),
    ("name: x", ["runtime.servers.main.url=http://me:hunter2@host/v1"]),
    ("name: x", ["runtime.servers.main={url: 'http://h/v1', key_env: [hunter2]}"]),
    ("name: x", ["runtime.ray_address='ray://me:hunter2@host:1'"]),
    ("judge: {judge: {use: 'a:B', options: {headers: {Authorization: hunter2}}}}", []),
    ("judge: {judge: {use: 'a:B', options: {credentials: {password: hunter2}}}}", []),
    ("train: [{secret: hunter2}]", []),
    ("a:\n  api_key: hunter2: x", []),
]


@pytest.mark.parametrize(("text", "overrides"), KEPT_SECRET)
def test_a_key_is_refused_and_never_shown(text: str, overrides: list[str]) -> None:
    said = str(error(text, *overrides))
    assert "hunter2" not in said


def test_names_that_only_sound_like_a_key_are_fine() -> None:
    options = {"tokenizer": "qwen", "caption_key": "caption", "max_tokens": 3, "key_env": "MY_KEY"}
    assert parse(f"judge: {{judge: {{use: 'a:B', options: {options}}}}}").judge.judge.options == options


BROKEN_YAML = [
    ("a: 1\na: 2", ["line 2", "sets a twice", "line 1"]),
    ("train:\n  seed: 1\n  seed: 1", ["line 3", "train.seed twice", "line 2"]),
    ("train:\n\tseed: 1", ["line 2, column 1", "spaces"]),
    ("train: [1, 2", ["line 1", "is not YAML"]),
    ("train: {a: 'x}", ["is not YAML"]),
    ("", ["is empty"]),
    ("# only a comment\n", ["is empty"]),
    ("[1, 2]", ["is not a mapping"]),
    ("just text", ["is not a mapping"]),
    ("a: 1\n---\nb: 2", ["line 2", "single document"]),
    ("1: x", ["has the key 1"]),
    ("? [a, b]\n: x", ["line 1", "has the key"]),
    ("name: !!python/object/apply:os.system [exit]", ["has the tag", "plain values only"]),
    ("name: !mine x", ["has the tag '!mine'"]),
    ("train: !!set {a, b}", ["has the tag"]),
    ("seed: !!int x", ["is not a valid int"]),
    ("train: &a {lora: *a}", ["alias that contains itself", "written out"]),
    ("seed: 1\nname: a\x00b", ["line 2 is not YAML", "'\\x00'", "can be seen"]),
    ('name: "\\ud800"', ["is not a valid str"]),
    ('prompts: {real: {folder: "a\\0b"}}', ["is not a valid str", "without the character"]),
    ("name: " + "x" * 2**20, ["too long"]),
    ("name: " + "[" * 600, ["is nested too deeply"]),
]


@pytest.mark.parametrize(("text", "words"), BROKEN_YAML)
def test_what_is_no_recipe_is_refused_with_its_place(text: str, words: list[str]) -> None:
    said = str(error(text, read=alone))
    assert [word for word in words if word not in said] == []


def test_aliases_may_share_a_section_but_not_explode() -> None:
    shared = "generate: {sampler: &s {num_steps: 4}}\nmeasure: {sampler: *s}"
    assert parse(shared).measure.sampler.num_steps == 4
    bomb = "a0: &a0 [x, x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))
    assert "repeats itself too often" in str(error(bomb, read=alone))


def test_all_mistakes_are_named_the_override_and_then_the_first_line_first() -> None:
    said = str(error("train:\n  foo: 1\n  num_steps: x\nmeasure: {bar: 2}", "judge.baz=1"))
    lines = [said.index(word) for word in ("judge.baz", "train.foo", "train.num_steps", "measure.bar")]
    assert lines == sorted(lines)
    assert said.count("also:") == 3


def test_a_long_value_is_cut_in_the_message() -> None:
    assert len(str(error(f"train: {{num_steps: {'x' * 5000}}}"))) < 600


def kinds_on_the_way(path) -> list[str]:
    """Overrides that choose, at every choice between specs, one that has the next setting of a path."""
    overrides, models = [], [Recipe]
    for depth, step in enumerate(path):
        owner = next(model for model in models if step in model.model_fields)
        if len(models) > 1 and step != "kind":
            overrides.append(f"{dotted(path[:depth])}.kind={kind_of(owner)}")
        models = models_in(owner.model_fields[step].annotation)
    return overrides


@pytest.mark.parametrize(
    "setting",
    [s for s in all_settings(Recipe) if not models_in(s.annotation)],
    ids=lambda setting: dotted(setting.path),
)
def test_no_setting_takes_a_value_of_another_type(setting) -> None:
    """A mapping with an unknown key fits nothing: whatever the setting, the error names it."""
    overrides = [*kinds_on_the_way(setting.path), f"{dotted(setting.path)}={{no such thing: [1]}}"]
    said = str(error("name: x", *overrides))
    assert dotted(setting.path) in said


# ---------------------------------------------------------------------------------------------- overrides


def test_later_overrides_win_and_sections_are_made() -> None:
    recipe = parse("train: {num_steps: 1}", "train.num_steps=2", "train.num_steps=3", "train.lora.rank=8")
    assert recipe.train.num_steps == 3
    assert recipe.train.lora is not None
    assert (recipe.train.lora.rank, recipe.train.lora.alpha) == (8, 16)
    assert parse("train: {lora: {rank: 8}}", "train.lora=").train.lora is None


def test_an_override_reaches_into_a_list() -> None:
    text = "diagnose: {dimensions: [Composition, Mechanics]}"
    assert parse(text, "diagnose.dimensions.1=Camera_Motion").diagnose.dimensions == ("Composition", "Camera_Motion")


def test_another_kind_starts_afresh_only_where_kinds_have_settings_of_their_own() -> None:
    text = "prompts: {writer: {use: sandbox, options: {detailed: 0.1}}}\nweights: {kind: raw, threshold: 0.7}"
    recipe = parse(text, "prompts.writer.kind=fixed", "prompts.writer.path=a.jsonl", "weights.kind=filter")
    assert recipe.prompts.writer == FixedWriterSpec(path="a.jsonl")
    assert recipe.weights == WeightsSpec(kind="filter", threshold=0.7)


# ---------------------------------------------------------------------------------------------- files


def test_packaged_recipes_load_by_name() -> None:
    assert {"sandbox", "tiny"} <= set(packaged_recipes())
    for name in packaged_recipes():
        assert load_recipe(name).name == name
    tiny = load_recipe("tiny")
    assert tiny.train.num_steps == 2
    assert TrainSpec().sigma_density == "logit_normal"
    assert {load_recipe(name).train.sigma_density for name in ("sandbox", "tiny")} == {"mixed"}
    assert len(tiny.diagnose.dimensions) <= 2


def test_a_file_gives_its_name_unless_it_has_one(tmp_path: Path) -> None:
    file = tmp_path / "rain.yaml"
    file.write_text(f"from: {LEAST}\nseed: 3\n", encoding="utf-8-sig")
    assert load_recipe(file) == sandbox_recipe(name="rain", seed=3)
    file.write_text(f"name: own\nfrom: {LEAST}\n")
    assert load_recipe(str(file)).name == "own"


def test_what_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x")
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\xfe")
    cases = {
        "snadbox": "did you mean sandbox?",
        str(tmp_path / "recpe.yaml"): "did you mean",
        str(tmp_path / "else" / "other.yaml"): "rushes init",
        str(tmp_path): f"name the file: {tmp_path / 'recipe.yaml'}",
        str(tmp_path / "bytes.yaml"): "UTF-8",
        "nul\0.yaml": "cannot read",
    }
    for wanted, word in cases.items():
        with pytest.raises(RecipeError) as caught:
            load_recipe(wanted)
        assert word in str(caught.value)


def test_a_pipe_is_read_but_never_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    monkeypatch.setattr("rushes.recipe.load._WRITER_S", 0.01)
    with pytest.raises(RecipeError, match="nothing is written into the pipe"):
        load_recipe(pipe)
    reader, writer = os.pipe()  # what a shell gives for <(...)
    os.write(writer, b"from: tiny\nname: piped\n")
    os.close(writer)
    assert load_recipe(f"/dev/fd/{reader}").name == "piped"
    os.close(reader)


def test_the_recipe_that_a_run_keeps_loads_as_the_same_recipe(tmp_path: Path) -> None:
    recipe = parse("name: 'yes'\ntrain: {learning_rate: 1e-5}\nbase: {model: 'a: b'}")
    with Run.open(tmp_path / "run", recipe) as run:
        assert run.header.recipe_hash == content_hash(spec_part(recipe))
    assert load_recipe(tmp_path / "run" / "recipe.yaml") == recipe


# ---------------------------------------------------------------------------------------------- template

ODD_TEXTS = [
    "",
    " ",
    "yes",
    "null",
    "1e5",
    "0x1",
    "a: b",
    "# no",
    "'q\"",
    "line\nbreak",
    "tab\t",
    "\u2028\x85\x07",
    "日本 🎬",
]


def odd_recipe(seed: int) -> Recipe:
    rng = random.Random(seed)
    text = lambda: rng.choice(ODD_TEXTS) + rng.choice(ODD_TEXTS)  # noqa: E731
    options = {text(): rng.choice([text(), rng.random(), rng.randrange(9), True]) for _ in range(3)}
    values = {
        "name": text(),
        "base": {"model": text()},
        "prompts": {"writer": {"kind": "plugin", "use": "a.b:C", "options": options}, "real": {"folder": text()}},
        "generate": {"sampler": {**GenerateSpec().sampler.model_dump(), "negative_prompt": text()}},
        "train": {"learning_rate": rng.choice([1e-5, 3e-7, 1e22, 0.1]), "lora": rng.choice([None, {"rank": 4}])},
        "judge": {"judge": {"kind": "plugin", "use": "x:Y"}},
        "diagnose": {
            "catalogue": CATALOGUE,
            "extra": [
                {
                    "name": f"D{i}",
                    "description": "d" * 60,
                    "examples": [{"prompt": "p" + text(), "questions": {"q?": "no"}}],
                }
                for i in range(3)
            ],
        },
    }
    return sandbox_recipe(**values)


@pytest.mark.parametrize(
    "recipe", [sandbox_recipe(), *(load_recipe(name) for name in packaged_recipes())], ids=lambda r: r.name
)
def test_the_template_reads_back_as_the_same_recipe(recipe: Recipe) -> None:
    assert parse(recipe_yaml(recipe)) == recipe


@pytest.mark.parametrize("seed", range(20))
def test_the_template_survives_odd_values(seed: int) -> None:
    recipe = odd_recipe(seed)
    text = recipe_yaml(recipe)
    assert parse(text) == recipe
    # Readers of YAML 1.1 see the same values.
    assert Recipe.model_validate(yaml.safe_load(text)) == recipe


def test_the_template_explains_every_setting() -> None:
    lines = recipe_yaml(sandbox_recipe()).splitlines()
    for number, line in enumerate(lines):
        is_setting = line.strip() and not line.lstrip().startswith("#")
        if is_setting and line.strip().split(":")[0] not in ("kind",):
            above = lines[number - 1].strip()
            assert above.startswith("#"), f"no explanation above {line!r}"
    assert max(map(len, lines)) <= 120
    assert any("lora: {rank: 16, alpha: 16, targets: []," in line for line in lines)


def test_types_in_words() -> None:
    words = {dotted(setting.path): setting.expected for setting in all_settings(Recipe)}
    assert words["train.batch_size"] == "a whole number >= 1"
    assert words["train.num_steps"] == "a whole number >= 1, or null"
    assert words["judge.max_unscored"] == "a number from 0 to 1"
    assert words["train.ema_decay"] == "a number >= 0 and < 1"
    assert words["prompts.screen.enabled"] == "true or false"
    assert words["diagnose.dimensions"] == "a list (text each)"
    assert words["train.lora"].endswith(", or null")
    assert words["judge.judge"].startswith("a section with kind: vlm or plugin")
    assert describe(dict[str, int]) == "a mapping (a whole number under each name)"


# ---------------------------------------------------------------------------------------------- comparing


def test_runtime_changes_nothing_that_counts() -> None:
    recipe = sandbox_recipe()
    faster = parse("name: run\nruntime: {generate_batch: 2, num_threads: 7}")
    assert content_hash(spec_part(recipe)) == content_hash(spec_part(faster))
    assert differing_paths(spec_part(recipe), spec_part(faster)) == ()
    assert spec_part(recipe) != spec_part(parse("train: {num_steps: 1}"))


def test_changed_settings_are_named_and_their_stages_known() -> None:
    old = parse("name: x")
    new = parse("name: x\ntrain: {num_steps: 1, lora: {rank: 2}}", "judge.aggregate=product")
    assert differing_paths(spec_part(old), spec_part(new)) == ("judge.aggregate", "train.lora", "train.num_steps")
    assert stage_of_path("train.num_steps") == ("train", "measure", "report")
    assert stage_of_path("judge.aggregate") == ("weigh", "train", "measure", "report")
    assert stage_of_path("judge.judge.use")[0] == "judge"
    assert stage_of_path("runtime.device") == ()
    assert stage_of_path("seed") == STAGES
    with pytest.raises(ValueError, match="got 'trian'"):
        stage_of_path("trian")


def test_another_kind_of_section_is_not_told_by_the_name_of_its_class() -> None:
    new = sandbox_recipe(judge=judge_spec(judge=VlmJudgeSpec(model=LocalModelSpec())))
    assert all("spec_name" not in path for path in differing_paths(spec_part(sandbox_recipe()), spec_part(new)))
    assert "judge.judge.kind" in differing_paths(spec_part(sandbox_recipe()), spec_part(new))


def test_every_section_knows_its_stages() -> None:
    for name in Recipe.model_fields:
        assert set(stage_of_path(name)) <= set(STAGES)
