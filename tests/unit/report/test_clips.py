"""Embedded clips play, keep their colours, and stay small."""

from __future__ import annotations

import base64
import io

import numpy as np

from rushes.report.clips import MAX_BYTES, MAX_PAGE_BYTES, budget, embed, reduced, strip, webp
from rushes.roles import Video

RNG = np.random.default_rng(3)


def decoded(uri: str) -> tuple[np.ndarray, str, str]:
    import av

    head, data = uri.split(",", 1)
    assert head == "data:video/mp4;base64"
    with av.open(io.BytesIO(base64.b64decode(data))) as container:
        stream = container.streams.video[0]
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
        return frames, stream.codec_context.name, str(stream.codec_context.pix_fmt)


def picture(uri: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def test_a_tiny_clip_is_enlarged_by_whole_pixels_and_plays_everywhere() -> None:
    blocks = RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    found = embed(Video(blocks, 8.0))
    frames, codec, pixel_format = decoded(found.video_uri)
    assert (codec, pixel_format) == ("h264", "yuv420p")
    assert frames.shape == (5, 256, 256, 3) == (5, found.height_px, found.width_px, 3)
    # The middle of every block has the colour it had, but for rounding and compression.
    middles = frames[:, 16::32, 16::32].astype(int)
    assert np.abs(middles - blocks[:, 4::8, 4::8]).mean() < 8
    np.testing.assert_array_equal(picture(found.poster_uri), blocks[0])
    assert found.is_pixelated


def test_a_large_clip_is_reduced_and_odd_sizes_work() -> None:
    found = embed(Video(RNG.integers(0, 256, (2, 401, 1000, 3), dtype=np.uint8), 16.0))
    frames, _, _ = decoded(found.video_uri)
    assert frames.shape[0] == 2 and frames.shape[2] == 512
    assert not found.is_pixelated
    odd, _, _ = decoded(embed(Video(RNG.integers(0, 256, (2, 301, 277, 3), dtype=np.uint8), 16.0)).video_uri)
    assert odd.shape[1:3] == (302, 278)


def test_reducing_keeps_the_shape_of_the_picture_and_leaves_small_ones_alone() -> None:
    frames = RNG.integers(0, 256, (2, 100, 200, 3), dtype=np.uint8)
    assert reduced(frames, 50).shape == (2, 25, 50, 3)
    assert reduced(frames, 200) is frames


def test_the_strip_shows_first_and_last_frame_with_gaps_to_see_through() -> None:
    frames = np.stack([np.full((24, 24, 3), 10 * i, np.uint8) for i in range(17)])
    found = strip(frames)
    assert found.shape == (24, 5 * 24 + 4 * 2, 4)
    assert found[0, 0].tolist() == [0, 0, 0, 255]
    assert found[0, -1].tolist() == [160, 160, 160, 255]
    assert found[:, 24:26, 3].max() == 0
    assert strip(frames[:1]).shape == (24, 24, 4)
    assert strip(RNG.integers(0, 9, (3, 480, 832, 3), dtype=np.uint8)).shape[0] == 96


def test_png_is_lossless() -> None:
    frame = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        picture("data:image/webp;base64," + base64.b64encode(webp(frame, lossless=True)).decode()), frame
    )


def test_a_clip_is_reduced_until_it_keeps_to_its_budget() -> None:
    noisy = RNG.integers(0, 256, (12, 480, 832, 3), dtype=np.uint8)
    found = embed(Video(noisy, 16.0))
    assert found.num_bytes <= MAX_BYTES
    assert found.width_px < 512
    calm = np.full((12, 480, 832, 3), 90, np.uint8)
    assert embed(Video(calm, 16.0)).width_px == 512
    assert embed(Video(calm, 16.0)).poster_uri.startswith("data:image/webp;base64,")


def test_a_clip_that_nothing_makes_small_enough_is_cut_short() -> None:
    noisy = RNG.integers(0, 256, (24, 240, 416, 3), dtype=np.uint8)
    limit = embed(Video(noisy, 16.0), 1).num_bytes + 1000  # little more than its first frame takes
    found = embed(Video(noisy, 16.0), limit)
    frames, _, _ = decoded(found.video_uri)
    assert found.num_bytes <= limit and 1 <= len(frames) < 24


def test_a_page_keeps_to_its_budget_however_many_clips_it_has() -> None:
    assert budget(1) == budget(18) == MAX_BYTES
    for num in (40, 100):
        assert MAX_PAGE_BYTES * 0.9 < budget(num) * num <= MAX_PAGE_BYTES
