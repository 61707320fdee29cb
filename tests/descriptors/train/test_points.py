"""Which pixels are taken for matches and non-matches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from patchbatch.descriptors.train.points import (
    GROUP,
    cut_patches,
    grid_matches,
    grid_places,
    near_offsets,
    patch_points,
)
from patchbatch.descriptors.train.settings import ObjectiveSettings

SETTINGS = ObjectiveSettings(points=10_000)
OFFSET, GRID = 5, (8, 9)


def flow_and_visible(u, v):
    flow = torch.zeros(30, 30, 2)
    flow[..., 0], flow[..., 1] = u, v
    return flow, torch.ones(30, 30, dtype=torch.bool)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_shift_of_whole_steps_matches_every_point_that_stays_inside():
    flow, visible = flow_and_visible(4, -2)  # two columns right, one row up
    found = grid_matches(flow, visible, GRID, OFFSET, SETTINGS, generator())
    expected = {(y * 9 + x, (y - 1) * 9 + x + 2) for y in range(1, 8) for x in range(7)}
    assert set(zip(found.source.tolist(), found.match.tolist(), strict=True)) == expected
    places = grid_places(GRID, OFFSET, 2)
    torch.testing.assert_close(places[found.match], found.target)


def test_targets_between_grid_points_are_left_out():
    flow, visible = flow_and_visible(1.0, 0.0)
    assert len(grid_matches(flow, visible, GRID, OFFSET, SETTINGS, generator()).source) == 0
    flow, visible = flow_and_visible(0.7, 0.0)
    assert len(grid_matches(flow, visible, GRID, OFFSET, SETTINGS, generator()).source) == 72


def test_hidden_points_are_left_out_and_the_flow_is_read_at_the_patch_centre():
    flow, visible = flow_and_visible(0, 0)
    visible[OFFSET + 2 * 3, OFFSET + 2 * 4] = False
    found = grid_matches(flow, visible, GRID, OFFSET, SETTINGS, generator())
    assert set(range(72)) - set(found.source.tolist()) == {3 * 9 + 4}


def test_at_most_so_many_points_and_the_same_ones_for_the_same_seed():
    flow, visible = flow_and_visible(0, 0)
    settings = replace(SETTINGS, points=10)
    first = grid_matches(flow, visible, GRID, OFFSET, settings, generator())
    again = grid_matches(flow, visible, GRID, OFFSET, settings, generator())
    assert len(first.source) == 10
    for name in ("source", "match", "target", "wrong"):
        assert torch.equal(getattr(first, name), getattr(again, name))


def test_grid_non_matches_are_near_but_never_the_match():
    flow, visible = flow_and_visible(0, 0)
    for seed in range(20):
        found = grid_matches(flow, visible, GRID, OFFSET, SETTINGS, generator(seed))
        assert (found.wrong != found.match).all()
        assert ((found.wrong >= 0) & (found.wrong < 72)).all()
        apart = np.hypot(
            (found.wrong % 9 - found.match % 9).numpy(), (found.wrong // 9 - found.match // 9).numpy()
        )
        assert apart.max() * SETTINGS.stride <= SETTINGS.near + 1.5 * SETTINGS.stride


def test_patches_lie_inside_the_crops_and_show_what_moved():
    rng = np.random.default_rng(0)
    first = torch.from_numpy(rng.random((40, 44), np.float32))
    second = torch.roll(first, (-3, 5), (0, 1))
    flow = torch.zeros(40, 44, 2)
    flow[..., 0], flow[..., 1] = 5.2, -3.1
    points = patch_points(flow, torch.ones(40, 44, dtype=torch.bool), 12, SETTINGS, generator())
    # Sources: columns 6..33 (their matches to 38), rows 9..34; a patch reaches 6 back and 5 on.
    assert len(points.source) == 28 * 26
    torch.testing.assert_close(points.target, points.source + torch.tensor([5.2, -3.1]))
    one, two = cut_patches(first, points.source, 12), cut_patches(second, points.seen.chunk(2)[0], 12)
    assert one.shape == (28 * 26, 1, 12, 12)
    torch.testing.assert_close(one, two)
    x, y = points.source[7].tolist()
    assert torch.equal(one[7, 0], first[y - 6 : y + 6, x - 6 : x + 6])
    assert (points.wrong == torch.arange(len(one), 2 * len(one))).all()
    match, wrong = points.seen.chunk(2)
    assert (wrong != match).any(dim=1).all()
    assert cut_patches(second, wrong, 12).shape == one.shape


def test_for_the_softmax_neighbours_come_together_and_no_patch_is_nobodys_match():
    flow = torch.zeros(60, 64, 2)
    flow[..., 0] = 3.2
    visible = torch.ones(60, 64, dtype=torch.bool)
    visible[:, 40:] = False
    settings = replace(SETTINGS, loss="softmax", points=64, near=5.0)
    points = patch_points(flow, visible, 12, settings, generator())
    assert points.source.shape == points.seen.shape == (64, 2)
    torch.testing.assert_close(points.target, points.source + torch.tensor([3.2, 0.0]))
    assert torch.equal(points.seen, points.target.round().long())
    assert (points.wrong != torch.arange(64)).all()
    # Patches reach 6 px back and 5 on.
    assert (
        (points.source >= 6).all() and (points.source[:, 0] < 40).all() and (points.source[:, 1] < 55).all()
    )
    apart = torch.cdist(points.source.float(), points.source.float())
    assert ((apart > 0) & (apart <= 2 * 5 + 1.5)).sum(dim=1).float().mean() > GROUP - 3
    scattered = patch_points(flow, visible, 12, replace(settings, near=40.0), generator()).source.float()
    assert apart.median() > 0  # 8 groups, not one
    assert (
        torch.cdist(scattered, scattered).sort(dim=1).values[:, 1:4].mean()
        > apart.sort().values[:, 1:4].mean()
    )


def test_at_most_so_many_softmax_points_and_the_same_ones_for_the_same_seed():
    flow, visible = torch.zeros(40, 44, 2), torch.ones(40, 44, dtype=torch.bool)
    settings = replace(SETTINGS, loss="softmax", points=20)
    first, again = (patch_points(flow, visible, 12, settings, generator()) for _ in range(2))
    assert len(first.source) == 20
    assert torch.equal(first.source, again.source)


def test_no_visible_pixel_no_points():
    flow, visible = flow_and_visible(0, 0)
    assert len(patch_points(flow, ~visible, 11, SETTINGS, generator()).source) == 0


@pytest.mark.parametrize("normal", [False, True])
def test_lengths_of_offsets(normal):
    settings = replace(SETTINGS, normal=normal, near=8.0)
    offsets = near_offsets(20_000, settings, generator())
    length = offsets.norm(dim=1)
    assert length.min() >= 0.999
    assert length.max() <= 8.001
    expected = 4.5 if not normal else 3.22  # mean of |N(0, 4)| cut to 1..8
    assert float(length.mean()) == pytest.approx(expected, abs=0.1)
    assert offsets.mean(dim=0).abs().max() < 0.1
