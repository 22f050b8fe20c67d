"""What a run may claim: its title and the sentences under it, for the terminal, the report and the Hub alike. Pure.

Every sentence follows from figures of the scorecard or of the judge's audit, and stands there only when they say so;
docs/design/007-one-decision-rule.md has the conditions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from rushes.audit.records import Audit
from rushes.audit.run import FOLDER as AUDIT_FOLDER
from rushes.audit.run import read_audit
from rushes.display.words import readable, score, signed, tone
from rushes.measure.leniency import became_lenient
from rushes.measure.notes import diversity_loss
from rushes.measure.pairs import DIVERSITY
from rushes.records import DimensionRow, Leniency, Scorecard
from rushes.records.derived import FEWEST_PROMPTS
from rushes.statistics.comparison import ALPHA, excluded_loss
from rushes.statistics.power import fewest_prompts

TOO_FEW: Final = "too few prompts"
"""In the place of a verdict that no gain or loss could have got."""


@dataclass(frozen=True)
class Claims:
    """What a run may claim, in words.

    Example: `Claims(title="The model got better at Composition: +8.0 points ...", sentences=(), tone="good")`.
    """

    title: str
    """One sentence: the mean of the focus, then what speaks against it."""
    sentences: tuple[str, ...]
    """What else a reader must know at once."""
    tone: str
    """"good" for a gain that nothing speaks against, "bad" where the focus or any dimension got worse, else "even"."""

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join((self.title, *self.sentences))


class Compared(Protocol):
    """What a row of any scorecard says about losses."""

    @property
    def dimension(self) -> str:
        """Quality dimension."""
        ...

    @property
    def gain_low(self) -> float:
        """Lower end of its gain's 95 % interval."""
        ...

    @property
    def num_prompts(self) -> int:
        """Prompts compared."""
        ...


def claims_of_run(scorecard: Scorecard, home: Path) -> Claims:
    """The claims of a run whose judge may have been audited.

    Args:
        scorecard: its result.
        home: its folder.

    Raises:
        StoreError: its audit cannot be read.
    """
    return claims(scorecard, read_audit(home / AUDIT_FOLDER))


def claims(scorecard: Scorecard, audit: Audit | None = None) -> Claims:
    """Title and sentences that claim no more than was measured.

    Args:
        scorecard: the result of a run.
        audit: of a judge, if there is one; that of another judge than the run's is passed over.
    """
    against = tuple(_against(scorecard))
    is_better = scorecard.focus_verdict == "better" and not has_few_prompts(scorecard)
    title = "; ".join([_focus(scorecard), *([f"{'but ' if is_better else ''}{_listed(against)}"] if against else [])])
    is_bad = scorecard.focus_verdict == "worse" or any(row.verdict == "worse" for row in scorecard.rows)
    of_focus = "even" if against or has_few_prompts(scorecard) else tone(scorecard)
    sentences = (*_fallen(scorecard), *loss_sentences(scorecard.rows), *_undecided(scorecard))
    return Claims(
        title=f"{title}.",
        sentences=(*sentences, *_distrusted(scorecard, audit)),
        tone="bad" if is_bad else of_focus,
    )


def has_few_prompts(scorecard: Scorecard) -> bool:
    """Whether no gain or loss in the focus, however large, could have got a verdict: nothing was measured there."""
    return scorecard.focus_gain is not None and _focus_prompts(scorecard) < fewest_prompts(ALPHA)


def verdict_word(row: DimensionRow, scorecard: Scorecard) -> str:
    """A row's verdict for people: "too few prompts" where none was possible, which is not "no clear change".

    Args:
        row: of the scorecard.
        scorecard: whose rows are decided together.
    """
    needed = fewest_prompts(ALPHA / max(1, len(scorecard.rows)))
    return TOO_FEW if row.verdict == "no clear change" and row.num_prompts < needed else row.verdict


# ---------------------------------------------------------------------------------------------- title


def _focus_prompts(scorecard: Scorecard) -> int:
    """Prompts behind the mean of the focus; at most those of its rows where a scorecard does not tell."""
    if scorecard.focus_num_prompts is not None:
        return scorecard.focus_num_prompts
    return sum(row.num_prompts for row in scorecard.rows if row.is_focus)


def _focus(scorecard: Scorecard) -> str:
    """How the dimensions in focus changed."""
    gain, low, high = scorecard.focus_gain, scorecard.focus_gain_low, scorecard.focus_gain_high
    focus = [row for row in scorecard.rows if row.is_focus]
    if gain is None or low is None or high is None or scorecard.focus_verdict is None or not focus:
        return "Whether the model got better at what it was aimed at could not be measured"
    where = readable(focus[0].dimension) if len(focus) == 1 else _focus_name(scorecard, focus)
    if has_few_prompts(scorecard):
        few = f"{_focus_prompts(scorecard)} prompts are no measurement, which takes at least {fewest_prompts(ALPHA)}"
        return f"Nothing was decided about {where}: {few}"
    points = "points" if len(focus) == 1 else "points on average"
    zero = ", which includes 0" if low <= 0.0 <= high else ""
    size = f"{signed(gain)} {points} (95 % interval {signed(low)} to {signed(high)}{zero})"
    if scorecard.focus_verdict != "no clear change":
        return f"The model got {scorecard.focus_verdict} at {where}: {size}"
    return f"No clear change in {where}: {size}"


def _focus_name(scorecard: Scorecard, focus: Sequence[DimensionRow]) -> str:
    """Called the weakest only where every other dimension that was measured scored higher before."""
    others = [row.before for row in scorecard.rows if not row.is_focus and row.dimension != DIVERSITY]
    if others and max(row.before for row in focus) < min(others):
        return f"the {len(focus)} weakest of {len(focus) + len(others)} measured dimensions"
    return f"the {len(focus)} dimensions it was aimed at"


def _against(scorecard: Scorecard) -> Iterator[str]:
    """What the title must not leave out."""
    rows = scorecard.rows
    focus = [row for row in rows if row.is_focus]
    is_said = len(focus) == 1 and scorecard.focus_verdict == "worse"
    worse = [
        row.dimension
        for row in rows
        if row.verdict == "worse" and diversity_loss(row) is None and not (is_said and row.is_focus)
    ]
    if worse:
        yield f"{_named(worse)} got worse"
    for row in rows:
        lost = diversity_loss(row)
        if lost is not None:
            how = "got worse, by" if row.verdict == "worse" else "fell by"
            zero = " (with an interval that includes 0)" if row.gain_high >= 0.0 else ""
            yield f"Diversity {how} {score(lost)} % of its value{zero}"
    lenient = {row.dimension: row.leniency for row in rows if row.leniency and became_lenient(row.leniency)}
    if lenient:
        yield f"the judge became more lenient than the measurer in {_lenient(lenient)}"
    reaching = [row.dimension for row in focus if row.gain_low <= 0.0 <= row.gain_high]
    if reaching and len(focus) > 1 and scorecard.focus_verdict in ("better", "worse"):
        many = len(reaching) > 1
        yield f"the interval{'s' if many else ''} of {_named(reaching)} include{'' if many else 's'} 0"


def _lenient(found: dict[str, Leniency]) -> str:
    if len(found) > 2:
        return f"{len(found)} dimensions"
    return " and ".join(
        f"{readable(name)} ({100 * each.before:.0f} to {100 * each.after:.0f} % of the questions"
        f"{', with an interval that includes 0' if each.rise_low <= 0.0 else ''})"
        for name, each in found.items()
    )


# ---------------------------------------------------------------------------------------------- sentences


def _fallen(scorecard: Scorecard) -> Iterator[str]:
    fallen = [row.dimension for row in scorecard.rows if row.may_be_worse]
    if fallen:
        yield f"{_named(fallen)} may have got worse."


def loss_sentences(rows: Sequence[Compared]) -> Iterator[str]:
    """What loss is excluded in all dimensions of a scorecard, and in which none is.

    Args:
        rows: of one scorecard; those with fewer prompts than any verdict takes exclude nothing.
    """
    shown = [row for row in rows if row.num_prompts >= FEWEST_PROMPTS]
    if shown:
        where = f"each of the {len(shown)} dimensions compared" if len(shown) > 1 else readable(shown[0].dimension)
        least = min(shown, key=lambda row: row.gain_low)
        # Rounded up: a smaller figure would exclude more than the interval does.
        limit = math.ceil(round(1000 * excluded_loss(row.gain_low for row in shown), 6)) / 10
        loss = "A loss is" if limit == 0.0 else f"Losses above {limit:.1f} points are"
        certain = f" (least certain: {readable(least.dimension)})" if len(shown) > 1 and limit > 0.0 else ""
        yield f"{loss} excluded in {where}{certain}."
    few = [row for row in rows if row.num_prompts < FEWEST_PROMPTS]
    if few:
        counts = ", ".join(f"{readable(row.dimension)} ({row.num_prompts})" for row in few)
        yield f"No loss is excluded where prompts are too few: {counts}."


def _undecided(scorecard: Scorecard) -> Iterator[str]:
    """Dimensions that no gain or loss could have got a verdict in, the first among so many."""
    needed = fewest_prompts(ALPHA / max(1, len(scorecard.rows)))
    few = [row for row in scorecard.rows if verdict_word(row, scorecard) == TOO_FEW]
    if few:
        counts = ", ".join(f"{readable(row.dimension)} ({row.num_prompts})" for row in few)
        among = f" among {len(scorecard.rows)} dimensions" if len(scorecard.rows) > 1 else ""
        yield f"Too few prompts for a verdict{among}, which takes at least {needed}: {counts}."


def _distrusted(scorecard: Scorecard, audit: Audit | None) -> Iterator[str]:
    """Focus dimensions in which the audit is against the judge that gave the rewards."""
    if audit is None or audit.judge != scorecard.judge:
        return
    distrusted = set(audit.with_verdict("do not trust"))
    names = [row.dimension for row in scorecard.rows if row.is_focus and row.dimension in distrusted]
    if names:
        yield f"The audit of the judge says not to trust it in {_named(names)}."


def _named(names: Sequence[str]) -> str:
    return " and ".join(map(readable, names)) if len(names) < 3 else f"{len(names)} dimensions"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
