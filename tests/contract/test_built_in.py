"""The contracts hold for what Rushes itself brings: writer, generator, judge and measurer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rushes.dimensions import catalogue
from rushes.recipe.base import BaseModelSpec
from rushes.records import Question, SamplerSettings
from rushes.roles import Brief, ClipRequest, JudgeRequest, Subject, Video
from rushes.store.identity import seed_from_key
from rushes_sandbox.captions import base_prompt
from rushes_sandbox.grammar import draw_scene
from rushes_sandbox.questions import ask, checks
from rushes_sandbox.render import render
from tests.contract.generator import check_generator
from tests.contract.judge import check_judge
from tests.contract.measurer import check_measurer
from tests.contract.prompt_writer import check_prompt_writer
from tests.support.sandbox_recipe import CATALOGUE
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

DIMENSIONS = ("Composition", "Mechanics", "Camera_Motion")


def rendered(dimension: str) -> tuple[str, tuple[Question, ...], Video]:
    """A prompt of the sandbox, its questions, and a rendered clip of it."""
    rng = np.random.default_rng([7, *dimension.encode()])
    scene = draw_scene(rng, dimension)
    asked = tuple(
        Question(text=ask(check, rng), expected="yes" if true else "no", dimension=dimension, about=check.kind)
        for check, true in checks(scene, rng)
    )
    return base_prompt(scene, rng), asked, Video(render(scene), 8.0)


def test_grammar_writer() -> None:
    from rushes_sandbox.writer import GrammarWriter

    briefs = [
        Brief(
            each.name,
            each.description,
            each.examples,
            each.example_questions,
            "weakness",
            i,
            seed_from_key(each.name, i),
        )
        for each in catalogue(CATALOGUE)
        for i in range(4)
    ]
    check_prompt_writer(GrammarWriter(0.5), briefs)


def test_perception_measurer() -> None:
    from rushes_sandbox.measurer import PerceptionMeasurer

    subjects = []
    for dimension in DIMENSIONS:
        text, asked, video = rendered(dimension)
        subjects.append(Subject(dimension, text, asked, (video,)))
    takes = tuple(rendered(dimension)[2] for dimension in DIMENSIONS)
    subjects.append(Subject("Diversity", "a red circle", (), takes))
    check_measurer(PerceptionMeasurer(), subjects, tolerance=0.0)


def test_sandbox_judge() -> None:
    import torch

    from rushes_sandbox.vqa.judge import SandboxJudge
    from rushes_sandbox.vqa.language import word_ids
    from rushes_sandbox.vqa.model import JudgeConfig, JudgeNet

    torch.manual_seed(0)
    ids = word_ids()
    net = JudgeNet(JudgeConfig(num_words=len(ids) + 1, stem=8, width=16, word_width=16, time_width=16)).eval()
    requests = []
    for dimension in DIMENSIONS:
        text, asked, video = rendered(dimension)
        strange = Question(text="is it beautiful?", expected="yes", dimension=dimension, about="taste")
        requests.append(JudgeRequest(video, text, (*asked, strange)))
    check_judge(SandboxJudge(net, ids, batch_size=2), requests)


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_wan_generator(tmp_path: Path, guidance_scale: float) -> None:
    from rushes.families.load import load_family
    from rushes.generate.clips import PipelineGenerator

    sampler = SamplerSettings(
        num_steps=2, guidance_scale=guidance_scale, shift=2.0, scheduler="UniPCMultistepScheduler"
    )
    requests = [
        ClipRequest(
            text,
            seed,
            sampler,
            height_px=TINY_SHAPE.height_px,
            width_px=TINY_SHAPE.width_px,
            num_frames=TINY_SHAPE.num_frames,
            fps=TINY_SHAPE.fps,
        )
        for text, seed in (("a red circle moves up", 5), ("a blue square moves down", 6), ("a green cross", 2**40))
    ]
    wan = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path / "wan")), max_tokens=8))
    check_generator(PipelineGenerator(wan), requests)
