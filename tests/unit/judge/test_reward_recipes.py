"""The packaged reward servers, each run by the real client around a stand-in with the interface of its model.

No released weights are run. VideoScore2's class is the real one, with random weights.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from rushes.feedback import GivenPreference, PreferenceRequest, ScaleValue, ScoreRequest
from rushes.judge.served import ServedJudgeSpec, ServedPairsSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Failed, Video
from tests.support.odd_server import OddServer, asked_text, replies
from tests.support.tiny_vlm import make_qwen

SERVERS = Path(__file__).resolve().parents[3] / "reward_servers"
CLIP = Video(np.full((9, 32, 48, 3), 100, np.uint8), 8.0)
BRIGHT = Video(np.full((9, 32, 48, 3), 200, np.uint8), 8.0)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def values(script: str, words: str, model: str, *scales: str, path: Path | None = None) -> tuple[ScaleValue, ...]:
    """What the server gives for a clip with the prompt "a cat"."""
    own = f"env PYTHONPATH={path} " if path else ""
    command = f"{own}{sys.executable} {SERVERS / script} {words}"
    runtime = RuntimeSpec.model_validate({"rewards": {"it": {"command": command, "start_s": 120, "timeout_s": 60}}})
    spec = ServedJudgeSpec.model_validate({"server": "it", "model": model, "scales": dict.fromkeys(scales, "points")})
    (found,) = spec.build(runtime).score([ScoreRequest(CLIP, "a cat", "Material")])
    assert not isinstance(found, Failed), found
    return found


VIDEOALIGN = """
import os
class VideoVLMRewardInference:
    def __init__(self, load_from_pretrained, load_from_pretrained_step=-1, device="cuda", dtype=None):
        assert load_from_pretrained.endswith("/checkpoints") and device == "cpu"
    def reward(self, video_paths, prompts, fps=None, num_frames=None, max_pixels=None, use_norm=True):
        assert [os.path.isfile(each) for each in video_paths] == [True] and prompts == ["a cat"] and use_norm
        return [{"VQ": 0.25, "MQ": -1.5, "TA": 2.0, "Overall": 0.75}]
"""


def test_videoalign(tmp_path: Path) -> None:
    write(tmp_path, inference=VIDEOALIGN)
    words = f"--folder {tmp_path} --model KwaiVGI/VideoReward@1 --device cpu"
    found = values("serve_videoalign.py", words, "KwaiVGI/VideoReward@1", "VQ", "MQ", "TA")
    assert [each.value for each in found] == [0.25, -1.5, 2.0]


HPSV3 = """
import torch
from PIL import Image
class HPSv3RewardInferencer:
    def __init__(self, config_path=None, checkpoint_path=None, device="cuda", differentiable=False):
        self.seen = []
    def reward(self, prompts, image_paths):
        assert prompts == ["a cat"]
        self.seen.append(image_paths[0])
        assert Image.open(image_paths[0]).getpixel((0, 0)) == (100, 100, 100)
        return torch.tensor([[float(len(self.seen)), 9.0]])
"""


def test_hpsv3(tmp_path: Path) -> None:
    write(tmp_path, hpsv3=HPSV3)
    words = "--model MizzenAI/HPSv3@1 --num-frames 3 --device cpu"
    (found,) = values("serve_hpsv3.py", words, "MizzenAI/HPSv3@1, 3 frames", "HPSv3", path=tmp_path)
    assert found.value == 2.0, "the mean of the first columns, 1, 2 and 3"


VISIONREWARD = """
import os
QUESTIONS = open("questions.txt").read()
def score(video_path, prompt):
    assert os.path.isfile(video_path) and prompt == "a cat"
    return float(len(QUESTIONS))
"""


def test_visionreward(tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text("four")
    (tmp_path / "inference-video.py").write_text(VISIONREWARD)
    words = f"--folder {tmp_path} --model THUDM/VisionReward-Video@1"
    (found,) = values("serve_visionreward.py", words, "THUDM/VisionReward-Video@1", "VisionReward")
    assert found.value == 4.0


POINTS = 'prompt = ""\nproblem = (\n    "Rate it.\\n"\n    f"Text Caption: [{prompt}]"\n)\n'
PAIRS = 'prompt = ""\nproblem = (\n    "Which is better?\\n"\n    f"Text Caption: [{prompt}]"\n)\n'
FOLDER = "inference_qwen__UnifiedReward-2.0-inference__"


def unified(body: dict[str, object]) -> str:
    asked, images = asked_text(body).strip(), str(body).count("data:image/png;base64")
    if asked == "Rate it.\nText Caption: [a cat]":
        return f"Alignment Score (1-5): {images}\nPhysics Score (1-5): 3.0987.\nStyle Score: high"
    assert asked == "Which is better?\nText Caption: [a cat]" and images == 16
    return "".join(f"{name} Score:\n Video 1: 0.25\n Video 2: 0.75\n\n" for name in ("Alignment", "Coherence", "Style"))


def test_unifiedreward(tmp_path: Path) -> None:
    files = {f"{FOLDER}point_score_APS_video_generation": POINTS, f"{FOLDER}pair_score_video_generation": PAIRS}
    write(tmp_path, **files)
    with OddServer(replies(unified)) as server:
        words = f"--folder {tmp_path} --url {server.url.removesuffix('/v1')} --model CodeGoat24/UR@1"
        found = values("serve_unifiedreward.py", words, "CodeGoat24/UR@1", "Alignment", "Physics", "Style")
        assert [each.value for each in found[:2]] == [9.0, 3.0987], "all nine frames of a short clip"
        assert found[2].value is None and "no Style score in its reply" in str(found[2].unscored_reason)
        command = f"{sys.executable} {SERVERS / 'serve_unifiedreward.py'} {words}"
        runtime = RuntimeSpec.model_validate({"rewards": {"it": {"command": command}}})
        judge = ServedPairsSpec(server="it", model="CodeGoat24/UR@1").build(runtime)
        pair = PreferenceRequest(CLIP, Video(np.tile(BRIGHT.frames_THWC, (2, 1, 1, 1)), 8.0), "a cat", "Material")
        assert list(judge.prefer([pair])) == [GivenPreference(0.25)]


@pytest.fixture
def videoscore2(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Its module, without the import that moves the standard output."""
    monkeypatch.setitem(sys.modules, "reward_server", ModuleType("reward_server"))
    spec = importlib.util.spec_from_file_location("videoscore2", SERVERS / "serve_videoscore2.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_videoscore2_reads_the_last_digits_by_their_probabilities(videoscore2: ModuleType) -> None:
    pieces = [
        "visual quality: ",
        "1",
        " I think; visual ",
        "quality: ",
        "4",
        "; text-to-video alignment: ",
        "2",
        ", so",
    ]
    logits = torch.full((len(pieces), 10), -30.0)
    logits[1, 1] = logits[4, 4] = logits[4, 5] = logits[6, 2] = 5.0
    found = videoscore2.values_of(pieces, list(logits), [1, 2, 3, 4, 5])
    assert found["quality"] == pytest.approx(4.5) and found["alignment"] == pytest.approx(2.0)
    assert "no number after 'physical/common-sense consistency:'" in found["physics"]


def test_videoscore2_with_random_weights_of_the_real_class(videoscore2: ModuleType, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    folder = make_qwen(tmp_path / "model")
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("is the ball red ?", return_tensors="pt")
    pieces, logits = videoscore2.reply_of(model, tokenizer, inputs, 6)
    assert 0 < len(pieces) == len(logits) <= 6 and logits[0].shape == (model.config.text_config.vocab_size,)
    found = videoscore2.values_of(pieces, logits, [1, 2, 3, 4, 5])
    assert all("no number after" in each for each in found.values()), "random weights write no score"


def test_videoscore2_s_instruction_is_that_of_its_own_script(videoscore2: ModuleType, tmp_path: Path) -> None:
    text = 'from string import Template\ndef main():\n    query = Template("""Is it good? $t2v_prompt""")\n'
    write(tmp_path, vs2_inference=text)
    assert videoscore2.template_in(str(tmp_path)).substitute(t2v_prompt="a cat") == "Is it good? a cat"
