"""Checks that there will be something to train on, questions to answer, and dimensions that can be measured."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Final

from rushes.dimensions.catalogue import Dimension
from rushes.errors import UserError
from rushes.findings import Covers, Finding, OfSuite
from rushes.plan.detectable import detectable
from rushes.preflight.plugins import usable
from rushes.recipe.dimensions import known, probed
from rushes.recipe.measure import MeasureSpec
from rushes.recipe.models import LlmWriterSpec, VlmJudgeSpec, VlmMeasurerSpec
from rushes.recipe.prompts import FixedWriterSpec
from rushes.recipe.recipe import Recipe

_SHOWN: Final = 3
USUAL: Final = MeasureSpec.model_fields["num_prompts"].default
"""Prompts of a dimension in a recipe that says nothing else."""


def check_training_clips(recipe: Recipe) -> Iterator[Finding]:
    """Some clips are generated for training."""
    if recipe.prompts.num_weakness + recipe.prompts.num_caption == 0 and not recipe.prompts.only_real:
        yield Finding(
            "prompts.num_weakness",
            "no clips would be generated and there are no real ones, so there is nothing to train on",
            expected="prompts.num_weakness or prompts.num_caption above 0, or a folder in prompts.real.folder",
            got="0 and 0",
            next_step="--set prompts.num_weakness=192",
        )
    elif recipe.prompts.num_weakness == 0 and recipe.prompts.real.num_wanted == 0:
        yield Finding(
            "prompts.num_caption",
            "there are no real clips whose captions could be prompts, so there is nothing to train on",
            expected="prompts.real.folder or prompts.real.source, or prompts.num_weakness above 0",
            next_step="name prompts.real.folder, or --set prompts.num_weakness=192",
        )


def check_measurement(recipe: Recipe) -> Iterator[Finding]:
    """The final comparison, if there is one, has prompts enough to show any gain at all."""
    try:
        rows = detectable(recipe)
    except UserError:  # see `check_coverage`
        return
    if not rows:
        return
    whole = rows[0]
    if whole.gain is None:
        yield Finding(
            "measure.num_prompts",
            f"{whole.num_prompts} held-out prompts are no measurement: no gain in {whole.what} could pass the test",
            expected=f"{whole.fewest} at the very least; rushes plan shows what a number of prompts can see",
            got=repr(whole.num_prompts),
            next_step=f"--set measure.num_prompts={USUAL}",
            is_certain=False,
        )


def check_questions(recipe: Recipe) -> Iterator[Finding]:
    """A judge or measurer of questions gets some: a language model writes prompts without questions."""
    writer = recipe.prompts.writer
    if not isinstance(writer, LlmWriterSpec) or recipe.prompts.questions is not None:
        return
    judged = recipe.generate.decode and recipe.weights.kind != "uniform" and not recipe.prompts.only_real
    for setting, judge in recipe.judge.named.items():
        if judged and isinstance(judge, VlmJudgeSpec):
            yield _no_questions(writer, setting, "the judge scores no clip")
    is_asked = recipe.is_measured and isinstance(recipe.measure.measurer, VlmMeasurerSpec)
    if recipe.measure.suite is None and is_asked:
        yield _no_questions(writer, "measure.measurer", "the measurer measures no clip")


def _no_questions(writer: LlmWriterSpec, setting: str, problem: str) -> Finding:
    model = {"kind": writer.model.kind, **writer.model.model_dump(mode="json", exclude_defaults=True)}
    like_writer = json.dumps({"kind": "llm", "model": model})
    return Finding(
        setting,
        f"{problem}: it answers questions, and nothing writes them for the prompts of prompts.writer",
        expected="prompts.questions: {kind: llm, model: ...}",
        got="None",
        next_step=f"--set {shlex.quote(f'prompts.questions={like_writer}')}, or another model there",
    )


def check_coverage(recipe: Recipe) -> Iterator[Finding]:
    """The measurer can measure the dimensions to aim at: those named as the focus, or some of those that are probed."""
    try:
        dimensions = known(recipe.diagnose)
        aimed = [each.name for each in probed(recipe.diagnose)]
    except UserError as error:
        yield Finding.of("diagnose", error)
        return
    if not recipe.is_measured:
        return
    yield from _diversity(recipe, dimensions)
    spec = dict(usable(recipe)).get("measure.measurer")
    if isinstance(spec, OfSuite) and recipe.measure.suite is None:
        yield _no_suite(recipe, spec)
    if not isinstance(spec, Covers):
        return
    lost = spec.unmeasured(aimed)
    left = [name for name in recipe.diagnose.focus if name not in lost]
    for name in recipe.diagnose.focus:
        if name in lost:
            yield Finding(
                "measure.measurer",
                f"the measurer cannot measure {name}, which diagnose.focus aims at",
                expected=f"a measurer of {name}",
                got=lost[name],
                next_step=f"give the measurer what it needs, or {_setting('diagnose.focus', left)}",
            )
    if lost and not recipe.diagnose.focus:
        yield _not_covered(aimed, dict(lost))


def _setting(path: str, names: list[str]) -> str:
    return f"--set {shlex.quote(f'{path}={json.dumps(names)}')}"


def _no_suite(recipe: Recipe, spec: OfSuite) -> Finding:
    return Finding(
        "measure.suite",
        "the measurer scores only clips of its suite's own prompts, and prompts.writer writes the held-out ones",
        expected="the suite of the measurer",
        got="None",
        next_step=f"--set {shlex.quote(f'measure.suite={spec.suite_setting}')}",
        is_certain=not isinstance(recipe.prompts.writer, FixedWriterSpec),
    )


def _not_covered(aimed: list[str], lost: dict[str, str]) -> Finding:
    names = [name for name in aimed if name in lost]
    left = [name for name in aimed if name not in lost]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Finding(
        "measure.measurer",
        f"the measurer cannot measure {len(names)} of the {len(aimed)} dimensions that are probed: their clips are "
        "generated for nothing",
        expected=f"a measurer of {', '.join(names[:_SHOWN])}{more}",
        got=lost[names[0]],
        next_step=f"give the measurer what it needs, or {_setting('diagnose.dimensions', left)}"
        if left
        else "give the measurer what it needs: without it no dimension can be chosen",
        is_certain=not left,
    )


def _diversity(recipe: Recipe, dimensions: tuple[Dimension, ...]) -> Iterator[Finding]:
    groups = [each.name for each in dimensions if each.group]
    measure = recipe.measure
    asked = measure.num_diversity_prompts and not measure.only_focus
    if groups and asked and isinstance(measure.measurer, VlmMeasurerSpec):
        yield Finding(
            "measure.num_diversity_prompts",
            f"yes/no questions about one clip cannot compare takes, so {', '.join(groups)} is generated for nothing",
            expected="0 with this measurer",
            got=repr(measure.num_diversity_prompts),
            next_step="--set measure.num_diversity_prompts=0",
            is_certain=False,
        )
