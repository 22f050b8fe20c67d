"""What a vision-language model is shown and asked: which frames, at which size, in which words. Light and pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rushes.judge.question_needs import frames_in_keys, question_needs
from rushes.llm.chat import Message
from rushes.llm.templates import render, template_hash
from rushes.recipe.models import VlmAskingSpec
from rushes.store.identity import content_hash

if TYPE_CHECKING:
    from rushes.roles import Frames


def num_frames_for(dimension: str, spec: VlmAskingSpec) -> int:
    """How many frames of a clip the judge is shown for a question about a dimension."""
    return spec.num_frames or question_needs(dimension).num_frames


def asked_hash(spec: VlmAskingSpec, dimensions: Collection[str]) -> str:
    """Hash of everything besides the spec that decides what the judge is asked: the template and numbers of frames.

    Args:
        spec: the judge.
        dimensions: names of the dimensions that are asked about.
    """
    frames = None if spec.num_frames else frames_in_keys(dimensions)
    return content_hash({"template": template_hash("rushes.judge", spec.template), "frames": frames})


def positions(num_clip_frames: int, num_shown: int) -> tuple[int, ...]:
    """Which frames to show: evenly spaced, including the first and the last; all of them if there are fewer.

    Args:
        num_clip_frames: frames in the clip, at least 1.
        num_shown: frames wanted, at least 1; a single one is the middle one.
    """
    if num_shown >= num_clip_frames:
        return tuple(range(num_clip_frames))
    if num_shown == 1:
        return (num_clip_frames // 2,)
    return tuple(round(i * (num_clip_frames - 1) / (num_shown - 1)) for i in range(num_shown))


def shrunk(frames_THWC: Frames, max_side_px: int) -> Frames:
    """The frames with their longer side at most `max_side_px`, aspect ratio kept; smaller ones unchanged."""
    height_px, width_px = frames_THWC.shape[1:3]
    scale = max_side_px / max(height_px, width_px)
    if scale >= 1:
        return frames_THWC
    import numpy as np
    from PIL import Image

    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    return np.stack(
        [np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)) for frame in frames_THWC]
    )


def turns(
    spec: VlmAskingSpec, question: str, num_clip_frames: int, fps: float, shown: tuple[int, ...]
) -> tuple[Message, ...]:
    """The text around the frames. It leaves out the clip's prompt, which would bias what the judge sees.

    Args:
        spec: the judge.
        question: what to ask, on one line.
        num_clip_frames: length of the clip.
        fps: frames per second.
        shown: which frames are shown as images; empty when the clip is passed as a video.
    """
    return render(
        "rushes.judge",
        spec.template,
        num_images=len(shown),
        duration_s=f"{num_clip_frames / fps:.1f}",
        times=tuple(f"{i / fps:.1f}" for i in shown),
        question=" ".join(question.split()),
    )
