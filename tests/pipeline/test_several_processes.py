"""A run whose training is shared by two processes, started by itself and by a launcher: the same checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rushes.cli.main import main
from rushes.pipeline import improve
from rushes.records import BlobRef
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of one process, trained."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = tiny_recipe(make_tiny_wan(folder / "model"))
    improve(recipe, folder / "one", until="train")
    return folder / "one"


def checkpoints(home: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of every round, by key: a runtime setting must not be in it."""
    with Run.view(home) as run:
        found = {}
        for record in run.checkpoints.all():
            assert isinstance(record.weights, BlobRef)
            found[record.key] = run.blobs.read_tensors(record.weights)
    assert found
    return found


def assert_same_model(one: Path, other: Path) -> None:
    first, second = checkpoints(one), checkpoints(other)
    assert set(first) == set(second)
    for key, weights in first.items():
        for name, value in weights.items():
            torch.testing.assert_close(second[key][name], value, atol=2e-4, rtol=1e-3)


@pytest.mark.slow
def test_a_run_starts_its_own_processes(one: Path, tmp_path: Path) -> None:
    arguments = ["train", str(one / "recipe.yaml"), "--home", str(tmp_path / "two"), "--num-processes", "2"]
    assert main([*arguments, "--set", "runtime.train.parallel=fsdp"]) == 0
    assert_same_model(one, tmp_path / "two")
    assert not list((tmp_path / "two" / "scratch").iterdir())


@pytest.mark.slow
def test_a_launchers_processes_share_a_run(one: Path, tmp_path: Path, root: Path) -> None:
    """By torchrun."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["-m", "rushes", "train", str(one / "recipe.yaml"), "--home", str(tmp_path / "two")]
    done = subprocess.run(
        [*launcher, "--local-addr", "127.0.0.1", *arguments], cwd=root, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert_same_model(one, tmp_path / "two")
    assert '"training_together"' in (tmp_path / "two" / "events.jsonl").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("option", "parallel"), [("--multi_gpu", "ddp"), ("--use_fsdp", "fsdp")])
def test_processes_of_accelerate_launch_share_a_run(
    option: str, parallel: str, one: Path, tmp_path: Path, root: Path
) -> None:
    """Its launcher for several GPUs, which works without any; with `--cpu` it would leave the others to MPI."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", option, "--num_processes", "2"]
    settings = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    arguments = ["-m", "rushes", "train", str(one / "recipe.yaml"), "--home", str(tmp_path / "two")]
    done = subprocess.run(
        [*launcher, *settings, *arguments],
        cwd=root,
        env={**os.environ, "HF_HOME": str(tmp_path / "no-config-of-mine")},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert_same_model(one, tmp_path / "two")
    with Run.view(tmp_path / "two") as run:
        (told,) = [event for event in run.log.read() if event["event"] == "training_together"]
    assert (told["num_processes"], told["parallel"]) == (2, parallel)
