"""A run whose training is shared by two processes, which it starts itself or a launcher does: the same checkpoint.

And how such a run ends before its time: by Ctrl-C, by a kill, by a mistake in the recipe; no process is left behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from rushes.cli.exits import EXIT_STOPPED, EXIT_USER_ERROR
from rushes.cli.main import main
from rushes.execute.progress import ProgressUpdate
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.records import BlobRef
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

NUM_STEPS = 60
WORKER = "rushes.train.worker"
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--local-addr", "127.0.0.1", "-m"]
MISTAKE = ["--set", "prompts.real.source=null", "--set", "prompts.real.folder=/nowhere"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    made = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    return made.model_copy(update={"train": made.train.model_copy(update={"num_steps": NUM_STEPS})})


@pytest.fixture(scope="module")
def one(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of one process, trained."""
    home = tmp_path_factory.mktemp("one") / "run"
    improve(recipe, home, until="train")
    return home


@pytest.fixture(scope="module")
def two(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two processes, which the run starts itself."""
    home = tmp_path_factory.mktemp("two") / "run"
    train = recipe.runtime.train.model_copy(update={"num_processes": 2})
    shared = recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"train": train})})
    seen: dict[int, list[str]] = {}

    def look(update: ProgressUpdate) -> None:
        if update.stage == "training steps" and update.num_done == NUM_STEPS // 2:
            seen.update({pid: listening(pid) for pid in (os.getpid(), *workers_of(os.getpid()))})

    with pytest.MonkeyPatch.context() as patched:
        # The user's own word for clusters must not lead the traffic of one machine out of it.
        names = [name for _, name in socket.if_nameindex() if not name.startswith("lo")]
        patched.setenv("GLOO_SOCKET_IFNAME", names[0] if names else "lo")
        improve(shared, home, until="train", on_progress=look)
    assert len(seen) == 3 and all(seen[pid] for pid in list(seen)[1:]), "both workers listen, for each other"
    assert {address for found in seen.values() for address in found} <= {"127.0.0.1", "::1"}
    return home


def listening(pid: int) -> list[str]:
    """Addresses that a process listens on for TCP."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(os.readlink(link))
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in sockets:
                raw = bytes.fromhex(local.split(":")[0])
                words = [raw[at : at + 4][::-1] for at in range(0, len(raw), 4)]
                found.append(socket.inet_ntop(family, b"".join(words)))
    return found


def workers_of(parent: int) -> list[int]:
    """Numbers of the processes that train for a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().split(b"\0")[2:5:2] == [WORKER.encode(), str(parent).encode()]:
                found.append(int(path.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def checkpoints(home: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of every round, by key: a runtime setting must not be in it."""
    with Run.view(home) as run:
        found = {}
        for record in run.checkpoints.all():
            assert isinstance(record.weights, BlobRef)
            found[record.key] = run.blobs.read_tensors(record.weights)
    assert found
    return found


def assert_same_model(one: Path, other: Path, *, exactly: bool = False) -> None:
    first, second = checkpoints(one), checkpoints(other)
    assert set(first) == set(second)
    for key, weights in first.items():
        for name, value in weights.items():
            if exactly:
                assert torch.equal(second[key][name], value), name
            else:
                torch.testing.assert_close(second[key][name], value, atol=2e-4, rtol=1e-3)


@contextlib.contextmanager
def started(*arguments: str, root: Path, launcher: list[str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A command of rushes, in a process group of its own, as a shell starts one."""
    command = [sys.executable, "-m", *(launcher or []), "rushes", *arguments]
    with subprocess.Popen(
        command, cwd=root, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def is_training(home: Path) -> bool:
    return any(home.glob("scratch/*/state.safetensors"))


# ---------------------------------------------------------------- the same checkpoint


@pytest.mark.slow
def test_a_run_starts_its_own_processes_which_listen_on_loopback_alone(one: Path, two: Path) -> None:
    """What they listen on is in the fixture."""
    assert_same_model(one, two)
    assert not list((two / "scratch").iterdir())


@pytest.mark.slow
def test_divided_weights_by_the_command_line(one: Path, tmp_path: Path) -> None:
    arguments = ["train", str(one / "recipe.yaml"), "--home", str(tmp_path / "two"), "--num-processes", "2"]
    assert main([*arguments, "--set", "runtime.train.parallel=fsdp"]) == 0
    assert_same_model(one, tmp_path / "two")


@pytest.mark.slow
def test_a_launchers_processes_share_a_run_of_two_rounds(one: Path, tmp_path: Path, root: Path) -> None:
    """By torchrun."""
    arguments = [str(one / "recipe.yaml"), "--set", "num_rounds=2", "--set", "train.num_steps=6"]
    assert main(["run", *arguments, "--home", str(tmp_path / "one")]) == 0
    with started("run", *arguments, "--home", str(tmp_path / "two"), root=root, launcher=TORCHRUN) as process:
        _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    # Rounding moves the clips of the second round, and so what it learns from.
    first, second = (checkpoints(tmp_path / name) for name in ("one", "two"))
    assert len(first) == len(second) == 2
    (key,) = set(first) & set(second)
    for name, value in first[key].items():
        torch.testing.assert_close(second[key][name], value, atol=2e-4, rtol=1e-3)
    events = (tmp_path / "two" / "events.jsonl").read_text(encoding="utf-8")
    assert events.count('"training_together"') == 2


@pytest.mark.slow
@pytest.mark.parametrize(("option", "parallel"), [("--multi_gpu", "ddp"), ("--use_fsdp", "fsdp")])
def test_processes_of_accelerate_launch_share_a_run(
    option: str, parallel: str, one: Path, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its launcher for several GPUs, which works without any; with `--cpu` it would leave the others to MPI."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-config-of-mine"))
    settings = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    launcher = ["accelerate.commands.launch", option, "--num_processes", "2", *settings, "-m"]
    arguments = ["train", str(one / "recipe.yaml"), "--home", str(tmp_path / "two")]
    with started(*arguments, root=root, launcher=launcher) as process:
        _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    assert_same_model(one, tmp_path / "two")
    with Run.view(tmp_path / "two") as run:
        (told,) = [event for event in run.log.read() if event["event"] == "training_together"]
    assert (told["num_processes"], told["parallel"]) == (2, parallel)


# ---------------------------------------------------------------- ends before its time


@pytest.mark.slow
def test_stopped_and_killed_and_started_again_it_makes_the_same_bytes(two: Path, tmp_path: Path, root: Path) -> None:
    home = tmp_path / "run"
    arguments = ["train", str(two / "recipe.yaml"), "--home", str(home)]
    with started(*arguments, root=root) as process:
        wait_for(lambda: is_training(home))
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
        status, errors = process.wait(30), process.stderr.read() if process.stderr else ""
        assert status == EXIT_STOPPED, errors
        assert "stopping after the current item" in errors
        assert not workers_of(process.pid)
    state = next(home.glob("scratch/*/state.safetensors"))
    before = state.read_bytes()
    with started(*arguments, root=root) as process:
        wait_for(lambda: state.read_bytes() != before)
        workers = workers_of(process.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGSTOP)  # so that the other one waits, as it would within a long step
        process.kill()
        process.wait(10)
        wait_for(lambda: not any(map(is_alive, workers)), 10)
    assert not checkpoints_of(home)
    assert main(arguments) == 0
    assert_same_model(two, home, exactly=True)


def checkpoints_of(home: Path) -> list[object]:
    with Run.view(home) as run:
        return list(run.checkpoints.all())


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_with_its_name(two: Path, tmp_path: Path, root: Path) -> None:
    """The other one, which only loses the connection, is not taken for the cause."""
    home = tmp_path / "run"
    with started("train", str(two / "recipe.yaml"), "--home", str(home), root=root) as process:
        wait_for(lambda: is_training(home))
        (second,) = [
            pid for pid in workers_of(process.pid) if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes()
        ]
        os.kill(second, signal.SIGKILL)
        process.send_signal(signal.SIGSTOP)  # a launcher that looks late finds what happened meanwhile
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == EXIT_USER_ERROR
    assert "error: process 1 of the 2 training processes ended with exit status -9: Signal 9 (SIGKILL)" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_second_ctrl_c_stops_at_once(two: Path, tmp_path: Path, root: Path) -> None:
    """While the processes still load the model: after the first one they would go on to a step."""
    with started("train", str(two / "recipe.yaml"), "--home", str(tmp_path / "run"), root=root) as process:
        wait_for(lambda: len(workers_of(process.pid)) == 2)
        workers = workers_of(process.pid)
        for _ in range(2):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.3)
        assert process.wait(30) == EXIT_STOPPED
        assert not is_training(tmp_path / "run")
        assert not any(map(is_alive, workers))


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_a_process_that_is_halted_keeps_no_stop_waiting(
    numbers: list[signal.Signals], two: Path, tmp_path: Path, root: Path
) -> None:
    """It handles nothing, and the other one waits for it in a step: neither would end by itself."""
    home = tmp_path / "run"
    arguments = ["train", str(two / "recipe.yaml"), "--home", str(home), "--set", "train.num_steps=100000"]
    with started(*arguments, root=root) as process:
        wait_for(lambda: is_training(home), 120)
        workers = workers_of(process.pid)
        os.kill(workers[-1], signal.SIGSTOP)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.3)
        assert process.wait(30) == EXIT_STOPPED
        assert not any(map(is_alive, workers))
        said = process.stderr.read() if process.stderr else ""
    assert is_training(home) and not checkpoints_of(home)
    assert ("training goes on from the last stored state" in said) == (numbers == [signal.SIGTERM])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_launcher_that_ends(number: signal.Signals, two: Path, tmp_path: Path, root: Path) -> None:
    """Asked to stop it lets the first process finish its step; killed, it takes all with it."""
    home = tmp_path / "run"
    arguments = ["train", str(two / "recipe.yaml"), "--home", str(home), "--set", "train.num_steps=100000"]
    with started(*arguments, root=root, launcher=TORCHRUN) as process:
        wait_for(lambda: is_training(home), 120)
        others = [pid for pid in children_of(process.pid) if b"rushes" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(others) == 2
        process.send_signal(number)
        process.wait(20)
        wait_for(lambda: not any(map(is_alive, others)), 10)
        said = process.stderr.read() if process.stderr else ""
    assert ("stopped after the current item" in said) == (number == signal.SIGTERM)


def children_of(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in text.split()]


@pytest.mark.slow
def test_a_mistake_under_a_launcher_is_told_at_once(one: Path, tmp_path: Path, root: Path) -> None:
    """The others wait for the first, and do not keep the launcher from ending."""
    arguments = ["train", str(one / "recipe.yaml"), "--home", str(tmp_path / "run"), *MISTAKE]
    with started(*arguments, root=root, launcher=TORCHRUN) as process:
        _, errors = process.communicate(timeout=90)
    assert process.returncode != 0
    assert "there is no folder of videos at /nowhere" in errors
    assert "forcefully" not in errors, "what the launcher says after 30 seconds in vain"


def test_variables_that_stayed_behind_do_not_wait_for_anybody(
    one: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a shell of a cluster: nobody is at that address."""
    left = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "23481"}
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    arguments = ["train", str(one / "recipe.yaml"), "--home", str(tmp_path / "run")]
    assert main([*arguments, *MISTAKE]) == EXIT_USER_ERROR
    errors = capfd.readouterr().err
    assert "ignoring RANK=0 WORLD_SIZE=2" in errors and "there is no folder of videos at /nowhere" in errors
    assert main([*arguments, "--num-processes", "2"]) == EXIT_USER_ERROR
    assert "unset RANK WORLD_SIZE" in capfd.readouterr().err
