"""The sandbox's judge role: clips and questions in, probabilities of yes out, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rushes.judge.gradient import PixelRequest
from rushes.roles import Failed, GivenAnswer, JudgeRequest
from rushes_sandbox.packaged import packaged_judge
from rushes_sandbox.questions import read
from rushes_sandbox.vqa.language import encode_question, pad_questions
from rushes_sandbox.vqa.model import Judged, JudgeNet, frame_size
from rushes_sandbox.vqa.weights import load_judge


class SandboxJudge:
    """A `Judge` for clips of the sandbox world.

    It answers from the clip and the words alone. The words are parsed into a check only to decide whether they are a
    question of this world at all; any other question is left unanswered, with the reason.
    """

    name = "sandbox-vqa"

    def __init__(self, net: JudgeNet, ids: dict[str, int], batch_size: int = 16) -> None:
        """Judge with a loaded network.

        Args:
            net: the network, in evaluation mode.
            ids: the id of every word it reads.
            batch_size: clips processed together; changes speed and memory, not answers.
        """
        self._net, self._ids, self._batch_size = net, ids, batch_size

    @classmethod
    def load(cls, folder: Path | None = None, batch_size: int = 16) -> SandboxJudge:
        """The judge of a folder, or the packaged one.

        Raises:
            InputError: there is none in `folder`, or it is damaged.
        """
        return cls(*load_judge(folder or packaged_judge()), batch_size)

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order, with one answer per question, in order."""
        try:
            return list(self._answer(requests))
        except Exception as error:  # the stage retries clip by clip, so one bad clip does not lose its batch
            return [Failed.of(error) for _ in requests]

    def margins(self, requests: Sequence[PixelRequest]) -> list[Tensor | Failed]:
        """The logit of yes of each question, with a graph back to the clip's pixels; see `rushes.judge.gradient`."""
        return [self._margins(request) for request in requests]

    def _margins(self, request: PixelRequest) -> Tensor | Failed:
        asked = [question.text for question in request.questions]
        shape = tuple(request.frames_THWC.shape)
        reasons = [f"the clip has shape {shape}, the sandbox judge reads {frame_size()}"] * (shape != frame_size())
        reasons += [reason for text in asked if (reason := _unread(text, self._ids)) is not None]
        if reasons:
            return Failed("Unreadable", reasons[0])
        ids = [row for text in asked if not isinstance(row := encode_question(text, self._ids), str)]
        words = torch.from_numpy(pad_questions(ids))[None]
        judged: Judged = self._net(request.frames_THWC.cpu()[None], words)
        return judged.logit_BQ[0]

    def _answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...]]:
        asked = [[question.text for question in request.questions] for request in requests]
        values = self.p_yes([request.video.frames_THWC for request in requests], asked)
        return [
            tuple(GivenAnswer(None, v) if isinstance(v, str) else GivenAnswer(v) for v in values_of)
            for values_of in values
        ]

    def p_yes(
        self, clips_THWC: Sequence[NDArray[np.uint8]], questions: Sequence[Sequence[str]]
    ) -> list[list[float | str]]:
        """Probability of yes for each question of each clip, or the reason why there is none.

        Args:
            clips_THWC: uint8 pixels of shape (17, 64, 64, 3), RGB.
            questions: what to ask about each clip, the same number of lists.
        """
        reasons = [
            [_unseen(clip_THWC) or _unread(text, self._ids) for text in asked]
            for clip_THWC, asked in zip(clips_THWC, questions, strict=True)
        ]
        readable = [[j for j, reason in enumerate(row) if reason is None] for row in reasons]
        out: list[list[float | str]] = [[reason or 0.0 for reason in row] for row in reasons]
        todo = [i for i, row in enumerate(readable) if row]
        for at in range(0, len(todo), self._batch_size):
            part = todo[at : at + self._batch_size]
            texts = [[questions[i][j] for j in readable[i]] for i in part]
            for i, values in zip(part, self._ask([clips_THWC[i] for i in part], texts), strict=True):
                for j, value in zip(readable[i], values, strict=True):
                    out[i][j] = value
        return out

    @torch.no_grad()
    def _ask(self, clips_THWC: list[NDArray[np.uint8]], questions: list[list[str]]) -> list[list[float]]:
        """P(yes) of readable questions, at least one per clip; clips with fewer than the others have some repeated."""
        most = max(len(row) for row in questions)
        ids = [encode_question(row[n % len(row)], self._ids) for row in questions for n in range(most)]
        words = torch.from_numpy(pad_questions([row for row in ids if not isinstance(row, str)]))
        judged = self._net(torch.from_numpy(np.stack(clips_THWC)), words.view(len(questions), most, -1))
        return [values[: len(row)] for values, row in zip(judged.logit_BQ.sigmoid().tolist(), questions, strict=True)]


def _unseen(clip_THWC: NDArray[np.uint8]) -> str | None:
    """Why a clip cannot be read, or None."""
    if clip_THWC.shape == frame_size() and clip_THWC.dtype == np.uint8:
        return None
    return f"the clip is {clip_THWC.dtype} of shape {clip_THWC.shape}, the sandbox judge reads uint8 of {frame_size()}"


def _unread(question: str, ids: dict[str, int]) -> str | None:
    """Why a question cannot be answered, or None."""
    words = encode_question(question, ids)
    if isinstance(words, str):
        return f"the sandbox judge cannot read the question: {words}"
    return None if read(question) else f"not a question about the sandbox world: {question!r}"
