"""Running one arm with one seed, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from lab.arms import Arm
from lab.budgets import Budget, Equal, at_budget, budget_of, learns_from_own, planned, reads_scores
from lab.favourite import best_of
from lab.outcomes import Result, measured
from lab.substitute import substitute
from rushes.context import Context
from rushes.execute.progress import OnProgress
from rushes.measure.pairs import DIVERSITY, clusters_of
from rushes.pipeline import improve
from rushes.plan.calls import calls_per_clip
from rushes.plan.measured import prices_of
from rushes.preflight import check_base
from rushes.recipe.load import load_recipe
from rushes.recipe.measure import Split
from rushes.recipe.recipe import Recipe
from rushes.records import Checkpoint, DriftRow, Focus, PromptGain, Sample
from rushes.store.files import sha256_of_file
from rushes.store.identity import content_hash, spec_part
from rushes.store.provenance import commit, hardware
from rushes.store.run import Run
from rushes_sandbox.packaged import packaged_weights
from rushes_sandbox.specs import MeasurerSpec

ANSWERS_IN: Final = "judge.judge={{use: 'lab.substitute:SubstituteSpec', options: {{how: {how}}}}}"


@dataclass(frozen=True)
class Laboratory:
    """Where and how arms are run."""

    home: Path
    """Run folder of all arms, so that what they share is computed once."""
    split: Split
    """Held-out prompts to measure on."""
    equal: Equal = "own"
    """What arms have in common."""
    source: str = "sandbox"
    """Recipe that arms change: a packaged one, or a file."""
    more: tuple[str, ...] = ()
    """Overrides of every arm, before its own."""
    everything: bool = False
    """Whether all arms measure all dimensions, and not the focus alone."""
    command: str = field(default="python -m lab.results", compare=False)
    """What was typed."""

    def recipe(self, arm: Arm, seed: int) -> Recipe:
        """The recipe of an arm.

        Raises:
            RecipeError: an override is no setting of this version.
            ValueError: the budget does not pay for a single step of it.
        """
        fixed = (f"measure.split={self.split}", "measure.only_focus=true", *self.more)
        seeds = (f"seed={seed}", f"train.seed={seed}")
        answers = () if arm.answers == "judge" else (ANSWERS_IN.format(how=arm.answers),)
        takes = (f"measure.num_takes={arm.best_of * seed}",) if arm.best_of else ()
        whole = ("measure.only_focus=false",) if self.everything and not arm.best_of else ()
        own = [*fixed, *arm.overrides, *answers, *takes, *seeds, *whole]
        recipe = load_recipe(self.source, own)
        if self.equal == "own" or arm.best_of:
            return recipe
        return load_recipe(self.source, [*own, *at_budget(recipe, self.equal, self._amount)])

    @property
    def _amount(self) -> int:
        """The budget of the recipe as it is."""
        whole = planned(load_recipe(self.source, list(self.more)))
        return {"clips": whole.clips_judged, "steps": whole.steps, "forwards": whole.forwards}[self.equal]

    def hash_of(self, arm: Arm, seed: int) -> str:
        """Hash of all that decides the result: the whole recipe, and the sandbox's models and measurer."""
        parts = {
            "recipe": spec_part(self.recipe(arm, seed)),
            "best_of": arm.best_of,
            "models": sha256_of_file(packaged_weights() / "SHA256SUMS"),
            "measurer": MeasurerSpec().version(),
        }
        return content_hash(parts)

    def hashes_of(self, arm: Arm, seed: int) -> frozenset[str]:
        """Hashes of what answers the question: who measured everything has measured the focus too."""
        return frozenset({self.hash_of(arm, seed), replace(self, everything=True).hash_of(arm, seed)})

    def run(self, arm: Arm, seed: int, on_progress: OnProgress | None = None) -> Result:
        """Run an arm with a seed, or resume it.

        Raises:
            UserError: the recipe or the run folder cannot be used.
            Stopped: the user asked to stop, and the current work is stored.
        """
        found = self._favourite(arm, seed) if arm.best_of else self._tuned(arm, seed, on_progress)
        with Run.view(self.home) as run:
            dimensions = measured(found.gains, clusters_of(run.prompts.all()))
        order = sorted(dimensions, key=lambda name: (name not in found.focus, name == DIVERSITY, name))
        machine = hardware()
        return Result(
            arm=arm.name,
            seed=seed,
            split=self.split,
            equal=self.equal,
            recipe_hash=self.hash_of(arm, seed),
            focus=found.focus,
            dimensions={name: dimensions[name] for name in order},
            budget=found.budget,
            drift=found.drift,
            commit=commit()[0],
            machine=f"{machine['num_cpus']} cores of {machine['cpu']}, {machine['memory_gib']} GiB",
            command=self.command,
        )

    def _tuned(self, arm: Arm, seed: int, on_progress: OnProgress | None) -> _Found:
        recipe = self.recipe(arm, seed)
        if arm.answers != "judge":
            substitute(self.recipe(replace(arm, answers="judge"), seed), recipe, arm.answers, self.home)
        card = improve(recipe, self.home, on_progress=on_progress, allow_change=True)
        assert card is not None
        with Run.view(self.home) as run:
            gains = tuple(run.read_derived("gains", PromptGain) or ())
            focus = tuple(each.dimension for each in run.read_derived("focus", Focus) or ())
            work = _work_of(run, recipe, card.tuned_model)
        budget = budget_of(recipe, work.num_clips, work.num_steps, work.seconds(self.home, recipe))
        return _Found(focus, gains, budget, card.drift)

    def _favourite(self, arm: Arm, seed: int) -> _Found:
        recipe = self.recipe(arm, seed)
        with Run.open(self.home, recipe, allow_change=True) as run, run.stop.listening():
            check_base(recipe, run, allow_change=True)
            context = Context(recipe, run)
            focus, gains = best_of(context, arm.best_of, arm.best_of * (seed - 1))
            asked = {each.key: len(each.questions) for each in run.prompts.all()}
        # One take is what every model samples; the others, and asking the judge, come with every clip that is shown.
        num_judged = arm.best_of * len(gains)
        calls = (arm.best_of - 1) * len(gains) * calls_per_clip(recipe.measure.sampler, recipe.base)
        num_answers = arm.best_of * sum(asked[each.prompt_key] for each in gains)
        seconds = _Work(num_judged, 0, num_answers, calls, 0.0).seconds(self.home, recipe)
        budget = Budget(clips_judged=num_judged, steps=0, forwards=calls, seconds=seconds)
        return _Found(tuple(each.dimension for each in focus), tuple(gains), budget)


@dataclass(frozen=True)
class _Found:
    """What an arm found with one seed."""

    focus: tuple[str, ...]
    gains: tuple[PromptGain, ...]
    budget: Budget
    drift: tuple[DriftRow, ...] = ()


@dataclass(frozen=True)
class _Work:
    """What an arm did."""

    num_clips: int
    num_steps: int
    num_answers: int
    calls: int
    trained_s: float

    def seconds(self, home: Path, recipe: Recipe) -> float | None:
        """What it took: sampling and judging at the mean prices of the run folder, since arms share clips."""
        prices = prices_of(home, recipe).by_kind
        called, answered = prices.get("clip_calls"), prices.get("answers")
        if (self.calls and called is None) or (self.num_answers and answered is None):
            return None
        sampled = self.calls * called.seconds if called else 0.0
        return round(self.trained_s + sampled + (self.num_answers * answered.seconds if answered else 0.0), 1)


def _work_of(run: Run, recipe: Recipe, tuned: str) -> _Work:
    """The own clips of all rounds, and the trainings that led to the tuned model."""
    samples = [each for n in range(recipe.num_rounds) for each in run.read_derived(f"samples-{n}", Sample) or []]
    own = [each for each in samples if each.source == "own"]
    asked = {each.key: len(each.questions) for each in run.prompts.all()}
    chain = trainings(tuned, {each.key: each for each in run.checkpoints.all()})
    num_steps, trained_s = sum(each.step for each in chain), sum(each.seconds for each in chain)
    calls = len(own) * calls_per_clip(recipe.generate.sampler, recipe.base) if learns_from_own(recipe) else 0
    is_judged = learns_from_own(recipe) and reads_scores(recipe)
    num_answers = sum(asked[each.prompt_key] for each in own) if is_judged else 0
    return _Work(len(own), num_steps, num_answers, calls, trained_s)


def trainings(tuned: str, checkpoints: Mapping[str, Checkpoint]) -> list[Checkpoint]:
    """The checkpoint of a tuned model, and those that it was tuned from, the last first."""
    found: list[Checkpoint] = []
    last = checkpoints.get(tuned)
    while last is not None:
        found.append(last)
        last = checkpoints.get(last.parent or "")
    return found
