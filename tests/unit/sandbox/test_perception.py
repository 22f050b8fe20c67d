"""The measurer: right on rendered clips, clean and spoilt, and not to be fooled by clips that are wrong."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from lab.degrade import CONDITIONS, WRONG, add_noise, blur, compress
from lab.validate_measurer import Tally, main, other_scene, refusals, right_answers
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.perception import Unclear, answer, diversity, diversity_features, perceive
from rushes_sandbox.perception.segment import segment
from rushes_sandbox.perception.shapes import moments, shapes_of
from rushes_sandbox.questions import Check
from rushes_sandbox.render import render
from rushes_sandbox.scene import (
    BACKGROUND_RGB,
    COLOUR_RGB,
    COLOURS,
    RADIUS_PX,
    SHAPES,
    SIZE_PX,
    Action,
    Camera,
    Scene,
    Thing,
)

BALL = Thing("circle", "red", "medium", -14.0, 0.0)
BOX = Thing("square", "blue", "small", 6.0, 0.0)
ROLL = Action(0, "right", amount=26.0)


def rendered(
    *things: Thing, actions: tuple[Action, ...] = (), camera: Camera = "still", amount: float = 0.0
) -> np.ndarray:
    return render(Scene("Simple", things, actions, "grey", camera, amount))


def ask(frames: np.ndarray, *check: str) -> bool | Unclear:
    return answer(Check(*check), perceive(frames))  # type: ignore[arg-type]


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("condition", ["clean", "all mild"])
def test_every_dimension_is_measured_right(dimension: str, condition: str) -> None:
    tally = right_answers(dimension, condition, 3)
    assert tally.percent == 100.0, tally.mistakes


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_clips_are_refused(wrong: str) -> None:
    total = Tally()
    for dimension in DIMENSIONS:
        tally = refusals(dimension, wrong, 1, "clean")
        total.right, total.asked = total.right + tally.right, total.asked + tally.asked
        total.mistakes += tally.mistakes
    assert total.asked > 0
    assert total.right == total.asked, total.mistakes


def test_a_clip_of_another_prompt_is_refused() -> None:
    tallies = [other_scene(dimension, 1, "clean") for dimension in DIMENSIONS]
    assert sum(t.asked for t in tallies) > 10
    assert all(t.right == t.asked for t in tallies), [t.mistakes for t in tallies]


@pytest.mark.slow
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_at_least_97_percent_right_in_every_condition(dimension: str) -> None:
    for condition in CONDITIONS:
        tally = right_answers(dimension, condition, 60)
        assert tally.percent >= 97.0, (condition, tally.mistakes)
    for wrong in WRONG:
        tally = refusals(dimension, wrong, 30)
        assert not tally.asked or tally.percent >= 97.0, (wrong, tally.mistakes)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_and_colour_is_told_in_every_frame(shape: str) -> None:
    for colour in COLOURS:
        thing = Thing(shape, colour, "small", 3.3, -4.7)  # type: ignore[arg-type]
        (track,) = perceive(rendered(thing)[:3]).tracks
        assert (track.shape, track.colour, track.presence) == (shape, colour, 1.0)
        assert all(shapes_of(form_F[None]) == (shape,) for form_F in track.form_TF)


def test_blur_does_not_change_what_tells_a_shape() -> None:
    sharp = np.zeros((64, 64), np.float32)
    sharp[20:36, 24:40] = 1.0
    soft = cv2.GaussianBlur(sharp, (0, 0), 2.0)
    (_, _, _, before), (_, _, _, after) = moments(sharp), moments(soft)
    assert before.fourfold == pytest.approx(-1 / 60, abs=2e-4)
    assert after.fourfold == pytest.approx(before.fourfold, abs=2e-4)
    assert after.spread > before.spread


def test_a_bar_is_none_of_the_shapes() -> None:
    bar = np.full((3, 64, 64, 3), 120, np.uint8)
    bar[:, 30:36, 15:45] = COLOUR_RGB["red"]
    (track,) = perceive(bar).tracks
    assert (track.shape, track.colour) == (None, "red")


def test_place_and_area_are_exact_to_a_fraction_of_a_pixel() -> None:
    (track,) = perceive(rendered(BALL, actions=(ROLL,))).tracks
    assert np.abs(track.x_T - np.linspace(-14, 12, 17)).max() < 0.15
    assert np.abs(track.y_T).max() < 0.15
    assert track.area_T == pytest.approx(np.pi * RADIUS_PX["medium"] ** 2, rel=0.02)
    blurred = perceive(blur(rendered(BALL, actions=(ROLL,)), 1.0)).tracks[0]
    assert blurred.area_T == pytest.approx(track.area_T, rel=0.03)


def test_a_steady_fall_is_not_one_that_gets_faster_and_does_not_bounce() -> None:
    steady = rendered(dataclasses.replace(BALL, x=0, y=-16), actions=(Action(0, "down", amount=30.0),))
    assert ask(steady, "moves", "red circle", "", "down") is True
    assert ask(steady, "faster", "red circle") is False
    assert ask(steady, "bounces", "red circle") is False


def test_motion_across_the_direction_asked_about_is_no_motion_that_way() -> None:
    diagonal = rendered(BALL, actions=(ROLL, Action(0, "up", amount=20.0)))
    assert ask(diagonal, "moves", "red circle", "", "up") is False
    assert (
        ask(rendered(BALL, actions=(dataclasses.replace(ROLL, amount=4.0),)), "moves", "red circle", "", "right")
        is False
    )


def test_things_that_stop_short_of_each_other_do_not_touch() -> None:
    things, box = (dataclasses.replace(BALL, size="small", x=-20.0), BOX), "blue square"
    short = rendered(*things, actions=(Action(0, "stop", 0.0, 0.5, 8.0, direction="right"),))
    assert ask(short, "touches", "red circle", box) is False
    assert ask(short, "waits", box, "red circle") is False
    early = rendered(
        *things,
        actions=(
            Action(0, "push", 0.0, 1.0, 26.0, direction="right"),
            Action(1, "pushed", 0.0, 1.0, 13.0, direction="right"),
        ),
    )
    assert ask(early, "touches", "red circle", box) is True
    assert ask(early, "waits", box, "red circle") is False
    together = rendered(dataclasses.replace(BALL, x=-8.5), dataclasses.replace(BOX, x=6.5))
    assert isinstance(ask(together, "waits", box, "red circle"), Unclear)


@pytest.mark.parametrize(
    "camera, amount", [("pan_left", 20.0), ("pan_right", 9.0), ("zoom_in", 1.6), ("zoom_out", 1.3)]
)
def test_camera_motion_is_measured(camera: Camera, amount: float) -> None:
    seen = perceive(rendered(BALL, actions=(ROLL,), camera=camera, amount=amount)).camera
    pan = {"pan_left": -amount, "pan_right": amount}.get(camera, 0.0)
    zoom = {"zoom_in": np.log(amount), "zoom_out": -np.log(amount)}.get(camera, 0.0)
    assert seen.pan_x_px == pytest.approx(pan, abs=0.8)
    assert seen.log_zoom == pytest.approx(zoom, abs=0.04)
    assert seen.is_seen(camera)
    assert not seen.is_seen("still")


def test_the_camera_of_a_plain_background_is_unclear() -> None:
    plain = np.full((17, SIZE_PX, SIZE_PX, 3), 120, np.uint8)
    assert isinstance(ask(plain, "camera", "", "", "still"), Unclear)


@pytest.mark.parametrize("wrong, kind", [("vanishes", "vanishes"), ("splits", "splits"), ("teleports", "teleports")])
def test_incidents_are_reported(wrong: str, kind: str) -> None:
    scene = Scene("Simple", (BALL,), (), "navy")
    frames = WRONG[wrong].make(scene, np.random.default_rng(0))
    assert frames is not None
    assert {(i.kind, i.frame) for i in perceive(frames).incidents} == {(kind, 8)}


def test_a_third_thing_for_half_of_the_clip_is_not_two_the_whole_time() -> None:
    two = [dataclasses.replace(BALL, size="small", x=x) for x in (-18.0, 18.0)]
    three = [*two, dataclasses.replace(two[0], x=0.0)]
    mixed = np.concatenate([rendered(*two)[:9], rendered(*three)[9:]])
    for number in ("two", "three"):
        assert ask(mixed, "count", "red circles", "", number) is False
    assert ask(rendered(*two), "count", "red circles", "", "two") is True


def test_empty_and_noisy_clips_show_nothing() -> None:
    rng = np.random.default_rng(0)
    empty = add_noise(rendered(), rng)
    assert perceive(empty).tracks == ()
    assert ask(empty, "exists", "red circle") is False
    for noise in (np.zeros((17, 64, 64, 3), np.uint8), rng.integers(0, 256, (17, 64, 64, 3)).astype(np.uint8)):
        assert ask(noise, "exists", "red circle") is False


def test_other_sizes_and_lengths_are_measured_too() -> None:
    big = render(Scene("Simple", (BALL,), (ROLL,), "grey"), size_px=128, num_frames=9)
    assert ask(big, "moves", "red circle", "", "right") is True


def test_a_thing_that_half_leaves_the_view_keeps_its_name() -> None:
    leaving = rendered(BALL, actions=(dataclasses.replace(ROLL, amount=44.0),))
    (track,) = perceive(leaving).tracks
    assert (track.shape, track.presence, bool(track.cut_T[-1])) == ("circle", 1.0, True)
    assert ask(leaving, "moves", "red circle", "", "right") is True


def test_alike_things_that_melt_into_one_are_not_counted_as_two() -> None:
    near = [dataclasses.replace(BALL, x=x) for x in (-8.0, 8.0)]
    assert ask(rendered(*near), "count", "red circles", "", "two") is False
    assert ask(rendered(*near), "exists", "red circle") is False


def test_a_thing_that_changes_colour_keeps_its_track() -> None:
    for background in BACKGROUND_RGB:
        for colour in ("cyan", "green", "purple"):
            turn = (Action(0, "turn", colour=colour),)  # type: ignore[arg-type]
            frames = render(Scene("Dynamic_Attribute", (BALL,), turn, background))
            assert ask(frames, "colour", "circle", "", colour, "end") is True
            assert ask(frames, "colour", "circle", "", "red", "end") is False


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="expected uint8 frames"):
        perceive(np.zeros((17, 64, 64, 3), np.float32))  # type: ignore[arg-type]
    seen = perceive(rendered(BALL))
    for bad in (
        ("exists", "red dog"),
        ("moves", "red circle", "", "north"),
        ("count", "red circles", "", "nine"),
        ("no",),
    ):
        with pytest.raises(ValueError):
            answer(Check(*bad), seen)  # type: ignore[arg-type]


def test_diversity_is_nought_for_copies_and_grows_with_difference() -> None:
    one = perceive(rendered(BALL, actions=(ROLL,)))
    elsewhere = perceive(rendered(dataclasses.replace(BALL, y=12.0), actions=(ROLL,)))
    scenes = [draw_scene(np.random.default_rng(seed)) for seed in range(4)]
    mixed = diversity([perceive(render(scene)) for scene in scenes])
    assert diversity([one, one]) == diversity([one]) == diversity([]) == 0.0
    assert 0.0 < diversity([one, elsewhere]) < mixed <= 1.0
    assert diversity_features(one).looks[0].name == "red circle"


def test_compression_keeps_shape_and_changes_pixels() -> None:
    frames = rendered(BALL, BOX)
    squeezed = compress(frames)
    assert squeezed.shape == frames.shape and squeezed.dtype == np.uint8
    assert 0 < np.abs(squeezed.astype(int) - frames).mean() < 8


def test_touching_things_of_different_colours_stay_two() -> None:
    blobs = segment(rendered(dataclasses.replace(BALL, x=-8.0), dataclasses.replace(BOX, x=4.0))).blobs[0]
    assert sorted(blob.colour for blob in blobs) == ["blue", "red"]


def test_the_command_prints_both_tables(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--num-scenes", "1", "--dimensions", "Simple", "Camera_Motion"])
    printed = capsys.readouterr().out
    assert "questions answered right" in printed and "refused" in printed and "ms of one core" in printed
