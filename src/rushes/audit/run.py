"""An audit from clips to verdicts: ask the judge about every clip and control, then count. Reuses stored answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rushes.audit.answers import FILE_NAME, AnswerFile, Given, ask_all
from rushes.audit.cases import ASKED_AGAIN, ORIGINAL, Asked, Case, NotAsked, requests_of, wrong_prompts
from rushes.audit.count import Replies, count_dimension
from rushes.audit.expectations import chosen_controls
from rushes.audit.plot import audit_svg
from rushes.audit.records import Audit, DimensionAudit, Rule
from rushes.audit.sources import Source
from rushes.errors import StoreError, command
from rushes.execute.progress import OnProgress, ProgressUpdate
from rushes.judge.labels import LabelFile
from rushes.roles import Judge
from rushes.statistics.resampling import Resampling
from rushes.store.files import make_folder, write_atomic
from rushes.store.sums import is_intact, write_summed

AUDIT_FILE: Final = "audit.json"
PICTURE_FILE: Final = "audit.svg"
FOLDER: Final = "audit"
"""Folder of an audit inside a run folder; the report shows the audit stored there."""


@dataclass(frozen=True, eq=False)
class Witness:
    """A judge with its name: the judge under audit, or a second one."""

    name: str
    """Name in records."""
    identity: object
    """JSON value that identifies it, its weights included."""
    judge: Judge
    """The judge itself."""


@dataclass(frozen=True)
class Settings:
    """How an audit is run."""

    controls: tuple[str, ...] = field(default_factory=chosen_controls)
    """Names of the controls to ask, in the order of the table of expectations."""
    aggregate: str = "mean"
    """How answers are aggregated into a score: the recipe's `judge.aggregate`."""
    compared: frozenset[str] = frozenset()
    """Dimensions whose judge does not answer questions: their scores are shares of comparisons won, whatever the
    aggregate, see `rushes.audit.compared`."""
    batch_size: int = 32
    """Requests passed to the judge at once; changes speed, not answers."""
    num_resamples: int = 1000
    """Resamples of the prompts for each interval."""
    seed: int = 0
    """Seed for wrong prompts, shuffled frames and resamples."""
    rule: Rule = field(default_factory=Rule)
    """The rule for the verdicts."""


def audit_judge(
    judge: Witness,
    source: Source,
    folder: Path,
    settings: Settings | None = None,
    *,
    second: Witness | None = None,
    labels: LabelFile | None = None,
    on_progress: OnProgress | None = None,
) -> Audit:
    """Ask a judge about clips unchanged and under every control, and decide in which dimensions it can be trusted.

    Answers are stored in `folder`; after a kill, the same call resumes and asks nothing twice.

    Args:
        judge: the judge under audit.
        source: the clips.
        folder: for answers and `audit.json`; created if missing.
        settings: controls, resamples, rule; None for the defaults.
        second: another judge, asked about the unchanged clips.
        labels: answers of people about them.
        on_progress: called after every batch of clips.

    Raises:
        StoreError: the folder cannot be written.
        UserError, Stopped: raised by a judge.
    """
    settings = settings or Settings()
    began = time.monotonic()
    asking = _Asking(judge, second, settings, AnswerFile(folder / FILE_NAME), on_progress, len(source.cases))
    replies = asking.everything(source.cases)
    audit = Audit(
        judge=judge.name,
        source=source.name,
        is_truth_known=source.is_truth_known,
        num_requests=asking.num_requests,
        num_from_before=asking.num_from_before,
        seconds=time.monotonic() - began,
        num_resamples=settings.num_resamples,
        seed=settings.seed,
        aggregate=settings.aggregate,
        rule=settings.rule,
        dimensions=_dimensions(replies, settings, source.is_truth_known, second, labels),
        notes=(*source.notes, *_compared_note(settings), *(labels.problems if labels is not None else ())),
    )
    make_folder(folder)
    write_atomic(folder / PICTURE_FILE, audit_svg(audit).encode())
    write_summed(folder / AUDIT_FILE, f"{audit.model_dump_json(indent=1)}\n".encode())
    return audit


def _compared_note(settings: Settings) -> tuple[str, ...]:
    if not settings.compared:
        return ()
    return (
        f"{', '.join(sorted(settings.compared))}: the judge answers no questions; scores are shares of comparisons "
        "with the unchanged clip, which has 50 itself",
    )


def _dimensions(
    replies: Sequence[Replies],
    settings: Settings,
    is_truth_known: bool,
    second: Witness | None,
    labels: LabelFile | None,
) -> tuple[DimensionAudit, ...]:
    how = Resampling(settings.num_resamples, settings.seed)
    return tuple(
        count_dimension(
            [each for each in replies if each.case.dimension == name],
            settings.controls,
            aggregate_how="mean" if name in settings.compared else settings.aggregate,
            how=how,
            rule=settings.rule,
            is_truth_known=is_truth_known,
            second=second.name if second is not None else None,
            labels=labels,
        )
        for name in sorted({each.case.dimension for each in replies})
    )


def read_audit(folder: Path) -> Audit | None:
    """The audit that is stored in a folder; None if there is none.

    Raises:
        StoreError: it cannot be read.
    """
    path = folder / AUDIT_FILE
    if not path.is_file():
        return None
    try:
        if is_intact(path) is False:
            raise ValueError("it is not what was written")
        return Audit.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"the judge's audit in {path} cannot be read",
            got=str(error)[:300],
            next_step=f"delete that file, and audit the judge again: {command('judge', 'audit', folder.parent)}",
        ) from error


@dataclass
class _Asking:
    """Asks the judge one batch of clips at a time, so that only one batch is in memory."""

    judge: Witness
    second: Witness | None
    settings: Settings
    file: AnswerFile
    on_progress: OnProgress | None
    num_cases: int
    num_requests: int = 0
    num_from_before: int = 0

    def everything(self, cases: Sequence[Case]) -> list[Replies]:
        """All answers about every clip, in the order of the clips."""
        controls = [name for name in self.settings.controls if name != ASKED_AGAIN]
        others = wrong_prompts(cases, self.settings.seed)
        began = time.monotonic()
        step = max(1, self.settings.batch_size // (len(controls) + 1))
        replies: list[Replies] = []
        for at in range(0, len(cases), step):
            self._tell(at, began)
            batch = cases[at : at + step]
            planned = [requests_of(case, others.get(case.name), controls, self.settings.seed) for case in batch]
            replies += [Replies(case) for case in batch]
            self._ask(planned, replies[at:])
        if ASKED_AGAIN in self.settings.controls:
            self._again(replies)
        self._tell(len(cases), began)
        return replies

    def _ask(self, planned: Sequence[Sequence[Asked | NotAsked]], replies: Sequence[Replies]) -> None:
        asked = [each for row in planned for each in row if isinstance(each, Asked)]
        given = iter(self._answers(self.judge, asked))
        originals = [each for each in asked if each.control == ORIGINAL]
        for row, reply in zip(planned, replies, strict=True):
            for each in row:
                if isinstance(each, NotAsked):
                    reply.not_asked[each.control] = each.reason
                else:
                    reply.given[each.control] = (each, next(given).answers)
        if self.second is not None:
            for reply, said in zip(replies, self._answers(self.second, originals), strict=True):
                reply.second = said.answers

    def _again(self, replies: Sequence[Replies]) -> None:
        """Repeat the same questions: the clips from last to first in smaller batches, the questions in reverse."""
        backwards = list(reversed(replies))
        step = max(1, self.settings.batch_size // 2 - 1)
        for at in range(0, len(backwards), step):
            batch = backwards[at : at + step]
            asked = [requests_of(each.case, None, [ASKED_AGAIN], self.settings.seed)[1] for each in batch]
            plain = [each for each in asked if isinstance(each, Asked)]
            for reply, each, said in zip(batch, plain, self._answers(self.judge, plain), strict=True):
                own = each.request.questions
                forwards = replace(each, request=replace(each.request, questions=tuple(reversed(own))))
                reply.given[ASKED_AGAIN] = (forwards, tuple(reversed(said.answers)))

    def _answers(self, who: Witness, asked: Sequence[Asked]) -> list[Given]:
        given = ask_all(who.judge, who.identity, asked, self.file)
        if who is self.judge:
            self.num_requests += len(given)
            self.num_from_before += sum(each.is_from_before for each in given)
        return given

    def _tell(self, num_done: int, began: float) -> None:
        if self.on_progress is not None:
            seconds = time.monotonic() - began
            self.on_progress(ProgressUpdate("audit", self.num_cases, 0, num_done, 0, seconds))
