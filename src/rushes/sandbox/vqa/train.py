"""Train the sandbox's judge: `python -m rushes.sandbox.vqa.train --folder FOLDER`; the same command resumes it.

Legend: B clips, Q questions a clip, M looks, T frames, N places to look at.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rushes.sandbox.pretrain.state import load_state, save_state
from rushes.sandbox.vqa.examples import Batch, Example, Mix, ask_again, draw_example, make_batch
from rushes.sandbox.vqa.language import question_vocabulary, word_ids
from rushes.sandbox.vqa.model import JudgeConfig, JudgeNet
from rushes.sandbox.vqa.weights import save_judge

CHECKPOINT_S = 45.0
"""Seconds between checkpoints."""


@dataclass(frozen=True)
class JudgeSpec:
    """How the judge is trained."""

    num_steps: int = 3000
    fresh: int = 16
    """New clips per step."""
    again: int = 16
    """Clips per step that were new `delay` steps earlier, asked other questions now."""
    delay: int = 40
    learning_rate: float = 2e-3
    warmup: int = 60
    pointing: float = 0.5
    """Weight of the loss that teaches the first two looks where the named things are."""
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
    """The batches of `step` and all later steps, each decided by its step alone, so that resuming changes nothing."""
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
    for batch in batches(spec, step):
        queue.put(batch)


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
    """Cross-entropy of the answers plus that of the first two looks; and both with the share answered right."""
    answer_BQ = torch.from_numpy(batch.answer_BQ)
    with torch.autocast("cpu", torch.bfloat16):
        logit_BQ, looks_BQMTN = net(torch.from_numpy(batch.frames_BTHWC), torch.from_numpy(batch.words_BQL))
    answer_loss = F.binary_cross_entropy_with_logits(logit_BQ, answer_BQ)
    target_BQ2TN = torch.from_numpy(batch.pointing_BQ2TN[:, :, :, :: spec.config.stride])
    pointing_loss = -(target_BQ2TN * looks_BQMTN[:, :, :2]).sum(-1).mean()
    right = ((logit_BQ > 0) == (answer_BQ > 0.5)).float().mean()
    shown = {"answer": float(answer_loss.detach()), "pointing": float(pointing_loss.detach()), "right": float(right)}
    return answer_loss + spec.pointing * pointing_loss, shown


def train_judge(folder: Path, spec: JudgeSpec, say: Callable[[str], None] = print, *, beside: bool = False) -> JudgeNet:
    """Train, or go on training, the judge in `folder`; returns it with its averaged weights, saved in `folder/judge`.

    Args:
        folder: where the checkpoint `training.safetensors` and the finished `judge/` go.
        spec: what to train and how long.
        say: told the progress, one line at a time.
        beside: draw the clips in a second process.
    """
    torch.manual_seed(spec.seed)
    net = _Both(JudgeNet(spec.config), JudgeNet(spec.config).requires_grad_(False))
    net.mean.load_state_dict(net.live.state_dict())
    optimizer = torch.optim.AdamW(
        net.live.parameters(), lr=spec.learning_rate, betas=(0.9, 0.98), weight_decay=spec.weight_decay
    )
    path = folder / "training.safetensors"
    step = int(load_state(path, net, [optimizer]).get("step", 0))
    if step >= spec.num_steps:
        return net.mean.eval()
    if beside:
        with batches_beside(spec, step) as source:
            _steps(net, optimizer, source, spec, step, path, say)
    else:
        _steps(net, optimizer, batches(spec, step), spec, step, path, say)
    save_judge(folder / "judge", net.mean)
    return net.mean.eval()


class _Both(nn.Module):
    """The network being trained and the running mean of its weights."""

    def __init__(self, live: JudgeNet, mean: JudgeNet) -> None:
        super().__init__()
        self.live, self.mean = live, mean

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Move the mean towards the live weights."""
        for mean, live in zip(self.mean.parameters(), self.live.parameters(), strict=True):
            mean.lerp_(live, 1 - decay)


def _steps(
    net: _Both,
    optimizer: torch.optim.AdamW,
    source: Iterator[Batch],
    spec: JudgeSpec,
    step: int,
    path: Path,
    say: Callable[[str], None],
) -> None:
    began = saved = time.monotonic()
    running: dict[str, float] = {}
    first = step
    while step < spec.num_steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, spec)
        loss, shown = judge_loss(net.live, next(source), spec)
        loss.backward()
        if math.isfinite(float(nn.utils.clip_grad_norm_(net.live.parameters(), 1.0))):
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        net.average(min(spec.ema_decay, (1 + step) / (10 + step)))
        running = {name: 0.97 * running.get(name, value) + 0.03 * value for name, value in shown.items()}
        now = time.monotonic()
        if step % 25 == 0 or step == spec.num_steps:
            left_s = (now - began) / (step - first) * (spec.num_steps - step)
            values = " ".join(f"{name} {value:.3f}" for name, value in running.items())
            say(f"judge step {step}/{spec.num_steps} {values} {now - began:.0f} s, {left_s:.0f} s left")
        if now - saved > CHECKPOINT_S or step == spec.num_steps:
            save_state(path, net, [optimizer], {"step": step})
            saved = now


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
