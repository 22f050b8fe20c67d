"""Every check, in the order in which findings are shown. Each is a function of the recipe that returns findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from rushes.findings import Finding, Unready
from rushes.preflight.device import (
    check_attention,
    check_executor,
    check_gpus,
    check_optimizer,
    check_runtime_device,
)
from rushes.preflight.folders import check_fixed_prompts, check_pairs, check_real_folder, check_suite
from rushes.preflight.generating import (
    check_generating_latents,
    check_generating_lora,
    check_generating_lora_on_hub,
    check_generating_model,
    check_off_policy,
)
from rushes.preflight.judges import check_dimensions_of_judges, check_independence, check_scales, check_uses_of_scores
from rushes.preflight.local_models import check_judge_pixels, check_local_models, check_model_configs
from rushes.preflight.measured import check_coverage, check_measurement, check_questions, check_training_clips
from rushes.preflight.model import (
    check_adapter,
    check_base_model,
    check_experts,
    check_family,
    check_samplers,
    check_shapes,
    check_text_length,
)
from rushes.preflight.packages import check_packages
from rushes.preflight.plugins import check_builds, check_judge_gradient, check_plugin_findings, check_plugins
from rushes.preflight.resources import check_disk, check_memory
from rushes.preflight.servers import check_servers
from rushes.preflight.texts import check_captions
from rushes.recipe.recipe import Recipe

Check = Callable[[Recipe], Iterable[Finding]]

OF_RECIPE: Final[tuple[Check, ...]] = (
    check_plugins,
    check_family,
    check_shapes,
    check_samplers,
    check_text_length,
    check_experts,
    check_off_policy,
    check_training_clips,
    check_questions,
    check_coverage,
    check_measurement,
    check_judge_gradient,
    check_dimensions_of_judges,
    check_scales,
    check_uses_of_scores,
    check_independence,
)
"""What is wrong on every machine."""

OF_MACHINE: Final[tuple[Check, ...]] = (
    check_runtime_device,
    check_gpus,
    check_optimizer,
    check_attention,
    check_executor,
    check_packages,
    check_local_models,
    check_generating_lora,
    check_generating_latents,
    check_real_folder,
    check_pairs,
    check_fixed_prompts,
    check_suite,
    check_plugin_findings,
    check_servers,
    check_memory,
)
"""What is wrong on this machine: other files, packages, servers or GPUs would mend it."""


FETCHED: Final[tuple[Check, ...]] = (
    check_base_model,
    check_adapter,
    check_generating_model,
    check_generating_lora_on_hub,
    check_model_configs,
    check_judge_pixels,
    check_captions,
)
"""What may ask the Hub for a small file."""


def check(recipe: Recipe, home: Path | None = None) -> tuple[Finding, ...]:
    """Check all that can be known before a run begins or continues.

    Args:
        recipe: the resolved recipe.
        home: the run folder, whose disk must have room; None checks no disk.

    Returns:
        The warnings: what may go wrong, or make the result worse.

    Raises:
        Unready: the run would fail; the error has every reason at once.
    """
    return found([*found_in_recipe(recipe), *found_on_machine(recipe, home)])


def found(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The warnings among findings.

    Raises:
        Unready: some are more than warnings; the error has all of those.
    """
    if certain := [each for each in findings if each.is_certain]:
        raise Unready(certain)
    return tuple(findings)


def found_in_recipe(recipe: Recipe) -> tuple[Finding, ...]:
    """What is wrong with the recipe itself, wherever it runs; no network is used."""
    return _all(OF_RECIPE, recipe)


def found_on_machine(recipe: Recipe, home: Path | None = None, *, fetch: bool = True) -> tuple[Finding, ...]:
    """What this machine, its files or its servers lack. In a resumed run a server may no longer be needed: a warning.

    Args:
        recipe: the resolved recipe.
        home: see `check`.
        fetch: True also asks the Hub for a model that is not on this machine yet.
    """
    disk: tuple[Check, ...] = () if home is None else (partial(check_disk, home=home),)
    findings = _all((*(FETCHED if fetch else ()), *OF_MACHINE, *disk), recipe)
    findings += tuple(check_builds(recipe, findings))
    if home is None or not (home / "header.json").exists():
        return findings
    return tuple(
        replace(each, is_certain=False) if each.setting.startswith("runtime.servers") else each for each in findings
    )


def _all(checks: Sequence[Check], recipe: Recipe) -> tuple[Finding, ...]:
    """The findings of all checks, each once."""
    return tuple(dict.fromkeys(finding for each in checks for finding in each(recipe)))
