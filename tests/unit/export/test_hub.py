"""A folder for the Hub: its card says what was measured, its code runs, its texts cannot break out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml

from rushes import known_keys
from rushes.display.words import MINUS, points
from rushes.errors import InputError, StoreError
from rushes.export.base import Base
from rushes.export.card import md
from rushes.export.full import export_merged
from rushes.export.hub import HubOptions, check_repository, check_token, export_hub, licence_of, push
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import Source, choose
from rushes.report.claims import claims
from rushes.store.run import Run
from rushes.store.video import read_video


def front_matter(card: str) -> dict[str, object]:
    return yaml.safe_load(card.split("---\n")[1])


def code(card: str) -> str:
    found = re.search(r"```python\n(.*?)```", card, re.S)
    assert found is not None
    return found.group(1)


@pytest.fixture(scope="module")
def exported(lora_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("hub") / "out"
    with Run.view(lora_home) as run:
        export_hub(choose(run), target, HubOptions(repository="someone/night-shoot", licence="apache-2.0"))
    return target


def test_folder_holds_weights_card_figures_and_clips(exported: Path) -> None:
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert {"README.md", "scorecard.json", "pytorch_lora_weights.safetensors", "samples/01-tuned.mp4"} <= names
    tuned, both = (read_video(exported / "samples" / f"01-{end}.mp4") for end in ("tuned", "before-after"))
    assert tuned.frames_THWC.shape[0] == both.frames_THWC.shape[0] == 5
    assert both.frames_THWC.shape[2] > 2 * tuned.frames_THWC.shape[2]


def test_header_is_what_the_hub_reads(exported: Path) -> None:
    header = front_matter((exported / "README.md").read_text())
    assert (header["license"], header["library_name"]) == ("apache-2.0", "diffusers")
    assert header["pipeline_tag"] == "text-to-video"
    assert {"text-to-video", "diffusers", "lora", "template:sd-lora"} <= set(header["tags"])  # type: ignore[call-overload]
    for entry in header["widget"]:  # type: ignore[attr-defined]
        assert entry["text"] and (exported / entry["output"]["url"]).is_file()


def test_card_has_every_measured_row(exported: Path, lora_home: Path) -> None:
    card = (exported / "README.md").read_text()
    with Run.view(lora_home) as run:
        scorecard = run.scorecard()
    assert scorecard is not None and scorecard.rows
    assert f"**{md(claims(scorecard).text.replace(MINUS, '-'))}**" in card
    for row in scorecard.rows:
        assert f"| {100 * row.before:.1f} | {100 * row.after:.1f} | {points(row.gain)} |" in card
    assert "UniPCMultistepScheduler" in card and "32 x 32 px, 5 frames at 8 fps" in card


def test_nothing_names_a_path_of_this_machine(exported: Path, lora: Source, model_folder: Path, tmp_path: Path) -> None:
    export_lora(lora, tmp_path / "kohya", "kohya", LoraOptions())
    export_merged(lora, tmp_path / "merged", 1.0, torch.float32)
    folders = (exported, tmp_path)
    texts = [path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert any(b'"rushes_base_model":"wan"' in text for text in texts)
    assert not [text for text in texts if str(model_folder.parent).encode() in text]
    assert "base_model" not in front_matter((exported / "README.md").read_text())


def test_links_lead_to_files(exported: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (exported / "README.md").read_text())
    assert links and all((exported / link).is_file() for link in links)


@pytest.mark.parametrize("form", ["lora", "transformer", "pipeline"])
def test_code_of_the_card_generates(
    form: str, lora: Source, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = HubOptions(form=form, licence="mit", num_gallery=1)  # type: ignore[arg-type]
    export_hub(lora, tmp_path / "out", options)
    text = code((tmp_path / "out" / "README.md").read_text())
    # A reader replaces the two names by where the models are.
    text = text.replace('"user/name"', repr(str(tmp_path / "out"))).replace('"wan"', repr(str(model_folder)))
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "card", "exec"), {})
    assert read_video(tmp_path / "clip.mp4").frames_THWC.shape == (5, 32, 32, 3)


def test_extracted_adapter_says_so_in_the_card(full: Source, lora: Source, tmp_path: Path) -> None:
    export_hub(lora, tmp_path / "whole", HubOptions(licence="mit", num_gallery=0))
    assert "this is the whole change" in (tmp_path / "whole" / "README.md").read_text()
    options = HubOptions(licence="mit", num_gallery=0, lora=LoraOptions(rank=1, strength=0.5, dtype=torch.bfloat16))
    export_hub(lora, tmp_path / "low", options)
    card = (tmp_path / "low" / "README.md").read_text()
    assert re.search(r"at rank 1: it keeps \d+\.\d % of the squared change", card)
    assert "0.5 times the change" in card
    assert "<Gallery />" not in card


def test_unfinished_run_has_no_card(full: Source, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is not finished[\s\S]*rushes export lora"):
        export_hub(full, tmp_path / "out", HubOptions(licence="mit"))


def test_card_of_another_round_than_the_measured_one(lora: Source, tmp_path: Path) -> None:
    first = choose(lora.run, lora.chain[0].key)
    with pytest.raises(StoreError, match="measured another checkpoint"):
        export_hub(first, tmp_path / "out", HubOptions(licence="mit"))


def test_licence_comes_from_the_base_or_is_asked_for(base: Base, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--license"):
        licence_of(base)
    (tmp_path / "README.md").write_text("---\nlicense: openrail\n---\n# a model\n")
    assert licence_of(Base(tmp_path, "someone/model", is_on_hub=True)) == "openrail"


def test_texts_cannot_break_out_of_the_card() -> None:
    assert md("a | b\n# <script>x</script> `c` [d](e)") == (r"a \| b \# &lt;script&gt;x&lt;/script&gt; \`c\` \[d\](e)")


class FakeHub:
    """Remembers what it was asked; refuses on request."""

    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.calls: list[tuple[str, dict[str, object]]] = []

    def create_repo(self, repo_id: str, **options: object) -> None:
        self.calls.append((repo_id, options))

    def upload_folder(self, **options: object) -> None:
        if self.refuse:
            raise RuntimeError(self.refuse)
        self.calls.append(("upload", options))


def test_push_makes_the_repository_and_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_keys, "_known", {})
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub = FakeHub()
    assert push(tmp_path, "someone/model", private=True, hub=hub) == "https://huggingface.co/someone/model"
    assert hub.calls[0] == ("someone/model", {"private": True, "exist_ok": True, "repo_type": "model"})
    assert hub.calls[1][1]["folder_path"] == str(tmp_path)
    assert "hf_secret" not in repr(hub.calls)


def test_push_never_shows_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_keys, "_known", {})
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(InputError, match="403 for") as caught:
        push(tmp_path, "someone/model", private=True, hub=FakeHub("403 for hf_secret"))
    assert "hf_secret" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `hf auth login` writes the key; nobody is logged in, whoever runs the tests."""
    path = tmp_path / "hub" / "token"
    path.parent.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(path))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(known_keys, "_known", {})
    return path


@pytest.mark.usefixtures("token_file")
def test_push_without_a_login_says_how_to_log_in(tmp_path: Path) -> None:
    hub = FakeHub()
    with pytest.raises(InputError, match="hf auth login") as caught:
        push(tmp_path, "someone/model", private=True, hub=hub)
    assert "HF_TOKEN" in str(caught.value) and not hub.calls


def test_a_login_counts_and_is_never_shown(token_file: Path, tmp_path: Path) -> None:
    token_file.write_text("hf_from_the_file\n", encoding="utf-8")
    assert check_token() == "hf_from_the_file"
    assert known_keys.hidden("sent hf_from_the_file") == "sent [HF_TOKEN]"
    with pytest.raises(InputError) as caught:
        push(tmp_path, "someone/model", private=True, hub=FakeHub("403 for hf_from_the_file"))
    assert "hf_from_the_file" not in str(caught.value)


def test_the_environment_comes_before_the_login(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token_file.write_text("hf_from_the_file", encoding="utf-8")
    monkeypatch.setenv("HF_TOKEN", " hf_of_the_shell ")
    assert check_token() == "hf_of_the_shell"


@pytest.mark.parametrize("name", ["model", "a/b/c", "../x", "a/..", "a b/c", "/b", "a/"])
def test_names_that_are_no_repositories(name: str) -> None:
    with pytest.raises(InputError, match="user/name"):
        check_repository(name)
