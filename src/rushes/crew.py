"""Who films and judges in a run: in this process or on a cluster, into whichever table, full takes and drafts alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rushes.context import Model, Workbench
from rushes.elsewhere import generator_builder, needs_of
from rushes.execute import Lazily
from rushes.generate.film import PipelineGenerator, Take, develop, film
from rushes.judge.grade import grade
from rushes.judge.stage import asking, chunk_size, questions
from rushes.prompts.stage import runtime_of
from rushes.recipe.base import ShapeSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Answer, Clip, Prompt, SamplerSettings, Score
from rushes.roles import Executor, Failed
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from rushes.store.decoded import side_by_side
from rushes.store.run import Run
from rushes.store.table import Table


@dataclass(frozen=True)
class Crew:
    """The tools of a run that clips are made and judged with."""

    recipe: Recipe
    run: Run
    bench: Workbench
    blobs: Blobs
    executor: Executor | None
    """None for this process."""

    def film(
        self,
        model: Model,
        work: Sequence[Work[Take]],
        prompts: Sequence[Prompt],
        table: Table[Clip],
        *,
        sampler: SamplerSettings,
        shape: ShapeSpec,
        latents: bool = True,
        decode: bool = True,
    ) -> list[Clip]:
        """The clips of some takes, filmed now where they are missing.

        Args:
            model: who films.
            work: the takes.
            prompts: all whose texts the takes read.
            table: where clips are kept.
            sampler: how.
            shape: of the clips.
            latents: keep them too, for training.
            decode: False keeps latents alone.
        """
        shoot = partial(
            film,
            blobs=self.blobs,
            model=model.name,
            sampler=sampler,
            shape=shape,
            stored_as=self.recipe.generate.stored_as,
            latents=latents,
            decode=decode,
        )
        texts = [sampler.negative_prompt, *(prompt.text for prompt in prompts)]
        return self._with_camera(model, work, shoot, texts, table, shape)

    def develop(self, model: Model, work: Sequence[Work[Take]], undecoded: Mapping[str, Clip]) -> list[Clip]:
        """The clips of takes that were kept as latents alone, decoded.

        Args:
            model: who filmed.
            work: the takes.
            undecoded: their clips without frames, by the keys of the takes.
        """
        decode = partial(develop, undecoded=undecoded, blobs=self.blobs, stored_as=self.recipe.generate.stored_as)
        return self._with_camera(model, work, decode, [], self.run.clips, self.recipe.shape)

    def _with_camera(
        self,
        model: Model,
        work: Sequence[Work[Take]],
        do: Callable[[PipelineGenerator, Sequence[Work[Take]]], list[Clip | Failed]],
        texts: Sequence[str],
        table: Table[Clip],
        shape: ShapeSpec,
    ) -> list[Clip]:
        """Have clips made by a loaded model, here or on workers."""
        runtime = self.recipe.runtime
        build: Callable[[], PipelineGenerator] = partial(self._build_here, model, texts)
        if self.executor is not None:
            build = generator_builder(self.recipe.base, runtime, model.weights, self.blobs, texts, shape)
        return self.run.advance(
            table,
            work,
            Lazily(build, do),
            chunk_size=runtime.generate_batch,
            device=runtime.device,
            executor=self.executor,
            needs=needs_of(runtime),
        )

    def _build_here(self, model: Model, texts: Sequence[str]) -> PipelineGenerator:
        return PipelineGenerator(self.bench.with_weights(model, texts))

    def judge(self, clips: Sequence[Clip], prompts: Mapping[str, Prompt], table: Table[Answer]) -> tuple[Score, ...]:
        """The frozen judge's scores of clips, asked now where answers are missing.

        Args:
            clips: what to judge.
            prompts: by key, at least those of `clips`.
            table: where answers are kept.
        """
        spec, runtime = self.recipe.judge, runtime_of(self.recipe, self.run)
        # A clip of several dimensions is another record in each, with the same frames: they are read once.
        work = questions(side_by_side(clips, lambda clip: clip), prompts, spec)
        answers = self.run.advance(
            table,
            work,
            asking(spec, runtime, self.blobs),
            chunk_size=chunk_size(work, runtime.judge_batch),
            device=runtime.device,
            executor=self.executor,
            needs=needs_of(runtime),
        )
        return grade(clips, prompts, answers, spec)
