"""`rushes vbench`: scores clips, exchanges files with the benchmark, and estimates what can be detected."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rushes.cli.options import JsonOption, taking

vbench = typer.Typer(
    help="VBench-2.0: score and compare folders of clips, export clips, import official results, statistics.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SuiteOption = Annotated[
    str,
    typer.Option(
        "--suite",
        metavar="PATH",
        help="Your copy of the prompts: a checkout of VBench, a vbench2 wheel, VBench2_full_info.json, or 'installed'.",
    ),
]


class LayoutName(StrEnum):
    """How clips are arranged."""

    flat = "flat"
    by_dimension = "by-dimension"


class ProfileName(StrEnum):
    """Whose rules."""

    compat = "compat"
    fixed = "fixed"


class WhichModel(StrEnum):
    """A model of a run."""

    base = "base"
    tuned = "tuned"


@vbench.callback()
def _vbench() -> None:
    """Keeps `vbench` a group of commands."""


@vbench.command()
def dimensions() -> None:
    """List the eighteen dimensions: prompts, clips, what measures them, share of the total, licences."""
    from rushes_vbench.cli.show import show_dimensions

    show_dimensions()


@dataclass(frozen=True)
class ScoreOptions:
    """What `rushes vbench score` takes."""

    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Clips of one model: flat, by dimension, or one dimension.")
    ]
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite", metavar="PATH", help="Your copy of the prompts; default: the recipe's, or 'installed'."
        ),
    ] = None
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="RECIPE", help="Take models and servers from this recipe's measurer."),
    ] = None
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting: measure.measurer.options.flow=raft."),
    ] = None
    profile: Annotated[
        ProfileName | None, typer.Option("--profile", help="The official rules, or those with known defects repaired.")
    ] = None
    dimension: Annotated[
        list[str] | None, typer.Option("--dimension", help="Score only this one; may be repeated.")
    ] = None
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where scores are kept; default: FOLDER.scores.")
    ] = None
    as_json: JsonOption = False


@vbench.command()
@taking(ScoreOptions)
def score(options: ScoreOptions) -> None:
    """Score a folder of clips; run it again to resume. Without models: the two dimensions that need no weights."""
    from rushes_vbench.cli.score import score_clips_in

    score_clips_in(options)


@vbench.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A scored folder of clips, its scores, or RUN[@base|@tuned].")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one; gains are B minus A.")],
    published: Annotated[
        bool, typer.Option("--published", help="Also show the paper's numbers, marked as published by others.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two scored models, paired by prompt and sample, corrected for all dimensions."""
    from rushes_vbench.cli.score import compare_scores

    compare_scores(a, b, with_published=published, as_json=as_json)


@vbench.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="RUN|FOLDER", help="A run folder, or a folder of clips.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Folder for exports; created if missing.")],
    suite: SuiteOption = "installed",
    layout: Annotated[
        LayoutName, typer.Option("--layout", help="One folder (to submit), or one per dimension (to evaluate).")
    ] = LayoutName.by_dimension,
    only: Annotated[WhichModel | None, typer.Option("--only", help="Of a run: base or tuned; default: both.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of a folder: the model's name; default: its own.")] = None,
    link: Annotated[bool, typer.Option("--link", help="Hard-link files of a folder instead of copying.")] = False,
) -> None:
    """Write clips under the official names; run it again to resume."""
    from rushes_vbench.cli.work import export_folder, export_run

    if (source / "header.json").exists():
        export_run(source, target, suite, layout.value, only.value if only else None)
    else:
        export_folder(source, target, suite, layout.value, name, link=link)


@vbench.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The clips: flat, by dimension, or one dimension.")],
    suite: SuiteOption = "installed",
    dimension: Annotated[
        list[str] | None, typer.Option("--dimension", help="Check only this one; may be repeated.")
    ] = None,
    names_only: Annotated[bool, typer.Option("--names-only", help="Do not read the files.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="List every problem, not only the first of each kind.")] = False,
) -> None:
    """Find missing, stray, unreadable, short and uneven files; exit code 1 if there are any."""
    from rushes_vbench.cli.work import check_clips

    if not check_clips(folder, suite, dimension or [], names_only=names_only, show_all=all_):
        raise typer.Exit(1)


@vbench.command(name="import")
def import_(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Official result files, folders or zips of one model.")
    ],
    tuned: Annotated[
        list[Path] | None, typer.Option("--tuned", help="The same for the tuned model, to compare the two.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="PATH", help="Your copy of the prompts, to check the rows against.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="Version of the official code, to store with them: 'repository 45e79ec'.")
    ] = "",
    home: Annotated[
        Path | None, typer.Option("--run", metavar="HOME", help="Store the results in this run, for its report.")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Also show the paper's numbers, marked as published by others.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read official results: recompute means and coverage, name contradictions, compare two models.

    Results of VBench-1 are recognised by their dimensions and shown apart, with that benchmark's own totals.
    """
    from rushes_vbench.cli.work import import_results
    from rushes_vbench.vbench1 import show as vbench1
    from rushes_vbench.vbench1.results import is_vbench1

    if is_vbench1([*results, *(tuned or [])]):
        vbench1.refuse_options(suite, published=published)
        vbench1.import_results(results, tuned or [], method=method, home=home, as_json=as_json)
        return
    import_results(
        results, tuned or [], suite=suite, method=method, home=home, with_published=published, as_json=as_json
    )


@vbench.command()
def scorecard(
    home: Annotated[Path, typer.Argument(metavar="HOME", help="A run with measure.suite, measured.")],
    published: Annotated[
        bool, typer.Option("--published", help="Also show the paper's numbers, marked as published by others.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a run's own measurements in the paper's shape, corrected for all dimensions."""
    from rushes_vbench.cli.work import show_run

    show_run(home, with_published=published, as_json=as_json)


@vbench.command()
def power(
    prompts: Annotated[int | None, typer.Option("--prompts", min=2, help="Prompts; default: each dimension's.")] = None,
    clips: Annotated[int | None, typer.Option("--clips", min=1, help="Clips per prompt; default: the suite's.")] = None,
    score: Annotated[float, typer.Option("--score", min=0.0, max=1.0, help="Mean score that you expect.")] = 0.5,
    likeness: Annotated[
        float, typer.Option("--likeness", min=0.0, max=1.0, help="Correlation of two clips of one prompt.")
    ] = 0.5,
    same_seed: Annotated[
        float,
        typer.Option("--same-seed", min=0.0, max=0.99, help="Share of the rest that the same seed fixes for both."),
    ] = 0.5,
) -> None:
    """Estimate the smallest gain that can be detected, before any clip is generated."""
    from rushes_vbench.cli.show import show_power

    show_power(prompts, clips, score, likeness, same_seed)
