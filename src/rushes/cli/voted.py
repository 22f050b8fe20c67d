"""What the commands of `rushes vote` do and print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rushes.cli.show import Column, say, show_json, show_table
from rushes.errors import command

if TYPE_CHECKING:
    from rushes.cli.vote import ExportOptions
    from rushes.vote.records import QuestionResult, VoteResult

_RATES = (0.55, 0.6, 0.65, 0.7, 0.8)


def show_plan(home: Path, num_raters: int, ties: float, *, as_json: bool) -> None:
    """Print how many pairs each win rate needs, and the smallest one that this run's pairs show.

    Raises:
        StoreError: not a run folder, or nothing compared yet.
    """
    from rushes.statistics.power import POWER
    from rushes.statistics.votes import MAX_PAIRS, SHARED_TASTE, pairs_needed, smallest_win_rate
    from rushes.store.recipe_copy import recipe_of
    from rushes.store.run import Run
    from rushes.vote.pairs import Wanted, make_study

    with Run.view(home) as run:
        study = make_study(run, recipe_of(home), Wanted(num=1_000_000, with_checks=False))
    num = len(study.pairs)
    rates = [rate for rate in _RATES if rate <= 1 - ties / 2]
    needed = {rate: pairs_needed(rate, num_raters, ties) for rate in rates}
    smallest = smallest_win_rate(num, num_raters, ties)
    if as_json:
        show_json({"num_pairs": num, "num_raters": num_raters, "ties": ties, "smallest": smallest, "needed": needed})
        return
    columns = [Column("people prefer the tuned model"), Column("pairs needed", "right"), Column("votes", "right")]
    rows = [
        (
            f"{rate:.0%}",
            f"> {MAX_PAIRS}" if each is None else str(each),
            "-" if each is None else f"{each * num_raters}",
        )
        for rate, each in needed.items()
    ]
    show_table(columns, rows)
    say(
        f"With {num_raters} raters for each pair, {ties:.0%} ties, and probability {POWER:.0%}. Assumed: votes of two "
        f"people on one pair correlate by {SHARED_TASTE:g}, so more raters help less than more pairs."
    )
    shown = "no win rate" if smallest is None else f"{smallest:.0%} or more"
    say(f"this run has {num} prompts to compare on: they show {shown}")
    say(f"next: {command('vote', 'export', home, '--num', max(1, num))}")


def export_study(options: ExportOptions) -> None:
    """Make the study if it is not there, and copy its page.

    Raises:
        UserError: nothing to compare, or a folder that is not empty.
    """
    from rushes.export.folder import check_free, new_folder
    from rushes.store.recipe_copy import recipe_of
    from rushes.store.run import Run
    from rushes.vote.folder import INDEX, copy_page, keep_study
    from rushes.vote.pairs import Wanted, make_study

    home = options.home
    wanted = Wanted(
        of="models" if options.of == "models" else "takes",
        num=options.num,
        seed=options.seed,
        ask=tuple(options.ask or ()),
        with_checks=not options.no_checks,
    )
    with Run.view(home) as run:
        study = make_study(run, recipe_of(home), wanted)
        target = options.out if options.out is not None else home / "export" / f"vote-{study.study}"
        check_free(target)
        keep_study(run, study)
    with new_folder(target) as folder:
        copy_page(home, study, folder)
    num = sum(pair.check is None for pair in study.pairs)
    say(f"study {study.study}: {num} pairs and {len(study.pairs) - num} checks of attention")
    say(f"open {target / INDEX}, or send people the whole folder; it does not say which model made which clip")
    say(f"then, with the files that they save: {command('vote', 'import', home, 'FILE')}")


def show_result(home: Path, name: str | None, *, as_json: bool) -> None:
    """Compute the result, store it with the labels, and print it.

    Raises:
        UserError: no study, or no votes.
    """
    from rushes.store.recipe_copy import recipe_of
    from rushes.store.run import Run
    from rushes.vote.folder import folder_of, the_study
    from rushes.vote.replies import all_replies
    from rushes.vote.result import LABELS, keep_result, vote_result

    study = the_study(home, name)
    replies = all_replies(home, study)
    with Run.view(home) as run:
        made = vote_result(run, recipe_of(home), study, replies)
        keep_result(run, study, made, replies)
        is_done = run.is_done
    if as_json:
        show_json(made.model_dump(mode="json"))
        return
    _show(made)
    say(f"labels for the judge `people`: {folder_of(home, study.study) / LABELS}")
    if is_done and study.of == "models":
        say(f"to show it in the run's report: {command('report', home, '--rebuild')}")


def _show(made: VoteResult) -> None:
    from rushes.vote.section import number, share

    for each in made.questions:
        _show_question(each)
    columns = [Column("rater"), Column("pairs", "right"), Column("checks passed", "right")]
    columns += [Column("same again", "right"), Column("s a vote", "right"), Column("")]
    rows = [
        (
            each.rater,
            str(each.num_pairs),
            f"{each.num_passed} of {each.num_checks}",
            f"{each.num_consistent} of {each.num_again}",
            "-" if each.seconds is None else f"{each.seconds:.1f}",
            "left out" if each.is_left_out else "",
        )
        for each in made.raters
    ]
    show_table(columns, rows)
    first = made.questions[0]
    sides = f"the left side was chosen {share(first.share_left)}"
    say(f"agreement among raters: Krippendorff's alpha {number(first.alpha)}; {sides}")
    if made.with_all is not None:
        say(f"with those who are left out, people would prefer the tuned model by {made.with_all:.0%}")
    for note in made.notes:
        say(f"note: {note}")
    say("A tie counts half: 50 % is no difference. 95 % intervals, by resampling prompts.")


def _show_question(each: QuestionResult) -> None:
    from rushes.vote.section import number, share

    unknown = f", {each.num_cannot_tell} could not tell" if each.num_cannot_tell else ""
    say(f"{each.name}: {each.num_votes} votes{unknown}")
    if each.audit.wins:
        columns = [Column("tuned against base"), Column("pairs", "right"), Column("won / tied / lost", "right")]
        columns += [Column("people prefer the tuned model", "right")]
        rows = [
            (win.dimension, str(win.num_pairs), f"{win.num_won} / {win.num_tied} / {win.num_lost}", share(win.win_rate))
            for win in each.audit.wins
        ]
        show_table(columns, rows)
    if each.audit.opinions:
        columns = [Column("beside people"), Column("dimension"), Column("pairs", "right")]
        columns += [Column(title, "right") for title in ("same verdict", "kappa", "where people decide")]
        beside = [
            (
                f"{row.who} {row.source}",
                row.dimension,
                str(row.num_pairs),
                share(row.accuracy),
                number(row.kappa),
                share(row.decided),
            )
            for row in each.audit.opinions
        ]
        show_table(columns, beside)
