"""A folder for the Hub (weights, model card, scorecard and gallery) and its upload."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from rushes.errors import InputError, StoreError, command, resume_command
from rushes.export.base import Base, find_base, tuned_bases
from rushes.export.card import Card, Form, render_card
from rushes.export.folder import check_free, new_folder
from rushes.export.full import tuned_weights, write_pipeline, write_transformer
from rushes.export.gallery import write_gallery
from rushes.export.lora import LoraOptions, write_lora
from rushes.export.lowrank import Fit
from rushes.export.snippet import PLACE, make_snippet
from rushes.export.source import Source
from rushes.known_keys import remember
from rushes.records import Scorecard

TOKEN: Final = "HF_TOKEN"
"""Environment variable with the Hub's key, for those who did not log in; it is read when needed and never stored."""
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True)
class HubOptions:
    """What the folder holds."""

    form: Form | None = None
    """None takes an adapter if one was trained, else the transformer, or the pipeline if the base is not public."""
    repository: str | None = None
    """`user/name`; written into the card."""
    licence: str | None = None
    """Tag of the licence; None takes the base's own if its folder names one."""
    num_gallery: int = 3
    """Dimensions in the gallery; up to three clips each."""
    lora: LoraOptions = field(default_factory=LoraOptions)
    """Rank, strength and number format."""


class Hub(Protocol):
    """The part of `huggingface_hub.HfApi` that is used."""

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool, repo_type: str) -> Any:
        """Create a repository."""
        ...

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str, repo_type: str) -> Any:
        """Upload every file of a folder in one commit."""
        ...


def export_hub(source: Source, target: Path, options: HubOptions) -> Fit | None:
    """Write a folder that is ready for the Hub.

    Args:
        source: a finished run.
        target: a new or empty folder.
        options: what the folder holds.

    Returns:
        How much of the change an adapter keeps; None for full weights.

    Raises:
        StoreError: the run is not finished, or a checkpoint other than the measured one was requested.
        InputError: the licence is unknown; or as `export_lora` and `export_pipeline`.
    """
    check_free(target)
    if options.repository is not None:
        check_repository(options.repository)
    scorecard = _scorecard(source)
    base = find_base(source)
    form = options.form or _usual_form(source, base)
    licence = options.licence or licence_of(base)
    base = find_base(source, whole=True) if form == "pipeline" else base
    with new_folder(target) as folder:
        fit = _write_weights(source, base, folder, form, options.lora)
        samples = write_gallery(source, scorecard, folder, options.num_gallery)
        (folder / "scorecard.json").write_text(f"{scorecard.model_dump_json(indent=1)}\n", encoding="utf-8")
        prompt, seed = (samples[0].prompt, samples[0].seed) if samples else ("a cat walks over a wet street", 0)
        place = options.repository or PLACE
        card = Card(
            title=options.repository.split("/")[1] if options.repository else source.recipe.name,
            form=form,
            base_name=base.public_name,
            base_is_on_hub=base.is_on_hub,
            licence=licence,
            snippet=make_snippet(source.recipe, base, form, place, prompt, seed, tuple(source.tuned)),
            samples=samples,
            adapter=adapter_sentence(source, fit),
            strength=options.lora.strength,
        )
        (folder / "README.md").write_text(render_card(card, source, scorecard), encoding="utf-8")
    return fit


def adapter_sentence(source: Source, fit: Fit | None) -> str:
    """What an adapter keeps of the measured change; empty for full weights."""
    if fit is None:
        return ""
    if source.max_lora_rank is not None and fit.relative_error < 1e-3:
        return f"Rank {fit.max_rank}, alpha equal to the rank; this is the whole change that was trained and measured."
    kept = 100 * (1 - fit.relative_error**2)
    return (
        f"Extracted from a full fine-tune at rank {fit.max_rank}: it keeps {kept:.1f} % of the squared change "
        f"(relative error {fit.relative_error:.3f}). The figures below are those of the full fine-tune."
    )


def licence_of(base: Base) -> str:
    """The licence of a base model, which models tuned from it inherit.

    Raises:
        InputError: its folder does not name one.
    """
    card = base.folder / "README.md"
    found = re.search(r"^license:\s*([\w.-]+)\s*$", card.read_text(encoding="utf-8"), re.M) if card.is_file() else None
    if found is None:
        raise InputError(
            "the licence of the base model is unknown",
            expected="a README.md with `license:` in the base model's folder, or --license",
            next_step="look up the licence and name it: --license apache-2.0",
        )
    return found.group(1)


def push(folder: Path, repository: str, *, private: bool, hub: Hub | None = None) -> str:
    """Upload an exported folder to the Hub.

    Args:
        folder: made by `export_hub`.
        repository: `user/name`; created if missing.
        private: whether a new repository is private.
        hub: the client; None makes one with the key of whoever is logged in.

    Returns:
        The repository's address.

    Raises:
        InputError: nobody is logged in, or the Hub rejects the upload.
    """
    check_repository(repository)
    token = check_token()
    if hub is None:
        from huggingface_hub import HfApi

        hub = HfApi(token=token)
    try:
        hub.create_repo(repository, private=private, exist_ok=True, repo_type="model")
        hub.upload_folder(
            repo_id=repository, folder_path=str(folder), commit_message="Upload by rushes export", repo_type="model"
        )
    except (OSError, ValueError, RuntimeError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(token, "***")
        raise InputError(
            f"the upload to the Hub failed: {said}",
            next_step=f"the folder is complete in {folder}; check the network and that your login has write access",
        ) from None
    return f"https://huggingface.co/{repository}"


def check_token() -> str:
    """The Hub's key as its own tools find it: in `HF_TOKEN`, or in the file that `hf auth login` writes.

    From then on it is hidden in everything that is written or printed.

    Raises:
        InputError: nobody is logged in.
    """
    from huggingface_hub import get_token

    token = (get_token() or "").strip()
    if not token:
        raise InputError(
            "there is no key for the Hub",
            expected=f"a login with write access: by `hf auth login`, or a token in the environment variable {TOKEN}",
            next_step=f"log in: hf auth login; or: export {TOKEN}=..., from https://huggingface.co/settings/tokens",
        )
    remember(TOKEN, token)
    return token


def check_repository(repository: str) -> None:
    """Check that a repository's name has the form `user/name`.

    Raises:
        InputError: it does not.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(
            "that is not a repository name", expected="user/name", got=repository, next_step="--push user/name"
        )


def _scorecard(source: Source) -> Scorecard:
    scorecard = source.run.scorecard()
    if scorecard is None or scorecard.tuned_model != source.checkpoint.key:
        what = "is not finished" if scorecard is None else "measured another checkpoint"
        raise StoreError(
            f"the run in {source.run.home} {what}: a model card needs its figures",
            expected="a finished run, and the checkpoint that its scorecard compares",
            next_step=f"finish the run: {resume_command(source.run.home)}; or export only the weights: "
            f"{command('export', 'lora', source.run.home)}, or {command('export', 'transformer', source.run.home)}",
        )
    return scorecard


def _usual_form(source: Source, base: Base) -> Form:
    if source.max_lora_rank is not None:
        return "lora"
    return "transformer" if base.is_on_hub else "pipeline"


def _write_weights(source: Source, base: Base, folder: Path, form: Form, options: LoraOptions) -> Fit | None:
    if form == "lora":
        return write_lora(source, base, folder, "diffusers", options)[1]
    if form == "pipeline":
        write_pipeline(folder, source, base, options.strength, options.dtype)
        return None
    for each in tuned_bases(source, base):
        weights = tuned_weights(source, each, options.strength)
        write_transformer(folder / each.part, each, weights, options.dtype)
    return None
