"""A job of two stages that is killed many times. Run as a script by the test of the same idea.

Usage: python kill_many.py HOME NUM_KILLS SEED
Prints how many of its children died of SIGKILL before one finished the job.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rushes.records import Clip, Prompt, SamplerSettings
from rushes.store.advance import Work, advance
from rushes.store.identity import seed_from_key, work_key
from rushes.store.run import Run

NUM_PROMPTS = 130
CHUNK_SIZE = 4
SAMPLER = SamplerSettings(num_steps=1, guidance_scale=1.0, shift=1.0, scheduler="toy")


def job(home: Path, pause_s: float, opened: int) -> None:
    """Write prompts, generate clips, finish: results depend on all companions in a chunk, as in batched arithmetic."""
    with Run.open(home, {"num_prompts": NUM_PROMPTS}) as run:
        os.write(opened, b"1")
        drafts = [Work(work_key("prompt", None, index=i), i) for i in range(NUM_PROMPTS)]

        def write(chunk: Sequence[Work[int]]) -> list[Prompt]:
            time.sleep(pause_s)
            companions = sum(seed_from_key(piece.key) for piece in chunk)
            return [
                Prompt(
                    key=piece.key,
                    text=f"{piece.payload} {companions}",
                    base_text="b",
                    dimension="D",
                    origin="weakness",
                    index=piece.payload,
                )
                for piece in chunk
            ]

        def generate(chunk: Sequence[Work[Prompt]]) -> list[Clip]:
            time.sleep(pause_s)
            companions = sum(seed_from_key(piece.key) for piece in chunk)
            return [
                Clip(
                    key=piece.key,
                    prompt_key=piece.payload.key,
                    dimension="D",
                    seed=seed_from_key(piece.key),
                    seed_index=0,
                    model="toy",
                    origin="model",
                    sampler=SAMPLER,
                    height_px=8,
                    width_px=8,
                    num_frames=1,
                    fps=8.0,
                    seconds=time.perf_counter() % 1,
                    video=run.blobs.put_bytes(f"{companions} {piece.payload.text}".encode() * 1000, ".bin"),
                )
                for piece in chunk
            ]

        prompts = advance(run.prompts, drafts, write, chunk_size=CHUNK_SIZE, place=run.place())
        takes = [Work(work_key("clip", None, [prompt]), prompt) for prompt in prompts]
        advance(run.clips, takes, generate, chunk_size=CHUNK_SIZE, place=run.place())
        (home / "done").touch()


def main() -> None:
    home, num_kills, dice = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    killed = 0
    while not (home / "done").exists():
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            job(home, pause_s=0.03 if killed < num_kills else 0.0, opened=writer)
            os._exit(0)
        os.close(writer)
        if killed < num_kills:
            if dice.random() < 0.75:  # else also while it opens the run
                os.read(reader, 1)
            time.sleep(dice.uniform(0.0, 0.08))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(reader)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.WEXITSTATUS(status):
            sys.exit("the job raised")
    print(killed)


if __name__ == "__main__":
    main()
