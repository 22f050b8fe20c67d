"""`rushes export`: tuned weights and clips for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from rushes.cli.options import HomeArgument, taking
from rushes.cli.show import say
from rushes.errors import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from rushes.export.card import Form
    from rushes.export.dialects import Dialect
    from rushes.export.lora import LoraOptions
    from rushes.export.lowrank import Fit
    from rushes.export.source import Source

export = typer.Typer(
    help="Tuned weights and clips for diffusers, ComfyUI, kohya, the Hub.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


Whole = Literal["transformer", "pipeline", "merged"]
"""Forms in which all weights can be exported."""


class NumberFormat(StrEnum):
    """Number formats of exported weights."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Holding(StrEnum):
    """Which weights a Hub folder holds."""

    auto = "auto"
    lora = "lora"
    transformer = "transformer"
    pipeline = "pipeline"


_FORMS: Final[Mapping[Holding, Form | None]] = {
    Holding.auto: None,
    Holding.lora: "lora",
    Holding.transformer: "transformer",
    Holding.pipeline: "pipeline",
}


class Clips(StrEnum):
    """Which clips a dataset holds."""

    trained = "trained"
    generated = "generated"
    held_out = "held_out"
    all = "all"


OutOption = Annotated[
    Path | None, typer.Option("--out", help="New or empty folder; default: HOME/export/<name of the command>.")
]
StrengthOption = Annotated[
    float, typer.Option("--strength", help="How much of the change to apply: 0 is the base, 1 what was trained.")
]
DtypeOption = Annotated[NumberFormat, typer.Option("--dtype", help="Number format of the weights.")]
CheckpointOption = Annotated[
    str | None, typer.Option("--checkpoint", metavar="KEY", help="Another checkpoint; default: the measured one.")
]
RankOption = Annotated[
    int | None, typer.Option("--rank", help="Rank; default: as trained. Needed to extract from a full fine-tune.")
]
EnergyOption = Annotated[
    float | None,
    typer.Option("--energy", help="Instead of a rank: share of each layer's squared change to keep, such as 0.9."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="Where the extraction is computed: cpu, cuda.")]


def _lora_command(name: str, dialect: Dialect, help: str) -> None:
    """Add the command that writes a LoRA in one dialect."""

    @export.command(name, help=help)
    def write(
        home: HomeArgument,
        out: OutOption = None,
        strength: StrengthOption = 1.0,
        rank: RankOption = None,
        energy: EnergyOption = None,
        dtype: DtypeOption = NumberFormat.float32,
        checkpoint: CheckpointOption = None,
        device: DeviceOption = "cpu",
    ) -> None:
        target = _target(home, out, name)
        with _opened(home, checkpoint) as source:
            from rushes.export.lora import export_lora

            fit = export_lora(source, target, dialect, _lora_options(strength, rank, energy, dtype, device))
        _say_fit(fit)
        say(f"wrote {target}")


def _whole_command(name: Whole, help: str) -> None:
    """Add the command that writes all tuned weights in one form."""

    @export.command(name, help=help)
    def write(
        home: HomeArgument,
        out: OutOption = None,
        strength: StrengthOption = 1.0,
        dtype: DtypeOption = NumberFormat.float32,
        checkpoint: CheckpointOption = None,
    ) -> None:
        with _opened(home, checkpoint) as source:
            from rushes.export.full import export_merged, export_pipeline, export_transformer

            writers = {"transformer": export_transformer, "pipeline": export_pipeline, "merged": export_merged}
            written = writers[name](source, _target(home, out, name), strength, _dtype(dtype))
        say(f"wrote {written}")


_lora_command("lora", "diffusers", "A LoRA folder for diffusers. `pipeline.load_lora_weights(folder)` reads it.")
_lora_command("comfyui", "comfyui", "A LoRA file for ComfyUI's `models/loras`.")
_lora_command("kohya", "kohya", "A LoRA file with kohya's names and alphas. For musubi-tuner and its kin.")
_whole_command("transformer", "All tuned weights as a `transformer/` folder of diffusers. Adapters are merged.")
_whole_command("pipeline", "A whole diffusers folder. The base's parts and the tuned transformer.")
_whole_command(
    "merged", "All tuned weights as one file in the family's own names. For ComfyUI's `models/diffusion_models`."
)


@dataclass(frozen=True)
class HubCommand:
    """Options of `rushes export hub`."""

    home: HomeArgument
    out: OutOption = None
    as_: Annotated[
        Holding, typer.Option("--as", help="What it holds; auto: an adapter if one was trained, else all weights.")
    ] = Holding.auto
    push_to: Annotated[
        str | None,
        typer.Option("--push", metavar="USER/NAME", help="Also upload it, as whoever is logged in (hf auth login)."),
    ] = None
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public; default: private.")] = False
    licence: Annotated[str | None, typer.Option("--license", help="Licence; default: the base model's.")] = None
    gallery: Annotated[int, typer.Option("--gallery", min=0, help="Dimensions in the gallery; 0 for none.")] = 3
    strength: StrengthOption = 1.0
    rank: RankOption = None
    energy: EnergyOption = None
    dtype: DtypeOption = NumberFormat.float32
    device: DeviceOption = "cpu"


@export.command()
@taking(HubCommand)
def hub(asked: HubCommand) -> None:
    """A folder for the Hub. Weights, model card with the measured figures, gallery."""
    with _opened(asked.home, None) as source:
        from rushes.export.hub import HubOptions, check_token, export_hub, push

        if asked.push_to is not None:
            check_token()
        target = _target(asked.home, asked.out, "hub")
        options = HubOptions(
            form=_FORMS[asked.as_],
            repository=asked.push_to,
            licence=asked.licence,
            num_gallery=asked.gallery,
            lora=_lora_options(asked.strength, asked.rank, asked.energy, asked.dtype, asked.device),
        )
        fit = export_hub(source, target, options)
    _say_fit(fit)
    say(f"wrote {target}; read its README.md before you publish it")
    if asked.push_to is not None:
        say(f"pushed to {push(target, asked.push_to, private=not asked.public)}")


@export.command()
def dataset(
    home: HomeArgument,
    out: OutOption = None,
    clips: Annotated[
        Clips, typer.Option("--clips", help="Trained on (real clips too), generated for training, held out, or all.")
    ] = Clips.trained,
    lossless: Annotated[bool, typer.Option("--lossless", help="Keep every pixel; browsers cannot play it.")] = False,
) -> None:
    """Clips with captions, scores, weights and answers. By split; `load_dataset(FOLDER)` reads them."""
    from rushes.export.dataset import export_dataset
    from rushes.store.run import Run

    target = _target(home, out, "dataset")
    with Run.view(home) as run:
        number = export_dataset(run, target, clips.value, lossless=lossless, on_clip=_say_count)
    say(f"wrote {number} clips to {target}")


class Compared(StrEnum):
    """What people compare."""

    models = "models"
    takes = "takes"


@export.command()
def study(
    home: HomeArgument,
    out: OutOption = None,
    of: Annotated[
        Compared, typer.Option("--of", help="The base with the tuned model, or takes of training prompts.")
    ] = Compared.models,
    num: Annotated[int, typer.Option("--num", min=1, help="Prompts of each dimension at most.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the choice, the order and the sides.")] = 0,
    ask: Annotated[str | None, typer.Option("--ask", help="The question to people; default: which is better.")] = None,
) -> None:
    """Blind pairs of clips for people. A page that works offline and writes a CSV."""
    from rushes.audit.study import ASKED, PAGE, study_pairs, take_pairs, write_study
    from rushes.export.folder import new_folder
    from rushes.store.run import Run

    target = _target(home, out, "study")
    with Run.view(home) as run:
        pairs = (study_pairs if of is Compared.models else take_pairs)(run, num, seed)
        with new_folder(target) as folder:
            write_study(folder, run, pairs, ask or ASKED)
    say(f"wrote {len(pairs)} pairs: open {target / PAGE}, or send people the whole folder")
    say(f"then, with the files that they save: {command('judge', 'people', home, 'study.csv')}")


@contextmanager
def _opened(home: Path, checkpoint: str | None) -> Iterator[Source]:
    from rushes.export.source import choose
    from rushes.store.run import Run

    with Run.view(home) as run:
        yield choose(run, checkpoint)


def _target(home: Path, out: Path | None, name: str) -> Path:
    """The output folder, checked to be new or empty before anything is loaded."""
    from rushes.export.folder import check_free

    target = out if out is not None else home / "export" / name
    check_free(target)
    return target


def _lora_options(
    strength: float, rank: int | None, energy: float | None, dtype: NumberFormat, device: str
) -> LoraOptions:
    from rushes.export.lora import LoraOptions

    return LoraOptions(rank=rank, energy=energy, strength=strength, dtype=_dtype(dtype), device=device)


def _dtype(name: NumberFormat) -> torch.dtype:
    import torch

    found = getattr(torch, name.value)
    assert isinstance(found, torch.dtype)
    return found


def _say_fit(fit: Fit | None) -> None:
    if fit is None:
        return
    kept = 100 * (1 - fit.relative_error**2)
    places = 100 * sum(fit.left_out.values()) / fit.energy if fit.energy else 0.0
    say(
        f"{len(fit.layers)} layers, rank up to {fit.max_rank}: keeps {kept:.2f} % of the squared change "
        f"(relative error {fit.relative_error:.4f}; {places:.2f} % is in weights that an adapter cannot hold)"
    )


def _say_count(done: int, total: int) -> None:
    if done == total or done % 100 == 0:
        say(f"{done} of {total} clips")
