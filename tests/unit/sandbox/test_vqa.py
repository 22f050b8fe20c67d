"""The sandbox's judge: its examples are true, it trains, resumes, is saved, and answers only what it can read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lab.judge.breakages import BREAKAGES, broken, stage
from lab.judge.distort import DISTORTIONS, distorted
from lab.judge.evaluate import calibration_error, evaluate
from lab.judge.examples import GRID, Mix, draw_example, find_facts, make_batch, spread
from lab.judge.train import JudgeSpec, train_judge
from rushes.errors import InputError
from rushes.judge.gradient import PixelRequest
from rushes.records import Question
from rushes.roles import Failed, JudgeRequest, Video
from rushes_sandbox.animate import animate
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.questions import ask, checks
from rushes_sandbox.render import paint, render
from rushes_sandbox.scene import COLOUR_RGB
from rushes_sandbox.truth import Witness
from rushes_sandbox.vqa.judge import SandboxJudge
from rushes_sandbox.vqa.language import encode_question, question_vocabulary, word_ids
from rushes_sandbox.vqa.model import JudgeConfig, JudgeNet
from rushes_sandbox.vqa.weights import load_judge, save_judge

TINY = JudgeConfig(
    num_words=len(question_vocabulary()) + 1, stem=8, width=16, num_blocks=1, word_width=16, word_layers=1,
    look_width=8, time_width=16, time_layers=1,
)  # fmt: skip
SPEC = JudgeSpec(num_steps=4, fresh=2, again=2, delay=2, warmup=1, config=TINY)


@pytest.fixture
def judge() -> SandboxJudge:
    torch.manual_seed(0)
    return SandboxJudge(JudgeNet(TINY).eval(), word_ids())


# ------------------------------------------------------------------------------------------------ examples


def test_every_question_of_the_grammar_can_be_read() -> None:
    rng, ids = np.random.default_rng(0), word_ids()
    for dimension in DIMENSIONS:
        scene = draw_scene(rng, dimension)
        for check, _ in checks(scene, rng):
            for _ in range(3):
                assert isinstance(encode_question(ask(check, rng), ids), list)


def test_examples_are_labelled_by_the_truth_and_ask_both_ways() -> None:
    rng, answers = np.random.default_rng(1), []
    for _ in range(40):
        example = draw_example(rng, Mix())
        witness = Witness(example.staged.scene, example.staged.tracks)
        assert all(witness.answer(one.check) is one.answer for one in example.asked)
        assert len({one.check for one in example.asked}) == len(example.asked)
        answers += [one.answer for one in example.asked]
    assert 0.3 < np.mean(answers) < 0.6


def test_examples_are_the_same_in_every_process() -> None:
    """Else a training that goes on in another process would go on with other questions."""
    program = (
        "import numpy as np; from lab.judge.examples import Mix, draw_example; rng = np.random.default_rng(0);"
        "print([one for _ in range(12) for one in draw_example(rng, Mix()).asked])"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] and "Check(" in said[0]


@pytest.mark.parametrize("name", BREAKAGES)
def test_breakages_change_the_clip_and_leave_the_original_alone(name: str) -> None:
    rng, changed = np.random.default_rng(2), 0
    for dimension in DIMENSIONS:
        whole = stage(draw_scene(rng, dimension))
        before = paint(whole.scene, whole.tracks)
        result = broken(whole, rng, name)
        changed += bool((paint(result.scene, result.tracks) != before).any())
        assert (paint(whole.scene, whole.tracks) == before).all()
        assert len(result.tracks.x_KT) == len(result.scene.things)
    assert changed >= (1 if name == "plod" else 3)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_distortions_spoil_pixels_without_moving_the_picture(name: str) -> None:
    rng = np.random.default_rng(3)
    frames = render(draw_scene(rng, "Simple")).astype(np.float32)
    out = DISTORTIONS[name](frames, rng)
    assert out.shape == frames.shape
    assert 0 < np.abs(out - frames).mean() < 25


def test_distorted_keeps_type_and_is_decided_by_its_seed() -> None:
    frames = render(draw_scene(np.random.default_rng(4)))
    first, again = (distorted(frames, np.random.default_rng(5)) for _ in range(2))
    assert first.dtype == np.uint8 and (first == again).all() and (first != frames).any()


def test_pointing_finds_what_the_pixels_show() -> None:
    rng = np.random.default_rng(6)
    for _ in range(5):
        scene = draw_scene(rng, "Simple")
        thing, tracks = scene.things[0], animate(scene)
        share_TN = spread(Witness(scene, tracks), thing.name)
        assert share_TN[:, -1].max() == 0 and np.allclose(share_TN.sum(1), 1)
        frames = paint(scene, tracks).astype(float)
        mask_THW = np.linalg.norm(frames - COLOUR_RGB[thing.colour], axis=-1) < 40
        cell_px = 64 / GRID
        for t in (0, 8, 16):
            rows, cols = np.nonzero(mask_THW[t])
            place = share_TN[t, :-1].reshape(GRID, GRID)
            y = ((np.arange(GRID) + 0.5) * cell_px * place.sum(1)).sum()
            x = ((np.arange(GRID) + 0.5) * cell_px * place.sum(0)).sum()
            # A triangle's middle of mass is a little below the centre its track names.
            assert abs(x - (cols.mean() + 0.5)) < 1.0 and abs(y - (rows.mean() + 0.5)) < 3.0
    assert spread(Witness(scene, tracks), "no such thing")[:, -1].min() == 1


def test_facts_say_how_large_things_are_and_how_the_camera_moves() -> None:
    rng = np.random.default_rng(8)
    moved = set()
    for _ in range(12):
        scene = draw_scene(rng, "Camera_Motion")
        facts = find_facts(Witness(scene, animate(scene)))
        pan_px, log_zoom = facts.camera_T2.astype(float).mean(0) * 16  # over the 16 steps of a clip
        expected = {"pan_right": (20.0, 0.0), "pan_left": (-20.0, 0.0), "still": (0.0, 0.0)}.get(scene.camera)
        if expected is None:
            expected = (0.0, np.log(1.6) * (1 if scene.camera == "zoom_in" else -1))
        assert (pan_px, log_zoom) == pytest.approx(expected, abs=0.15 * np.abs(expected).max() + 1e-6)
        mask_HW = np.linalg.norm(render(scene)[0].astype(float) - COLOUR_RGB[scene.things[0].colour], axis=-1) < 40
        [place] = np.flatnonzero(facts.cells_TN[0] > 0)
        side_px = np.sqrt(mask_HW.sum())
        assert 0.4 * side_px < np.exp(facts.size_TN[0, place]) * 64 / GRID < 1.1 * side_px
        moved.add(scene.camera)
    assert len(moved) > 2


# ------------------------------------------------------------------------------------------------ training


def test_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    said: list[str] = []
    train_judge(tmp_path / "one", SPEC, said.append)
    train_judge(tmp_path / "two", SPEC, said.append, stop_after=2)
    assert not (tmp_path / "two" / "judge").exists()
    train_judge(tmp_path / "two", SPEC, said.append)
    one, two = (load_file(str(tmp_path / name / "judge" / "model.safetensors")) for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any("step 4/4" in line for line in said)


def test_a_few_steps_on_one_batch_learn_it() -> None:
    from lab.judge.train import judge_loss

    torch.manual_seed(0)
    rng = np.random.default_rng(7)
    batch = make_batch([draw_example(rng, Mix(broken=0.0, distorted=0.0)) for _ in range(4)], word_ids(), 4)
    net = JudgeNet(TINY)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss, _ = judge_loss(net, batch, SPEC)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]


# ------------------------------------------------------------------------------------------------ the judge


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = JudgeNet(TINY).half().float().eval()
    save_judge(tmp_path, net)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors", "vocabulary.json"]
    clip = render(draw_scene(np.random.default_rng(8), "Simple"))
    question = [["is there a red circle?", "does the camera stay still?"]]
    loaded, kept = (j.p_yes([clip], question)[0] for j in (SandboxJudge.load(tmp_path), SandboxJudge(net, word_ids())))
    assert np.allclose(np.array(loaded, float), np.array(kept, float), atol=1e-6)


def test_a_damaged_judge_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no judge can be loaded"):
        load_judge(tmp_path)
    save_judge(tmp_path, JudgeNet(TINY))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InputError, match="no judge can be loaded"):
        load_judge(tmp_path)


def test_answers_do_not_depend_on_company(judge: SandboxJudge) -> None:
    rng = np.random.default_rng(9)
    scenes = [draw_scene(rng, dimension) for dimension in DIMENSIONS]
    clips = [render(scene) for scene in scenes]
    questions = [[ask(check) for check, _ in checks(scene, rng)] for scene in scenes]
    together = judge.p_yes(clips, questions)
    for clip, asked, values in zip(clips, questions, together, strict=True):
        assert [len(values)] == [len(asked)]
        alone = [judge.p_yes([clip], [[text]])[0][0] for text in asked]
        assert np.allclose(np.array(values, float), np.array(alone, float), atol=1e-5)
        assert all(isinstance(value, float) and 0 < value < 1 for value in values)


def test_what_it_cannot_read_or_see_has_a_reason_and_no_number(judge: SandboxJudge) -> None:
    clip = render(draw_scene(np.random.default_rng(10), "Simple"))
    asked = [
        "is there a red circle?",
        "is there a red elephant?",
        "circle red a there is?",
        "",
        "IS  there a red circle?",
    ]
    good, unknown, jumbled, empty, shouted = judge.p_yes([clip], [asked])[0]
    assert good == shouted and isinstance(good, float)
    assert "elephant" in str(unknown) and "not a question" in str(jumbled) and isinstance(empty, str)
    for bad in (clip[:9], clip[:, :32], clip.astype(np.float32)):
        (value,) = judge.p_yes([bad], [["is there a red circle?"]])[0]
        assert "the sandbox judge reads" in str(value)


def test_in_its_role(judge: SandboxJudge) -> None:
    clip = Video(render(draw_scene(np.random.default_rng(11), "Simple")), fps=8)
    texts = ("is there a red circle?", "is there an elephant?")
    questions = tuple(Question(text=text, expected="yes", dimension="Simple", about="exists") for text in texts)
    ((first, second),) = (given for given in judge.answer([JudgeRequest(clip, "a red circle", questions)]))
    assert first.p_yes is not None and first.unscored_reason is None
    assert second.p_yes is None and second.unscored_reason
    assert judge.answer([JudgeRequest(clip, "a red circle", ())]) == [()]
    none = Video(np.zeros(3, np.uint8)[:0], fps=8)
    assert not any(isinstance(given, Failed) for given in judge.answer([JudgeRequest(none, "a", questions)]))


def test_evaluation_covers_every_dimension(judge: SandboxJudge) -> None:
    found = evaluate(judge, num_clips=18)
    assert set(found.clean.by_dimension) == set(DIMENSIONS)
    for quality in (found.clean, found.broken, found.mixed):
        assert 0 <= quality.mean_over_dimensions <= 1 and 0 <= quality.brier <= 1
        assert sum(a.num_questions for a in quality.by_kind.values()) == sum(
            a.num_questions for a in quality.by_dimension.values()
        )


def test_calibration_error_by_hand() -> None:
    p_yes, answer = np.array([0.95, 0.95, 0.05, 0.05]), np.array([1.0, 0.0, 0.0, 0.0])
    assert calibration_error(p_yes, answer) == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)


def test_its_margins_are_the_logits_of_its_answers_with_their_gradient(judge: SandboxJudge) -> None:
    """Against a finite difference of the pixels."""
    scene = draw_scene(np.random.default_rng(3), "Composition")
    frames = torch.from_numpy(render(scene)).float()
    texts = [ask(check, np.random.default_rng(4)) for check, _ in checks(scene, np.random.default_rng(5))][:3]
    asked = tuple(Question(text=text, expected="no", dimension="x", about="x") for text in texts)
    leaf = frames.clone().requires_grad_()
    (margins,) = judge.margins([PixelRequest(leaf, 8.0, "a scene", asked)])
    assert isinstance(margins, torch.Tensor)
    ((*answers,),) = judge.p_yes([frames.to(torch.uint8).numpy()], [texts])
    assert margins.sigmoid().tolist() == pytest.approx(answers, rel=1e-4)
    (g,) = torch.autograd.grad(margins.sum(), leaf)
    way = g.sign()
    ahead, behind = (
        judge.margins([PixelRequest(frames + step * way, 8.0, "a scene", asked)])[0] for step in (0.01, -0.01)
    )
    assert isinstance(ahead, torch.Tensor) and isinstance(behind, torch.Tensor)
    assert float(ahead.sum() - behind.sum()) / 0.02 == pytest.approx(float((g * way).sum()), rel=0.02)


def test_it_has_no_margins_of_what_it_cannot_read(judge: SandboxJudge) -> None:
    red = Question(text="Is there a red circle?", expected="yes", dimension="x", about="x")
    odd = Question(text="Who painted this?", expected="yes", dimension="x", about="x")
    whole = torch.zeros(17, 64, 64, 3, requires_grad=True)
    requests = [
        PixelRequest(whole, 8.0, "x", (red, odd)),
        PixelRequest(whole[:5], 8.0, "x", (red,)),
        PixelRequest(whole, 8.0, "x", (red,)),
    ]
    assert [isinstance(each, Failed) for each in judge.margins(requests)] == [True, True, False]
