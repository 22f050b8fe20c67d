"""`rushes plan` for a recipe whose model is not on this machine yet: GPU-hours, memory and disk on named GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rushes.cli.show import Column, bytes_text, show_json, show_table

if TYPE_CHECKING:
    from rushes.plan.budget import Fitted
    from rushes.plan.gpus import Gpu
    from rushes.plan.models import RealModel
    from rushes.plan.plan import StagePlan
    from rushes.recipe.recipe import Recipe


def show_gpu_plan(recipe: Recipe, names: Sequence[str], *, as_json: bool) -> Recipe:
    """Print what a recipe needs on each GPU, within its budget if it has one.

    Args:
        recipe: its base must be one of the known real models.
        names: GPUs; empty for the usual ones.
        as_json: print JSON for programs.

    Returns:
        The recipe within its budget.

    Raises:
        RecipeError: the model or a GPU is unknown, or the budget is too small.
    """
    from rushes.plan.budget import fit
    from rushes.plan.gpus import USUAL, find_gpu
    from rushes.plan.models import known_model
    from rushes.plan.plan import plan_on

    model = known_model(recipe, otherwise="leave --gpu out: the pace is then taken from earlier runs or a short trial")
    gpus = [find_gpu(name) for name in names or USUAL]
    fitted = fit(recipe)
    plans = {gpu.name: plan_on(fitted.recipe, model, gpu) for gpu in gpus}
    if as_json:
        show_json({name: [stage.as_json() for stage in plan] for name, plan in plans.items()})
        return fitted.recipe
    show_trades(fitted)
    _show(fitted.recipe, model, gpus, plans)
    return fitted.recipe


def show_trades(fitted: Fitted) -> None:
    """Print what a budget changed, what each change saves, and what gain remains visible; nothing without a budget."""
    from rushes.plan.detectable import points

    budget = fitted.recipe.budget
    if budget.gpu_hours is None:
        return
    print(
        f"budget: {budget.gpu_hours:g} GPU-hours on one {budget.gpu}; "
        f"estimated {fitted.hours_before:.1f} as written, {fitted.hours:.1f} now"
    )
    if not fitted.trades:
        return
    rows = [
        (each.setting, each.before, each.after, f"{each.hours:.1f}", "none" if each.gain is None else points(each.gain))
        for each in fitted.trades
    ]
    right = [Column("saves h", "right"), Column("smallest gain", "right")]
    show_table([Column("setting"), Column("as written"), Column("now"), *right], rows)
    print(
        "Each line saves its hours after those above it. Smallest gain: points in the mean of the focus that remain "
        "visible."
    )
    print("Hours are by arithmetic and were never measured on a GPU; what a choice costs in quality is not known.")
    _say_drafts(fitted.recipe)


def _say_drafts(recipe: Recipe) -> None:
    """Print when drafts would pay: a plan cannot trade them, since nothing tells how many prompts they drop."""
    from rushes.plan.budget import drafts_pay

    found = drafts_pay(recipe)
    if found is None:
        return
    says = f"take {found.hours:.2g} h, and pay where they drop more than {found.share:.0%} of the prompts"
    if found.share >= 1:
        says = f"take {found.hours:.2g} h, more than the clips themselves"
    print(f"Drafts first (--set 'generate.draft={{num_frames: {found.draft.num_frames}}}') {says}.")


def _show(recipe: Recipe, model: RealModel, gpus: Sequence[Gpu], plans: dict[str, tuple[StagePlan, ...]]) -> None:
    from rushes.plan.main_memory import main_memory_bytes
    from rushes.plan.plan import data_bytes

    first = plans[max(gpus, key=lambda gpu: gpu.memory_bytes).name]  # where the least is offloaded
    rows = []
    for index, stage in enumerate(first):
        times = [_hours(plans[gpu.name][index].seconds) for gpu in gpus]
        amounts = [stage.stage, str(stage.num_items), stage.items, bytes_text(stage.num_bytes)]
        rows.append((*amounts, bytes_text(stage.peak_bytes), *times))
    peaks = [stage.peak_bytes for stage in first if stage.peak_bytes is not None]
    sums = [_hours(sum(stage.seconds or 0.0 for stage in plans[gpu.name])) for gpu in gpus]
    disk = bytes_text(sum(stage.num_bytes or 0 for stage in first))
    total = ("all", "", "", disk, bytes_text(max(peaks)), *sums)
    right = [Column(f"h on {gpu.name}", "right") for gpu in gpus]
    columns = [Column("stage"), Column("items", "right"), Column(""), Column("disk", "right")]
    show_table([*columns, Column("GPU memory", "right"), *right], [*rows, total], total=True)
    print("GPU-hours are estimates for one GPU: counted operations at stated efficiencies (docs/real_models.md).")
    shared = recipe.runtime.train
    if shared.num_processes > 1:
        print(
            f"training runs on {shared.num_processes} processes ({shared.parallel}): its GPU memory is per process, "
            "its hours are the sum over all GPUs, without the communication between them"
        )
    for stage in first:
        if stage.left_out:
            print(f"not in the hours of {stage.stage}: {' and '.join(stage.left_out)}")
    print(f"while training, latents and texts take another {bytes_text(round(data_bytes(recipe, model)))} of disk")
    for gpu in gpus:
        needed = bytes_text(round(main_memory_bytes(model.size, recipe, gpu)))
        print(f"main memory beside {gpu.name}: {needed}, by arithmetic; models that write or judge here come on top")
        waiting = [stage for stage in plans[gpu.name] if stage.offload != "none"]
        if waiting:
            names = ", ".join(stage.stage for stage in waiting)
            print(f"on {gpu.name} parts of the model stay in main memory ({waiting[0].offload} offloading): {names}")
    small = [gpu.name for gpu in gpus if gpu.memory_bytes < max(stage.peak_bytes or 0.0 for stage in plans[gpu.name])]
    if small:
        print(f"too small by this estimate: {', '.join(small)}")


def _hours(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    hours = seconds / 3600
    return f"{hours:.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"
