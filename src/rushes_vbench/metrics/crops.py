"""Asks a chat model on a server about several crops in one request: a clip has hundreds of them.

A reply must say yes or no for each crop. One that does not is left aside, and each crop of that request is asked about
alone. Crops of one request are of one clip and one part, so that what else is measured changes no answer.

Legend: H height, W width.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rushes.judge.asked import shrunk
from rushes.judge.vlm import jpeg
from rushes.llm.ask import without_thoughts
from rushes.llm.chat import TOO_LONG, TOO_MANY_IMAGES, ChatModel, ChatReply, ChatRequest, Message
from rushes.roles import Failed
from rushes_vbench.metrics.core import Unanswered
from rushes_vbench.metrics.detectors import JudgedAnomaly
from rushes_vbench.metrics.grouping import in_groups
from rushes_vbench.metrics.models import Crop

if TYPE_CHECKING:
    from rushes.roles import Frames

Group = Sequence[Crop]
"""Crops of one part of one clip."""
FEWER_CROPS: Final = (
    "the server of {model} allows {allowed} images in a request, so it is asked about fewer crops at once"
)
_QUESTION: Final = (
    "There are {num} separate pictures above. Each shows a {part}. For each picture, in their order: does the {part} "
    "look anatomically wrong: deformed, with parts missing or too many? Reply with nothing but a JSON list of {num} "
    'words, each "yes" or "no", such as {example}.'
)
_LIST: Final = re.compile(r"\[[^\[\]]*\]")
_TOKENS_EACH: Final = 6


class JudgedTogether:
    """`RatesTogether` over a judge's chat model: 1 for a crop that it calls wrong, 0 for one that it does not.

    Args:
        judge: is asked about a crop alone where a reply for several cannot be used.
        model: gets the requests.
        num_together: most crops of a request, at least 2.
        max_side_px: longest side of a crop as it is sent, pixels.
    """

    def __init__(self, judge: JudgedAnomaly, model: ChatModel, num_together: int, max_side_px: int) -> None:
        self.num_together = num_together
        self._judge, self._model, self._side = judge, model, max_side_px
        self._most: int | None = None

    def p_abnormal(self, crop_HWC: Frames, part: str) -> float:
        """See `JudgedAnomaly.p_abnormal`."""
        return self._judge.p_abnormal(crop_HWC, part)

    def p_abnormal_of(self, groups: Sequence[Group]) -> list[list[float] | Exception]:
        """See `rushes_vbench.metrics.models.RatesTogether`.

        Raises:
            UserError: the server cannot be used at all.
        """
        asked = self._asked([(n, piece) for n, group in enumerate(groups) for piece in self._fitting(group)])
        crowded = next((each.reply for each in asked if _is(each.reply, TOO_MANY_IMAGES)), None)
        if crowded is not None:
            self._learn(crowded)
            smaller = [
                [(each.group, piece) for piece in self._fitting(each.crops)] if _is(each.reply, TOO_MANY_IMAGES) else []
                for each in asked
            ]
            again = iter(self._asked([piece for pieces in smaller for piece in pieces]))
            asked = [
                found
                for each, pieces in zip(asked, smaller, strict=True)
                for found in ([next(again) for _ in pieces] or [each])
            ]
        return self._rated(len(groups), asked)

    def _fitting(self, group: Group) -> list[Group]:
        return in_groups(group, min(self.num_together, self._most or self.num_together))

    def _learn(self, refusal: ChatReply | Failed) -> None:
        assert isinstance(refusal, Failed)
        self._most = max(1, int(refusal.message.split()[0]))
        warnings.warn(FEWER_CROPS.format(model=self._model.name, allowed=self._most), stacklevel=3)

    def _asked(self, pieces: Sequence[tuple[int, Group]]) -> list[_Asked]:
        """What the model says of each piece of several crops; nothing of those of one."""
        requests = [self._request(piece) for _, piece in pieces if len(piece) > 1]
        given = iter(self._model.reply(requests) if requests else [])
        return [_Asked(number, piece, next(given) if len(piece) > 1 else None) for number, piece in pieces]

    def _request(self, crops: Group) -> ChatRequest:
        num, part = len(crops), crops[0][1]
        images = tuple(jpeg(shrunk(crop_HWC[None], self._side)[0]) for crop_HWC, _ in crops)
        example = json.dumps(["no", "yes", *["no"] * (num - 2)])
        words = _QUESTION.format(num=num, part=part, example=example)
        return ChatRequest((Message("user", words, images),), max_tokens=16 + _TOKENS_EACH * num)

    def _rated(self, num_groups: int, asked: Sequence[_Asked]) -> list[list[float] | Exception]:
        said = [each.said() for each in asked]
        left = [crop for each, found in zip(asked, said, strict=True) if found is None for crop in each.crops]
        single = iter(self._judge.p_abnormal_all(left) if left else [])
        rated: list[list[float | Exception]] = [[] for _ in range(num_groups)]
        for each, found in zip(asked, said, strict=True):
            rated[each.group] += [next(single) for _ in each.crops] if found is None else found
        return [_without_exceptions(group) for group in rated]


@dataclass(frozen=True, eq=False)
class _Asked:
    """A request about some crops of a group, and its reply; None if none was sent."""

    group: int
    crops: Group
    reply: ChatReply | Failed | None

    def said(self) -> list[float | Exception] | None:
        """One for each crop; None if they are to be asked about singly."""
        if isinstance(self.reply, Failed):
            alone = self.reply.error_type in (TOO_LONG, TOO_MANY_IMAGES)
            return None if alone else [Unanswered(self.reply)] * len(self.crops)
        if self.reply is None or self.reply.is_cut:
            return None
        words = said_of_each(self.reply.text, len(self.crops))
        return None if words is None else [float(is_wrong) for is_wrong in words]


def said_of_each(reply: str, num: int) -> list[bool] | None:
    """Whether each crop is called wrong; None if a reply is no list of exactly so many yes and no, or two lists differ.

    Args:
        reply: the model's words; other words around the list are allowed.
        num: how many crops it was asked about.
    """
    good: list[list[bool]] = []
    for text in _LIST.findall(without_thoughts(reply)):
        try:
            words = json.loads(text)
        except ValueError:
            continue
        if not all(isinstance(word, str) and word.strip().lower() in ("yes", "no") for word in words):
            return None
        good.append([word.strip().lower() == "yes" for word in words])
    return good[0] if good and len(good[0]) == num and all(each == good[0] for each in good) else None


def _without_exceptions(rated: Sequence[float | Exception]) -> list[float] | Exception:
    """The probabilities of a group, or the first exception among them."""
    lost = next((each for each in rated if isinstance(each, Exception)), None)
    return lost or [p for p in rated if not isinstance(p, Exception)]


def _is(reply: ChatReply | Failed | None, error_type: str) -> bool:
    return isinstance(reply, Failed) and reply.error_type == error_type
