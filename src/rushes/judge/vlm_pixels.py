"""The pixels that a vision-language model reads, with a graph back to the clip's frames.

A model's processor works in PIL or NumPy, where no gradient passes. So its numbers are used as they are, and the
gradient goes through the same steps in torch: scaling, normalising, cutting into patches. The two are compared for
every clip; where they differ by more than rounding, the processor does something else, and there is no gradient.

Legend: Q questions, S shown frames, P patches; T, H, W, C as in `rushes.roles`, h w size after scaling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rushes.errors import RecipeError

if TYPE_CHECKING:
    from torch import Tensor

MOST_APART: Final = 0.5
"""Largest difference of the two, as a share of the spread of the pixels, that rounding and filters explain: torch has
no Lanczos filter, and noise is scaled differently by each. Another layout differs by 0.7 and more."""
_NAMES: Final = ("pixel_values", "pixel_values_videos")
_GRIDS: Final = {"pixel_values": "image_grid_thw", "pixel_values_videos": "video_grid_thw"}


def scaled(frames_THWC: Tensor, height: int, width: int, *, bilinear: bool = False) -> Tensor:
    """Frames at another size, T, C, h, w: as PIL scales, with filters as wide as a shrinking image needs."""
    from torch.nn.functional import interpolate

    x = frames_THWC.permute(0, 3, 1, 2)
    if x.shape[2:] == (height, width):
        return x
    mode = "bilinear" if bilinear else "bicubic"
    return interpolate(x, (height, width), mode=mode, antialias=True).clamp(0, 255)


def shrunk_to(frames_THWC: Tensor, height: int, width: int) -> Tensor:
    """Frames at the size that `rushes.judge.asked.shrunk` gave them, T, H, W, C."""
    return scaled(frames_THWC, height, width).permute(0, 2, 3, 1)


def squared(frames_SHWC: Tensor, part: Any) -> Tensor:
    """Frames in the middle of a square of the processor's mean colour, as LLaVA pads several images."""
    num, height, width, _ = frames_SHWC.shape
    side = max(height, width)
    colour = frames_SHWC.new_tensor([int(255 * each) for each in part.image_mean or (0, 0, 0)])
    whole = colour.expand(num, side, side, 3).clone()
    top, left = (side - height) // 2, (side - width) // 2
    whole[:, top : top + height, left : left + width] = frames_SHWC
    return whole


def with_gradient(inputs: Mapping[str, Any], frames_SHWC: Tensor, processor: Any, model: str) -> dict[str, Any]:
    """A model's inputs whose pixels depend on the frames; their values are the processor's own.

    Args:
        inputs: from `LocalVlm.inputs`, all questions about the same frames.
        frames_SHWC: the frames that were shown, 0 to 255, with their graph.
        processor: the model's.
        model: its name, for the error.

    Raises:
        RecipeError: the processor does something that is not done here.
    """
    name = next((each for each in _NAMES if each in inputs), None)
    if name is not None:
        theirs, grid = inputs[name], inputs.get(_GRIDS[name])
        # As `LocalVlm.inputs` shows a clip: InternVL and SmolVLM read the pixels of a video under the name of images.
        part = getattr(processor, "video_processor", None) or processor.image_processor
        ways = [
            ours
            for frames in (frames_SHWC, squared(frames_SHWC, part))
            for ours in [_whole_frames(theirs, frames, part) if grid is None else _patches(theirs, grid, frames, part)]
            if ours is not None
        ]
        nearest = min(ways, key=lambda ours: _apart(ours, theirs), default=None)
        if nearest is not None and _apart(nearest, theirs) <= MOST_APART:
            return {**inputs, name: theirs + (nearest - nearest.detach()).to(theirs.dtype)}
    raise RecipeError(
        f"no gradient passes through the processor of {model}: it prepares frames in a way that is not known here",
        expected="frames scaled and normalised, whole or in the patches of Qwen-VL",
        got=type(processor).__name__,
        next_step="name a Qwen2.5-VL or Qwen3-VL model in judge.judge, or set train.objective: {kind: online}, which "
        "needs only scores",
    )


def waves(num_frames: int, height: int, width: int) -> Tensor:
    """A clip to try a processor on, T, H, W, 3: smooth, different in every frame and colour."""
    import torch

    t, y, x, c = torch.meshgrid(*map(torch.arange, (num_frames, height, width, 3)), indexing="ij")
    return ((x / width * 6 + t + c).sin() * (y / height * 5 - c).cos() * 90 + 128).round().requires_grad_()


def _normalised(frames_SHWC: Tensor, height: int, width: int, part: Any) -> Tensor:
    """S, 3, h, w."""
    x = scaled(frames_SHWC, height, width, bilinear=int(getattr(part, "resample", None) or 3) == 2)
    if getattr(part, "do_rescale", True):
        x = x * part.rescale_factor
    if getattr(part, "do_normalize", True):
        mean, std = (x.new_tensor(each).view(1, 3, 1, 1) for each in (part.image_mean, part.image_std))
        x = (x - mean) / std
    return x


def _whole_frames(theirs: Tensor, frames_SHWC: Tensor, part: Any) -> Tensor | None:
    """Of processors that keep every frame as one picture (..., 3, h, w): question by question, frame by frame."""
    num = len(frames_SHWC)
    if theirs.ndim < 4 or theirs.shape[-3] != 3 or theirs.shape[:-3].numel() % num:
        return None
    ours = _normalised(frames_SHWC, theirs.shape[-2], theirs.shape[-1], part)
    return ours.repeat(theirs.shape[:-3].numel() // num, 1, 1, 1).view(theirs.shape)


def _patches(theirs: Tensor, grid: Tensor, frames_SHWC: Tensor, part: Any) -> Tensor | None:
    """Of Qwen-VL: P rows, squares of patches that are merged later, in time pairs of frames or a frame twice."""
    size, merged, deep = part.patch_size, part.merge_size, part.temporal_patch_size
    (t, rows, columns), num = grid[0].tolist(), len(frames_SHWC)
    if not bool((grid == grid[0]).all()) or (t > 1 and len(grid) * t * deep < num):
        return None
    x = _normalised(frames_SHWC, rows * size, columns * size, part)
    if theirs.ndim != 2 or theirs.shape[1] != 3 * deep * size * size:
        return None
    is_video = "video" in type(part).__name__.lower()
    if is_video:  # the last frame fills the last pair
        x = x[[*range(num), *[num - 1] * (t * deep - num)]].view(1, t, deep, *x.shape[1:])
    else:
        x = x.view(num, 1, 1, *x.shape[1:]).expand(-1, -1, deep, -1, -1, -1)
    x = x.reshape(
        len(x), t, deep, 3, rows // merged, merged, size, columns // merged, merged, size
    ).permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9)  # fmt: skip
    ours = x.reshape(-1, theirs.shape[1])
    return None if len(theirs) % len(ours) else ours.repeat(len(theirs) // len(ours), 1)


def _apart(ours: Tensor, theirs: Tensor) -> float:
    """Root mean square of the difference, in units of the spread of the pixels, or of a level in one colour."""
    off, spread = (ours.detach().float() - theirs.float()).square().mean().sqrt(), theirs.float().std()
    return float(off / spread.clamp_min(0.02))
