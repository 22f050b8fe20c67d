"""How fast the weight-free VBench-2.0 metrics are, and how much memory Diversity takes.

    python benchmarks/vbench_metrics.py                    832 x 480 x 81, a textured picture that pans
    python benchmarks/vbench_metrics.py clip.mp4 --repeats 3
    python benchmarks/vbench_metrics.py --only "Multi-View_Consistency, compat"
    python benchmarks/vbench_metrics.py --diversity        20 such clips, one moment of VGG19 with random weights

Processor seconds show what the work costs; wall seconds also depend on what else the machine was doing.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from rushes.records import Scored, Unscored
from rushes.roles import Video
from rushes.store.video import read_video
from rushes_vbench.metrics.camera_motion import labels_of
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.diversity import shrunk, streamed_diversity
from rushes_vbench.metrics.models import Matcher, Matches
from rushes_vbench.metrics.motion_models import DenseInverseSearch, SiftRansac
from rushes_vbench.metrics.multi_view import multi_view_consistency
from rushes_vbench.metrics.trackers import LucasKanade
from rushes_vbench.metrics.view import ClipView

if TYPE_CHECKING:
    from rushes.roles import Frames

HEIGHT, WIDTH, NUM_FRAMES, FPS = 480, 832, 81, 16.0
PROFILES: tuple[Profile, ...] = ("fixed", "compat")


def arc(seed: int = 0) -> Video:
    """A textured picture whose top and bottom move apart sideways, so every step of every metric has work to do."""
    rng = np.random.default_rng(seed)
    coarse = rng.standard_normal((120, 220, 3)).astype(np.float32)
    picture = np.clip(128 + 60 * cv2.resize(coarse, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), 0, 255)
    frames = []
    for t in range(NUM_FRAMES):
        lean = 0.012 * t
        matrix = np.array([[1.0, lean, -WIDTH / 2 - lean * HEIGHT / 2], [0.0, 1.0, 0.0]])
        frames.append(cv2.warpAffine(picture.astype(np.uint8), matrix, (WIDTH, HEIGHT)))
    return Video(np.stack(frames), FPS)


def timed(name: str, work: Callable[[], object], repeats: int) -> None:
    """Print the best of some runs, and the result."""
    best_wall = best_cpu = float("inf")
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        best_wall = min(best_wall, time.perf_counter() - wall)
        best_cpu = min(best_cpu, time.process_time() - cpu)
    speed = f"{best_wall:8.2f} s wall {best_cpu:8.2f} s CPU {1 / best_wall:8.2f} clips/s"
    print(f"{name:<34} {speed}  {in_words(found)}", flush=True)


def in_words(found: object) -> str:
    """A result in few words: a metric that finds nothing to measure is fast for the wrong reason."""
    if isinstance(found, Scored):
        return f"= {found.value:.3f}"
    if isinstance(found, Unscored):
        return found.reason
    return ", ".join(sorted(found)) if isinstance(found, frozenset) else ""


class Counting:
    """A matcher that counts the pairs of views it is shown."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher, self.num_pairs = matcher, 0

    def match(self, first_HWC: Frames, second_HWC: Frames) -> Matches:
        """Matches of two pictures."""
        self.num_pairs += 1
        return self.matcher.match(first_HWC, second_HWC)


def peak_gib() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def diversity_memory() -> None:
    """20 clips held as Diversity holds them, all 81 frames, and one moment of all of them through VGG19."""
    import torch
    from safetensors.torch import save_file

    from rushes_vbench.metrics.vgg import Vgg19

    shapes = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128)}
    shapes |= {12: (256, 256), 14: (256, 256), 16: (256, 256), 19: (512, 256)}
    shapes |= dict.fromkeys((21, 23, 25, 28, 30), (512, 512))
    with tempfile.TemporaryDirectory() as place:
        weights = {f"features.{i}.weight": 0.02 * torch.randn(*shape, 3, 3) for i, shape in shapes.items()}
        weights |= {f"features.{i}.bias": torch.zeros(shape[0]) for i, shape in shapes.items()}
        save_file(weights, Path(place) / "vgg.safetensors")
        net = Vgg19(Path(place) / "vgg.safetensors")
    clips = [shrunk(arc(seed), "compat") for seed in range(20)]
    print(f"20 clips of {NUM_FRAMES} frames held: peak {peak_gib():.2f} GiB", flush=True)
    wall, cpu = time.perf_counter(), time.process_time()
    streamed_diversity([np.stack([clip.frames_THWC[0] for clip in clips])], net)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"one moment of 20 clips: {wall:.1f} s wall, {cpu:.1f} s CPU, peak {peak_gib():.2f} GiB", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, help="a video file instead of the synthetic clip")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", default="", help='only this metric, such as "Multi-View_Consistency, compat"')
    parser.add_argument("--diversity", action="store_true")
    asked = parser.parse_args()
    if asked.diversity:
        diversity_memory()
        return
    if asked.clip is not None:
        timed("decode", lambda: read_video(asked.clip), asked.repeats)
    video = read_video(asked.clip) if asked.clip is not None else arc()
    print(f"{video.frames_THWC.shape[2]}x{video.frames_THWC.shape[1]}, {len(video.frames_THWC)} frames")

    flow, matcher = DenseInverseSearch(), Counting(SiftRansac())

    def labels(profile: Profile) -> object:
        return labels_of(ClipView(video, LucasKanade()), profile)

    def views(profile: Profile) -> object:
        return multi_view_consistency(ClipView(video, LucasKanade()), profile, flow, matcher)

    for metric, work in (("Camera_Motion", labels), ("Multi-View_Consistency", views)):
        for profile in PROFILES:
            name = f"{metric}, {profile}"
            if asked.only not in ("", name):
                continue
            matcher.num_pairs = 0
            timed(name, partial(work, profile), asked.repeats)
            if matcher.num_pairs:
                print(f"{'':<34} {matcher.num_pairs // asked.repeats} pairs of views")
    print(f"peak memory {peak_gib():.2f} GiB")


if __name__ == "__main__":
    main()
