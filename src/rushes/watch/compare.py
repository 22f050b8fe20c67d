"""Two looks compared, take by take on the watch prompts. Nothing is generated or scored: what is stored is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rushes.errors import InputError, command
from rushes.generate.stage import WATCH_CLIPS
from rushes.judge.key import scoring_identity
from rushes.measure.drift import frame_stats
from rushes.measure.stage import measurer_identity, subjects
from rushes.recipe.dimensions import known
from rushes.recipe.recipe import Recipe
from rushes.records import Clip, Measurement, Scored
from rushes.statistics.bootstrap import cluster_means, mean_of
from rushes.statistics.comparison import Comparison, Decision, compare_gains, decide
from rushes.store.identity import content_hash
from rushes.watch.find import Found
from rushes.watch.look import WATCH_MEASUREMENTS
from rushes.watch.words import values

_NORM: Final = "velocity_norm_ratio"
Values = Mapping[str, float]
"""Prompt -> mean over its takes."""
Change = Literal["higher", "lower", "no clear change"]
_CHANGES: Final[Mapping[str, Change]] = {"better": "higher", "worse": "lower", "no clear change": "no clear change"}
_WATCH_SET: Final = (
    "watch.num_prompts",
    "watch.num_takes",
    "watch.num_diversity_prompts",
    "measure.num_diversity_takes",
    "measure.sampler",
    "generate.stored_as",
    "shape",
)
"""Settings that must agree for takes to be pairs, besides the prompts."""


@dataclass(frozen=True)
class Row:
    """One quantity at two looks, over the prompts for which both have it.

    Example: `Row("judge", 0.61, 0.88, 0.27, low=0.12, high=0.40, num_prompts=24, change="higher")`.
    """

    name: str
    """A name of `rushes.watch.words.CURVES`."""
    before: float
    """Its mean at the first look; scores and Diversity 0 to 1, motion in levels of 255 per frame."""
    after: float
    """Its mean at the second look."""
    difference: float
    """`after` - `before`, on the same prompts and seeds."""
    low: float | None = None
    """Lower end of its own 95 % interval; None for a number that is not a mean over prompts."""
    high: float | None = None
    """Upper end."""
    num_prompts: int | None = None
    """Prompts behind it."""
    change: Change | None = None
    """By the rule of every scorecard, all rows together; None without an interval."""
    unit: str | None = None
    """Unit of the judge's scores, in words; None for shares of 1, and for everything else."""


@dataclass(frozen=True)
class Looks:
    """Two looks, compared.

    Example: `Looks("runs/a@0", "runs/a@100", (row,), {"judge": "the two runs have different judges"})`.
    """

    before: str
    """The first look."""
    after: str
    """The second look."""
    rows: tuple[Row, ...]
    """What could be compared."""
    left_out: Mapping[str, str]
    """What could not, and why."""


def compare_looks(one: Found, other: Found) -> Looks:
    """The second look less the first, with intervals that resample prompts.

    Raises:
        InputError: the two runs were watched on different prompts, seeds or samplers.
    """
    _check_same_takes(one, other)
    left_out = _not_comparable(one, other)
    first, second = (_quantities(each) for each in (one, other))
    tested = dict[str, _Tested]()
    for name in (each for each in first if each not in left_out):
        shared = sorted(first[name].keys() & second[name].keys())
        if len(shared) < 2:
            left_out[name] = "fewer than 2 prompts have it at both looks, and an interval needs 2"
        else:
            before, after = ({prompt: side[name][prompt] for prompt in shared} for side in (first, second))
            tested[name] = _Tested(before, after, _compared(before, after))
    decisions = decide({name: each.comparison for name, each in tested.items()}) if tested else {}
    unit = one.point.judge_unit or other.point.judge_unit
    rows = [each.row(name, decisions[name], unit if name == "judge" else None) for name, each in tested.items()]
    norms = [values(each.point, each.course.base)[_NORM] for each in (one, other)]
    if _NORM not in left_out:
        if norms[0] is None or norms[1] is None:
            left_out[_NORM] = "it was not computed at both looks"
        else:
            rows.append(Row(_NORM, norms[0], norms[1], norms[1] - norms[0]))
    return Looks(one.label, other.label, tuple(rows), left_out)


@dataclass(frozen=True)
class _Tested:
    """One quantity of the prompts that have it at both looks."""

    before: Values
    after: Values
    comparison: Comparison

    def row(self, name: str, decision: Decision, unit: str | None) -> Row:
        """As it is shown."""
        gain = self.comparison.gain
        return Row(
            name=name,
            before=mean_of(self.before),
            after=mean_of(self.after),
            difference=gain.value,
            low=gain.low,
            high=gain.high,
            num_prompts=len(self.before),
            change=_CHANGES[decision.verdict],
            unit=unit,
        )


def _compared(before: Values, after: Values) -> Comparison:
    """Differences in shares of the largest value, so that any quantity has the range of a score's gain."""
    scale = max(1.0, *before.values(), *after.values(), *(abs(after[prompt] - before[prompt]) for prompt in before))
    found = compare_gains({"": {prompt: (after[prompt] - before[prompt]) / scale for prompt in before}})
    gain = found.gain
    scaled = gain.model_copy(update={"value": scale * gain.value, "low": scale * gain.low, "high": scale * gain.high})
    return Comparison(scaled, found.p_value)


# ---------------------------------------------------------------------------------------------- what is stored


def _quantities(found: Found) -> dict[str, Values]:
    """What a look says of each prompt; a prompt of which something is unknown is not in it."""
    clips = _clips(found)
    stats = [(clip.prompt_key, frame_stats(found.run.blobs.read_video(clip.frames))) for clip in clips[0]]
    prompts = [prompt for prompt, _ in stats]
    return {
        "judge": {each.prompt_key: each.judge for each in found.point.prompts if each.judge is not None},
        "measurer": {each.prompt_key: each.measurer for each in found.point.prompts if each.measurer is not None},
        "diversity": _diversity(found, clips[1]),
        "motion": cluster_means([each.motion for _, each in stats], prompts) if stats else {},
        "saturation": cluster_means([each.saturation for _, each in stats], prompts) if stats else {},
    }


def _clips(found: Found) -> tuple[list[Clip], list[Clip]]:
    """The look's clips: single ones, and those of which several takes are measured together."""
    recipe, groups = found.recipe, _groups(found.recipe)
    assert recipe.watch is not None
    shape = recipe.shape
    of_this_look = [
        clip
        for clip in sorted(found.run.table(WATCH_CLIPS, Clip).all(), key=lambda clip: clip.seed_index)
        if clip.model == found.point.model
        and clip.sampler == recipe.measure.sampler
        and (clip.height_px, clip.width_px, clip.num_frames) == (shape.height_px, shape.width_px, shape.num_frames)
    ]
    watched = {each.prompt_key for each in found.point.prompts}
    single = [clip for clip in of_this_look if clip.prompt_key in watched and clip.seed_index < recipe.watch.num_takes]
    several = [clip for clip in of_this_look if clip.dimension in groups]
    return single, [clip for clip in several if clip.seed_index < recipe.measure.num_diversity_takes]


def _diversity(found: Found, clips: Sequence[Clip]) -> Values:
    prompts = found.run.prompts.get_many([clip.prompt_key for clip in clips])
    work = subjects(clips, prompts, found.recipe.measure, _groups(found.recipe))
    measured = found.run.table(WATCH_MEASUREMENTS, Measurement).get_many([piece.key for piece in work])
    return {each.prompt_key: each.outcome.value for each in measured.values() if isinstance(each.outcome, Scored)}


def _groups(recipe: Recipe) -> frozenset[str]:
    return frozenset(each.name for each in known(recipe.diagnose) if each.group)


# ---------------------------------------------------------------------------------------------- what may be compared


def _check_same_takes(one: Found, other: Found) -> None:
    """Takes are pairs if prompts, seeds, sampler and size are the same; seeds follow from the prompts.

    Raises:
        InputError: they are not.
    """
    different = [f"{path} is {a} and {b}" for path, a, b in _settings(one.recipe, other.recipe) if a != b]
    prompts = [{each.prompt_key for each in side.point.prompts} for side in (one, other)]
    if prompts[0] != prompts[1]:
        shared = len(prompts[0] & prompts[1])
        different.append(f"{len(prompts[0])} and {len(prompts[1])} watch prompts, {shared} of them the same")
    if different:
        raise InputError(
            f"{one.label} and {other.label} were watched on different takes, so nothing can be paired",
            expected="two looks with the same watch prompts, seeds, sampler and size of clips",
            got="; ".join(different),
            next_step=f"compare looks of one run: {command('compare', f'{one.run.home}@0', one.run.home)}",
        )


def _settings(one: Recipe, other: Recipe) -> Iterator[tuple[str, object, object]]:
    """The settings that decide takes, with their values in both recipes."""
    for path in _WATCH_SET:
        both: list[object] = [one, other]
        for name in path.split("."):
            both = [getattr(each, name) for each in both]
        yield path, both[0], both[1]


def _not_comparable(one: Found, other: Found) -> dict[str, str]:
    """Quantities that two runs define differently, and why; none within a run, or where all that was asked agrees."""
    if one.point.asked is not None and one.point.asked == other.point.asked:
        return {}
    found: dict[str, str] = {}
    judges, measurers = zip(*(_identities(each) for each in (one, other)), strict=True)
    if judges[0] != judges[1]:
        found["judge"] = "the two runs have different judges"
    elif len({each.unit for side in (one, other) for each in side.point.prompts if each.judge is not None}) > 1:
        found["judge"] = "its scores are on several scales"
    if measurers[0] != measurers[1]:
        found |= dict.fromkeys(("measurer", "diversity"), "the two runs have different measurers")
    if one.course.base.model != other.course.base.model:
        found["velocity_norm_ratio"] = "the two runs tune different models"
    return found


def _identities(found: Found) -> tuple[str, str]:
    """Hashes of who judged and of who measured, with the wording of what they were asked."""
    recipe = found.recipe
    prompts = found.run.prompts.get_many([each.prompt_key for each in found.point.prompts]).values()
    names = {question.dimension for prompt in prompts for question in prompt.questions}
    return content_hash(scoring_identity(recipe.judge, names)), content_hash(measurer_identity(recipe.measure, names))
