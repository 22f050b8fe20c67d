"""A made-up run with every part that a report can show; clips are rendered scenes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np

from rushes.judge.agreement import Agreement
from rushes.plan.reference import ReferenceCost
from rushes.prompts.clip_rows import ClipRow
from rushes.recipe.weights import WeightsSpec
from rushes.records import (
    CostEntry,
    DimensionRow,
    DriftRow,
    Focus,
    Outcome,
    Question,
    Rejection,
    RunHeader,
    Sample,
    Score,
    Scorecard,
    Scored,
    UnmeasuredDimension,
)
from rushes.report.data import Example, LossCurve, ReportData, Screening, Side, Weighing
from rushes.roles import AccuracyRow, Failed, Subject, Video
from rushes.weights.report import report_weights
from rushes_sandbox.captions import base_prompt
from rushes_sandbox.grammar import draw_scene
from rushes_sandbox.measurer import PerceptionMeasurer
from rushes_sandbox.questions import ask, checks
from rushes_sandbox.render import render
from rushes_sandbox.scene import FPS

NAMES = (
    "Motion_Order_Understanding",
    "Dynamic_Spatial_Relationship",
    "Camera_Motion",
    "Composition",
    "Dynamic_Attribute",
    "Instance_Preservation",
    "Mechanics",
    "Motion_Rationality",
    "Diversity",
)
BEFORE = (0.281, 0.344, 0.5, 0.688, 0.719, 0.75, 0.625, 0.469, 0.312)
GAINS = (0.156, 0.125, 0.094, 0.031, 0.0, -0.031, -0.125, 0.062, -0.006)
HALF_WIDTHS = (0.12, 0.11, 0.13, 0.07, 0.06, 0.08, 0.1, 0.09, 0.02)


def key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def make_row(name: str, before: float, gain: float, half_width: float, is_focus: bool) -> DimensionRow:
    low, high = gain - half_width, gain + half_width
    is_group = name == "Diversity"
    return DimensionRow(
        dimension=name,
        before=before,
        after=before + gain,
        gain=gain,
        gain_low=low,
        gain_high=high,
        p_holm=0.01 if low > 0 or high < 0 else 0.4,
        num_prompts=8 if is_group else 32,
        num_clips=48 if is_group else 32,
        num_unscored=2 if name == "Camera_Motion" else 0,
        judge_before=None if is_group else before + 0.08,
        judge_after=None if is_group else before + 0.1 + gain,
        is_focus=is_focus,
        verdict="better" if low > 0 else "worse" if high < 0 else "no clear change",
    )


def make_scorecard() -> Scorecard:
    rows = tuple(make_row(*each, i < 3) for i, each in enumerate(zip(NAMES, BEFORE, GAINS, HALF_WIDTHS, strict=True)))
    return Scorecard(
        base_model="sandbox-base",
        tuned_model="5a" * 32,
        measurer="sandbox-perception",
        judge="sandbox-vqa",
        rows=rows,
        unmeasured=(UnmeasuredDimension(dimension="Human_Anatomy", reason="the measurer has no questions about it"),),
        drift=(
            DriftRow(name="motion amount", unit="levels/frame", before=2.31, after=2.12, real=2.4),
            DriftRow(name="saturation", before=0.183, after=0.197, real=0.186),
            DriftRow(name="fine detail", unit="levels", before=3.41, after=3.33, real=None),
            DriftRow(name="latent mean, distance to real", unit="deviations", before=0.11, after=0.16, real=0.01),
        ),
        focus_gain=0.125,
        focus_gain_low=0.056,
        focus_gain_high=0.194,
        focus_p_value=0.001,
        focus_verdict="better",
        notes=("Mechanics got worse: -12.5 points, 95 % interval -22.5 to -2.5.",),
    )


def make_example(dimension: str, rule: str, seed: int, broken: str) -> Example:
    """`broken` is "before", "after", "both" or "none": which side shows another scene than the prompt's."""
    rng = np.random.default_rng((seed, NAMES.index(dimension)))
    scene = draw_scene(rng, dimension)
    questions = tuple(
        Question.model_validate(
            {"text": ask(check), "expected": "yes" if truth else "no", "dimension": dimension, "about": check.kind}
        )
        for check, truth in checks(scene, rng)
    )
    other = draw_scene(rng, dimension)
    sides = []
    for name in ("before", "after"):
        video = Video(render(other if broken in (name, "both") else scene), FPS)
        outcome = measure(dimension, questions, video)
        sides.append(Side(video, outcome))
    return Example(dimension, rule, base_prompt(scene, rng), questions, 2**40 + seed, 0, *sides)


def measure(dimension: str, questions: tuple[Question, ...], video: Video) -> Outcome:
    found = PerceptionMeasurer().measure([Subject(dimension, "", questions, (video,))])[0]
    assert not isinstance(found, Failed), found
    return found


def make_weighing(num_clips: int = 192) -> Weighing:
    rng = np.random.default_rng(4)
    samples, scores = [], []
    for i, r in enumerate(rng.beta(1.5, 1.3, num_clips)):
        names = {"clip_key": key("clip", i), "prompt_key": key("prompt", i // 4), "dimension": NAMES[i % 3]}
        scores.append(Score(**names, outcome=Scored(value=float(r))))
        samples.append(Sample(**names, weight=float(np.exp((r - 1) / 0.3)), source="own"))
    facts = report_weights(samples, scores, WeightsSpec())
    return Weighing([sample.weight for sample in samples], 64, facts)


def make_clip_rows(num_used: int = 150, num_cut: int = 45) -> tuple[ClipRow, ...]:
    """A user's folder: most is good, much is cut, a little is bad."""
    rows = [
        ClipRow(name=f"take_{i:03d}.mp4", outcome="used", reason="whole", detail="as it is") for i in range(num_used)
    ]
    for i in range(num_cut):
        detail = "the first 2.12 s of 10.00 s; 1280 x 720 px cut to 720 x 720 px"
        rows.append(ClipRow(name=f"long/take_{i:03d}.mov", outcome="cut", reason="fitted", detail=detail))
    bad = (
        ("cat.mp4", "unreadable", "no video in it can be decoded"),
        ('dog\n"two".mp4', "missing_caption", "row 12 has no caption"),
        ("short.mp4", "too_short", "0.50 s, and the model's clips have 2.12 s"),
    )
    rows += [ClipRow(name=name, outcome="dropped", reason=reason, detail=detail) for name, reason, detail in bad]
    rows.append(ClipRow(name="one more.mp4", outcome="left_over", reason="over_limit", detail="195 clips are wanted"))
    return tuple(rows)


def make_data(**changes: object) -> ReportData:
    """The whole report; `changes` replace fields."""
    rng = np.random.default_rng(1)
    steps = tuple(range(1, 201))
    decay = np.exp(-np.arange(200) / 60)
    rules = (("largest gain", "before"), ("typical", "none"), ("largest loss", "after"))
    fields: dict[str, object] = {
        "name": "sandbox demo",
        "scorecard": make_scorecard(),
        "header": RunHeader(
            recipe_hash="7c" * 32,
            identity_version=1,
            rushes_version="0.1.0",
            commit="0123456789abcdef0123456789abcdef01234567",
            dirty=False,
            versions={"python": "3.11.9", "torch": "2.13.0", "diffusers": "0.42.0"},
            hardware={"system": "Linux x86_64", "cpu": "a processor", "num_cpus": "2", "memory_gib": "8.0"},
            started_at=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
        ),
        "recipe_yaml": "# The resolved recipe of this run.\nname: sandbox demo\nseed: 0\ntrain:\n  num_steps: 200\n",
        "focus": tuple(
            Focus(
                dimension=name,
                baseline=before,
                low=before - 0.15,
                high=before + 0.16,
                gap=1 - before,
                share=share,
                num_prompts=int(192 * share),
                reason=f"gap number {i + 1} to 1 of 8 dimensions",
            )
            for i, (name, before, share) in enumerate(zip(NAMES[:3], BEFORE[:3], (0.38, 0.35, 0.27), strict=True))
        ),
        "examples": tuple(
            make_example(name, rule, 3 * i + j, broken)
            for i, name in enumerate(NAMES[:3])
            for j, (rule, broken) in enumerate(rules)
        ),
        "weighing": make_weighing(),
        "losses": (
            LossCurve("weighted_flow", steps, tuple(0.2 + 0.04 * decay + rng.normal(0, 0.012, 200))),
            LossCurve("real_flow", steps, tuple(0.31 + 0.02 * decay + rng.normal(0, 0.02, 200))),
        ),
        "screening": Screening(
            num_texts=288,
            rejections=(
                *(
                    Rejection(
                        text=f"a red circle moves to the left, take {i}",
                        dimension=NAMES[0],
                        reason="near_duplicate",
                        detail="0.98 overlap with 'a red circle moves to the left'",
                    )
                    for i in range(7)
                ),
                Rejection(text="", dimension=NAMES[1], reason="empty", detail="the writer gave no text"),
                Rejection(text="a blue square pans", dimension=NAMES[2], reason="held_out", detail="1.00 of prompt 12"),
            ),
        ),
        "real_clips": make_clip_rows(),
        "judge_accuracy": tuple(AccuracyRow(name, 200 - 9 * i, 200) for i, name in enumerate(NAMES[:8])),
        "agreement_before": tuple(
            Agreement(name, num_both_right=80, num_both_wrong=20, num_lenient=4 + i, num_strict=3)
            for i, name in enumerate(NAMES[:8])
        ),
        "agreement_after": tuple(
            Agreement(name, num_both_right=90, num_both_wrong=8, num_lenient=7 + 2 * i, num_strict=2)
            for i, name in enumerate(NAMES[:8])
        ),
        "costs": tuple(
            CostEntry(stage=stage, seconds=seconds, num_items=num, device="cpu")
            for stage, seconds, num in (
                ("prompts", 0.8, 288),
                ("clips", 151.0, 768),
                ("clips", 40.0, 200),
                ("answers", 22.0, 2900),
                ("checkpoints", 204.0, 4),
                ("measurements", 9.4, 600),
            )
        ),
        "reference": (
            ReferenceCost("clips", 1.4, True, "transformer calls and decoding"),
            ReferenceCost("answers", None, False, "this judge's arithmetic cannot be counted"),
            ReferenceCost("checkpoints", 0.0123, True, "forward and backward passes"),
        ),
    }
    return ReportData(**(fields | changes))  # type: ignore[arg-type]
