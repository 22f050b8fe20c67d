"""What a vote is made of: the study with its pairs, the replies of one rater, and the result."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from rushes.audit.people import PeopleAudit
from rushes.records import Key, Record
from rushes.records.base import Count, Seconds, Share, Text
from rushes.statistics.resampling import Estimate

OVERALL: Final = "overall"
"""Name of the question about a pair as a whole."""
MAX_RATER: Final = 40
"""Longest name of a rater, characters."""
MAX_PAIRS: Final = 2000
"""Most pairs of a study, checks included."""
MAX_REPLIES: Final = 20_000
"""Most replies of one rater."""

Choice = Literal["left", "right", "tie", "cannot_tell"]
"""The better one as it was shown; no difference; or the rater cannot say, which counts for nothing."""
Check = Literal["noise_left", "noise_right", "same", "again"]
"""What a check shows: noise on one side, the same clip twice, or an earlier pair with its sides exchanged."""


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("expected a name without control characters, and no space at its ends")
    return text


Rater = Annotated[str, StringConstraints(min_length=1, max_length=MAX_RATER), AfterValidator(_printable)]
"""Who votes, as they call themselves: data of others, shown as text only."""
Name = Annotated[str, StringConstraints(pattern=r"^p\d{4}$")]
"""Name of a pair: it says nothing about what is shown."""
StudyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
"""Name of a study, from all that it asks and shows."""


class AskedQuestion(Record):
    """One question to people.

    Example:
        AskedQuestion(name="overall", text="All in all, which video is better?", hint="")
    """

    name: Text
    """`overall`, or a dimension."""
    text: Text
    """What people read."""
    hint: str = ""
    """What the dimension means, in small print."""


class ShownPair(Record):
    """Two clips of one prompt on their sides.

    Example:
        ShownPair(name="p0001", left="2d" * 32, right="3d" * 32, text="A red ball rolls.", dimension="Mechanics",
                  questions=("Mechanics", "overall"), check=None, repeats=None)
    """

    name: Name
    """Also the beginning of its files' names."""
    left: Key
    """Clip on the left; of a check with noise, the one that the noise covers."""
    right: Key
    """Clip on the right."""
    text: Text
    """The prompt."""
    dimension: Text
    """Quality dimension of the prompt."""
    questions: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Names of what is asked, in order."""
    check: Check | None = None
    """What this pair checks; None for one that counts."""
    repeats: Name | None = None
    """The pair that it shows again; None for others."""


class Study(Record):
    """What people are asked about, fixed before the first vote.

    Example:
        Study(study="0a1b2c3d4e5f", of="models", seed=0, questions=(AskedQuestion(name="overall", text="Which one?"),),
              pairs=())
    """

    study: StudyId
    """Its name."""
    of: Literal["models", "takes"]
    """Base against tuned model, or takes of training prompts."""
    seed: Count
    """Of the choice of pairs, their order and their sides."""
    questions: tuple[AskedQuestion, ...]
    """Every question that a pair may ask."""
    pairs: tuple[ShownPair, ...]
    """In order; each rater sees them in an order of their own."""


class Reply(Record):
    """What one person says about one pair.

    Example:
        Reply(pair="p0001", question="overall", choice="left", seconds=4.2)
    """

    pair: Name
    question: Text
    """Name of the question."""
    choice: Choice
    seconds: Annotated[float, Field(ge=0.0, le=1e6)] | None = None
    """From when both videos played to the choice; None if it was not taken."""


class Replies(Record):
    """All that one rater says in a study: the file that the offline page saves.

    Example:
        Replies(rushes_votes=1, study="0a1b2c3d4e5f", rater="ann",
                replies=(Reply(pair="p0001", question="overall", choice="tie"),))
    """

    rushes_votes: Literal[1] = 1
    """Version of the file."""
    study: StudyId
    rater: Rater
    replies: Annotated[tuple[Reply, ...], Field(max_length=MAX_REPLIES)]
    """In the order in which they were given; one for each pair and question."""


class RaterRow(Record):
    """How one rater voted.

    Example:
        RaterRow(rater="ann", num_replies=80, num_pairs=40, num_checks=4, num_passed=4, num_again=4, num_consistent=3,
                 seconds=4.1, is_left_out=False)
    """

    rater: Rater
    num_replies: Count
    """Replies to pairs that count."""
    num_pairs: Count
    """Their pairs."""
    num_checks: Count
    """Checks answered: noise, and the same clip twice."""
    num_passed: Count
    """Of them, those that an attentive person answers so."""
    num_again: Count
    """Pairs answered twice, with their sides exchanged."""
    num_consistent: Count
    """Of them, those with the same verdict both times."""
    seconds: Seconds | None
    """Median time of a reply; None if no time was taken."""
    is_left_out: bool
    """True if the checks say that the rater did not look: the result is without this rater."""


class QuestionResult(Record):
    """What people say about one question.

    Example:
        QuestionResult(name="overall", audit=PeopleAudit(kind="preferences", files=(), num_raters=3, num_items=40,
                       raters_agree=None, wins=(), opinions=(), notes=()), alpha=None, num_votes=120,
                       num_cannot_tell=2, share_left=None)
    """

    name: Text
    """`overall`; `dimension`, each pair by the question about its own dimension; or a dimension asked of every pair."""
    audit: PeopleAudit
    """Who wins, and how far people, judge and measurer agree."""
    alpha: Estimate | None
    """Krippendorff's alpha among raters, of left, right and tie; None where no two said something about the same."""
    num_votes: Count
    """Votes that count."""
    num_cannot_tell: Count
    """Replies that do not count, since the rater could not tell."""
    share_left: Estimate | None
    """Share of votes for the left one among those for a side: away from 0.5 people prefer a side, not a clip."""


class VoteResult(Record):
    """The result of a study.

    Example:
        VoteResult(study="0a1b2c3d4e5f", of="models", num_pairs=40, questions=(), raters=(), with_all=None, notes=())
    """

    study: StudyId
    of: Literal["models", "takes"]
    num_pairs: Count
    """Pairs that count."""
    questions: tuple[QuestionResult, ...]
    raters: tuple[RaterRow, ...]
    with_all: Share | None
    """The overall win rate with those raters who are left out; None if nobody is."""
    notes: tuple[str, ...]
