"""How many records a run will hold: the recipe's counts as upper bounds, replaced part by part by exact numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rushes.plan.counts import work_of
from rushes.plan.judged import REPLIES, replies_to
from rushes.recipe.recipe import Recipe
from rushes.records import Prompt
from rushes.store.events import EventLog


@dataclass(frozen=True)
class Total:
    """Records of one table, at the end of the run."""

    num: int
    """How many."""
    is_exact: bool
    """False while a part of it is an upper bound: the screen, or clips without questions, may make it smaller."""


class Totals:
    """The totals of one run. Each part of a table starts as a bound and becomes exact when the run reaches it."""

    def __init__(self, recipe: Recipe) -> None:
        """Start with the bounds of `work_of`; what is done in every round is one part per round.

        Raises:
            RecipeError: the recipe names a dimension that does not exist.
        """
        self._parts: dict[tuple[str, str], Total] = {}
        rounds = recipe.num_rounds
        for work in work_of(recipe):
            for table, num in work.tables.items():
                if work.stage in ("generate", "judge"):
                    for number in range(rounds):
                        self._parts[table, f"{work.stage} {number}"] = Total(math.ceil(num / rounds), False)
                else:
                    self._parts[table, work.stage] = Total(num, table == "checkpoints")

    def know(self, table: str, part: str, num: int) -> None:
        """Replace a bound by the exact number.

        Args:
            table: "clips", "answers", ...
            part: "diagnose", "prompts", "measure"; "generate 0" and "judge 0" for the first round.
            num: records of that part.

        Raises:
            KeyError: there is no such part.
        """
        if not self.has(table, part):
            raise KeyError(f"no part {part!r} of table {table!r}; there are {sorted(self._parts)}")
        self._parts[table, part] = Total(num, True)

    def has(self, table: str, part: str) -> bool:
        """Whether the table has such a part."""
        return (table, part) in self._parts

    def by_table(self) -> dict[str, Total]:
        """The total of each table; exact only where all of its parts are."""
        found: dict[str, Total] = {}
        for (table, _), part in self._parts.items():
            so_far = found.get(table, Total(0, True))
            found[table] = Total(so_far.num + part.num, so_far.is_exact and part.is_exact)
        return found


class Forecast:
    """Writes the expected number of records to the event log as soon as it is known, for `rushes status`."""

    def __init__(self, recipe: Recipe, log: EventLog) -> None:
        """Prepare; nothing is written yet."""
        self.recipe = recipe
        self.totals = Totals(recipe)
        self._log = log
        self._logged: dict[str, Total] = {}
        self._num_evaluation = 0

    def evaluation(self, probes: Sequence[Prompt], num_written: int) -> None:
        """The evaluation prompts are written and screened; the number of probe clips is known.

        Args:
            probes: the probe prompts.
            num_written: prompts written so far, with those that failed.
        """
        self._num_evaluation = num_written
        self.totals.know("prompts", "diagnose", self._num_evaluation)
        num_takes = self.recipe.diagnose.num_takes
        for table in ("clips", "measurements"):
            self.totals.know(table, "diagnose", num_takes * len(probes))
        if self.recipe.diagnose.choose == "picked":
            self._judged("diagnose", probes, num_takes)
        self._log_changes()

    def comparison(self, prompts: Sequence[Prompt], groups: Collection[str]) -> None:
        """The focus is chosen, and with it the held-out prompts of the comparison.

        Args:
            prompts: those prompts.
            groups: dimensions measured over several takes of a prompt.
        """
        spec = self.recipe.measure
        single = [each for each in prompts if each.dimension not in groups]
        num_groups = len(prompts) - len(single)
        num_single = 2 * len(single) * spec.num_takes
        self.totals.know("clips", "measure", num_single + 2 * num_groups * spec.num_diversity_takes)
        self.totals.know("measurements", "measure", num_single + 2 * num_groups)
        self._judged("measure", single, spec.num_takes, num_models=2)
        self._log_changes()

    def real_clips(self, num: int) -> None:
        """The real clips are read and screened."""
        self.totals.know("clips", "prompts", num)
        self._log_changes()

    def round(self, number: int, prompts: Sequence[Prompt], num_written: int) -> None:
        """The prompts of a round are written and screened.

        Args:
            number: which round, from 0.
            prompts: those that passed.
            num_written: prompts of the whole run so far, with those that failed.
        """
        self._takes(number, prompts)
        if number == self.recipe.num_rounds - 1:
            self.totals.know("prompts", "prompts", num_written - self._num_evaluation)
        self._log_changes()

    def drafted(self, number: int, prompts: Sequence[Prompt]) -> None:
        """Drafts have left fewer prompts of a round to generate full takes of.

        Args:
            number: which round, from 0.
            prompts: those that are left.
        """
        self._takes(number, prompts)
        self._log_changes()

    def _takes(self, number: int, prompts: Sequence[Prompt]) -> None:
        generate = self.recipe.generate
        self.totals.know("clips", f"generate {number}", generate.num_takes * len(prompts))
        self._judged(f"judge {number}", prompts if generate.decode else (), generate.num_takes)

    def _judged(self, part: str, prompts: Sequence[Prompt], num_takes: int, num_models: int = 1) -> None:
        """What the judges will say about takes of these prompts."""
        replies = replies_to(prompts, self.recipe.judge, num_takes, num_models)
        for kind in REPLIES.values():
            if replies[kind] or self.totals.has(kind, part):
                self.totals.know(kind, part, replies[kind])

    def _log_changes(self) -> None:
        for table, total in self.totals.by_table().items():
            if self._logged.get(table) != total:
                self._log.write("stage_planned", stage=table, num_total=total.num, is_exact=total.is_exact)
                self._logged[table] = total
