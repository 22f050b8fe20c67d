"""`rushes judge people`: what people say of a run's clips, beside its judge and its measurer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.cli.show import Column, say, show_json, show_table

if TYPE_CHECKING:
    from rushes.audit.people import PeopleAudit


def show_people(home: Path, files: Sequence[Path], *, as_json: bool) -> None:
    """Compare, store the result in the run's folder of audits, and print it.

    Raises:
        InputError: a file cannot be used.
        StoreError: the run folder cannot be read or written.
    """
    from rushes.audit.people import PEOPLE_FILE, audit_people
    from rushes.audit.run import FOLDER
    from rushes.store.files import make_folder
    from rushes.store.sums import write_summed

    made = audit_people(home, files)
    make_folder(home / FOLDER)
    write_summed(home / FOLDER / PEOPLE_FILE, f"{made.model_dump_json(indent=1)}\n".encode())
    if as_json:
        show_json(made.model_dump(mode="json"))
        return
    _show(made)
    say(f"stored: {home / FOLDER / PEOPLE_FILE}")


def _show(made: PeopleAudit) -> None:
    from rushes.vote.section import number, share

    what = "pairs compared" if made.kind == "preferences" else "clips scored"
    say(f"{made.num_items} {what} by {made.num_raters} people")
    if made.raters_agree is not None:
        name = "Fleiss' kappa" if made.kind == "preferences" else "pairs on which two people agree"
        say(f"agreement among people: {name} {number(made.raters_agree)}")
    if made.wins:
        columns = [Column("tuned against base"), Column("pairs", "right"), Column("prompts", "right")]
        columns += [Column("won / tied / lost", "right"), Column("people prefer the tuned model", "right")]
        rows = [
            (
                each.dimension,
                str(each.num_pairs),
                str(each.num_prompts),
                f"{each.num_won} / {each.num_tied} / {each.num_lost}",
                share(each.win_rate),
            )
            for each in made.wins
        ]
        show_table(columns, rows)
        say("A tie counts half: 50 % is no difference. 95 % intervals, by resampling prompts.")
    if made.opinions:
        columns = [Column("beside people"), Column("dimension"), Column("clips", "right"), Column("Spearman", "right")]
        columns += [Column("pairs", "right"), Column("ties", "right"), Column("same verdict", "right")]
        beside = [
            (
                f"{each.who} {each.source}",
                each.dimension,
                str(each.num_clips),
                number(each.spearman),
                str(each.num_pairs),
                str(each.num_ties),
                share(each.accuracy),
            )
            for each in made.opinions
        ]
        show_table(columns, beside)
        say("Same verdict: first, second or tie on pairs of one prompt; how far apart scores tie is fitted to them.")
    for note in made.notes:
        say(f"note: {note}")
