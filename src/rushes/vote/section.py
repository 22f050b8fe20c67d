"""The section of the report about people's votes; see `rushes.report.section`."""

from __future__ import annotations

from pydantic import ValidationError

from rushes.display.words import readable
from rushes.errors import FileCorrupt
from rushes.report.section import Section, Sources
from rushes.statistics.resampling import Estimate
from rushes.store.sums import read_summed
from rushes.vote.folder import VOTES
from rushes.vote.records import QuestionResult, VoteResult
from rushes.vote.result import RESULT

_COLUMNS = ("asked", "pairs", "won / tied / lost", "people prefer the tuned model", "alpha", "judge", "measurer")


def section(sources: Sources) -> Section | None:
    """The last results of all studies of base against tuned model; None without one.

    Raises:
        FileCorrupt: a result is not what was written.
    """
    home = sources.run.home
    paths = sorted((home / VOTES).glob(f"*/{RESULT}"))
    found = []
    for path in paths:
        try:
            found.append(VoteResult.model_validate_json(read_summed(path, home)))
        except ValidationError as error:
            raise FileCorrupt(home, path, f"damaged, or of another version ({error.errors()[0]['msg']})") from error
    found = [each for each in found if each.of == "models"]
    if not found:
        return None
    several = len(found) > 1
    return Section(
        "People",
        "Blind votes on pairs of one prompt and seed; raters did not know which model made which clip.",
        _COLUMNS,
        tuple(row for each in found for question in each.questions for row in _rows(each, question, several)),
        tuple(note for each in found for note in _notes(each)),
    )


def _rows(result: VoteResult, question: QuestionResult, several: bool) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for win in question.audit.wins:
        asked = {"overall": "overall", "dimension": "own dimension"}.get(question.name, readable(question.name))
        name = asked if win.dimension == "all" else f"{asked}: {readable(win.dimension)}"
        beside = {each.who: each.decided for each in question.audit.opinions if each.dimension == win.dimension}
        alpha = question.alpha if win.dimension == "all" or len(question.audit.wins) == 1 else None
        rows.append(
            (
                f"{result.study[:6]}, {name}" if several else name,
                str(win.num_pairs),
                f"{win.num_won} / {win.num_tied} / {win.num_lost}",
                share(win.win_rate),
                number(alpha),
                share(beside.get("judge")),
                share(beside.get("measurer")),
            )
        )
    return rows


def _notes(result: VoteResult) -> list[str]:
    counted = [each for each in result.raters if not each.is_left_out]
    return [
        f"{len(counted)} raters, {result.num_pairs} pairs. A tie counts half, so that 50 % is no difference; intervals "
        "are 95 %, by resampling prompts.",
        "Alpha is Krippendorff's: agreement among raters beyond chance, 1 is perfect. Judge and measurer: the share of "
        "pairs with a preference in which they prefer the same clip; 50 % is chance.",
        *result.notes,
    ]


def share(found: Estimate | None) -> str:
    """A share with its interval, in per cent; "-" where there is none."""
    return "-" if found is None else f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"


def number(found: Estimate | None) -> str:
    """A number with its interval; "-" where there is none."""
    return "-" if found is None else f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
