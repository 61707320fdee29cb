"""Which grid points are taken for matches and non-matches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from patchbatch.descriptors.objectives import (
    LOSSES,
    ObjectiveSettings,
    grid_matches,
    near_negatives,
    pair_loss,
)

SETTINGS = ObjectiveSettings(points=10_000, bfloat16=False)
OFFSET, GRID = 5, (8, 9)


def flow_and_visible(u, v):
    flow = torch.zeros(30, 30, 2)
    flow[..., 0], flow[..., 1] = u, v
    return flow, torch.ones(30, 30, dtype=torch.bool)


def generator():
    return torch.Generator().manual_seed(0)


def test_a_shift_of_whole_steps_matches_every_point_that_stays_inside():
    flow, visible = flow_and_visible(4, -2)  # two columns right, one row up
    found = grid_matches(flow, visible, GRID, OFFSET, SETTINGS, generator())
    expected = {(y * 9 + x, (y - 1) * 9 + x + 2) for y in range(1, 8) for x in range(7)}
    assert set(zip(found.source.tolist(), found.match.tolist(), strict=True)) == expected


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
    assert torch.equal(first.source, again.source)


def test_negatives_are_near_but_never_the_match():
    flow, visible = flow_and_visible(0, 0)
    found = grid_matches(flow, visible, GRID, OFFSET, SETTINGS, generator())
    for seed in range(20):
        wrong = near_negatives(found, torch.Size(GRID), SETTINGS, torch.Generator().manual_seed(seed))
        assert (wrong != found.match).all()
        assert ((wrong >= 0) & (wrong < 72)).all()
        apart = np.hypot((wrong % 9 - found.match % 9).numpy(), (wrong // 9 - found.match // 9).numpy())
        assert apart.max() * SETTINGS.stride <= SETTINGS.near + 1.5 * SETTINGS.stride


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_prefers_right_descriptors(loss):
    """Descriptors that follow the motion score lower than descriptors that do not."""
    settings = replace(SETTINGS, loss=loss, margin=2.0)
    flow, visible = flow_and_visible(4, 0)
    found = grid_matches(flow, visible, GRID, OFFSET, settings, generator())
    one = torch.nn.functional.normalize(torch.randn(16, *GRID, generator=generator()), dim=0)
    moved = torch.roll(one, 2, dims=2)
    right = pair_loss(one, moved, found, settings, generator())
    wrong = pair_loss(one, one, found, settings, generator())
    assert right < wrong


def test_softmax_ignores_the_neighbours_of_the_target():
    settings = replace(SETTINGS, loss="softmax", exclude=2.1)
    flow, visible = flow_and_visible(0, 0)
    found = grid_matches(flow, visible, GRID, OFFSET, settings, generator())
    one = torch.nn.functional.normalize(torch.randn(16, *GRID, generator=generator()), dim=0)
    blurred = torch.nn.functional.normalize(one + torch.roll(one, 1, dims=2), dim=0)
    near_out = pair_loss(one, blurred, found, settings, generator())
    near_in = pair_loss(one, blurred, found, replace(settings, exclude=0.5), generator())
    assert near_out < near_in
