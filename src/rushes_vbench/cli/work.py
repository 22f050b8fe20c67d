"""What `rushes vbench export`, `check` and `import` do: they call the library and print the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from rushes.cli.show import Column, say, show_json, show_table
from rushes.errors import InputError, command

if TYPE_CHECKING:
    from rushes_vbench.check import Checked
    from rushes_vbench.placing import Layout, Placing
    from rushes_vbench.results import OfficialResults
    from rushes_vbench.suite import Suite

_SHOWN: Final = 5
"""Examples listed of each kind."""


def read_suite_aloud(path: str, file: TextIO | None = None) -> Suite:
    """Read a copy of the suite, and say which edition it is.

    Args:
        path: as the user named it.
        file: where to say it; None for standard output.
    """
    from rushes_vbench.suite import read_suite

    suite = read_suite(path)
    wording = {
        "repository": "the repository's prompts (since 2025-04-18)",
        "wheel": "the prompts of the vbench2 wheel (the repository's before 2025-04-18)",
        "modified": "prompts of neither the repository nor the wheel",
    }[suite.edition]
    say(f"suite: {suite.source}: {wording}", file)
    for note in suite.notes:
        say(f"note: {note}", file)
    return suite


# ---------------------------------------------------------------------------------------------- export


def export_run(home: Path, target: Path, suite_path: str, layout: Layout, only: str | None) -> None:
    """Write the clips that a run generated for the suite, of the untouched and the tuned model."""
    from rushes.store.run import Run
    from rushes_vbench.export import takes_of_run, write_export
    from rushes_vbench.placing import place

    suite = read_suite_aloud(suite_path)
    with Run.view(home) as run:
        found = takes_of_run(run, suite)
        if only is not None and only not in found:
            raise InputError(
                f"the run in {home} has no clips of its {only} model yet", next_step=f"see: {command('status', home)}"
            )
        for which, takes in found.items():
            if only in (None, which):
                placing = place(takes, suite, layout)
                done = write_export(placing, target, model=which, suite=suite, layout=layout, blobs=run.blobs)
                _say_exported(placing, done.folder, done.num_written, done.num_kept)


def export_folder(source: Path, target: Path, suite_path: str, layout: Layout, name: str | None, *, link: bool) -> None:
    """Arrange a folder of clips in the other layout, and repair damaged names."""
    from rushes_vbench.export import write_export
    from rushes_vbench.placing import list_folder, place

    suite = read_suite_aloud(suite_path)
    listing = list_folder(source, suite)
    placing = place(listing.takes, suite, layout)
    model = name or source.resolve().name
    done = write_export(placing, target, model=model, suite=suite, layout=layout, link=link)
    _say_exported(placing, done.folder, done.num_written, done.num_kept)
    say_some("names repaired", [f"{damaged} -> {exact}" for damaged, exact in listing.renamed])
    say_some("left out, since the clip is there under its exact name or another", listing.doubles)
    say_some("not of the suite, left out", listing.unknown)


def _say_exported(placing: Placing, folder: Path, num_written: int, num_kept: int) -> None:
    kept = f" ({num_kept} were already there)" if num_kept else ""
    say(f"{folder}: {num_written} clips written{kept}; sources: {folder}.json")
    if placing.num_unused:
        say(f"clips that no file needs: {placing.num_unused}")
    say_some("missing", placing.missing)


def say_some(what: str, names: Sequence[str]) -> None:
    """How many there are of a kind, and the first of them.

    Args:
        what: the kind.
        names: all of them; nothing is printed if there are none.
    """
    if names:
        say(f"{what}: {len(names)}")
        for name in names[:_SHOWN]:
            say(f"  {name!r}")
        if len(names) > _SHOWN:
            say(f"  and {len(names) - _SHOWN} more")


# ---------------------------------------------------------------------------------------------- check


def check_clips(folder: Path, suite_path: str, spellings: Sequence[str], *, names_only: bool, show_all: bool) -> bool:
    """Check a folder of clips; True if the official evaluator would accept it as it is."""
    from rushes_vbench.catalogue import named
    from rushes_vbench.check import check_folder, probe_video

    wanted = [named(spelling) for spelling in spellings]
    suite = read_suite_aloud(suite_path)
    probe = None if names_only else probe_video
    found = check_folder(folder, suite, dimensions=wanted, probe=probe, suite_path=suite_path)
    _show_checked(found)
    for checked in found:
        shown: dict[str, int] = {}
        for problem in checked.problems:
            shown[problem.kind] = shown.get(problem.kind, 0) + 1
            if show_all or shown[problem.kind] <= _SHOWN:
                say(f"{problem.kind}: {problem.path!r}: {problem.detail}")
        for kind, num in shown.items():
            if num > _SHOWN and not show_all:
                say(f"{kind}: and {num - _SHOWN} more of {checked.name}; list them with --all")
    is_fine = not any(checked.problems for checked in found)
    say("ready for the official evaluator" if is_fine else "the official evaluator would fail: see above")
    return is_fine


def _show_checked(found: Sequence[Checked]) -> None:
    from rushes_vbench.check import KINDS

    columns = [Column("dimension"), Column("found", "right"), *(Column(kind, "right") for kind in KINDS)]
    rows = [
        (each.name, f"{each.num_found}/{each.num_expected}", *(str(each.num(kind) or "") for kind in KINDS))
        for each in found
    ]
    show_table(columns, rows)


# ---------------------------------------------------------------------------------------------- a run


def show_run(home: Path, *, with_published: bool, as_json: bool) -> None:
    """Compare the run's own measurements on the suite's held-out prompts, base against tuned."""
    from rushes_vbench.cli.show import show_scorecard
    from rushes_vbench.measured import measured_in
    from rushes_vbench.metrics.twins import yes_bias
    from rushes_vbench.published import published
    from rushes_vbench.scorecard import compare_models

    found = measured_in(home)
    measurer = ", ".join(sorted({each.measurer for each in found.measurements}))
    card = compare_models(found.sides["base"], found.sides["tuned"], measurer=measurer, notes=found.notes)
    if as_json:
        show_json(card.model_dump(mode="json"))
        return
    say(f"measured by {measurer}; not official scores")
    say("prompts as the model got them: " + ("rewritten, see the note" if found.num_rewritten else "the suite's own"))
    show_scorecard(card, published() if with_published else None)
    bias = yes_bias(each.outcome for each in found.measurements)
    if bias is not None:
        say(f"yes-bias of its judge: {bias.value:+.3f} over {bias.num_pairs} questions and their negated twins")


# ---------------------------------------------------------------------------------------------- import


def import_results(
    base: Sequence[Path],
    tuned: Sequence[Path],
    *,
    suite: str | None,
    method: str,
    home: Path | None,
    with_published: bool,
    as_json: bool,
) -> None:
    """Read official results of one or two models, print them, and store them in a run if requested."""
    from rushes_vbench.cli.show import show_results, show_scorecard
    from rushes_vbench.published import published
    from rushes_vbench.results import merged, read_results
    from rushes_vbench.scorecard import compare_models
    from rushes_vbench.suite import read_suite

    copy = read_suite(suite) if suite is not None else None
    sides: list[OfficialResults] = [
        merged(read_results(path, model=name if tuned else None, method=method, suite=copy) for path in paths)
        for name, paths in (("base", base), ("tuned", tuned))
        if paths
    ]
    card = None
    if len(sides) == 2:
        card = compare_models(sides[0].values(), sides[1].values(), measurer="official")
    if home is not None:
        _keep(home, sides)
    if as_json:
        show_json(
            {
                "results": [side.model_dump(mode="json") for side in sides],
                "scorecard": card.model_dump(mode="json") if card else None,
            }
        )
        return
    for side in sides:
        show_results(side)
    if card is not None:
        show_scorecard(card, published() if with_published else None)
    elif with_published:
        say("the published numbers are shown next to a comparison: name the tuned model's results with --tuned")
    if home is not None:
        say(f"stored in {home}; show them in its report: {command('report', home, '--rebuild')}")


def _keep(home: Path, sides: Sequence[OfficialResults]) -> None:
    from rushes.store.run import Run
    from rushes_vbench.beside import keep_official

    with Run.view(home) as run:
        keep_official(run, *sides)
