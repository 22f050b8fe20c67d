"""Which clips are kept out of training, and keys that stay when recipes learn new words."""

from dataclasses import replace

import pytest
import torch

from rushes.errors import TrainingError
from rushes.recipe.objectives import DpoSpec, NftSpec
from rushes.recipe.train import TrainSpec
from rushes.records import BlobRef, Sample
from rushes.train.lesson import Lesson, lesson_key, result_key
from rushes.train.material import divide, known_of


def _key(number: int) -> str:
    return f"{number:064x}"


def _lesson(**settings: float | str) -> Lesson:
    samples = tuple(
        Sample(
            clip_key=_key(i), prompt_key=_key(100 + i), weight=1.0, dimension="x", source="real" if i >= 4 else "own"
        )
        for i in (6, 0, 5, 1, 2, 7, 3, 4)
    )
    spec = TrainSpec.model_validate(settings)
    return Lesson(samples=samples, parent=_key(200), start=None, spec=spec, reencode=False)


def test_held_out_real_clips_are_the_last_by_key_and_the_rest_keeps_its_order() -> None:
    lesson = _lesson(num_held_out=2)
    kept, apart = divide(lesson)
    assert {sample.clip_key for sample in apart} == {_key(6), _key(7)}
    assert [int(sample.clip_key, 16) for sample in kept] == [0, 5, 1, 2, 3, 4]
    assert divide(_lesson()) == (_lesson().samples, ())


@pytest.mark.parametrize("num", [4, 9])
def test_all_real_clips_cannot_be_held_out(num: int) -> None:
    with pytest.raises(TrainingError, match="num_held_out"):
        divide(_lesson(num_held_out=num))


def test_every_setting_that_decides_the_weights_enters_the_key() -> None:
    plain = lesson_key(_lesson())
    others = [_lesson(optimizer="adamw_8bit"), _lesson(num_held_out=1), _lesson(seed=1), _lesson(anchor=0.1)]
    assert len({plain, *map(lesson_key, others)}) == 5
    assert lesson_key(_lesson(num_steps=200)) == plain, "as many as there are without it"
    for name, value in (("checkpoint_every", 7), ("num_accumulation", 2)):
        assert lesson_key(_lesson(**{name: value})) == plain


def test_a_share_is_in_the_result_alone_and_not_in_what_is_trained() -> None:
    plain = _lesson()
    assert result_key(plain) == lesson_key(plain) == lesson_key(_lesson(merge=0.5))
    shares = [_lesson(merge=0.5), _lesson(merge=0.25), replace(_lesson(merge=0.5), until=3), _lesson(merge=0.5, seed=1)]
    assert len({result_key(plain), *map(result_key, shares)}) == 5


def test_a_guidance_scale_that_training_gives_to_the_model_enters_the_key() -> None:
    assert lesson_key(replace(_lesson(), guidance=1.0)) not in (lesson_key(_lesson()), lesson_key(_lesson(seed=1)))


def test_preferences_enter_the_key_where_training_reads_them() -> None:
    def judged(lesson: Lesson) -> Lesson:
        first, *rest = lesson.samples
        return replace(lesson, samples=(first.model_copy(update={"preference": 0.25}), *rest))

    plain, aware = _lesson(), replace(_lesson(), spec=TrainSpec(objective=NftSpec()))
    assert lesson_key(judged(plain)) == lesson_key(plain)
    assert lesson_key(judged(aware)) != lesson_key(aware)


START = BlobRef(sha256="cd" * 32, suffix=".safetensors", num_bytes=1)


def test_keys_of_an_earlier_release_stay_and_another_anchor_is_another_training() -> None:
    """As that release computed them, for one round and for later ones, where its anchor was the round's start."""

    def key_of(start: BlobRef | None = None, **settings: object) -> str:
        spec = TrainSpec.model_validate(settings)
        return lesson_key(Lesson(samples=(), parent="ab" * 32, start=start, spec=spec, reencode=False))

    plain, held = "b8fe2617f775a6a9", "8156249eaf1ff45e"
    assert key_of().startswith(plain) and key_of(START).startswith(plain)
    assert key_of(objective={"kind": "nft"}).startswith("d962335ac015b6d4")
    assert key_of(merge=0.5).startswith(plain)
    for kind in ("art", "online"):
        later = {"art": "halves", "online": "every"}[kind]
        was = key_of(objective={"kind": kind})
        assert was.startswith({"art": "6abf4a2196b6bf22", "online": "4cfa167949ef9190"}[kind])
        assert key_of(objective={"kind": kind, later: 2 if kind == "online" else True}) != was
    assert key_of(anchor=0.1).startswith(held) and key_of(anchor=0.1, anchor_to="start").startswith(held)
    assert key_of(START, anchor=0.1, anchor_to="start").startswith(held)
    assert key_of(anchor_to="start").startswith(plain), "nothing is anchored"
    assert key_of(guidance=3.0).startswith(plain), "only models that take one read it"
    others = [
        key_of(START, anchor=0.1),
        key_of(norm_guard=0.1),
        key_of(START, norm_guard=0.1),
        key_of(START, norm_guard=0.1, anchor_to="start"),
        key_of(objective={"kind": "nft", "old": "ema"}),
        key_of(objective={"kind": "nft", "old": "ema", "old_cap": 0.9}),
    ]
    assert key_of(norm_guard=0.1) == key_of(START, norm_guard=0.1, anchor_to="start")
    assert len({plain, held, *others}) == 2 + len(others) - 1


def test_named_pairs_enter_the_key_of_training_on_pairs_and_lose_clips_that_are_held_out() -> None:
    def named(lesson: Lesson) -> Lesson:
        one, two, *rest = (sample.model_copy(update={"source": "own"}) for sample in lesson.samples)
        over = one.model_copy(update={"preferred_over": (two.clip_key, rest[0].clip_key)})
        return replace(lesson, samples=(over, two, *rest))

    plain, pairs = _lesson(), replace(_lesson(), spec=TrainSpec(objective=DpoSpec()))
    own = replace(plain, samples=tuple(each.model_copy(update={"source": "own"}) for each in plain.samples))
    assert lesson_key(named(plain)) == lesson_key(own)
    assert lesson_key(named(pairs)) != lesson_key(replace(own, spec=pairs.spec))
    found = known_of(named(pairs).samples).pairs_P2
    assert found is not None and found.tolist() == [[0, 1], [0, 2]]
    kept, apart = divide(replace(named(pairs), spec=TrainSpec(objective=DpoSpec(), num_held_out=2)))
    assert {int(sample.clip_key, 16) for sample in apart} == {6, 7}, "the last by key, real or not"
    none = known_of(kept).pairs_P2
    assert none is None, "the clip that was preferred is held out"
    (first, *_) = named(pairs).samples
    empty = known_of([first]).pairs_P2
    assert empty is not None and empty.shape == (0, 2) and empty.dtype == torch.int64
