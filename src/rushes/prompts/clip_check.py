"""Which clips of a folder a recipe can use, told without a run: the files, their lengths and shapes, their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rushes.prompts.briefs import plan_captions
from rushes.prompts.captions import read_clip_folder
from rushes.prompts.clip_rows import ClipFolder, only, repeated, without_refused
from rushes.prompts.screen import Reads, Screened, reader_of, screen
from rushes.prompts.stated import lacking, with_preferences
from rushes.recipe.recipe import Recipe
from rushes.records import Prompt


def check_clip_folder(folder: str, recipe: Recipe, reads: Reads) -> ClipFolder:
    """A folder as a run of this recipe would read it, with the clips left whose captions it can use.

    Captions that repeat a held-out prompt are refused by a run only, since it writes those prompts.

    Args:
        folder: of videos and captions.
        recipe: decides the shape, the number of clips, and which captions are refused.
        reads: what the model can read of a caption.

    Raises:
        InputError: the folder, or its metadata, cannot be read.
    """
    spec = recipe.prompts
    found = read_clip_folder(
        folder,
        recipe.shape,
        spec.real.num_clips or None,
        spec.real.windows,
        is_trained_on=spec.only_real,
        further=recipe.real_shapes,
    )
    drafts = [
        Prompt(
            key=work.key, text=clip.text, base_text=clip.text, dimension=clip.dimension, origin="caption", index=index
        )
        for index, (work, clip) in enumerate(zip(plan_captions(found.clips), found.clips, strict=True))
    ]
    screened = screen(
        drafts,
        evaluation=(),
        spec=spec.screen,
        reads=reads,
        keep_repeats=True,
        reader=reader_of(spec),
    )
    refused = {**refusals(drafts, screened), **repeated(found.clips)}
    if spec.only_real:
        refused |= lacking(found.clips)
    kept = [i for i in range(len(found.clips)) if i not in refused]
    left = only(replace(found, rows=without_refused(found, refused)), kept)
    return with_preferences(left) if spec.only_real else left


def refusals(drafts: Sequence[Prompt], screened: Screened) -> dict[int, tuple[str, str]]:
    """Position of each clip whose caption was refused -> reason tag and words."""
    position = {prompt.key: prompt.index for prompt in drafts}
    return {
        position[each.prompt_key]: (each.reason, f"its caption was refused: {each.detail}")
        for each in screened.rejections
        if each.prompt_key in position
    }
