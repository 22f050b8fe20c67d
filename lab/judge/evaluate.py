"""How good the judge is on clips it never saw: `python -m lab.judge.evaluate --judge FOLDER`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from lab.judge.examples import Asked, Example, Mix, draw_example
from rushes_sandbox.grammar import DIMENSIONS
from rushes_sandbox.questions import Kind, ask, checks
from rushes_sandbox.truth import Witness
from rushes_sandbox.vqa.judge import SandboxJudge

HELD_OUT_SEED = 10_000_019
"""Seed of the clips it is evaluated on; training seeds never reach it."""
NUM_BINS = 10
"""Bins of the calibration error."""


@dataclass(frozen=True)
class Accuracy:
    """Share of answers on the correct side of 0.5."""

    share: float
    """0 to 1."""
    num_questions: int


@dataclass(frozen=True)
class JudgeQuality:
    """The judge on one set of held-out clips."""

    by_dimension: Mapping[str, Accuracy]
    by_kind: Mapping[str, Accuracy]
    mean_over_dimensions: float
    """Mean of the accuracies per dimension, 0 to 1."""
    brier: float
    """Mean squared error of P(yes), 0 to 1, lower is better; a constant 0.5 gives 0.25."""
    calibration_error: float
    """Expected calibration error over ten bins of P(yes), 0 to 1, lower is better."""
    num_clips: int


@dataclass(frozen=True)
class Evaluation:
    """The judge on clips that follow their scenes, and on broken and distorted ones."""

    clean: JudgeQuality
    """Rendered clips, with the questions of their own prompts."""
    broken: JudgeQuality
    """Broken and distorted clips, with the questions of the prompts they were meant for."""
    mixed: JudgeQuality
    """The mix it was trained on, mismatched questions included."""


def evaluate(judge: SandboxJudge, num_clips: int = 900, seed: int = HELD_OUT_SEED) -> Evaluation:
    """Ask the judge about `num_clips` new clips of each of three sets, spread over all dimensions."""
    sets = {
        "clean": (Mix(broken=0.0, distorted=0.0), _own_questions),
        "broken": (Mix(broken=1.0, distorted=1.0), _own_questions),
        "mixed": (Mix(), _as_drawn),
    }
    quality = [_quality(judge, mix, pick, num_clips, (seed, i)) for i, (mix, pick) in enumerate(sets.values())]
    return Evaluation(*quality)


Pick = Callable[[Example, np.random.Generator], Sequence[Asked]]
"""Which questions to ask about an example."""


def _own_questions(example: Example, rng: np.random.Generator) -> Sequence[Asked]:
    witness = Witness(example.staged.scene, example.staged.tracks)
    answered = [(check, witness.answer(check)) for check, _ in checks(example.meant, rng)]
    return [Asked(check, ask(check, rng), answer) for check, answer in answered if answer is not None]


def _as_drawn(example: Example, rng: np.random.Generator) -> Sequence[Asked]:
    return example.asked


@dataclass(frozen=True)
class _Marked:
    dimension: str
    kind: Kind
    p_yes: float
    answer: bool


def _quality(judge: SandboxJudge, mix: Mix, pick: Pick, num_clips: int, seed: tuple[int, int]) -> JudgeQuality:
    rng = np.random.default_rng(seed)
    marked: list[_Marked] = []
    for at in range(0, num_clips, 32):
        numbers = range(at, min(at + 32, num_clips))
        examples = [draw_example(rng, mix, DIMENSIONS[n % len(DIMENSIONS)]) for n in numbers]
        asked = [pick(example, rng) for example in examples]
        values = judge.p_yes([e.frames_THWC for e in examples], [[one.text for one in row] for row in asked])
        for example, row, answers in zip(examples, asked, values, strict=True):
            for one, value in zip(row, answers, strict=True):
                if isinstance(value, str):
                    raise ValueError(f"{value} ({one.text!r})")
                marked.append(_Marked(example.meant.dimension, one.check.kind, value, one.answer))
    return _summary(marked, num_clips)


def _summary(marked: Sequence[_Marked], num_clips: int) -> JudgeQuality:
    by_dimension = _accuracies(marked, lambda m: m.dimension)
    p_yes, answer = np.array([m.p_yes for m in marked]), np.array([m.answer for m in marked], float)
    return JudgeQuality(
        by_dimension=by_dimension,
        by_kind=_accuracies(marked, lambda m: m.kind),
        mean_over_dimensions=float(np.mean([a.share for a in by_dimension.values()])),
        brier=float(np.mean((p_yes - answer) ** 2)),
        calibration_error=calibration_error(p_yes, answer),
        num_clips=num_clips,
    )


def _accuracies(marked: Sequence[_Marked], key: Callable[[_Marked], str]) -> dict[str, Accuracy]:
    groups: dict[str, list[bool]] = {}
    for m in marked:
        groups.setdefault(key(m), []).append((m.p_yes > 0.5) == m.answer)
    return {name: Accuracy(float(np.mean(right)), len(right)) for name, right in sorted(groups.items())}


def calibration_error(p_yes: np.ndarray, answer: np.ndarray) -> float:
    """Expected calibration error: how far the share of yes is from P(yes), over equal bins, weighted by their size."""
    bins = np.minimum((p_yes * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = [abs(p_yes[bins == b].mean() - answer[bins == b].mean()) * (bins == b).mean() for b in set(bins.tolist())]
    return float(sum(gaps))


def table(evaluation: Evaluation) -> str:
    """The evaluation for a terminal: a row per dimension and kind, a column per set of clips."""
    sets = (evaluation.clean, evaluation.broken, evaluation.mixed)
    lines = [f"{'accuracy, %':32}{'clean':>10}{'broken':>10}{'mixed':>10}"]
    for part in ("by_dimension", "by_kind"):
        names = sorted({name for one in sets for name in getattr(one, part)})
        for name in names:
            shares = [getattr(one, part).get(name) for one in sets]
            lines.append(f"{name:32}" + "".join(f"{100 * a.share:10.1f}" if a else f"{'':10}" for a in shares))
        lines.append("")
    lines.append(f"{'mean over dimensions':32}" + "".join(f"{100 * one.mean_over_dimensions:10.1f}" for one in sets))
    lines.append(f"{'Brier':32}" + "".join(f"{one.brier:10.4f}" for one in sets))
    lines.append(f"{'calibration error':32}" + "".join(f"{one.calibration_error:10.4f}" for one in sets))
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge", type=Path, default=None, help="folder of the judge; default: the package's")
    parser.add_argument("--clips", type=int, default=900)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = evaluate(SandboxJudge.load(arguments.judge), arguments.clips)
    print(json.dumps(asdict(found), indent=2) if arguments.json else table(found))


if __name__ == "__main__":
    main()
