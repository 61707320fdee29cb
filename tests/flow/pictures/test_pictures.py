"""Pictures for people: the pixels of the images stay in place, and what a legend says is true."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flow.pictures import (
    arrow_picture,
    descriptor_picture,
    error_picture,
    flow_picture,
    match_picture,
    share_picture,
)
from flow.pictures.fields import flow_legend, wheel_disc
from flow.pictures.shares import NO_VALUE, in_colour
from flow.visualize import flow_to_color, kitti_error_map
from patchbatch.errors import PatchBatchError

RNG = np.random.default_rng(0)
FLOW = RNG.normal(0, 5, (40, 300, 2)).astype(np.float32)
KNOWN = np.ones((40, 300), np.bool_)
TRUTH = FLOW + RNG.normal(0, 2, FLOW.shape).astype(np.float32)


@pytest.mark.parametrize("width", [1, 30, 300, 2600])
def test_a_legend_stands_beneath_and_moves_no_pixel(width):
    flow = RNG.normal(0, 5, (20, width, 2)).astype(np.float32)
    plain = flow_to_color(flow)
    np.testing.assert_array_equal(flow_picture(flow, legend=False), plain)
    told = flow_picture(flow, caption="from a.png to b.png")
    assert told.shape[0] > 20 and told.shape[1] >= max(width, 200) and told.dtype == np.uint8
    np.testing.assert_array_equal(told[:20, :width], plain)
    assert (told[20:] < 128).any()  # something is written there
    # It is legible beside large pictures too.
    assert told.shape[0] - 20 > width / 30


def test_every_picture_keeps_the_size_without_a_legend():
    confidence = RNG.uniform(0, 1, KNOWN.shape)
    made = {
        "error": error_picture(FLOW, TRUTH, KNOWN, legend=False),
        "share": share_picture(confidence, legend=False),
        "arrows": arrow_picture(confidence, FLOW, legend=False),
        "matches": match_picture(np.zeros((1, 2)), np.ones((1, 2)), (40, 300), legend=False),
    }
    assert {name: picture.shape for name, picture in made.items()} == dict.fromkeys(made, (40, 300, 3))
    np.testing.assert_array_equal(made["error"], kitti_error_map(FLOW, TRUTH, KNOWN))


def test_a_sparse_field_is_painted_as_dots():
    known = np.zeros((90, 120), np.bool_)
    known[45, 60] = True
    flow = np.zeros((90, 120, 2), np.float32)
    flow[known] = (9, 0)
    picture = flow_picture(flow, known, legend=False)
    painted = (picture == (255, 0, 0)).all(axis=2)
    assert painted.sum() == 9 and painted[44:47, 59:62].all() and (picture[~painted] == 0).all()
    assert (flow_picture(flow, known, legend=False) == match_picture(
        np.array([[60, 45]]), np.array([[9, 0]]), (90, 120), legend=False)).all()  # fmt: skip


@pytest.mark.parametrize(("size", "side"), [((100, 100), 3), ((2000, 3000), 29)])
def test_dots_are_large_enough_for_the_picture_they_are_in(size, side):
    picture = match_picture(np.array([[50, 50]]), np.array([[1, 0]]), size, legend=False)
    assert (picture[50] == (255, 0, 0)).all(axis=1).sum() in (side, side + 2)


def test_dense_dots_do_not_hide_each_other():
    known = np.zeros((600, 900), np.bool_)
    known[::3, ::3] = True
    assert (flow_picture(np.ones((600, 900, 2)), known, legend=False)[300:303, 300:303] > 0).any()
    picture = flow_picture(
        np.where(known[..., None], RNG.normal(0, 5, (600, 900, 2)), 0), known, legend=False
    )
    assert len(np.unique(picture[::3, ::3].reshape(-1, 3), axis=0)) > 1000


def test_hardly_any_motion_is_pale_not_wild():
    assert (flow_picture(np.zeros((5, 6, 2)), legend=False) == 255).all()
    noise = RNG.normal(0, 1e-4, (50, 50, 2))
    assert flow_to_color(noise).min() >= 250
    full = flow_to_color(np.array([[[1.0, 0.0]]]))
    np.testing.assert_array_equal(full[0, 0], (255, 0, 0))  # from 1 px on the longest has full colour


def test_the_legend_of_a_flow_tells_of_what_there_is(monkeypatch):
    said = []
    monkeypatch.setattr("flow.pictures.fields.text_block", lambda text, scale: said.append(text) or SQUARE)
    monkeypatch.setattr("flow.pictures.fields.key", lambda colour, text, scale: said.append(text) or SQUARE)
    scale = type("Scale", (), {"line": 12, "gap": 4})
    flow = np.zeros((2, 2, 2), np.float32)
    flow[0, 0] = (3, 4)
    for known, radius, words in [
        (np.ones((2, 2), np.bool_), None, "full colour: 5 px"),
        (np.ones((2, 2), np.bool_), 2.5, "darker: longer, up to 5 px"),
        (np.array([[False, True], [True, True]]), None, "full colour: 1 px"),
        (np.array([[False, True], [True, True]]), None, "unknown"),
    ]:
        said.clear()
        flow_legend(flow, known, radius, scale)
        assert any(words in line for line in said), (words, said)
        assert ("unknown" in said) == (not known.all())
        assert any("darker" in line for line in said) == (radius == 2.5)


SQUARE = np.full((12, 12, 3), 255, np.uint8)


def test_the_disc_has_the_colours_of_the_directions():
    disc = wheel_disc(41)
    np.testing.assert_array_equal(disc[20, 40], (255, 0, 0))  # to the right: as flow (1, 0)
    np.testing.assert_array_equal(disc[20, 20], (255, 255, 255))
    np.testing.assert_array_equal(disc[0, 0], (255, 255, 255))


def test_shares_rise_in_lightness_and_what_has_no_value_is_grey():
    ramp = in_colour(np.arange(256, dtype=np.uint8)[None])[0].astype(float)
    luma = ramp @ (0.299, 0.587, 0.114)
    assert (np.diff(luma) > -1).all() and luma[-1] - luma[0] > 150
    values, known = np.linspace(0, 1, 12).reshape(3, 4), np.ones((3, 4), np.bool_)
    known[1, 1] = False
    picture = share_picture(values, known, legend=False)
    np.testing.assert_array_equal(picture[1, 1], NO_VALUE)
    np.testing.assert_array_equal(picture[2, 3], in_colour(np.full((1, 1), 255, np.uint8))[0, 0])
    with pytest.raises(PatchBatchError, match="without NaN"):
        share_picture(np.full((3, 4), np.nan))


def test_a_sparse_confidence_has_no_lattice():
    known, values = np.zeros((60, 60), np.bool_), np.zeros((60, 60))
    known[::3, ::3], values[::3, ::3] = True, 0.8
    picture = share_picture(values, known, legend=False)
    np.testing.assert_array_equal(picture[:58, :58], np.broadcast_to(picture[0, 0], (58, 58, 3)))
    assert tuple(picture[0, 0]) != NO_VALUE


def test_a_dense_confidence_has_no_lattice_in_its_picture():
    values = np.full((60, 60), 0.6)
    values[::3, ::3] = 0.9  # where matches start
    middle = share_picture(values, smooth_px=3, legend=False)[1:-1, 1:-1]
    np.testing.assert_array_equal(middle, np.broadcast_to(middle[0, 0], middle.shape))
    assert (share_picture(values, legend=False)[1:-1, 1:-1] != middle).any()
    known = np.ones((60, 60), np.bool_)
    known[:, :10] = False
    picture = share_picture(np.where(known, 0.5, 0), known, smooth_px=3, legend=False)
    np.testing.assert_array_equal(picture[5, 10], picture[5, 30])  # what has no value pulls nothing down


def test_arrows_point_along_the_motion():
    flow = np.zeros((100, 100, 2), np.float32)
    flow[..., 0] = 10
    picture = arrow_picture(np.zeros((100, 100)), flow, legend=False)
    y, x = np.nonzero(picture[..., 0] > 200)
    assert len(y) and (picture[y, x, 1] < 60).all()  # red, the colour of rightward motion
    row = picture[6, :, 0] > 200  # the first row of arrows starts in the middle of the first step
    assert not row[:5].any() and row[7:14].all()
    still = arrow_picture(np.zeros((100, 100)), np.zeros((100, 100, 2)), legend=False)
    assert still.any()
    unknown = arrow_picture(np.zeros((100, 100)), flow, np.zeros((100, 100), np.bool_), legend=False)
    assert not unknown.any()


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (13, 700)])
def test_arrows_on_pictures_of_any_size(size):
    assert arrow_picture(np.zeros((*size, 3), np.uint8), np.ones((*size, 2))).shape[1] >= size[1]
    with pytest.raises(PatchBatchError, match="match them"):
        arrow_picture(np.zeros((3, 3)), np.ones((*size, 2)))


@pytest.mark.parametrize("dimension", [1, 2, 3, 64])
def test_like_descriptors_have_like_colours_in_both_images(dimension):
    described = torch.from_numpy(RNG.normal(size=(24, 32, dimension)).astype(np.float32))
    shifted = torch.roll(described, 5, dims=1)
    picture = descriptor_picture(described, shifted, legend=False)
    assert picture.shape == (24, 32 + 6 + 32, 3)
    np.testing.assert_array_equal(np.roll(picture[:, :32], 5, axis=1), picture[:, 38:])
    assert descriptor_picture(described).shape[0] > 24
    wide = descriptor_picture(described[:8], shifted[:8], legend=False)
    assert wide.shape == (8 + 6 + 8, 32, 3)


def test_descriptors_of_a_flat_image_are_grey():
    assert (descriptor_picture(torch.ones(9, 9, 4), legend=False) == 128).all()
