"""The text encoder is taught what a caption says, order and belonging included."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import UMT5EncoderModel

from lab.pretrain.reading import FACTS, ReadingSpec, draw_captions, said, train_text_encoder
from rushes_sandbox.captions import Captioner
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.scene import Action, Scene, Thing
from rushes_sandbox.text import make_tokenizer

SMALL = ReadingSpec(num_steps=4, batch_size=4)


def quiet(line: str) -> None:
    """Say nothing."""


def test_what_is_said_of_two_motions_has_their_order() -> None:
    things = (Thing("circle", "red", "small", -10, -10),)
    actions = (Action(0, "right", 0, 0.5, 20), Action(0, "up", 0.5, 1, 20))
    facts = said(Scene("Motion_Order_Understanding", things, actions, "grey"))
    assert (facts["first deed"], facts["then"]) == ("right", "up")
    assert (facts["shape of what is red"], facts["shape of what is blue"]) == ("circle", "nothing")
    assert (facts["number"], facts["size of the first"], facts["background"]) == ("1", "small", "grey")


def test_what_is_said_of_a_push_and_of_a_change() -> None:
    things = (Thing("circle", "red", "small", -20, 0), Thing("cross", "cyan", "small", 6, 0))
    push = Action(0, "push", 0, 0.5, 12, direction="right"), Action(1, "pushed", 0.5, 1, 12, direction="right")
    facts = said(Scene("Motion_Rationality", things, push, "navy"))
    assert (facts["first deed"], facts["then"], facts["direction"]) == ("push", "nothing", "right")
    turn = said(Scene("Dynamic_Attribute", things[:1], (Action(0, "turn", colour="blue"),), "sand"))
    assert (turn["first deed"], turn["new colour"]) == ("turn", "blue")
    falls = [Scene("Mechanics", things[:1], (Action(0, "fall", amount=amount),), "sand") for amount in (0.0, 1.0)]
    assert [said(scene)["first deed"] for scene in falls] == ["land", "bounce"]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_scene_has_an_answer_to_every_fact(dimension: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        facts = said(draw_scene(rng, dimension))
        assert list(facts) == list(FACTS)
        assert all(value in FACTS[fact] for fact, value in facts.items())


def test_captions_are_the_steps_own_and_never_wrong() -> None:
    tokenizer = make_tokenizer()
    first, again, other = (draw_captions(tokenizer, SMALL, step) for step in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert SMALL.captioner == Captioner(wrong={})


def test_it_resumes_bit_for_bit_and_comes_out_frozen(tmp_path: Path) -> None:
    whole = train_text_encoder(tmp_path / "whole", SMALL, quiet)
    # Half of a longer run would have another learning rate, so the state is taken from a run killed on the way.
    killed = tmp_path / "killed"

    class Killed(Exception):
        """Stands for the end of the process."""

    draws = iter(range(2))

    def until_killed(*arguments: object) -> object:
        if next(draws, None) is None:
            raise Killed
        return draw_captions(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr("lab.pretrain.reading.SAVED_EVERY", 1)
        patch.setattr("lab.pretrain.reading.draw_captions", until_killed)
        train_text_encoder(killed, SMALL, quiet)
    assert (killed / "reading.safetensors").is_file()
    resumed = train_text_encoder(killed, SMALL, quiet)
    states = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not any(parameter.requires_grad for parameter in resumed.parameters())
    kept = [load_file(str(folder / "reading.safetensors")) for folder in (tmp_path / "whole", killed)]
    assert all(torch.equal(value, kept[1][name]) for name, value in kept[0].items())


@pytest.mark.slow
def test_what_captions_say_is_read_better_and_better(tmp_path: Path) -> None:
    lines: list[str] = []
    train_text_encoder(tmp_path, ReadingSpec(num_steps=200, batch_size=32), lines.append)
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines]
    assert losses[-1] < 0.8 * losses[0]


def test_the_shipped_encoder_tells_which_motion_comes_first() -> None:
    """Texts of the same words in another order must not look alike to the model."""
    weights = files("rushes_sandbox") / "weights" / "base" / "text_encoder"
    encoder = UMT5EncoderModel.from_pretrained(str(weights)).float().eval()
    tokenizer = make_tokenizer()
    pairs = [
        ("a red circle moves to the right, then up", "a red circle moves up, then to the right"),
        ("a red circle and a blue square", "a blue circle and a red square"),
    ]
    for texts in pairs:
        tokens = tokenizer(list(texts), padding=True, return_tensors="pt")
        with torch.no_grad():
            states = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        first, other = (
            {word: state for word, state in zip(row.tolist(), states[k], strict=True)}
            for k, row in enumerate(tokens.input_ids)
        )
        likeness = [float(torch.cosine_similarity(first[word], other[word], dim=0)) for word in first if word in other]
        assert min(likeness) < 0.95, "one that cannot read gives every word the same state: 1.00"
