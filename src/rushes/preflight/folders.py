"""Checks of what the recipe expects on disk: real clips, lists of prompts, a suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rushes.errors import RecipeError, UserError
from rushes.findings import Finding
from rushes.plugins import SUITE, objective_needs
from rushes.preflight.plugins import built
from rushes.prompts.caption_files import read_captions
from rushes.prompts.fixed import FixedWriter
from rushes.prompts.metadata import MetadataRow, stated_columns
from rushes.recipe.dimensions import probed
from rushes.recipe.prompts import FixedWriterSpec
from rushes.recipe.recipe import Recipe
from rushes.roles import PromptSuite


def check_real_folder(recipe: Recipe) -> Iterator[Finding]:
    """The folder of videos is there, and its table names enough files that exist; no video is opened."""
    real, setting = recipe.prompts.real, "prompts.real.folder"
    if real.folder is None or not real.num_wanted:
        return
    try:
        rows = [each for each in read_captions(Path(real.folder)) if isinstance(each, MetadataRow)]
    except UserError as error:
        yield Finding.of(setting, error)
        return
    num = sum(os.path.exists(Path(real.folder) / each.file_name) for each in rows)  # False for a name too long to exist
    if num == 0:
        yield Finding(
            setting,
            "no row of the folder's table names a file that exists",
            expected="the files' names relative to the folder",
            got=", ".join(repr(each.file_name[:80]) for each in rows[:3]) or "no rows",
            next_step="correct the names in the table, or put the videos into the folder",
        )
    elif recipe.train.num_held_out >= num:
        yield Finding(
            "train.num_held_out",
            "all real clips would be kept out of training",
            expected=f"fewer than the {num} clips of {real.folder}",
            got=repr(recipe.train.num_held_out),
            next_step=f"--set train.num_held_out={num // 4}, or add clips",
        )


def check_pairs(recipe: Recipe) -> Iterator[Finding]:
    """Real clips that are all that is trained on say which of them are better, where the objective compares them."""
    folder = recipe.prompts.real.folder
    if not recipe.prompts.only_real or folder is None:
        return
    try:
        needs, names = objective_needs(recipe.train), stated_columns(Path(folder))
    except UserError:  # see `check_plugins` and `check_real_folder`
        return
    kind = recipe.train.objective.kind
    compares = needs.unit != "clip" or {"score", "advantage", "direction"} & set(needs.columns)
    if compares and not {"score", "preferred_over"} & set(names):
        yield Finding(
            "train.objective",
            f"the objective {kind} compares videos of one caption, and the folder's table does not say which is better",
            expected=f"a column score or preferred_over in {folder}",
            got=", ".join(names) or "neither",
            next_step="add one of them, or train on all videos alike: --set 'train.objective={kind: flow}'",
        )
    if needs.judge != "none":
        yield Finding(
            "train.objective",
            f"the objective {kind} asks the judge in training, and no judge is asked where only real clips are "
            "trained on",
            next_step="--set 'train.objective={kind: flow}'",
        )


def check_fixed_prompts(recipe: Recipe) -> Iterator[Finding]:
    """The list of prompts can be read, and has some for each use."""
    writer, setting = recipe.prompts.writer, "prompts.writer.path"
    if not isinstance(writer, FixedWriterSpec):
        return
    try:
        drafts = FixedWriter.read(writer)
        names = [each.name for each in probed(recipe.diagnose)]
    except UserError as error:
        yield Finding.of(setting, error)
        return
    probes = [] if recipe.prompts.only_real else ["probe"]
    origins = [] if recipe.measure.suite is not None or not recipe.is_measured else [*probes, "held_out"]
    for origin in [*origins, *(["weakness"] if recipe.prompts.num_weakness else [])]:
        if not any(drafts.drafts.get((name, origin)) for name in names):
            yield Finding(
                setting,
                f"{writer.path} has no prompts of origin {origin!r} for any dimension of the recipe",
                expected=f'lines like {{"text": ..., "dimension": "{names[0]}", "origin": "{origin}"}}',
                got=f"prompts for {', '.join(sorted({name for name, _ in drafts.drafts}))}",
                next_step="add them to the file, or correct diagnose.dimensions",
            )


def check_suite(recipe: Recipe) -> Iterator[Finding]:
    """The suite can be read, and its prompts are for its own dimensions: another catalogue may use the same names."""
    if recipe.measure.suite is None or not recipe.is_measured:
        return
    try:
        suite: PromptSuite = built(recipe.measure.suite, SUITE, recipe, "measure.suite")
    except UserError as error:
        yield Finding.of("measure.suite", error)
        return
    if recipe.diagnose.catalogue != suite.catalogue or recipe.diagnose.extra:
        yield Finding(
            "measure.suite",
            f"measure.suite holds prompts of {suite.name} only",
            expected=f"diagnose.catalogue: {suite.catalogue}, and no diagnose.extra",
            got=repr(recipe.diagnose.catalogue),
            next_step=f"--set diagnose.catalogue={suite.catalogue} --set diagnose.extra=[], or "
            "--set measure.suite=null",
        )
        return
    try:
        for each in probed(recipe.diagnose):
            suite.prompts(each.name, 1, "probe")
    except RecipeError as error:
        yield Finding.of("measure.suite", error)
