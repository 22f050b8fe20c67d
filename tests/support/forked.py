"""The processes of `rushes.train.launch`, forked from a server that has imported everything: each starts at once.

It is torch's own launcher all the same, with another way to start a process.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft.tuners.lora  # noqa: F401 - this and all below is for the server to have imported
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import tests.support.tiny_wan  # noqa: F401
from rushes.train import launch
from rushes.train.worker import work


def forking(monkeypatch: Any) -> None:
    """Let `train_in_processes` fork its processes while a test runs."""
    multiprocessing.set_forkserver_preload([__name__])
    monkeypatch.setattr(launch, "elastic_launch", _launcher)


def pid_of(scratch: Path, rank: int) -> int:
    """The number of a process that is at work."""
    return int((scratch / launch.LOGS / f"pid-{rank}").read_text())


def _launcher(config: LaunchConfig, _: str) -> Callable[..., object]:
    return elastic_launch(replace(config, start_method="forkserver", monitor_interval=0.05), _process)


def _process(_: str, module: str, folder: str, parent: int) -> None:
    """What `python -m module folder parent` does; for tests it leaves its number beside its logs."""
    assert module == work.__module__
    logs = Path(os.environ["TORCHELASTIC_ERROR_FILE"]).parents[3]
    (logs / f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    work(Path(folder))
