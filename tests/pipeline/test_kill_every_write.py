"""Training of every family, killed once after each kind of write, ends with the weights of one that was left alone."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.store.check import examine
from rushes.store.run import Run
from tests.pipeline.test_families import FAMILIES, small
from tests.support.tiny_families import TINY

MAX_KILLS = 40
WITH_MASK = ("hunyuan", "ltx", "sana-video", "hunyuan-1.5", "ltx-2")
"""Families whose text is several tensors."""


class Doom:
    """Kills this process right after the first write that no life before has died of; the list of them is a file."""

    def __init__(self, deaths: Path, home: Path) -> None:
        self.deaths, self.home = deaths, home
        self.known = deaths.read_text().splitlines() if deaths.exists() else []

    def arm(self) -> None:
        """Watch every flush of a file and every rename."""
        fsync, replace = os.fsync, os.replace

        def watched_fsync(descriptor: int) -> None:
            fsync(descriptor)
            self.die_of("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))

        def watched_replace(source: Any, target: Any) -> None:
            replace(source, target)
            self.die_of("replace", str(target))

        os.fsync, os.replace = watched_fsync, watched_replace

    def die_of(self, what: str, path: str) -> None:
        name = re.sub(r"[0-9a-f]{12,64}", "#", os.path.relpath(path, self.home))
        if name.startswith(("scratch", "blobs")) and f"{what} {name}" not in self.known:
            with self.deaths.open("a") as file:
                file.write(f"{what} {name}\n")
            os.kill(os.getpid(), signal.SIGKILL)


def life(job: Callable[[], object]) -> int:
    """The exit status of a process that does the job; forked, so that it need not import anew."""
    child = os.fork()
    if child == 0:
        try:
            job()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def trained(home: Path) -> list[dict[str, Any]]:
    with Run.view(home) as run:
        return [each.content() for each in run.checkpoints.all()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ("wan-2.1", *FAMILIES))
def test_a_kill_after_any_write_of_training_changes_nothing(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    recipe = small(tiny, tiny.save(tmp_path / "model"))
    straight, killed, deaths = tmp_path / "straight", tmp_path / "killed", tmp_path / "deaths"
    improve(recipe, straight, until="judge")
    shutil.copytree(straight, killed)
    assert life(lambda: improve(recipe, straight, until="train")) == 0

    def doomed(recipe: Recipe = recipe) -> None:
        Doom(deaths, killed).arm()
        improve(recipe, killed, until="train")

    for _ in range(MAX_KILLS):
        status = life(doomed)
        assert status in (0, signal.SIGKILL), "a life must end well or by the kill"
        if status == 0:
            break
    died_of = deaths.read_text()
    assert "latents-z_0" in died_of and "text.rows.json" in died_of and "state.safetensors" in died_of
    assert ("text-mask_BL" in died_of) == (name in WITH_MASK)
    assert trained(killed) == trained(straight) != []
    assert examine(killed).findings == ()
    assert not list(killed.rglob("*.tmp"))
