"""Video files: exact where lossless, right in time and colour where not, a reason for every file that is no video."""

from __future__ import annotations

import pickle
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import StoreError
from rushes.recipe.base import ShapeSpec
from rushes.store import decoding
from rushes.store.cut import cut_to_fit, cut_video, cuts, fit_frame
from rushes.store.decoding import VideoError
from rushes.store.video import read_video, write_video

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (9, 32, 48, 3), dtype=np.uint8)


def grey(num_frames: int, height: int = 16, width: int = 16) -> np.ndarray:
    """Frame i is grey of level 4 i."""
    levels = (4 * np.arange(num_frames)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (num_frames, height, width, 3)).copy()


def write_timed(path: Path, frames: np.ndarray, times: list[Fraction]) -> None:
    """A lossless file whose frames have the given time stamps."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=100)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options = "rgb24", {"qp": "0", "bf": "0"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = int(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_lossless_keeps_every_pixel_and_the_frame_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", NOISE, 12.5, lossless=True)
    video = read_video(tmp_path / "a.mp4")
    assert np.array_equal(video.frames_THWC, NOISE)
    assert video.fps == 12.5


@pytest.mark.parametrize("lossless", [True, False])
def test_an_mp4_can_be_played_while_it_arrives(tmp_path: Path, lossless: bool) -> None:
    """Its index stands before the frames."""
    write_video(tmp_path / "a.mp4", grey(12), 8.0, lossless=lossless)
    data = (tmp_path / "a.mp4").read_bytes()
    boxes, at = [], 0
    while at < len(data):
        boxes.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    assert boxes.index(b"moov") < boxes.index(b"mdat")


def test_lossless_blocks_scale_every_pixel(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", NOISE, 8, lossless=True, scale=3)
    frames = read_video(tmp_path / "a.mp4").frames_THWC
    assert np.array_equal(frames, np.kron(NOISE, np.ones((1, 3, 3, 1), np.uint8)))


def test_for_people_is_plain_h264_with_true_colours(tmp_path: Path) -> None:
    import av

    colours = np.array([(228, 48, 44), (52, 86, 236), (242, 214, 44), (36, 36, 38)], np.uint8)
    frames = np.repeat(colours[None], 5, axis=0)[:, None].repeat(15, axis=1).repeat(10, axis=2)[:, :, :37]
    write_video(tmp_path / "sub" / "a.mp4", frames, 8)
    with av.open(str(tmp_path / "sub" / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.height, stream.width) == (16, 38)  # odd sides are padded
    read = read_video(tmp_path / "sub" / "a.mp4").frames_THWC
    assert len(read) == 5
    for i, colour in enumerate(colours[:3]):
        assert np.abs(read[:, 4:12, 10 * i + 4 : 10 * i + 6].astype(int) - colour).max() <= 6


@pytest.mark.parametrize(
    ("frames", "fps", "scale"),
    [
        (NOISE.astype(np.float32), 8, 1),
        (NOISE[0], 8, 1),
        (NOISE[:0], 8, 1),
        (NOISE, 0, 1),
        (NOISE, float("nan"), 1),
        (NOISE, 8, 0),
    ],
)
def test_what_is_no_video_is_not_written(tmp_path: Path, frames: np.ndarray, fps: float, scale: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        write_video(tmp_path / "a.mp4", frames, fps, scale=scale)
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        write_video(tmp_path / "file" / "a.mp4", NOISE, 8, lossless=True)


# ---------------------------------------------------------------------------------------------- cutting to shape


def test_a_clip_of_the_right_shape_stays_as_it_is(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", NOISE, 8, lossless=True)
    cut = cut_video(tmp_path / "a.mp4", ShapeSpec(height_px=32, width_px=48, num_frames=9, fps=8))
    assert np.array_equal(cut.video.frames_THWC, NOISE)
    assert (cut.is_whole, cut.changes, cut.video.fps) == (True, (), 8)


@pytest.mark.parametrize(("fps_in", "fps"), [(24, 8), (30, 8), (4, 8), (25, 10), (Fraction(30000, 1001), 8)])
def test_frames_are_those_shown_at_each_time(tmp_path: Path, fps_in: float, fps: float) -> None:
    write_video(tmp_path / "a.mp4", grey(60), float(fps_in), lossless=True)
    cut = cut_video(tmp_path / "a.mp4", ShapeSpec(height_px=16, width_px=16, num_frames=9, fps=fps))
    # A frame that begins up to 2 ms after the time counts as shown: containers round their time stamps.
    shown = [int((Fraction(i) / Fraction(fps) + Fraction(2, 1000)) * Fraction(fps_in)) for i in range(9)]
    assert [int(frame[0, 0, 0]) // 4 for frame in cut.video.frames_THWC] == shown
    assert not cut.is_whole
    assert any("frames per second" in change for change in cut.changes)
    assert any("the first" in change for change in cut.changes)


def test_uneven_time_stamps_are_followed(tmp_path: Path) -> None:
    times = [Fraction(n, 1000) for n in (0, 100, 130, 400, 420, 700, 900, 1000)]
    write_timed(tmp_path / "a.mp4", grey(8), times)
    cut = cut_video(tmp_path / "a.mp4", ShapeSpec(height_px=16, width_px=16, num_frames=10, fps=10))
    shown = [max(k for k, time in enumerate(times) if time <= Fraction(i, 10)) for i in range(10)]
    assert [int(frame[0, 0, 0]) // 4 for frame in cut.video.frames_THWC] == shown


def test_the_picture_is_cropped_around_its_middle_and_averaged(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", NOISE, 8, lossless=True)  # 48x32 px
    cut = cut_video(tmp_path / "a.mp4", ShapeSpec(height_px=16, width_px=16, num_frames=9, fps=8))
    middle = NOISE[:, :, 8:40].astype(float).reshape(9, 16, 2, 16, 2, 3).mean((2, 4))
    assert np.abs(cut.video.frames_THWC - middle).max() <= 0.5 + 1e-9
    assert not cut.is_whole
    assert cut.changes == (
        "cropped from 48x32 to 32x32 px around the middle",
        "resized from 32x32 to 16x16 px",
    )


def test_small_pictures_are_enlarged_smoothly() -> None:
    ramp = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8)[None, :, None], (16, 16, 3))
    large = fit_frame(np.ascontiguousarray(ramp), 64, 64)
    assert large.shape == (64, 64, 3)
    steps = np.diff(large[0, 8:-8, 0].astype(int))
    assert steps.min() >= 0
    assert steps.max() <= 5  # no blocks


def test_too_short_says_how_long_it_is_and_must_be(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", grey(16), 8, lossless=True)
    with pytest.raises(VideoError, match=r"lasts 2\.00 s; 2\.12 s are needed") as caught:
        cut_video(tmp_path / "a.mp4", ShapeSpec(height_px=16, width_px=16, num_frames=17, fps=8))
    assert caught.value.reason == "too_short"
    assert (
        len(cut_video(tmp_path / "a.mp4", ShapeSpec(height_px=16, width_px=16, num_frames=16, fps=8)).video.frames_THWC)
        == 16
    )


# ---------------------------------------------------------------------------------------------- files that are no video


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(2000) + data[middle + 2000 :]


@pytest.mark.parametrize(
    ("harm", "reason", "says"),
    [
        (lambda data: b"", "empty", "0 bytes"),
        (lambda data: data[: len(data) // 2], "unreadable", "damaged or not a video"),
        (lambda data: b"not a video at all" * 50, "unreadable", "damaged or not a video"),
        (damaged, "unreadable", "damaged at frame"),
    ],
)
def test_a_broken_file_has_a_reason(tmp_path: Path, harm: Callable[[bytes], bytes], reason: str, says: str) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, RNG.integers(0, 256, (17, 64, 64, 3), dtype=np.uint8), 8)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(VideoError, match=says) as caught:
        read_video(path)
    assert caught.value.reason == reason
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.reason, str(again)) == (reason, str(caught.value))


def test_missing_files_and_sound_files_are_told_apart(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(8000))
    found = {}
    for name in ("a.wav", "nothing.mp4", "\0.mp4", "."):
        with pytest.raises(VideoError) as caught:
            read_video(tmp_path / name)
        found[name] = caught.value.reason
    assert found == {"a.wav": "no_video", "nothing.mp4": "missing", "\0.mp4": "missing", ".": "unreadable"}


def stored(path: Path, frames: np.ndarray, **settings: object) -> Path:
    """A lossless file with settings of its encoder: colour tags, the shape of its pixels."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options = "yuv420p", {"qp": "0"}
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_pixels_that_are_not_square_are_made_square(tmp_path: Path) -> None:
    disc = np.zeros((5, 64, 32, 3), np.uint8)  # stored half as wide as it is seen: a disc of 32 px across
    yy, xx = np.mgrid[0:64, 0:32]
    disc[:, ((yy - 31.5) / 16) ** 2 + ((xx - 15.5) / 8) ** 2 < 1] = 255
    path = stored(tmp_path / "a.mp4", disc, sample_aspect_ratio=Fraction(2, 1))
    cut = cut_video(path, ShapeSpec(height_px=64, width_px=64, num_frames=5, fps=8))
    assert cut.changes == ("pixels 2 times as wide as high made square", "resized from 32x64 to 64x64 px")
    assert cut.is_whole and cut.crop_lost == 0.0
    bright = cut.video.frames_THWC[2, ..., 1] > 127
    assert abs(int(bright.any(axis=0).sum()) - int(bright.any(axis=1).sum())) <= 2
    wide = cut_video(path, ShapeSpec(height_px=32, width_px=16, num_frames=5, fps=8))
    assert wide.changes[0] == "cropped from 32x64 to 16x64 px around the middle" and wide.crop_lost == 0.5


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"color_trc": 16, "color_primaries": 9}, r"PQ.*ffmpeg -i a.mp4 .*tonemap.* a-sdr.mp4"),
        ({"color_trc": 18}, r"HLG.*tonemap"),
        ({"color_primaries": 9}, r"BT.2020 colours.*BT.709"),
    ],
)
def test_hdr_is_refused_and_never_read_as_grey(tmp_path: Path, tags: dict[str, int], kind: str) -> None:
    path = stored(tmp_path / "a.mp4", grey(5), **tags)
    for read in (read_video, lambda path: cut_video(path, ShapeSpec(height_px=16, width_px=16, num_frames=5, fps=8))):
        with pytest.raises(VideoError, match=rf"HDR \({kind}") as caught:
            read(path)
        assert caught.value.reason == "hdr"
    assert len(read_video(stored(tmp_path / "b.mp4", grey(5), color_trc=1, color_primaries=1)).frames_THWC) == 5


def test_dolby_vision_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.mp4", grey(5))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"dvav"))
    with pytest.raises(VideoError, match=r"Dolby Vision.*BT\.709"):
        read_video(path)


def test_turned_pixels_that_are_not_square_are_wide_the_other_way(tmp_path: Path) -> None:
    import av

    frames, path = grey(5, height=32, width=32), tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        stream.set_display_rotation(90)
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    cut = cut_video(path, ShapeSpec(height_px=64, width_px=32, num_frames=5, fps=8))
    assert cut.changes[0] == "pixels 0.5 times as wide as high made square" and cut.crop_lost == 0.0


def test_every_stretch_of_a_file_in_one_pass_is_the_one_that_is_read_alone(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", grey(18), 8, lossless=True)
    shape = ShapeSpec(height_px=16, width_px=16, num_frames=5, fps=8)
    found = list(cuts(tmp_path / "a.mp4", shape))
    assert [list(cut.video.frames_THWC[:, 0, 0, 0] // 4) for cut in found] == [
        [*range(0, 5)], [*range(5, 10)], [*range(10, 15)]
    ]  # fmt: skip
    assert [cut.changes[0] for cut in found] == [
        "the first 0.62 s of 2.25 s", "0.62 s to 1.25 s of 2.25 s", "1.25 s to 1.88 s of 2.25 s"
    ]  # fmt: skip
    assert [cut.lost_s for cut in found] == [1.625] * 3
    for number, cut in enumerate(found):
        alone = cut_video(tmp_path / "a.mp4", shape, number)
        assert np.array_equal(alone.video.frames_THWC, cut.video.frames_THWC)
    with pytest.raises(VideoError, match=r"lasts 2.25 s; 2.50 s are needed"):
        cut_video(tmp_path / "a.mp4", shape, 3)


def test_a_late_stretch_is_read_without_what_comes_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        stream.options = {"g": "16", "bf": "2"}
        for level in RNG.integers(0, 255, 240):
            pixels = np.full((16, 16, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    shape = ShapeSpec(height_px=16, width_px=16, num_frames=8, fps=8)
    num, real = 0, decoding.TimedFrame

    def counted(time_s: float, frame: object) -> decoding.TimedFrame:
        nonlocal num
        num += 1
        return real(time_s, frame)

    monkeypatch.setattr(decoding, "TimedFrame", counted)
    for window in (0, 1, 2, 13, 28):
        wanted = cut_video(path, shape, window).video.frames_THWC
        num = 0
        assert np.array_equal(cut_video(path, shape, window, seek=True).video.frames_THWC, wanted)
        assert 0 < num <= 16 + 8 + 9 + 2, "a group of frames, the stretch, and a second before it"


def test_a_video_gets_the_shape_that_fits_it_best(tmp_path: Path) -> None:
    write_video(tmp_path / "wide.mp4", grey(12, 32, 64), 8.0, lossless=True)

    def chosen(*sides: tuple[int, int, int]) -> tuple[int, int, int]:
        shapes = [ShapeSpec(num_frames=t, height_px=h, width_px=w, fps=8.0) for t, h, w in sides]
        cut, shape = cut_to_fit(tmp_path / "wide.mp4", shapes)
        found = shape.num_frames, shape.height_px, shape.width_px
        assert cut.video.frames_THWC.shape[:3] == found
        return found

    assert chosen((9, 32, 32), (5, 16, 32)) == (5, 16, 32), "the aspect ratio counts more than the length"
    assert chosen((5, 32, 64), (9, 64, 128)) == (5, 32, 64), "a picture is not enlarged where another shape fits"
    assert chosen((5, 32, 64), (9, 16, 32)) == (9, 16, 32), "then the length"
    assert chosen((9, 16, 32), (9, 32, 64)) == (9, 32, 64), "then the size"
    assert chosen((17, 32, 64), (9, 32, 64), (5, 32, 64)) == (9, 32, 64), "the longest that it fills"
    assert chosen((17, 32, 64), (9, 32, 32)) == (9, 32, 32), "another aspect ratio rather than none"
    with pytest.raises(VideoError, match="are needed"):
        chosen((17, 32, 64), (33, 32, 32))
