"""Checks that the optional packages which a recipe needs are installed; they are located, not imported."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from rushes.findings import Finding
from rushes.llm.http import INSTALL as OPENAI_INSTALL
from rushes.preflight.servers import asked_of_servers
from rushes.recipe.recipe import Recipe
from rushes.train.optimizer import INSTALL as BITSANDBYTES_INSTALL
from rushes.train.tracker import install_tracker


def check_packages(recipe: Recipe) -> Iterator[Finding]:
    """The tracker, the 8-bit optimiser, Ray, and the client of servers."""
    tracker = recipe.runtime.train.tracker
    if tracker != "none":
        step = f"{install_tracker(tracker)}, or --set runtime.train.tracker=none"
        yield from _missing("runtime.train.tracker", tracker, tracker, step)
    if recipe.train.optimizer == "adamw_8bit":
        step = f"{BITSANDBYTES_INSTALL}, or --set train.optimizer=adamw"
        yield from _missing("train.optimizer", "adamw_8bit", "bitsandbytes", step)
    if recipe.runtime.executor == "ray":
        step = "pip install -c constraints.txt 'rushes[ray]', or --set runtime.executor=local"
        yield from _missing("runtime.executor", "ray", "ray", step)
    if asked_of_servers(recipe):
        yield from _missing("runtime.servers", "a model on a server", "openai", OPENAI_INSTALL)


def _missing(setting: str, what: str, package: str, step: str) -> Iterator[Finding]:
    if find_spec(package) is None:
        yield Finding(
            setting,
            f"{what} needs the package {package}, which is not installed",
            expected=f"{package} in this environment",
            next_step=step,
        )
