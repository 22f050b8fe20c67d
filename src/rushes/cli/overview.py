"""Commands that only print information: `status`, `doctor`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.cli.show import Column, say, show_json, show_table, time_text
from rushes.execute.progress import duration_text

if TYPE_CHECKING:
    from rushes.plan.status import RunStatus, StageStatus


# ---------------------------------------------------------------------------------------------- status


def show_status(home: Path, *, as_json: bool) -> None:
    """Print the progress of a run."""
    from rushes.cli.watched import read_watch, show_watch, watch_json
    from rushes.plan.status import read_status

    status, watched = read_status(home), read_watch(home)
    if as_json:
        show_json({**status.as_json(), "watch": watch_json(watched)})
        return
    say(_headline(status))
    columns = [Column("stage"), *(Column(title, "right") for title in ("done", "left", "failed", "time", "to go"))]
    rows = [
        (
            stage.stage,
            _of_total(stage),
            "?" if stage.num_left is None else f"{'' if stage.is_total_exact else '<= '}{stage.num_left}",
            str(stage.num_failed or ""),
            "-" if stage.seconds is None else duration_text(stage.seconds),
            time_text(stage.left_s),
        )
        for stage in status.stages
    ]
    total = ("all", "", "", "", duration_text(status.seconds), time_text(status.left_s))
    show_table(columns, [*rows, total], total=True)
    show_watch(watched)
    for failed in status.failures:
        say(failed)
    if status.last_failure is not None and status.state != "finished":
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
