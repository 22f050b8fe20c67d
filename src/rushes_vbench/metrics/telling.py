"""The four dimensions that a vision-language model describes and a text judge compares.

The instructions are in our own wording. `compat` follows the official steps. `fixed` parses whole lists with or without
a preamble, asks which observed item shows which requested event, and counts the events that occur in the requested
order: one early miss does not cost the rest, and an overlong list does no harm. An unparsable reply is `Unscored`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from rushes.measure.shown import SHARE_SHOWN
from rushes.records import Outcome, Part, Scored, Unscored
from rushes.roles import Video
from rushes_vbench.metrics.core import Profile, not_applicable
from rushes_vbench.metrics.models import RepliesToMany, TextJudge, VideoTeller
from rushes_vbench.metrics.order import ordered_length, prefix_length
from rushes_vbench.metrics.replies import chosen_numbers, numbered_items, says_yes, split_numbered
from rushes_vbench.metrics.sampling import NUM_VLM_FRAMES, spread, spread_once
from rushes_vbench.metrics.together import Asking, ask, one_by_one
from rushes_vbench.metrics.told import Telling, TellsMany, told_alone
from rushes_vbench.suite import SuiteEntry

TELLING_DIMENSIONS: Final = frozenset(
    {"Motion_Order_Understanding", "Human_Interaction", "Complex_Landscape", "Complex_Plot"}
)
"""Dimensions that this module scores."""

_ANSWER: Final = "Begin your answer with yes or no, then give the reason."
_SAME_ACTION: Final = (
    "You compare actions. Say whether prompt2 shows the action of prompt1 as really happening. Similar meaning is "
    f"enough; who acts does not matter; holding a thing is not yet using it. {_ANSWER}"
)
_SAME_INTERACTION: Final = (
    "You compare interactions between people. Say whether the interaction in prompt2 is the one asked for in prompt1, "
    f"with the same direction between the people. Similar meaning is enough. {_ANSWER}"
)
_SEVERAL: Final = f"Say whether more than one person is mentioned in the description. {_ANSWER}"
_SAME_LANDSCAPE: Final = (
    "You compare landscapes. Say whether the landscape of prompt1 occurs in prompt2. Similar meaning is enough; what "
    f"else prompt2 mentions does not matter. {_ANSWER}"
)
_SAME_PLOT: Final = (
    "You compare events of a story. Say whether prompt2 holds the key elements of prompt1: the people or creatures and "
    f"what they do. Names, background and clothes do not matter, but a weaker action is not the same action. {_ANSWER}"
)
_CONDENSE: Final = (
    "Divide the video_caption into its main events up to the number of slots in the template, one full sentence each, "
    "numbered as in the template."
)
_ALIGN: Final = (
    "You are given the events that a video should show, and a numbered list of what was observed in it. For each "
    "event, in the given order, say which observed item shows it, by number, or 0 when none does. Similar meaning is "
    "enough, a weaker action is not the same. Reply with a JSON list of whole numbers only, one per event, "
    "such as [1, 0, 2]."
)


class _Unusable(Exception):
    """A reply that the score depends on cannot be parsed."""


def by_telling(
    video: Video,
    entry: SuiteEntry,
    profile: Profile,
    teller: VideoTeller,
    judge: TextJudge,
    num_frames: int = NUM_VLM_FRAMES,
    fewest: int | None = None,
) -> Asking[Outcome]:
    """The outcome of one clip in a dimension that is described and compared.

    Args:
        video: the clip.
        entry: the suite's request; its dimension is one of `TELLING_DIMENSIONS`.
        profile: whose rules.
        teller: describes clips.
        judge: compares texts.
        num_frames: largest number of frames that the teller gets; 64 officially.
        fewest: fewest frames that it may get where its server allows fewer images; None shows no fewer. A score from
            fewer has a part that says so.
    """
    indices = (spread if profile == "compat" else spread_once)(len(video.frames_THWC), num_frames)
    desk = _Desk(Telling(video, indices, "", fewest), entry, profile, teller, judge)
    steps: dict[str, tuple[_Steps, _Steps]] = {
        "Motion_Order_Understanding": (_motion_order_official, _motion_order),
        "Human_Interaction": (_interaction, _interaction),
        "Complex_Landscape": (_landscape_official, _events),
        "Complex_Plot": (_plot_official, _events),
    }
    if entry.dimension not in steps:
        raise ValueError(f"{entry.dimension} is not decided by descriptions")
    try:
        outcome = yield from steps[entry.dimension][profile == "fixed"](desk)
    except _Unusable as error:
        return Unscored(reason=str(error))
    return desk.with_share_shown(outcome)


class _Desk:
    """One clip, its entry, and the two models to ask."""

    def __init__(
        self, shown: Telling, entry: SuiteEntry, profile: Profile, teller: VideoTeller, judge: TextJudge
    ) -> None:
        self.entry = entry
        self._shown, self._profile = shown, profile
        self._least = len(shown.indices)
        self._tell = teller.tell_all if isinstance(teller, TellsMany) else one_by_one(partial(told_alone, teller))
        self._reply = judge.reply_all if isinstance(judge, RepliesToMany) else one_by_one(judge.reply)

    def tell(self, instruction: str) -> Asking[str]:
        told = yield from ask(self._tell, replace(self._shown, instruction=instruction))
        self._least = min(self._least, told.num_frames)
        said = told.text.strip()
        if not said:
            raise _Unusable("the vision-language model said nothing")
        return said

    def write(self, rules: str, text: str) -> Asking[str]:
        messages = [{"role": "system", "content": rules}, {"role": "user", "content": text}]
        return (yield from ask(self._reply, messages))

    def compare(self, rules: str, asked: str, observed: str) -> Asking[tuple[bool, str]]:
        """Whether the text judge says yes, and its whole reply."""
        return self.read((yield from self.write(rules, f"prompt1: {asked.strip()}\nprompt2: {observed.strip()}")))

    def read(self, reply: str) -> tuple[bool, str]:
        """Whether a reply says yes, and the reply."""
        said = says_yes(reply, self._profile)
        if said is None:
            raise _Unusable(f"the text judge said neither yes nor no: {reply[:80]!r}")
        return said, reply

    def align(self, items: list[str]) -> Asking[list[int]]:
        """Which item shows each requested event, 1, 2, ...; 0 for none."""
        events = "\n".join(f"{i}. {text}" for i, text in enumerate(self.entry.reference, 1))
        observed = "\n".join(f"{i}. {text}" for i, text in enumerate(items, 1))
        reply = yield from self.write(_ALIGN, f"Events:\n{events}\n\nObserved:\n{observed}")
        places = chosen_numbers(reply, len(self.entry.reference), len(items))
        if places is None:
            raise _Unusable(f"the text judge gave no list of {len(self.entry.reference)} item numbers: {reply[:80]!r}")
        return places

    def with_share_shown(self, outcome: Outcome) -> Outcome:
        """A score from fewer frames than asked for says so."""
        num_wanted = len(self._shown.indices)
        if self._least == num_wanted or not isinstance(outcome, Scored):
            return outcome
        shown = Part(name=SHARE_SHOWN, value=self._least / num_wanted)
        return outcome.model_copy(update={"parts": (*outcome.parts, shown)})


# ---------------------------------------------------------------------------------------------- two actions, in order


def _motion_order_official(desk: _Desk) -> Asking[Outcome]:
    said = yield from desk.tell("Return the order of the actions in the video. Fill in this template.\n1. ; 2. .")
    halves = said.split("2.")
    if len(halves) < 2:
        return not_applicable("the description does not fill the template of two actions")
    seen = []
    for q in range(2):
        fits, _ = yield from desk.compare(_SAME_ACTION, desk.entry.reference[q], halves[q])
        seen.append(fits)
    return Scored(value=float(all(seen)), parts=_named_parts(desk.entry.reference, seen))


def _motion_order(desk: _Desk) -> Asking[Outcome]:
    """Both actions observed, the first before the second; a clip with only one of the actions scores 0."""
    items = yield from _listed(
        desk, "List the actions in the video in the order in which they happen, numbered, one a line."
    )
    places = yield from desk.align(items)
    parts = [bool(place) for place in places]
    value = float(ordered_length(places) == len(places))
    return Scored(value=value, parts=_named_parts(desk.entry.reference, parts))


# ---------------------------------------------------------------------------------------------- interactions


def _interaction(desk: _Desk) -> Asking[Outcome]:
    interaction = yield from desk.tell("Say in one sentence who does what to whom in the video, as: A does this to B.")
    caption = yield from desk.tell("Describe the people in the video and what they do in detail.")
    fits, _ = yield from desk.compare(_SAME_INTERACTION, desk.entry.prompt, interaction)
    several, _ = desk.read((yield from desk.write(_SEVERAL, f"description: {caption}")))
    parts = _named_parts(("the interaction is the one asked for", "more than one person"), [fits, several])
    return Scored(value=float(fits and several), parts=parts)


# ---------------------------------------------------------------------------------------------- events, in order


def _landscape_official(desk: _Desk) -> Asking[Outcome]:
    caption = yield from desk.tell("Describe the landscape in the video in detail.")
    summary = yield from desk.write(_CONDENSE, f"video_caption: {caption}\ntemplate: {_template(5)}")
    if "1. " in summary:
        return (yield from _prefix(desk, _SAME_LANDSCAPE, split_numbered(summary)))
    # Officially the judge's reply replaces the caption after the first event.
    against, num_same = summary, 0
    for event in desk.entry.reference:
        fits, against = yield from desk.compare(_SAME_LANDSCAPE, event, against)
        if not fits:
            break
        num_same += 1
    return Scored(value=num_same / len(desk.entry.reference))


def _plot_official(desk: _Desk) -> Asking[Outcome]:
    events = desk.entry.reference
    template = _template(4 if len(events) == 4 else 5)
    said = yield from desk.tell(f"Return the plot of the video. Fill in this template.\n{template}")
    if "1. " not in said:
        return (yield from _prefix(desk, _SAME_PLOT, [said] * len(events)))
    items = split_numbered(said)
    if len(items) > len(events):
        caption = yield from desk.tell("Describe the video in detail.")
        items = split_numbered((yield from desk.write(_CONDENSE, f"video_caption: {caption}\ntemplate: {template}")))
    return (yield from _prefix(desk, _SAME_PLOT, items))


def _prefix(desk: _Desk, rules: str, items: list[str]) -> Asking[Outcome]:
    """Item by item against event by event, up to the first that does not match.

    The official code crashes on an extra item; here the comparison stops.
    """
    events, num_same = desk.entry.reference, 0
    for event, item in zip(events, items, strict=False):
        fits, _ = yield from desk.compare(rules, event, item)
        if not fits:
            break
        num_same += 1
    return Scored(value=num_same / len(events))


def _events(desk: _Desk) -> Asking[Outcome]:
    what = "changes of the landscape and of the view" if desk.entry.dimension == "Complex_Landscape" else "events"
    items = yield from _listed(
        desk, f"List all {what} in the video in the order in which they happen, numbered, one a line."
    )
    places = yield from desk.align(items)
    n = len(places)
    leading = prefix_length(n, lambda i: places[i] == i + 1)
    seen = _named_parts(desk.entry.reference, [bool(place) for place in places])
    parts = (*seen, Part(name="from the start", value=leading / n))
    return Scored(value=ordered_length(places) / n, parts=parts)


def _listed(desk: _Desk, what: str) -> Asking[list[str]]:
    said = yield from desk.tell(f"List {what} in the video in the order in which they happen, numbered, one a line.")
    items = numbered_items(said)
    if not items:
        raise _Unusable(f"the description is not a numbered list: {said[:80]!r}")
    return items


def _template(num_slots: int) -> str:
    return "; ".join(f"{i}. " for i in range(1, num_slots + 1)) + "."


def _named_parts(names: tuple[str, ...], seen: list[bool]) -> tuple[Part, ...]:
    return tuple(Part(name=name, value=float(each)) for name, each in zip(names, seen, strict=True))


_Steps = Callable[[_Desk], Asking[Outcome]]
