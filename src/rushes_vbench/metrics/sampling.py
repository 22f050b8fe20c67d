"""Frame samplers: which frames of a clip a metric uses. Pure functions of lengths, and cuts of clips."""

from __future__ import annotations

import numpy as np

from rushes.roles import Video

NUM_VLM_FRAMES = 64
"""Frames that a vision-language judge gets, as in the official scoring."""


def spread(num_frames: int, num_wanted: int) -> list[int]:
    """Indices evenly from the first to the last frame, truncated to integers; they repeat if there are too few frames.

    Args:
        num_frames: length of the clip, at least 1.
        num_wanted: how many indices, at least 1.
    """
    if num_frames < 1 or num_wanted < 1:
        raise ValueError(f"expected at least one frame and one index, got {num_frames!r} and {num_wanted!r}")
    return [int(i) for i in np.linspace(0, num_frames - 1, num_wanted).astype(int)]


def spread_once(num_frames: int, num_wanted: int) -> list[int]:
    """The same without repeats: at most `num_wanted` indices, at most `num_frames`."""
    return spread(num_frames, min(num_frames, num_wanted))


def pick(video: Video, indices: list[int], *, share: float = 1.0) -> Video:
    """Some frames of a clip, as a clip with the duration of the stretch they represent.

    Args:
        video: the clip.
        indices: which frames, in order, at least one.
        share: share of the clip's time that they represent, 0 to 1.
    """
    frames = video.frames_THWC[indices]
    return Video(frames, video.fps * len(indices) / (len(video.frames_THWC) * share))


def windows(num_frames: int, fps: float, *, length_s: float, stride_s: float, whole: bool) -> list[range]:
    """Overlapping stretches of a clip.

    Args:
        num_frames: length of the clip.
        fps: frames per second, above 0.
        length_s: length of a stretch, seconds.
        stride_s: distance between their starts, seconds.
        whole: False for the official cutting: floor(duration) - 1 stretches of 2 s, none for short clips. True to have
            every frame in a stretch: the last one ends with the clip, and a short clip is one stretch.
    """
    length, duration_s = max(1, round(length_s * fps)), num_frames / fps
    if not whole:
        starts = [round(i * stride_s * fps) for i in range(max(0, int(duration_s) - 1))]
    else:
        starts = [
            round(i * stride_s * fps) for i in range(num_frames) if round(i * stride_s * fps) + length <= num_frames
        ]
        if not starts or starts[-1] + length < num_frames:
            starts.append(max(0, num_frames - length))
    return [range(start, min(num_frames, start + length)) for start in starts]
