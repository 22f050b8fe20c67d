"""Commands that only print information: `status`, `plan`, `doctor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.cli.show import Column, bytes_text, say, show_json, show_table
from rushes.execute.progress import duration_text

if TYPE_CHECKING:
    from rushes.plan.plan import StagePlan
    from rushes.plan.prices import Prices
    from rushes.plan.status import RunStatus, StageStatus
    from rushes.recipe.recipe import Recipe


def _time_text(seconds: float | None) -> str:
    return "?" if seconds is None else duration_text(seconds)


# ---------------------------------------------------------------------------------------------- status


def show_status(home: Path, *, as_json: bool) -> None:
    """Print the progress of a run."""
    from rushes.plan.status import read_status

    status = read_status(home)
    if as_json:
        show_json(status.as_json())
        return
    say(_headline(status))
    columns = [Column("stage"), *(Column(title, "right") for title in ("done", "left", "failed", "time", "to go"))]
    rows = [
        (
            stage.stage,
            _of_total(stage),
            "?" if stage.num_left is None else f"{'' if stage.is_total_exact else '<= '}{stage.num_left}",
            str(stage.num_failed or ""),
            duration_text(stage.seconds),
            _time_text(stage.left_s),
        )
        for stage in status.stages
    ]
    total = ("all", "", "", "", duration_text(status.seconds), _time_text(status.left_s))
    show_table(columns, [*rows, total], total=True)
    if status.last_failure is not None:
        say(f"last failure: {status.last_failure}")


def _of_total(stage: StageStatus) -> str:
    if stage.num_total is None:
        return str(stage.num_done)
    return f"{stage.num_done}/{'' if stage.is_total_exact else '<='}{stage.num_total}"


def _headline(status: RunStatus) -> str:
    doing = {
        "finished": "finished",
        "running": f"running (pid {status.pid})",
        "stopped": "not running; the same command resumes it",
    }[status.state]
    begun = f"started {status.started_at:%Y-%m-%d %H:%M} UTC with rushes {status.rushes_version}"
    if status.last_event_at is None:
        return f"{status.name} in {status.home}: {doing}; {begun}"
    ago = duration_text(max(0.0, (datetime.now(UTC) - status.last_event_at).total_seconds()))
    return f"{status.name} in {status.home}: {doing}; {begun}; last activity {ago} ago"


# ---------------------------------------------------------------------------------------------- plan


def show_plan(
    recipe_name: str,
    overrides: Sequence[str],
    homes: Sequence[Path],
    *,
    calibrate: Callable[[Recipe], Prices] | None = None,
    gpus: Sequence[str] = (),
    as_json: bool = False,
) -> None:
    """Print items, time, disk and memory per stage.

    Args:
        recipe_name: a file or a packaged recipe.
        overrides: `a.b=value` each.
        homes: runs to take the pace from; empty for all in `runs/`.
        calibrate: times a small batch of each kind of work for which no run gives the pace; None leaves it unknown.
        gpus: GPUs by name, for an estimate from arithmetic. A known real model gets this estimate anyway if no run
            gives the pace, since a trial would download the model.
        as_json: print JSON for programs.
    """
    from rushes.plan.measured import earlier_runs, measured_prices
    from rushes.plan.models import real_model
    from rushes.plan.plan import make_plan
    from rushes.plan.prices import unknown_kinds
    from rushes.recipe.load import load_recipe

    recipe = load_recipe(recipe_name, overrides)
    is_real = real_model(recipe) is not None
    earlier = measured_prices(recipe, homes, earlier_runs(Path("runs")), None if is_real or gpus else calibrate)
    is_limited = recipe.budget.gpu_hours is not None
    if gpus or is_limited or (is_real and unknown_kinds(recipe, earlier.prices)):
        from rushes.cli.gpu_plan import show_gpu_plan

        show_gpu_plan(recipe, gpus, as_json=as_json)
        return
    plan = make_plan(recipe, earlier.prices)
    if as_json:
        show_json([stage.as_json() for stage in plan])
        return
    _show_plan(plan)
    for reason in earlier.skipped:
        say(f"not used: {reason}")


def _show_plan(plan: Sequence[StagePlan]) -> None:
    from rushes.plan.plan import total_seconds

    seconds, all_known = total_seconds(plan)
    sizes = [stage.num_bytes for stage in plan]
    peaks = [stage.peak_bytes for stage in plan]
    known_peaks = [peak for peak in peaks if peak is not None]
    disk = bytes_text(sum(size for size in sizes if size is not None))
    rows = [
        (
            stage.stage,
            f"{stage.num_items}",
            stage.items,
            _time_text(stage.seconds),
            bytes_text(stage.num_bytes),
            bytes_text(stage.peak_bytes),
            stage.source,
        )
        for stage in plan
    ]
    total = (
        "all",
        "",
        "",
        f"{'' if all_known else 'over '}{duration_text(seconds)}" if seconds or all_known else "?",
        f"{'over ' if None in sizes else ''}{disk}",
        f"{'over ' if None in peaks else ''}{bytes_text(max(known_peaks))}" if known_peaks else "?",
        "",
    )
    columns = [
        Column("stage"),
        Column("items", "right"),
        Column(""),
        Column("time", "right"),
        Column("disk", "right"),
        Column("memory", "right"),
        Column("the time is from"),
    ]
    show_table(columns, [*rows, total], total=True)


# ---------------------------------------------------------------------------------------------- doctor


def show_checks(home: Path, *, as_json: bool) -> bool:
    """Print the findings of `rushes.doctor.examine`; True when nothing is missing."""
    from rushes.doctor import examine

    checks = examine(home)
    is_fine = all(check.status != "missing" for check in checks)
    if as_json:
        show_json([asdict(check) for check in checks])
        return is_fine
    show_table(
        [Column("what"), Column(""), Column("found")],
        [(check.name, check.status, check.found) for check in checks],
        styles={"missing": "red", "warning": "yellow", "ok": "green"},
    )
    todo = [(check.name, check.fix) for check in checks if check.fix]
    for name, fix in todo:
        say(f"{name}: {fix}")
    say("nothing that Rushes needs is missing" if is_fine else "something Rushes needs is missing: see the lines above")
    return is_fine
