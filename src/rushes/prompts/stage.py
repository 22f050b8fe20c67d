"""All prompts of a run in one place: for evaluation, for each round's weaknesses, and the captions of real clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from rushes.dimensions import Dimension
from rushes.execute import Lazily
from rushes.prompts.briefs import Aim, plan_briefs, plan_captions, with_brought
from rushes.prompts.captions import (
    REAL_CLIPS,
    CaptionWriter,
    ClipFolder,
    RealClip,
    read_clip_folder,
    without_refused,
)
from rushes.prompts.screen import Screened, screen, screen_splits
from rushes.prompts.write import PromptTools, write_prompts
from rushes.recipe.dimensions import known, probed
from rushes.recipe.prompts import DRAFTS_PER_EVALUATION_PROMPT, RENDERED_PER_REAL_CLIP
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Clip, Focus, Prompt, Rejection
from rushes.roles import Brief, PromptWriter
from rushes.store.advance import Work
from rushes.store.identity import work_key
from rushes.store.run import Run
from rushes_vbench.held_out import guarded, suite_at, suite_work

if TYPE_CHECKING:
    from rushes.context import Workbench

CHUNK_SIZE = 64
"""Prompts written per chunk."""


class PromptDesk:
    """Orders, screens and keeps the prompts of one run."""

    def __init__(self, recipe: Recipe, run: Run, bench: Workbench) -> None:
        """Prepare; nothing is written before it is asked for."""
        self.recipe = recipe
        self.run = run
        self.bench = bench
        self.by_key: dict[str, Prompt] = {}
        """Every prompt met so far."""
        self.rejections: list[Rejection] = []
        """Texts that the screen refused so far, round after round: drafts, and captions of real clips."""
        self.writer = with_brought(recipe.prompts.writer, recipe.diagnose.extra)

    @cached_property
    def group_dimensions(self) -> frozenset[str]:
        """Dimensions measured over several takes of a prompt."""
        return frozenset(each.name for each in known(self.recipe.diagnose) if each.group)

    # ---------------------------------------------------------------- evaluation

    @property
    def probes(self) -> tuple[Prompt, ...]:
        """Prompts for diagnosis."""
        return self._evaluation[0]

    @property
    def held_out(self) -> tuple[Prompt, ...]:
        """Prompts that the final comparison can use, those of Diversity among them."""
        return self._evaluation[1]

    def compared(self, focus: Sequence[Focus]) -> tuple[Prompt, ...]:
        """Those that it does use: all of the focus dimensions, fewer or none of the others."""
        names, rest = {each.dimension for each in focus}, not self.recipe.measure.only_focus
        used = [each for each in self._dimensions if rest or each.name in names]
        return _first(self.held_out, [self._held_aim(each, in_focus=each.name in names) for each in used])

    def _held_aim(self, dimension: Dimension, *, in_focus: bool) -> Aim:
        """How many held-out prompts a dimension has."""
        measure = self.recipe.measure
        if dimension.group:
            return Aim(dimension, measure.num_diversity_prompts)
        return Aim(dimension, measure.num_prompts + in_focus * measure.num_extra_focus_prompts)

    @property
    def _dimensions(self) -> tuple[Dimension, ...]:
        """What is measured: on single clips, then on several takes."""
        diagnose = self.recipe.diagnose
        return (*probed(diagnose), *(each for each in known(diagnose) if each.group))

    @cached_property
    def _evaluation(self) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
        """Probes and held-out prompts; no text is in both, nor in the split of held-out prompts not used here."""
        diagnose, measure = self.recipe.diagnose, self.recipe.measure
        probe = [Aim(each, diagnose.num_prompts) for each in probed(diagnose)]
        # Which will be the focus is not known yet.
        aims = [self._held_aim(each, in_focus=True) for each in self._dimensions]
        held = [aim for aim in aims if aim.num_prompts]
        if measure.suite is not None:
            return self._from_suite(probe, "probe"), self._from_suite(held, measure.split)
        # Evaluation prompts do not follow the recipe's seed: every seed of a recipe is measured on the same ones.
        order = partial(
            plan_briefs,
            writer=self.writer,
            oversample=DRAFTS_PER_EVALUATION_PROMPT,
            questions=self.recipe.prompts.questions,
        )
        drafts = {
            "development": self._write(order(held, origin="held_out", split="development")),
            "test": self._write(order(held, origin="held_out", split="test")),
            "probe": self._write(order(probe, origin="probe")),
        }
        splits = screen_splits(
            drafts,
            spec=self.recipe.prompts.screen,
            vocabulary=self.bench.vocabulary,
            max_tokens=self.recipe.base.max_tokens,
        )
        return _first(splits["probe"].accepted, probe), _first(splits[measure.split].accepted, held)

    def _from_suite(self, aims: Sequence[Aim], part: Literal["development", "probe", "test"]) -> tuple[Prompt, ...]:
        """Prompts of the benchmark that the recipe measures with, as they are: no screen may drop any."""
        path = self.recipe.measure.suite
        assert path is not None
        work = suite_work(suite_at(path), {aim.dimension.name: aim.num_prompts for aim in aims}, part)
        made = self.run.advance(
            self.run.prompts, work, lambda chunk: [piece.payload for piece in chunk], chunk_size=CHUNK_SIZE
        )
        self.by_key.update({prompt.key: prompt for prompt in made})
        return tuple(made)

    @cached_property
    def _evaluation_texts(self) -> list[Prompt]:
        """What may not be trained on: probes, held-out prompts, and the whole suite where there is one."""
        suite = self.recipe.measure.suite
        return [*self.probes, *self.held_out, *(guarded(suite_at(suite)) if suite is not None else ())]

    # ---------------------------------------------------------------- a round

    def write(self, focus: Sequence[Focus], number: int) -> tuple[Prompt, ...]:
        """The weakness prompts of a round that pass the screen, and captions of real clips to film, if any."""
        spec = self.recipe.prompts
        dimensions = {each.name: each for each in known(self.recipe.diagnose)}
        aims = [Aim(dimensions[each.dimension], each.num_prompts) for each in focus]
        drafts = self._write(
            plan_briefs(
                aims,
                origin="weakness",
                writer=self.writer,
                seed=self.recipe.seed,
                round_index=number,
                oversample=spec.oversample,
                questions=spec.questions,
            )
        )
        screened = screen(
            drafts,
            objections=self._objections(drafts, f"round-{number}"),
            evaluation=self._evaluation_texts,
            spec=spec.screen,
            vocabulary=self.bench.vocabulary,
            wanted={aim.dimension.name: aim.num_prompts for aim in aims},
            max_tokens=self.recipe.base.max_tokens,
        )
        self.rejections.extend(screened.rejections)
        self.run.write_derived("rejections", self.rejections)
        return (*screened.accepted, *self._captions[: spec.num_caption])

    # ---------------------------------------------------------------- real clips

    @cached_property
    def real(self) -> tuple[RealClip, ...]:
        """The recipe's real clips."""
        spec = self.recipe.prompts.real
        if spec.num_clips == 0:
            return ()
        if spec.from_sandbox:
            from rushes_sandbox.real_clips import sandbox_real_clips

            # Some captions say what an evaluation prompt says and are refused, so more are rendered than are wanted.
            num = math.ceil(RENDERED_PER_REAL_CLIP * spec.num_clips)
            return tuple(sandbox_real_clips(num, self.recipe.seed, shape=self.recipe.shape))
        return self._folder.clips

    @cached_property
    def _folder(self) -> ClipFolder:
        """The user's folder; what became of each file and row is written down."""
        spec = self.recipe.prompts.real
        found = read_clip_folder(spec.folder, self.recipe.shape, spec.num_clips)
        self.run.write_derived(REAL_CLIPS, found.rows)
        return found.require_some(spec.folder)

    @cached_property
    def _captions(self) -> tuple[Prompt, ...]:
        """Captions of the real clips, screened like all others."""
        clips = self.real
        if not clips:
            return ()
        written = self._write(plan_captions(clips, self.recipe.prompts.questions), CaptionWriter(clips))
        screened = screen(
            written,
            objections=self._objections(written, "captions"),
            evaluation=self._evaluation_texts,
            spec=self.recipe.prompts.screen,
            vocabulary=self.bench.vocabulary,
            max_tokens=self.recipe.base.max_tokens,
        )
        self.rejections.extend(screened.rejections)
        if not self.recipe.prompts.real.from_sandbox:
            self._note_refused(written, screened)
        return screened.accepted[: self.recipe.prompts.real.num_clips]

    def _note_refused(self, written: Sequence[Prompt], screened: Screened) -> None:
        """Write down which good files of the user's folder are not used after all, because of their captions."""
        failed = ("failed", "its caption could not be made a prompt; the run's table of failures says why")
        refused = dict.fromkeys(range(len(self._folder.clips)), failed)
        accepted, reasons = {each.key for each in screened.accepted}, iter(screened.rejections)
        for prompt in written:
            if prompt.key in accepted:
                del refused[prompt.index]
            else:
                rejection = next(reasons)
                refused[prompt.index] = (rejection.reason, f"its caption was refused: {rejection.detail}")
        self.run.write_derived(REAL_CLIPS, without_refused(self._folder.rows, self._folder.clips, refused))

    def real_clips(self) -> list[Clip]:
        """The real clips as records, latents not kept: training encodes them."""
        shape = self.recipe.shape
        work = [Work(work_key("clip", "real", [prompt]), prompt) for prompt in self._captions]

        def record(chunk: Sequence[Work[Prompt]]) -> list[Clip]:
            return [_real_clip(piece, shape.fps, self.run) for piece in chunk]

        return self.run.advance(self.run.clips, work, record, chunk_size=CHUNK_SIZE)

    # ---------------------------------------------------------------- writing

    def _write(self, work: Sequence[Work[Brief]], writer: PromptWriter | None = None) -> tuple[Prompt, ...]:
        build = partial(self._tools, writer)
        made = self.run.advance(self.run.prompts, work, Lazily(build, write_prompts), chunk_size=CHUNK_SIZE)
        self.by_key.update({prompt.key: prompt for prompt in made})
        return tuple(made)

    def _tools(self, writer: PromptWriter | None) -> PromptTools:
        runtime, asked = runtime_of(self.recipe, self.run), self.recipe.prompts.questions
        questions = None if asked is None else asked.build(runtime)
        return PromptTools(writer or self.writer.build(runtime), self.run.blobs, questions)

    def _objections(self, drafts: Sequence[Prompt], name: str) -> dict[str, tuple[str, str]]:
        """What the critic has against drafts, by key; all its verdicts are written down."""
        spec = self.recipe.prompts.screen.critic
        if spec is None or not drafts:
            return {}
        verdicts = spec.build(runtime_of(self.recipe, self.run)).verdicts(drafts)
        self.run.write_derived(f"critic-{name}", verdicts)
        if not spec.enforce:
            return {}
        return {each.prompt_key: said for each in verdicts if (said := each.objection) is not None}


def runtime_of(recipe: Recipe, run: Run) -> RuntimeSpec:
    """The recipe's runtime, with the run's own folder for replies where it names none."""
    runtime = recipe.runtime
    if runtime.cache_folder is not None:
        return runtime
    # By its full path: a worker elsewhere has another working folder.
    return runtime.model_copy(update={"cache_folder": str((run.home / "llm").resolve())})


def _first(prompts: Sequence[Prompt], aims: Sequence[Aim]) -> tuple[Prompt, ...]:
    """The first prompts of each dimension, as many as are wanted."""
    return tuple(
        prompt
        for aim in aims
        for prompt in [each for each in prompts if each.dimension == aim.dimension.name][: aim.num_prompts]
    )


def _real_clip(piece: Work[Prompt], fps: float, run: Run) -> Clip:
    prompt = piece.payload
    assert prompt.real_clip is not None
    num_frames, height_px, width_px, _ = run.blobs.read_video(prompt.real_clip).shape
    return Clip(
        key=piece.key,
        prompt_key=prompt.key,
        dimension=prompt.dimension,
        seed=0,
        seed_index=0,
        model="real",
        origin="real",
        height_px=height_px,
        width_px=width_px,
        num_frames=num_frames,
        fps=fps,
        seconds=0.0,
        video=prompt.real_clip,
    )
