"""The requests of an audit: clips with their questions, each unchanged and under every control.

Legend: T frames, H height, W width.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from rushes.audit.negation import negated
from rushes.records import Question
from rushes.roles import JudgeRequest, Video
from rushes.store.video import pixel_hash

if TYPE_CHECKING:
    from rushes.roles import Frames

ORIGINAL: Final = "original"
"""Name used for the unchanged clip, without a control."""
ASKED_AGAIN: Final = "asked_again"
"""The control that repeats the same questions later, in another order and in other batches."""
CRF: Final = 36
"""Constant rate factor of the control `compression`: x264's default is 23; 51 is the worst quality."""


@dataclass(frozen=True, eq=False)
class Case:
    """A clip with the questions of its prompt. Pixels are loaded on demand."""

    name: str
    """File name, or the clip's key in a run; identifies it in a file of labels."""
    prompt: str
    """Name of its prompt; intervals are clustered by it."""
    dimension: str
    """Quality dimension."""
    text: str
    """The prompt."""
    questions: tuple[Question, ...]
    """At least one."""
    load: Callable[[], Video]
    """Returns the pixels."""


@dataclass(frozen=True, eq=False)
class Shown(JudgeRequest):
    """What a judge sees, with the unchanged clip beside it, for judges that compare."""

    original: Video
    """The unchanged clip."""
    original_text: str
    """Its prompt."""
    control: str = ORIGINAL
    """Name of the control."""


@dataclass(frozen=True, eq=False)
class Asked:
    """One request to the judge."""

    case: Case
    control: str
    """Name of the control, or `ORIGINAL`."""
    request: Shown
    """What the judge sees."""
    compared: tuple[int, ...]
    """Positions of the case's own questions whose answers this is compared with."""
    made_from: str
    """Hash of the unchanged clip: pixels, shape and frame rate."""
    made_by: tuple[str | int, ...] = ()
    """The change to the pixels and its parameter, or the name of the repeat control; empty for no change."""


@dataclass(frozen=True, eq=False)
class NotAsked:
    """A control that cannot be applied to a clip."""

    case: Case
    control: str
    reason: str
    """Why not."""


def requests_of(case: Case, other: Case | None, controls: Sequence[str], seed: int) -> list[Asked | NotAsked]:
    """Requests for the unchanged clip and for each control, in order.

    Args:
        case: the clip.
        other: the clip whose questions serve as the wrong prompt; None if the dimension has no other prompt.
        controls: names from the table of expectations.
        seed: decides the order of shuffled frames.
    """
    video = case.load()
    request = Shown(video, case.text, case.questions, original=video, original_text=case.text)
    own = Asked(case, ORIGINAL, request, tuple(range(len(case.questions))), pixel_hash(video))
    return [own, *(_controlled(own, other, control, seed) for control in controls)]


def _controlled(own: Asked, other: Case | None, control: str, seed: int) -> Asked | NotAsked:
    case, request = own.case, replace(own.request, control=control)
    if control in PIXELS:
        rng = np.random.default_rng([seed, zlib.crc32(case.name.encode("utf-8", "surrogateescape"))])
        changed = PIXELS[control](request.video, rng)
        if isinstance(changed, str):
            return NotAsked(case, control, changed)
        number = {"shuffled_frames": seed, "compression": CRF}.get(control, 0)
        return replace(own, control=control, request=replace(request, video=changed), made_by=(control, number))
    if control == "wrong_prompt":
        if other is None:
            return NotAsked(case, control, "the dimension has no other prompt")
        return replace(own, control=control, request=replace(request, text=other.text, questions=other.questions))
    if control == "negated_question":
        return _negated_questions(replace(own, request=request))
    if control == ASKED_AGAIN:
        backwards = tuple(reversed(case.questions))
        return replace(own, control=control, request=replace(request, questions=backwards), made_by=(control,))
    raise ValueError(f"no such control: {control!r}")


def _negated_questions(own: Asked) -> Asked | NotAsked:
    found = [(index, negated(question.text)) for index, question in enumerate(own.case.questions)]
    safe = [(index, text) for index, text in found if text is not None]
    if not safe:
        return NotAsked(own.case, "negated_question", "none of its questions can be negated safely")
    other: dict[str, Literal["yes", "no"]] = {"yes": "no", "no": "yes"}
    questions = tuple(
        own.case.questions[index].model_copy(
            update={"text": text, "expected": other[own.case.questions[index].expected]}
        )
        for index, text in safe
    )
    return replace(
        own,
        control="negated_question",
        request=replace(own.request, questions=questions),
        compared=tuple(index for index, _ in safe),
    )


def wrong_prompts(cases: Sequence[Case], seed: int) -> Mapping[str, Case]:
    """For each clip by name, the clip of its dimension whose questions are asked about it.

    It is the next one in a random order that has another prompt and whose questions share the fewest expected answers
    with its own: a question that both prompts answer alike does not test a wrong prompt.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, Case] = {}
    for dimension in sorted({case.dimension for case in cases}):
        own = [case for case in cases if case.dimension == dimension]
        order = [own[int(i)] for i in rng.permutation(len(own))]
        for place, case in enumerate(order):
            others = [each for each in order[place + 1 :] + order[:place] if each.prompt != case.prompt]
            if others:
                found[case.name] = min(others, key=lambda each: _num_shared(case, each))
    return found


def _num_shared(case: Case, other: Case) -> int:
    """How many of the other's questions the case's own clip should answer as expected, judging by the wording."""
    own = {(question.text.casefold(), question.expected) for question in case.questions}
    return sum((question.text.casefold(), question.expected) in own for question in other.questions)


# ---------------------------------------------------------------------------------------------- pixels


def _black(video: Video, rng: np.random.Generator) -> Video:
    return replace(video, frames_THWC=np.zeros_like(video.frames_THWC))


def _frozen(video: Video, rng: np.random.Generator) -> Video:
    frames = video.frames_THWC
    middle = len(frames) // 2
    return replace(video, frames_THWC=np.repeat(frames[middle : middle + 1], len(frames), axis=0))


def _reversed(video: Video, rng: np.random.Generator) -> Video:
    return replace(video, frames_THWC=np.ascontiguousarray(video.frames_THWC[::-1]))


def _shuffled(video: Video, rng: np.random.Generator) -> Video | str:
    """A random order in which at least half of the transitions from frame to frame jump."""
    num = len(video.frames_THWC)
    if num < 4:
        return f"{num} frames have no order to lose"
    while True:
        order = rng.permutation(num)
        if np.mean(np.abs(np.diff(order)) > 1) >= 0.5:
            return replace(video, frames_THWC=np.ascontiguousarray(video.frames_THWC[order]))


def _held(video: Video, rng: np.random.Generator) -> Video:
    num = len(video.frames_THWC)
    return replace(video, frames_THWC=np.ascontiguousarray(video.frames_THWC[np.arange(num) // 2 * 2]))


def _half(video: Video, rng: np.random.Generator) -> Video | str:
    if len(video.frames_THWC) < 3:
        return f"{len(video.frames_THWC)} frames cannot be halved"
    return Video(np.ascontiguousarray(video.frames_THWC[::2]), video.fps / 2)


def _double_rate(video: Video, rng: np.random.Generator) -> Video:
    return replace(video, fps=2 * video.fps)


def _compressed(video: Video, rng: np.random.Generator) -> Video:
    return replace(video, frames_THWC=compressed(video.frames_THWC, video.fps))


PIXELS: Final[Mapping[str, Callable[[Video, np.random.Generator], Video | str]]] = {
    "black_video": _black,
    "frozen_frame": _frozen,
    "reversed_time": _reversed,
    "shuffled_frames": _shuffled,
    "compression": _compressed,
    "held_frames": _held,
    "half_the_frames": _half,
    "double_rate": _double_rate,
}
"""Controls that change the clip: by name, a function from the clip to the changed one, or to why there is none."""


def compressed(frames_THWC: Frames, fps: float, crf: int = CRF) -> Frames:
    """Encode with H.264, colours at half resolution, and decode again.

    Args:
        frames_THWC: pixels, uint8, RGB; any size, odd sides are padded while they are compressed.
        fps: frames per second.
        crf: constant rate factor, 0 (lossless) to 51.

    Returns:
        Pixels of the same shape.
    """
    import av

    height, width = frames_THWC.shape[1:3]
    even = np.pad(frames_THWC, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    file = io.BytesIO()
    with av.open(file, mode="w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(10_000))
        stream.height, stream.width = even.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "threads": "1"}
        for pixels in even:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as video:
        video.streams.video[0].codec_context.thread_count = 1  # clips are small, and other work uses the other cores
        back = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])
    return np.ascontiguousarray(back[:, :height, :width])
