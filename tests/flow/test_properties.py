"""What holds of the stages whatever they are given, tried on drawn input."""

from __future__ import annotations

import io
import string
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flow.arguments import build_parser
from flow.cli import main
from flow.interpolation.stage import interpolate
from flow.matching.matches import Matches
from flow.matching.search_settings import ExactMatcherSettings
from flow.matching.settings import MatchingSettings
from flow.matching.stage import match
from flow.visualize import flow_to_color
from patchbatch.data import read_flow, write_flow

SIDES = st.integers(1, 24)
DRAWN = settings(max_examples=15, deadline=None, derandomize=True)
EXACT = MatchingSettings("exact", ExactMatcherSettings(step=1), smallest_island=1)


def described(height, width, seed):
    """Draw descriptors of unit length, no two alike."""
    numbers = torch.from_numpy(np.random.default_rng(seed).normal(size=(height, width, 6)).astype(np.float32))
    return torch.nn.functional.normalize(numbers, dim=2)


@DRAWN
@given(SIDES, SIDES, st.integers(0, 9))
def test_an_image_matches_itself_where_it_is(height, width, seed):
    each = described(height, width, seed)
    matches = match(each, each, EXACT)
    np.testing.assert_array_equal(matches.vectors, 0)


@DRAWN
@given(SIDES, SIDES, st.integers(0, 9), st.integers(10, 19))
def test_matches_are_points_of_both_images(height, width, seed, other):
    matches = match(described(height, width, seed), described(height, width, other), EXACT)
    for points in (matches.points1, matches.points2):
        assert np.isfinite(points).all() and (points >= 0).all() and (points <= (width - 1, height - 1)).all()
    assert ((matches.confidence >= 0) & (matches.confidence <= 1)).all()
    assert len(np.unique(matches.points1, axis=0)) == len(matches)


@DRAWN
@given(SIDES, SIDES, st.integers(0, 9), st.integers(10, 19))
def test_both_ways_are_checked_so_both_ways_agree(height, width, seed, other):
    first, second = described(height, width, seed), described(height, width, other)
    there, back = match(first, second, EXACT), match(second, first, EXACT)
    pairs = {tuple(row) for row in np.concatenate([there.points1, there.points2], axis=1).tolist()}
    turned = {tuple(row) for row in np.concatenate([back.points2, back.points1], axis=1).tolist()}
    near = {pair for pair in pairs if pair in turned}
    assert len(near) >= 0.5 * len(pairs)  # the check leaves a pixel or so; most are each other's nearest


@st.composite
def matched_images(draw):
    height, width = draw(st.integers(2, 20)), draw(st.integers(2, 20))
    count = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    points = (rng.random((count, 2)) * (width - 1, height - 1)).round().astype(np.float32)
    image = rng.random((height, width)).astype(np.float32)
    return image, points


@DRAWN
@given(matched_images(), st.tuples(st.integers(-300, 300), st.integers(-300, 300)))
def test_one_motion_everywhere_stays_one_motion(scene, motion):
    image, points = scene
    moved = Matches(
        points,
        points + np.float32(motion),
        np.zeros(len(points), np.float32),
        np.ones(len(points), np.float32),
    )
    flow, confidence = interpolate(moved, image)
    np.testing.assert_allclose(flow, np.broadcast_to(np.float32(motion), flow.shape), atol=0.02)
    assert ((confidence >= 0) & (confidence <= 1)).all()


@DRAWN
@given(matched_images(), st.integers(0, 99))
def test_a_dense_flow_is_finite_and_depends_on_motion_alone(scene, seed):
    image, points = scene
    rng = np.random.default_rng(seed)
    vectors, sure = (
        rng.normal(0, 30, points.shape).astype(np.float32),
        rng.random(len(points)).astype(np.float32),
    )
    flow, confidence = interpolate(Matches(points, points + vectors, 1 - sure, sure), image)
    assert np.isfinite(flow).all() and np.isfinite(confidence).all()
    assert flow.shape == (*image.shape, 2) and confidence.shape == image.shape


FLOWS = st.tuples(SIDES, SIDES).flatmap(
    lambda shape: arrays(np.float32, (*shape, 2), elements=st.floats(-(2.0**20), 2.0**20, width=32))
)


@DRAWN
@given(FLOWS, st.sampled_from([".flo", ".pfm", ".npz", ".png"]))
def test_what_is_written_is_read(flow, suffix):
    with tempfile.TemporaryDirectory() as folder:
        write_flow(Path(folder) / f"a{suffix}", flow)
        read, valid = read_flow(Path(folder) / f"a{suffix}")
    if suffix == ".png":
        held = ((flow >= -512) & (flow <= 65535 / 64 - 512)).all(axis=-1)
        assert (valid >= held).all() and np.abs(read - flow)[held].max(initial=0) <= 1 / 128
    else:
        assert valid.all()
        np.testing.assert_array_equal(read, flow)


@DRAWN
@given(FLOWS)
def test_colours_turn_with_the_flow_and_fade_with_its_length(flow):
    picture = flow_to_color(flow)
    np.testing.assert_array_equal(flow_to_color(flow[:, ::-1]), picture[:, ::-1])
    still = (flow == 0).all(axis=-1)
    assert (picture[still] == 255).all()


class Ears(io.StringIO):
    """Keeps what is written to it."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said = said

    def write(self, text: str) -> int:
        self.said.append(text)
        return len(text)


OPTIONS = sorted(
    {word for action in build_parser()._actions for word in action.option_strings} - {"--warm-up", "--demo"}
)
WORDS = st.one_of(
    st.sampled_from(OPTIONS),
    st.sampled_from(
        [
            "none.png",
            "text.png",
            ".",
            "",
            "-1",
            "0",
            "1e400",
            "nan",
            "kitti",
            "exact",
            "x.flo",
            "a\0b",
            "/dev/zero",
        ]
    ),
    st.text(string.printable, max_size=8),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@example(["none.png", "text.png", "-o", "none.png"])
@example(["text.png", "text.png", "--max-radius", "nan"])
@given(st.lists(WORDS, max_size=7))
def test_any_words_end_in_a_line_or_two(words):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("text.png").write_text("no image")
        said = []
        patch.setattr("sys.stderr", Ears(said))
        patch.setattr("sys.stdout", Ears([]))
        try:
            status = main(words)
        except SystemExit as ended:
            status = ended.code
        assert status in (0, 1, 2)
        text = "".join(said)
        assert "Traceback" not in text and text.count("\n") <= 1
        assert "fault of the program" not in text
        if status:
            assert [path.name for path in Path().iterdir()] == ["text.png"]
