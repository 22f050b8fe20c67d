"""Several processes: what the command line and a launcher say about them, and what each of a launcher's does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rushes.errors import RecipeError
from rushes.train.launched import launched


def sharing(num_processes: int | None) -> list[str]:
    """The settings that `--num-processes` and the environment of a launcher stand for, as `a.b=value` each.

    Raises:
        RecipeError: they name different numbers.
    """
    found = launched()
    if found is None:
        return [] if num_processes is None else [f"runtime.train.num_processes={num_processes}"]
    if num_processes not in (None, found.num_processes):
        raise RecipeError(
            "--num-processes and the launcher name different numbers of processes",
            expected=f"{found.num_processes}, as the launcher started them",
            got=num_processes,
            next_step="leave --num-processes out under accelerate launch and torchrun",
        )
    settings = [f"runtime.train.num_processes={found.num_processes}"]
    return [*settings, "runtime.train.parallel=fsdp"] if found.fsdp else settings


def helping() -> bool:
    """True where a launcher started this process as another than the first: it has then helped to the end."""
    found = launched()
    if found is None or found.rank == 0:
        return False
    from rushes.train.helper import assist_launcher

    assist_launcher(found)
    return True


@contextlib.contextmanager
def dismissing() -> Iterator[None]:
    """The work of a launcher's first process: at its end the others end too."""
    found = launched()
    try:
        yield
    finally:
        if found is not None:
            from rushes.train.team import team_of_launcher

            team_of_launcher(found).dismiss()
