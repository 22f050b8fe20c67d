"""One cost cap for all processes of a run: room is held, given back, or spent when its process was killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rushes.errors import Stopped, StoreError, heal_command
from rushes.llm.chat import ChatRequest, Message
from rushes.llm.cost import CostCapReached, CostMeter, Usage, most
from rushes.llm.ledger import Ledger
from rushes.recipe.runtime import ServerRuntime
from rushes.store.expenses import damage_of, held_path, lines_in, set_aside, write_held

PRICED = {"url": "http://localhost:1/v1", "usd_per_million_output": 1e6}


def lines(file: Path) -> list[dict[str, float]]:
    """What a ledger's lines say; the last may be in the making."""
    found = [json.loads(line) for line in lines_in(file.read_bytes()) if line] if file.exists() else []
    assert all(each.pop("crc32") for each in found)
    return found


def test_two_ledgers_of_one_file_see_each_other(tmp_path: Path) -> None:
    file = tmp_path / "cost-main.jsonl"
    one, two = Ledger(file), Ledger(file)
    held = one.take(2.0, 3.0, 60)
    assert held is not None and two.take(2.0, 3.0, 60) is None and two.spent == 0.0
    one.add(5, 1, 0.5)
    one.give_back(held)
    assert two.take(2.0, 3.0, 60) is not None and two.spent == 0.5
    assert one.take(1.0, 3.0, 60) is None, "0.5 spent and 2 held by the other"
    assert lines(file) == [{"input": 5, "output": 1, "usd": 0.5}]


def test_what_was_in_flight_when_a_process_died_is_spent_in_the_end(tmp_path: Path) -> None:
    file, now = tmp_path / "cost-main.jsonl", [1000.0]
    Ledger(file, lambda: now[0]).take(2.0, 3.0, 60)  # and its process is killed
    after = Ledger(file, lambda: now[0])
    assert after.take(2.0, 3.0, 60) is None and after.spent == 0.0
    now[0] += 61
    assert after.take(2.0, 3.0, 60) is None and after.spent == 2.0
    assert lines(file) == [{"input": 0, "output": 0, "usd": 2.0, "unfinished": True}]
    assert after.take(1.0, 3.0, 60) is not None


def test_room_that_was_given_up_may_still_be_given_back(tmp_path: Path) -> None:
    now = [0.0]
    ledger = Ledger(tmp_path / "cost-main.jsonl", lambda: now[0])
    slow = ledger.take(1.0, 3.0, 10)
    now[0] = 11
    assert slow is not None and ledger.take(1.0, 3.0, 10) is not None and ledger.spent == 1.0
    ledger.give_back(slow)
    assert ledger.spent == 1.0


def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "cost-main.jsonl"
    Ledger(file).add(1, 1, 0.25)
    whole = file.read_bytes()
    for num in range(len(whole)):
        file.write_bytes(whole + whole[:num])
        ledger = Ledger(file)
        ledger.add(2, 2, 0.5)
        num_whole = 2 if num == len(whole) - 1 else 1  # only its line break is lost
        assert [line["usd"] for line in lines(file)] == [0.25] * num_whole + [0.5]
        assert ledger.spent == Ledger(file).spent == 0.25 * num_whole + 0.5


def test_a_change_of_any_byte_is_told(tmp_path: Path) -> None:
    file = tmp_path / "cost-main.jsonl"
    Ledger(file).add(1, 1, 0.25)
    Ledger(file).add(1, 1, 0.5)
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StoreError, match="is damaged, so the amount spent is unknown"):
            Ledger(file)


@pytest.mark.parametrize(
    "data", [b"\0" * 300, b'{"input": 1, "output": 1, "usd": NaN}\n', b'{"input": 1, "usd": 0.5}\n']
)
def test_what_is_no_beginning_of_a_line_is_damage_and_not_cut_off(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "cost-main.jsonl").write_bytes(data)
    with pytest.raises(StoreError, match="is damaged"):
        Ledger(tmp_path / "cost-main.jsonl")


def test_lines_and_reservations_of_older_versions_are_read(tmp_path: Path) -> None:
    file = tmp_path / "cost-main.jsonl"
    file.write_text('{"input": 1, "output": 1, "usd": 0.25}\n{"input": 0, "output": 0, "usd": 1, "unfinished": true}\n')
    held_path(file).write_text(json.dumps({"ab" * 16: [0.5, 1e12]}))
    ledger = Ledger(file)
    assert ledger.take(0.5, 2.0, 60) is None and ledger.spent == 1.25
    assert ledger.take(0.25, 2.0, 60) is not None


def test_after_damage_is_set_aside_the_sum_is_a_lower_bound(tmp_path: Path) -> None:
    file = tmp_path / "cost-main.jsonl"
    for usd in (0.25, 0.5, 0.125):
        Ledger(file).add(1, 1, usd)
    other = Ledger(file)
    file.write_bytes(file.read_bytes().replace(b"0.5,", b"0.1,"))
    assert damage_of(file) == "1 of 3 lines altered: at least 0.3750 US dollars are spent"
    set_aside(file)
    assert damage_of(file) is None and b"0.1," in file.with_suffix(".damaged").read_bytes()
    other.add(1, 1, 1.0)  # of a process that has read the file before
    ledger = Ledger(file)
    assert (ledger.spent, ledger.num_unknown) == (other.spent, other.num_unknown) == (1.375, 1)
    with pytest.warns(UserWarning, match=r"at least 1\.3750 US dollars"):
        meter = CostMeter("main", ServerRuntime.model_validate(PRICED | {"max_cost_usd": 1.5}), file)
    with pytest.raises(CostCapReached, match=r"at least 1\.3750 of 1\.5000"):
        meter._take(1.0, 1.5)


def test_damaged_reservations_may_have_been_spent(tmp_path: Path) -> None:
    file = tmp_path / "cost-main.jsonl"
    Ledger(file).take(0.25, 3.0, 60)
    held = held_path(file)
    held.write_bytes(held.read_bytes().replace(b"0.25", b"0.15"))
    with pytest.raises(StoreError, match="cost in flight is unknown"):
        Ledger(file).take(1.0, 2.0, 60)
    set_aside(held)
    ledger = Ledger(file)
    assert ledger.take(3.0, 3.0, 60) is not None and ledger.num_unknown == 1


def test_the_error_names_the_command_that_heals(tmp_path: Path) -> None:
    file = tmp_path / "home" / "llm" / "cost-main.jsonl"
    Ledger(file).add(1, 1, 0.25)
    (tmp_path / "home" / "header.json").touch()
    file.write_bytes(file.read_bytes().replace(b"0.25", b"0.15"))
    with pytest.raises(StoreError) as caught:
        Ledger(file)
    assert caught.value.next_step == heal_command(str(tmp_path / "home"))


def test_a_stop_ends_the_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ServerRuntime.model_validate(PRICED | {"max_cost_usd": 3.0})
    meter = CostMeter("main", server, tmp_path / "cost-main.jsonl")
    Ledger(tmp_path / "cost-main.jsonl").take(2.0, 3.0, 1e6)
    monkeypatch.setattr("rushes.llm.cost.is_stopping", lambda: True)

    async def wait() -> None:
        async with meter.room_for(ChatRequest((Message("user", "hi"),), max_tokens=2)):
            pass

    with pytest.raises(Stopped):
        asyncio.run(asyncio.wait_for(wait(), 10))


def test_a_deleted_file_counts_from_zero(tmp_path: Path) -> None:
    file = tmp_path / "cost-main.jsonl"
    ledger = Ledger(file)
    ledger.add(1, 1, 0.25)
    file.unlink()
    ledger.add(1, 1, 0.5)
    assert ledger.spent == 0.5 and len(lines(file)) == 1


def test_in_memory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(None)
    held = ledger.take(1.0, 1.5, 60)
    assert held is not None and ledger.take(1.0, 1.5, 60) is None
    ledger.give_back(held)
    ledger.add(1, 1, 1.0)
    assert ledger.take(1.0, 1.5, 60) is None and ledger.spent == 1.0 and not list(tmp_path.iterdir())


WORKER = """
import asyncio, sys, time
from pathlib import Path
from rushes.llm.chat import ChatRequest, Message
from rushes.llm.cost import CostCapReached, CostMeter, Usage
from rushes.recipe.runtime import ServerRuntime

folder, mode = Path(sys.argv[1]), sys.argv[2]
server = ServerRuntime(url="http://localhost:1/v1", usd_per_million_output=1e6, max_cost_usd=20.0)
meter = CostMeter("main", server, folder / "cost-main.jsonl")
request = ChatRequest((Message("user", "hi"),), max_tokens=2)
print("ready", flush=True)
while not (folder / "go").exists():
    time.sleep(0.005)
sent = 0

async def work():
    global sent
    while True:
        async with meter.room_for(request):
            sent += 1
            if mode == "hang":
                print("holding", flush=True)
                time.sleep(600)
            time.sleep(0.002)
            meter.record(Usage(0, 1 + sent % 2))

try:
    asyncio.run(work())
except CostCapReached:
    print(sent, flush=True)
"""


def worker(folder: Path, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), mode], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_and_a_killed_one_stay_under_one_cap(tmp_path: Path) -> None:
    workers = [worker(tmp_path, "work"), worker(tmp_path, "work"), worker(tmp_path, "hang")]
    try:
        assert [said(each) for each in workers] == ["ready"] * 3
        (tmp_path / "go").touch()
        assert said(workers[2]) == "holding"
        workers[2].send_signal(signal.SIGKILL)
        # The other two stop short of what the killed one may have cost, until its time is over.
        held_file = tmp_path / "cost-main.held.json"
        deadline = time.monotonic() + 60
        while sum(line["usd"] for line in lines(tmp_path / "cost-main.jsonl")) < 17 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert workers[0].poll() is None and workers[1].poll() is None
        while time.monotonic() < deadline and len(json.loads(held_file.read_text())["held"]) > 1:
            time.sleep(0.05)
        aged = {name: (usd, 0.0) for name, (usd, _) in json.loads(held_file.read_text())["held"].items()}
        write_held(tmp_path / "aged", aged)
        os.replace(tmp_path / "aged", held_file)
        counts = [int(said(each)) for each in workers[:2]]
    finally:
        for each in workers:
            each.kill()
            each.communicate()
    found = lines(tmp_path / "cost-main.jsonl")
    assert sum(line["usd"] for line in found) <= 20.0
    assert sum(line["usd"] for line in found) > 18.0, "what is left is less than one request may cost"
    assert len([line for line in found if "unfinished" not in line]) == sum(counts) and min(counts) > 0
    assert [line["usd"] for line in found if "unfinished" in line] == [2.0]


def test_the_error_says_what_all_processes_spent(tmp_path: Path) -> None:
    server = ServerRuntime.model_validate(PRICED | {"max_cost_usd": 3.0})
    one, two = (CostMeter("main", server, tmp_path / "cost-main.jsonl") for _ in range(2))
    request = ChatRequest((Message("user", "hi"),), max_tokens=2)
    assert one.price(most(request)) == 2.0

    async def spend(meter: CostMeter) -> None:
        async with meter.room_for(request):
            meter.record(Usage(0, 2))

    asyncio.run(spend(one))
    with pytest.raises(CostCapReached, match=r"2\.0000 of 3\.0000"):
        asyncio.run(spend(two))
