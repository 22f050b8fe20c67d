"""Judges over reward servers: every fault of a server is told, costs one clip at most, and never becomes a number."""

from __future__ import annotations

import math
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import RecipeError, Stopped
from rushes.execute.batch import batch_or_alone
from rushes.feedback import GivenPreference, PreferenceRequest, ScaleValue, ScoreJudge, ScoreRequest, scales_of
from rushes.judge.reward_server import RewardServerError
from rushes.judge.served import ServedJudgeSpec, ServedPairsSpec
from rushes.plugins import JUDGE, name_of
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Failed, Spec, Video
from rushes.store.identity import canonical_json
from rushes.store.video import read_video
from tests.support import odd_reward
from tests.support.gone import are_gone, is_alive

SCRIPT = odd_reward.__file__
VIDEO = Video(np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), np.uint8), 8.0)
SPEC = ServedJudgeSpec.model_validate(
    {"server": "fake", "model": "fake/one@1", "scales": {"VQ": "deviations", "TA": {"unit": "points of 5"}}}
)


def runtime(mode: str, file: Path | None = None, **limits: object) -> RuntimeSpec:
    command = shlex.join([sys.executable, SCRIPT, mode, *([str(file)] if file else [])])
    return RuntimeSpec.model_validate({"rewards": {"fake": {"command": command, "start_s": 20, **limits}}})


def requests(*texts: str) -> list[ScoreRequest]:
    return [ScoreRequest(VIDEO, text, "Mechanics") for text in texts]


def judge(mode: str, file: Path | None = None, **limits: object) -> ScoreJudge:
    return SPEC.build(runtime(mode, file, **limits))


def test_values_come_on_the_scales_of_the_recipe() -> None:
    found = list(judge("long").score(requests("a", "b")))
    assert found == [(ScaleValue("VQ", 1.0), ScaleValue("TA", 2.0))] * 2
    assert [each.unit for each in scales_of(SPEC)] == ["deviations", "points of 5"]


def test_a_server_gets_the_pixels_the_words_and_the_rate(tmp_path: Path) -> None:
    script = tmp_path / "looks.py"
    script.write_text(
        f"""
import hashlib, json, sys
sys.path.insert(0, {str(Path(SCRIPT).parents[2] / "src")!r})
from pathlib import Path
from rushes.store.video import read_video
for line in sys.stdin:
    asked = json.loads(line)
    if asked["ask"] == "hello":
        print(json.dumps(dict(protocol="rushes-reward-1", model="fake/one@1", scales=["VQ", "TA"])), flush=True)
        continue
    clip = asked["clip"]
    video = read_video(Path(clip["path"]))
    assert video.fps == clip["fps"] == 8.0 and clip["num_frames"] == 5
    assert asked["text"] == "d\\u00e9j\\u00e0 vu" and asked["dimension"] == "Mechanics"
    total = int(video.frames_THWC.sum())
    print(json.dumps(dict(id=asked["id"], values=dict(VQ=total, TA=0))), flush=True)
""",
        encoding="utf-8",
    )
    words = f"{sys.executable} {script}"
    server = SPEC.build(RuntimeSpec.model_validate({"rewards": {"fake": {"command": words}}}))
    (found,) = server.score(requests("d\u00e9j\u00e0 vu"))
    assert not isinstance(found, Failed) and found[0].value == int(VIDEO.frames_THWC.sum()), "lossless"


FIRST_IS_LOST = {
    "dies": "it died (SIGKILL); its last words: CUDA out of memory",
    "garbage": "got 'Loading checkpoint shards: 100%': a server writes nothing but replies",
    "huge": "its reply is longer than 1 MiB",
    "hangs": "no reply within 0.5 s",
    "late": "it wrote more than one line as a reply",
}


@pytest.mark.parametrize("mode", FIRST_IS_LOST)
def test_a_fault_costs_one_clip_and_the_server_is_started_again(mode: str, tmp_path: Path) -> None:
    limits = {"timeout_s": 0.5} if mode == "hangs" else {}
    first, second, third = judge(mode, tmp_path / "was here", **limits).score(requests("aa", "bbb", "cccc"))
    assert isinstance(first, Failed) and first.retry == "counted" and FIRST_IS_LOST[mode] in first.message
    assert second == (ScaleValue("VQ", 0.3), ScaleValue("TA", -1.5)), "the next clip is judged as if nothing had been"
    assert third == (ScaleValue("VQ", 0.4), ScaleValue("TA", -1.5))


def test_a_flood_of_warnings_blocks_nothing() -> None:
    assert len([each for each in judge("flood").score(requests("a", "b")) if not isinstance(each, Failed)]) == 2


def test_a_server_that_always_dies_ends_the_run_and_what_came_before_is_kept() -> None:
    given = batch_or_alone(judge("exits").score, requests("a", "b"))
    assert all(isinstance(each, Failed) and each.ends is None for each in given), "one clip, or two, may be to blame"
    with pytest.raises(RewardServerError, match="3 requests in a row") as caught:
        list(judge("exits").score(requests("a", "b", "c")))
    assert "it died (exit status 3); its last words: no weights" in str(caught.value)


def test_one_clip_that_kills_the_server_again_and_again_is_one_clip() -> None:
    served = judge("exits")
    given = [next(iter(served.score(requests("a")))) for _ in range(4)]
    assert all(isinstance(each, Failed) for each in given)


@pytest.mark.parametrize(
    ("mode", "value", "reason"),
    [
        ("words", None, "the server says: no face in it"),
        ("text", None, "the server says: 0.5"),
        ("short", 1.0, None),
    ],
)
def test_words_in_place_of_a_number_are_the_reason(mode: str, value: float | None, reason: str | None) -> None:
    (found,) = judge(mode).score(requests("a"))
    assert not isinstance(found, Failed) and found[0] == ScaleValue("VQ", value, reason)


def test_a_scale_that_is_missing_says_which_are_there() -> None:
    (found,) = judge("short").score(requests("a"))
    assert not isinstance(found, Failed) and found[1].value is None
    assert found[1].unscored_reason == 'the server gave nothing for TA; it has ["VQ"]'


def test_a_number_that_is_none_reaches_the_stage_as_it_came() -> None:
    (found,) = judge("nan").score(requests("a"))
    assert not isinstance(found, Failed) and found[0].value is not None and math.isnan(found[0].value)


def test_values_without_names_are_no_reply() -> None:
    (found,) = judge("list").score(requests("a"))
    assert isinstance(found, Failed) and "expected values as an object" in found.message


def test_another_model_than_the_recipe_s_is_refused() -> None:
    with pytest.raises(RewardServerError, match="not the one that the recipe describes") as caught:
        list(judge("other").score(requests("a")))
    assert "'fake/one@1'" in str(caught.value) and "'fake/other@2'" in str(caught.value)


def test_a_scale_that_the_server_lacks_is_told_before_any_clip() -> None:
    spec = SPEC.model_validate({**SPEC.model_dump(), "scales": {"VQQ": "points"}})
    with pytest.raises(RewardServerError, match="not the one") as caught:
        list(spec.build(runtime("good")).score(requests("a")))
    assert "the scales VQQ" in str(caught.value) and "did you mean 'VQ'?" in str(caught.value)


def test_a_command_that_is_not_there_is_told_before_the_run_and_at_its_start() -> None:
    nowhere = RuntimeSpec.model_validate({"rewards": {"fake": {"command": "no-such-python server.py"}}})
    found = SPEC.findings(nowhere)
    assert ["'no-such-python'", "'server.py'"] == [each.got for each in found]
    with pytest.raises(RewardServerError, match="does not greet") as caught:
        list(SPEC.build(nowhere).score(requests("a")))
    assert "no-such-python cannot be started" in str(caught.value)
    assert not SPEC.findings(runtime("good"))


def test_a_server_that_the_recipe_does_not_define() -> None:
    other = RuntimeSpec.model_validate({"rewards": {"fakes": {"command": "x"}}})
    with pytest.raises(RecipeError, match="does not define it") as caught:
        SPEC.build(other)
    assert "did you mean 'fakes'?" in str(caught.value)
    (finding,) = SPEC.findings(RuntimeSpec())
    assert "--set 'runtime.rewards.fake.command=python my_server.py'" in str(finding)


def test_keys_are_withheld_and_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "abcdef0123456789xyz")
    monkeypatch.setattr("rushes.known_keys._known", {"abcdef0123456789xyz": "MY_API_KEY"})
    (found,) = judge("echo").score(requests("a"))
    assert isinstance(found, Failed) and "bad key None a" in found.message
    (found,) = judge("echo", pass_keys=["MY_API_KEY"]).score(requests("a"))
    assert isinstance(found, Failed) and "bad key [MY_API_KEY] a" in found.message


def test_a_stop_between_two_clips_keeps_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given = judge("good").score(requests("a", "b"))
    next(iter(given))
    monkeypatch.setattr("rushes.judge.served.is_stopping", lambda: True)
    with pytest.raises(Stopped):
        next(iter(given))
    assert isinstance(SPEC, Spec) and name_of(SPEC, JUDGE) == "fake/one@1"


def test_preferences() -> None:
    spec = ServedPairsSpec(server="fake", model="fake/one@1")
    pair = PreferenceRequest(VIDEO, VIDEO, "a", "Mechanics")
    assert list(spec.build(runtime("good")).prefer([pair])) == [GivenPreference(0.75)]
    assert list(spec.build(runtime("range")).prefer([pair])) == [GivenPreference(1.5)], "the stage refuses it"


def test_where_a_server_is_does_not_enter_a_key() -> None:
    assert "command" not in canonical_json(SPEC) and "fake/one@1" in canonical_json(SPEC)


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "pids"


def test_the_server_and_its_children_end_with_the_judge(pids: Path) -> None:
    served = judge("child", pids)
    assert not isinstance(next(iter(served.score(requests("a")))), Failed)
    found = [int(each) for each in pids.read_text().split()]
    assert all(map(is_alive, found))
    del served
    assert are_gone(found)


def test_a_kill_leaves_no_process_and_no_file(pids: Path) -> None:
    """SIGKILL runs no clean-up in this process: the guard sees the pipe close."""
    code = f"""
import os, sys
from tests.unit.judge import test_served as t
from pathlib import Path
served = t.judge("child", Path({str(pids)!r}))
next(iter(served.score(t.requests("a"))))
print(served._server._folder, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    found, folder = [int(each) for each in pids.read_text().split()], Path(done.stdout.strip())
    assert are_gone(found) and not folder.exists(), "the guard removes the folder before it ends the server"


def test_the_folder_of_clips_is_private_and_goes_with_the_judge() -> None:
    served = judge("good")
    list(served.score(requests("a")))
    folder = Path(served._server._folder)  # type: ignore[attr-defined]
    assert folder.stat().st_mode & 0o777 == 0o700 and os.listdir(folder) == ["clip.mp4"]
    assert (read_video(folder / "clip.mp4").frames_THWC == VIDEO.frames_THWC).all()
    del served
    assert not folder.exists()
