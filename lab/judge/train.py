"""Train the sandbox's judge: `python -m lab.judge.train --folder FOLDER`; the same command resumes it.

Legend: B clips, Q questions per clip, M looks, T frames, N places to look at.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from queue import Full

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.judge.examples import Batch, Example, Mix, ask_again, draw_example, make_batch
from lab.pretrain.state import load_state, save_state
from rushes_sandbox.scene import COLOURS, SHAPES
from rushes_sandbox.vqa.language import question_vocabulary, word_ids
from rushes_sandbox.vqa.model import CAMERA_UNITS, Facts, JudgeConfig, Judged, JudgeNet
from rushes_sandbox.vqa.weights import save_judge

CHECKPOINT_S = 45.0
"""Seconds between checkpoints."""


@dataclass(frozen=True)
class JudgeSpec:
    """How the judge is trained."""

    num_steps: int = 3000
    fresh: int = 16
    """New clips per step."""
    again: int = 16
    """Clips per step that were new `delay` steps earlier, now with other questions."""
    delay: int = 40
    learning_rate: float = 2e-3
    warmup: int = 60
    pointing: float = 0.5
    """Weight of the loss that teaches the first two looks where the named things are."""
    facts: float = 0.3
    """Weight of the losses that teach what is in each cell of the grid and how the camera moves."""
    weight_decay: float = 0.02
    ema_decay: float = 0.995
    mix: Mix = field(default_factory=Mix)
    config: JudgeConfig = field(default_factory=lambda: JudgeConfig(num_words=len(question_vocabulary()) + 1))
    seed: int = 2


def learning_rate(step: int, spec: JudgeSpec) -> float:
    """Linear warm-up, then a cosine to 1 % of the peak."""
    if step < spec.warmup:
        return spec.learning_rate * (step + 1) / spec.warmup
    u = (step - spec.warmup) / max(1, spec.num_steps - spec.warmup)
    return spec.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * u)))


# ------------------------------------------------------------------------------------------------ data


def batches(spec: JudgeSpec, step: int) -> Iterator[Batch]:
    """The batches of `step` and all later steps. Each depends on its step alone, so resuming changes nothing."""
    ids = word_ids()
    earlier = deque(_fresh(spec, at) for at in range(max(0, step - spec.delay), step))
    while True:
        new = _fresh(spec, step)
        rng = np.random.default_rng((spec.seed, 1, step))
        old = earlier.popleft()[: spec.again] if len(earlier) >= spec.delay > 0 else []
        earlier.append(new)
        yield make_batch([*new, *(ask_again(example, rng, spec.mix) for example in old)], ids, spec.mix.num_questions)
        step += 1


def _fresh(spec: JudgeSpec, step: int) -> list[Example]:
    rng = np.random.default_rng((spec.seed, 0, step))
    return [draw_example(rng, spec.mix) for _ in range(spec.fresh)]


def _produce(spec: JudgeSpec, step: int, queue: multiprocessing.Queue[Batch]) -> None:
    trainer = multiprocessing.parent_process()
    for batch in batches(spec, step):
        while True:
            try:
                queue.put(batch, timeout=5)
                break
            except Full:
                # A killed trainer cannot stop its helper, which would wait forever.
                if trainer is None or not trainer.is_alive():
                    queue.cancel_join_thread()
                    return


@contextmanager
def batches_beside(spec: JudgeSpec, step: int) -> Iterator[Iterator[Batch]]:
    """The same batches, drawn by a second process while this one computes."""
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[Batch] = context.Queue(maxsize=3)
    worker = context.Process(target=_produce, args=(spec, step, queue), daemon=True)
    worker.start()
    try:
        yield iter(queue.get, None)
    finally:
        worker.terminate()
        worker.join()


# ------------------------------------------------------------------------------------------------ training


def judge_loss(net: JudgeNet, batch: Batch, spec: JudgeSpec) -> tuple[Tensor, dict[str, float]]:
    """Weighted cross-entropy of answers, first two looks and facts; and each term alone, with the share correct."""
    device = net.places_N3.device
    answer_BQ = torch.from_numpy(batch.answer_BQ).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        judged: Judged = net(
            torch.from_numpy(batch.frames_BTHWC).to(device), torch.from_numpy(batch.words_BQL).to(device)
        )
    answer_loss = F.binary_cross_entropy_with_logits(judged.logit_BQ, answer_BQ)
    target_BQ2TN = torch.from_numpy(batch.pointing_BQ2TN[:, :, :, :: spec.config.stride]).to(device)
    pointing_loss = -(target_BQ2TN * judged.looks_BQMTN[:, :, :2]).sum(-1).mean()
    facts_loss = seen_loss(judged.facts, batch, spec.config.stride)
    right = ((judged.logit_BQ > 0) == (answer_BQ > 0.5)).float().mean()
    terms = {"answer": answer_loss, "pointing": pointing_loss, "facts": facts_loss, "right": right}
    shown = {name: float(value.detach()) for name, value in terms.items()}
    return answer_loss + spec.pointing * pointing_loss + spec.facts * facts_loss, shown


def seen_loss(facts: Facts, batch: Batch, stride: int) -> Tensor:
    """Error of the network about the clip itself: its cells' colours, shapes and sizes, and the camera."""
    device = facts.camera_BT2.device
    cells_BTN = torch.from_numpy(batch.cells_BTN[:, ::stride]).to(device)
    size_BTN = torch.from_numpy(batch.size_BTN[:, ::stride]).to(device)
    camera_BT2 = (torch.from_numpy(batch.camera_BT2[:, ::stride]) / torch.tensor(CAMERA_UNITS)).to(device)
    num_colours, num_shapes, thing = len(COLOURS), len(SHAPES), cells_BTN > 0
    kind, what, count = cells_BTN[thing] - 1, facts.cells_BTNC[thing], max(1, int(thing.sum()))
    labelled = cells_BTN >= 0
    terms = (
        F.cross_entropy(what[:, :num_colours], kind // num_shapes, reduction="sum") / count,
        F.cross_entropy(what[:, num_colours : num_colours + num_shapes], kind % num_shapes, reduction="sum") / count,
        F.binary_cross_entropy_with_logits(facts.cells_BTNC[labelled][:, -2], (cells_BTN[labelled] == 0).float()),
        4 * (what[:, -1] - size_BTN[thing]).square().sum() / count,
        (facts.camera_BT2 - camera_BT2).square().mean(),
    )
    return torch.stack(terms).sum()


def train_judge(
    folder: Path,
    spec: JudgeSpec,
    say: Callable[[str], None] = print,
    *,
    beside: bool = False,
    stop_after: int | None = None,
    device: str = "cpu",
) -> JudgeNet:
    """Train, or resume training, the judge in `folder`; returns it with its averaged weights, saved in `folder/judge`.

    Args:
        folder: where the checkpoint `training.safetensors` and the finished `judge/` go.
        spec: what to train and how long.
        say: receives the progress, one line at a time.
        beside: draw the clips in a second process.
        stop_after: stop after this step, with a checkpoint to resume from; None for the end.
        device: where it computes; clips are drawn on the CPU, and the returned judge is on the CPU.
    """
    torch.manual_seed(spec.seed)
    net = _Both(JudgeNet(spec.config), JudgeNet(spec.config).requires_grad_(False))
    net.mean.load_state_dict(net.live.state_dict())
    net.to(device)
    optimizer = torch.optim.AdamW(
        net.live.parameters(), lr=spec.learning_rate, betas=(0.9, 0.98), weight_decay=spec.weight_decay
    )
    run = _Run(net, optimizer, spec, folder / "training.safetensors", say)
    step = int(load_state(run.path, net, [optimizer]).get("step", 0))
    end = min(spec.num_steps, stop_after or spec.num_steps)
    if step < end:
        with batches_beside(spec, step) if beside else nullcontext(batches(spec, step)) as source:
            _steps(run, source, step, end)
    net.cpu()
    if end == spec.num_steps:
        save_judge(folder / "judge", net.mean)
    return net.mean.eval()


class _Both(nn.Module):
    """The network in training and the running mean of its weights."""

    def __init__(self, live: JudgeNet, mean: JudgeNet) -> None:
        super().__init__()
        self.live, self.mean = live, mean

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Move the mean towards the live weights."""
        for mean, live in zip(self.mean.parameters(), self.live.parameters(), strict=True):
            mean.lerp_(live, 1 - decay)


@dataclass(frozen=True)
class _Run:
    """The state of a training run."""

    net: _Both
    optimizer: torch.optim.AdamW
    spec: JudgeSpec
    path: Path
    """Its checkpoint."""
    say: Callable[[str], None]


def _steps(run: _Run, source: Iterator[Batch], start: int, end: int) -> None:
    """Train from step `start` to step `end`, saving every `CHECKPOINT_S` and at the end."""
    began = saved = time.monotonic()
    running: dict[str, float] = {}
    for step in range(start + 1, end + 1):
        shown = _step(run, next(source), step)
        running = {name: 0.97 * running.get(name, value) + 0.03 * value for name, value in shown.items()}
        now = time.monotonic()
        if step % 25 == 0 or step == end:
            left_s = (now - began) / (step - start) * (end - step)
            values = " ".join(f"{name} {value:.3f}" for name, value in running.items())
            run.say(f"judge step {step}/{run.spec.num_steps} {values} {now - began:.0f} s, {left_s:.0f} s left")
        if now - saved > CHECKPOINT_S or step == end:
            save_state(run.path, run.net, [run.optimizer], {"step": step})
            saved = now


def _step(run: _Run, batch: Batch, step: int) -> dict[str, float]:
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(step - 1, run.spec)
    loss, shown = judge_loss(run.net.live, batch, run.spec)
    loss.backward()
    if math.isfinite(float(nn.utils.clip_grad_norm_(run.net.live.parameters(), 1.0))):
        run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.net.average(min(run.spec.ema_decay, (1 + step) / (10 + step)))
    return shown


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=JudgeSpec.num_steps)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    spec = JudgeSpec(num_steps=arguments.steps)
    train_judge(arguments.folder, spec, lambda line: print(line, flush=True), beside=arguments.threads > 1)


if __name__ == "__main__":
    main()
