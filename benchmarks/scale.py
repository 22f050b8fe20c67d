"""How reading a run grows with its clips: seconds and peak memory of every command that only reads what is there.

    python benchmarks/scale.py --clips 100000 --folder /tmp/scale            a run of 100,000 clips: about a minute
    python benchmarks/scale.py --clips 10000 100000 1000000 --folder /tmp/scale
    python benchmarks/scale.py --clips 1000000 --padded 10000 --only opening status --folder /tmp/scale
    python benchmarks/scale.py --clips 200 --folder /tmp/scale               a smoke test

The run is synthetic: valid records under the keys that the pipeline computes, three answers to each clip, small shared
files in place of videos. Every measurement is a process of its own, so that its peak is its own; the first line, a
process that only imports the command line, is what all others contain.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

NUM_TAKES: Final = 4
NUM_QUESTIONS: Final = 3
NUM_FILES: Final = 64
"""Stored files that all clips share: what a check does with each file is known, and not what is measured here."""
AT_ONCE: Final = 8
"""Clips in an entry of the cost ledger."""


@dataclass(frozen=True)
class Measured:
    """One measurement."""

    what: str
    num_clips: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    note: str = ""


# ---------------------------------------------------------------------------------------------- the synthetic run


def recipe_for(num_clips: int) -> Any:
    """The sandbox's recipe with that many clips."""
    from rushes.recipe.load import load_recipe

    number = max(1, num_clips // NUM_TAKES)
    return load_recipe(
        "sandbox",
        [f"generate.num_takes={NUM_TAKES}", f"prompts.num_weakness={number}", "prompts.num_caption=0", "name=scale"],
    )


def prompts_of(num_clips: int) -> Iterator[Any]:
    """Prompts with questions, in order."""
    from rushes.records import Prompt, Question
    from rushes.store.identity import content_hash

    for number in range(max(1, num_clips // NUM_TAKES)):
        text = f"number {number}: a small red circle moves to the left past a blue square"
        questions = tuple(
            Question(text=f"is there {what} in {number}?", expected="yes", dimension="Composition", about="presence")
            for what in ("a circle", "a square", "a triangle")[:NUM_QUESTIONS]
        )
        yield Prompt(
            key=content_hash(["scale", number]),
            text=text,
            base_text=text,
            dimension="Composition",
            origin="weakness",
            index=number,
            questions=questions,
        )


def make(home: Path, num_clips: int) -> None:
    """Write the run: everything of one round, judged, and a `done` with the scorecard of the packaged example."""
    from rushes.context import Context
    from rushes.generate.takes import takes
    from rushes.judge.key import answer_keys
    from rushes.records import Answer, Clip, CostEntry
    from rushes.store.ledger import pay
    from rushes.store.run import Run

    recipe = recipe_for(num_clips)
    with Run.open(home, recipe) as run:
        context = Context(recipe, run)
        how, spec, shape = _how(context), recipe.judge.of("Composition"), recipe.shape
        files = [run.blobs.put_bytes(f"file {i}".encode() * 100, ".safetensors") for i in range(NUM_FILES)]
        for chunk in _batched(prompts_of(num_clips), 5000):
            run.prompts.land(chunk)
            clips: list[Clip] = []
            answers: list[Answer] = []
            for piece in takes(chunk, NUM_TAKES, how):
                take = piece.payload
                number = take.prompt.index * NUM_TAKES + take.index
                clip = Clip(
                    key=piece.key,
                    prompt_key=take.prompt.key,
                    dimension=take.prompt.dimension,
                    seed=take.seed,
                    seed_index=take.index,
                    model=how.model,
                    origin="model",
                    sampler=how.sampler,
                    height_px=shape.height_px,
                    width_px=shape.width_px,
                    num_frames=shape.num_frames,
                    fps=shape.fps,
                    seconds=0.5,
                    video=files[number * NUM_FILES // max(NUM_FILES, num_clips) % NUM_FILES],
                    latents=files[(number + 1) % NUM_FILES],
                )
                clips.append(clip)
                for index, key in enumerate(answer_keys(clip, take.prompt, spec)):
                    p_yes = (number * 37 + index * 11) % 101 / 100
                    question = take.prompt.questions[index]
                    answers.append(
                        Answer(key=key, clip_key=clip.key, question=question, p_yes=p_yes, judge="synthetic")
                    )
            run.clips.land(clips)
            run.answers.land(answers)
            paid = [("clips", CostEntry(stage="clips", seconds=4.0, num_items=AT_ONCE, device="cpu"))]
            paid += [("answers", CostEntry(stage="answers", seconds=1.0, num_items=24, device="cpu"))]
            with run.database.transaction():
                for _, entry in paid * max(1, len(clips) // AT_ONCE):
                    pay(run.database, entry)
            _log_progress(run, len(clips))


def pad(small: Path, home: Path, num_clips: int) -> None:
    """Make a larger run of a small one by rows without content, in the proportions of a real run.

    Good for what counts records and reads none of them: `opening` and `status`.
    """
    from rushes.store.run import Run
    from rushes.store.sums import row_sum

    shutil.copytree(small, home)
    nums = {"prompts": num_clips // NUM_TAKES, "clips": num_clips, "answers": num_clips * NUM_QUESTIONS}
    with Run.open(home, recipe_for(num_clips), allow_change=True) as run, run.database.transaction():
        for name, num in nums.items():
            run.database.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                "INSERT INTO records (name, key, body, sum) SELECT ?, printf('%064x', i), '{}', ? FROM n",
                [num, name, row_sum(name, "0", "{}")],
            )
        cost = ["clips", '{"stage":"clips","seconds":500.0,"num_items":1000,"device":"cpu"}']
        rows = [(*cost, row_sum(*cost))] * (sum(nums.values()) // 1000)
        run.database.execute_many("INSERT INTO costs (stage, body, sum) VALUES (?, ?, ?)", rows)
    line = (
        '{"at": "2026-01-31T12:00:00.000+00:00", "event": "progress", "stage": "clips", "num_done": 1, "num_total": 9}'
    )
    with (home / "events.jsonl").open("a", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for _ in range(num_clips // 20))


def _batched(prompts: Iterator[Any], num: int) -> Iterator[list[Any]]:
    while chunk := list(islice(prompts, num)):
        yield chunk


def _log_progress(run: Any, num: int) -> None:
    """As many events as a run has that shows its progress every ten seconds."""
    for _ in range(max(1, num // 20)):
        run.log.write("progress", stage="clips", num_done=num, num_total=num, num_failed=0, left_s=1.0)


def _how(context: Any) -> Any:
    from rushes.generate.takes import How

    spec = context.recipe.generate
    return How(context.base.name, spec.sampler, context.recipe.shape, spec.stored_as, spec.decode)


# ---------------------------------------------------------------------------------------------- what is measured


def nothing(home: Path, num_clips: int) -> None:
    """Python and the command line's imports alone."""
    import rushes.cli.main
    import rushes.pipeline  # noqa: F401


def status(home: Path, num_clips: int) -> None:
    """`rushes status`."""
    from rushes.cli.overview import show_status

    show_status(home, as_json=False)


def opening(home: Path, num_clips: int) -> None:
    """A run folder opened to work in it, and whether a finished run owes work."""
    from rushes.store.heal import result
    from rushes.store.run import Run

    with Run.open(home, recipe_for(num_clips)) as run:
        result(run)


def checking(home: Path, num_clips: int) -> None:
    """`rushes check`: every row and every file is read."""
    from rushes.store.check import examine

    assert not examine(home).findings


def _round(context: Any, num_clips: int) -> Any:
    """What the only round of the run begins with."""
    from rushes.train.rounds import Round

    prompts = list(prompts_of(num_clips))
    context.prompts.update({each.key: each for each in prompts})
    return Round(0, context.base, prompts, (), ())


def round_again(home: Path, num_clips: int) -> None:
    """A round of which all records are there: generate, judge and weigh, up to the samples of training."""
    from rushes.context import Context
    from rushes.generate.stage import generate
    from rushes.judge.stage import judge
    from rushes.store.run import Run
    from rushes.weights.stage import weigh

    recipe = recipe_for(num_clips)
    with Run.open(home, recipe) as run:
        context = Context(recipe, run)
        begun = _round(context, num_clips)
        clips = generate(context, context.base, begun.prompts)
        scores = judge(context, clips)
        samples = weigh(context, clips, [], scores, 0)
        assert len(samples) == len(begun.prompts) * NUM_TAKES


def resumed_in_training(home: Path, num_clips: int) -> None:
    """The same round after a kill in its training; needs the files that `round_again` writes."""
    from unittest.mock import patch

    from rushes.context import Context
    from rushes.store.run import Run
    from rushes.train import rounds

    recipe = recipe_for(num_clips)
    of_commit = patch.object(rounds, "commit", lambda: ("ab" * 20, False))  # as in a checkout without changes
    with Run.open(home, recipe) as run, of_commit:
        context = Context(recipe, run)
        begun = _round(context, num_clips)
        rounds.keep_samples(context, begun, ())
        samples = rounds.known_samples(context, begun)
        assert samples is not None
        assert len(samples) == len(context.clips) == len(context.prompts) * NUM_TAKES


def counting(home: Path, num_clips: int) -> None:
    """What the report and the ledger count over all records."""
    from rushes.plan.counts import units_done
    from rushes.store.run import Run

    with Run.view(home) as run:
        units_done(run, recipe_for(num_clips))
        run.costs()


def weighing_shown(home: Path, num_clips: int) -> None:
    """The report's section about the weights, as HTML."""
    from rushes.report import plots
    from rushes.report.data import Weighing
    from rushes.report.made import _weighing
    from rushes.store.run import Run

    with Run.view(home) as run:
        found = _weighing(run, 0)
        assert isinstance(found, Weighing), found
        page = str(plots.histogram(found.own, "weight"))
    print(f"{len(page)} bytes of HTML")


MEASURES: Final[Mapping[str, Callable[[Path, int], None]]] = {
    each.__name__: each
    for each in (
        nothing,
        status,
        opening,
        checking,
        round_again,
        resumed_in_training,
        counting,
        weighing_shown,
    )
}


def measure(what: str, home: Path, num_clips: int) -> Measured:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--clips", str(num_clips), "--folder", str(home.parent), "--only", what]
    began = time.perf_counter()
    done = subprocess.run([*command, "--inside"], capture_output=True, text=True, timeout=1800, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    cpu, peak = json.loads(done.stderr.splitlines()[-1])
    note = done.stdout.splitlines()[-1] if what == "weighing_shown" else ""
    return Measured(what, num_clips, round(seconds, 2), round(cpu, 2), round(peak, 0), note)


def inside(what: str, home: Path, num_clips: int) -> None:
    """Run one measure here, and print its processor seconds and peak memory, MB."""
    MEASURES[what](home, num_clips)
    used = resource.getrusage(resource.RUSAGE_SELF)
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # not that of the parent
    print(json.dumps([used.ru_utime + used.ru_stime, int(peak) / 1024]), file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that are not there, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000])
    parser.add_argument("--folder", type=Path, required=True, help="where the synthetic runs are made and kept")
    parser.add_argument("--only", nargs="+", choices=[*MEASURES], default=[*MEASURES])
    parser.add_argument("--padded", type=int, metavar="N", help="pad the run of N clips with rows without content")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    if given.inside:
        inside(given.only[0], given.folder / str(given.clips[0]), given.clips[0])
        return
    found: list[Measured] = []
    for num_clips in given.clips:
        home = given.folder / str(num_clips)
        if not (given.folder / f"{num_clips}.made").exists():
            shutil.rmtree(home, ignore_errors=True)
            if given.padded:
                pad(given.folder / str(given.padded), home, num_clips)
            else:
                make(home, num_clips)
            (given.folder / f"{num_clips}.made").touch()
        for what in given.only:
            found.append(measure(what, home, num_clips))
            print(*asdict(found[-1]).values(), sep="\t", flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
