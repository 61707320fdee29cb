"""Samples: files, windows, and what the network reads of them."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_choices import made_sample

from flow.completion.choices import choices_of
from flow.completion.evidence import CANDIDATE_NUMBERS, NODE_NUMBERS, Evidence
from flow.completion.motions import Motions
from flow.completion.nodes import Nodes
from flow.completion.train.samples import (
    Sample,
    random_window,
    read_sample,
    sample_of,
    write_sample,
)
from patchbatch.errors import PatchBatchError


def equal(first, second):
    for one in fields(Sample):
        np.testing.assert_array_equal(getattr(first, one.name), getattr(second, one.name), one.name)


@pytest.mark.parametrize("visible", [True, False])
def test_what_is_written_is_read(tmp_path, visible):
    sample = made_sample(visible=visible)
    write_sample(tmp_path / "s.npz", sample)
    again = read_sample(tmp_path / "s.npz")
    equal(sample, again)
    assert (again.visible is not None) == visible
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]


def test_damaged_samples_are_named(tmp_path):
    file, sample = tmp_path / "s.npz", made_sample()
    write_sample(file, sample)
    whole = file.read_bytes()
    beyond = replace(sample, motion=sample.motion + len(sample.motions))
    fewer = replace(sample, flows=sample.flows[1:])
    for damage in (whole[: len(whole) // 2], b"junk", beyond, fewer):
        if isinstance(damage, bytes):
            file.write_bytes(damage)
        else:
            write_sample(file, damage)
        with pytest.raises(PatchBatchError, match=r"s\.npz"):
            read_sample(file)
    with pytest.raises(PatchBatchError, match="none"):
        read_sample(tmp_path / "none.npz")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), top=st.integers(0, 11), left=st.integers(0, 13), side=st.integers(1, 14))
def test_windows_keep_nodes_and_candidates_together(seed, top, left, side):
    sample = made_sample(seed=seed)
    window = sample.window(top, left, side, side)
    starts = np.concatenate([[0], sample.counts.cumsum()])
    number = np.full(sample.open.shape, -1)
    number[sample.open] = np.arange(len(sample.counts))
    place, node = 0, 0
    for y, row in enumerate(range(top, min(top + side, 12))):
        for x, column in enumerate(range(left, min(left + side, 14))):
            assert (window.xs[x], window.ys[y]) == (sample.xs[column], sample.ys[row])
            assert window.open[y, x] == sample.open[row, column]
            np.testing.assert_array_equal(window.numbers[:, y, x], sample.numbers[:, row, column])
            for name in ("models", "today", "truth", "valid", "visible"):
                np.testing.assert_array_equal(getattr(window, name)[y, x], getattr(sample, name)[row, column])
            if sample.open[row, column]:
                k = number[row, column]
                count = sample.counts[k]
                assert window.counts[node] == count
                mine, theirs = slice(place, place + count), slice(starts[k], starts[k] + count)
                for name in ("candidates", "flows", "motion"):
                    np.testing.assert_array_equal(getattr(window, name)[mine], getattr(sample, name)[theirs])
                place, node = place + count, node + 1
    assert (node, place) == (len(window.counts), len(window.motion))
    assert window.motions is sample.motions


def test_windows_are_drawn_inside_and_by_the_generator():
    sample = made_sample()
    drawn = [random_window(sample, 5, 6, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert all(window.open.shape == (5, 6) for window in drawn)
    equal(drawn[0], drawn[1])
    assert (drawn[0].xs[0], drawn[0].ys[0]) != (drawn[2].xs[0], drawn[2].ys[0])
    assert random_window(sample, 50, 50, np.random.default_rng(0)).open.shape == (12, 14)


def test_known_nodes_are_open_and_valid():
    sample = made_sample()
    assert sample.known == (sample.open & sample.valid).sum()


def made_nodes(rng, rows=4, columns=5, most=6):
    is_open = rng.random((rows, columns)) < 0.6
    count = int(is_open.sum())
    kept = np.arange(most) < rng.integers(1, most + 1, count)[:, None]
    ids = np.where(kept, rng.integers(0, 40, kept.shape), -1).astype(np.int32)
    ones = np.ones(40, np.float32)
    motions = Motions(
        rng.random((40, 2), np.float32), rng.random((40, 8), np.float32), ones, ones, ones.astype(np.int8)
    )
    nodes = Nodes(
        2 + 4 * np.arange(columns), 2 + 4 * np.arange(rows), is_open, motions, ids,
        np.zeros(ids.shape, np.float32), np.zeros((count, 36), np.int32),
        rng.random((rows, columns, 10), np.float32),
    )  # fmt: skip
    flows = np.where(kept[..., None], rng.random((*ids.shape, 2), np.float32), np.float32(0))
    numbers = rng.random((*ids.shape, CANDIDATE_NUMBERS), np.float32)
    return nodes, Evidence(flows, numbers, rng.random((NODE_NUMBERS, rows, columns), np.float32))


def test_the_network_reads_of_a_sample_what_it_reads_of_a_pair():
    rng = np.random.default_rng(0)
    nodes, evidence = made_nodes(rng)
    flow = rng.random((16, 20, 2), np.float32)
    valid = rng.random((16, 20)) < 0.5
    sample = sample_of(nodes, evidence, flow, flow + 1, valid, None)
    kept, direct = sample.choices(), choices_of(nodes, evidence)
    widest = kept.there.shape[1]
    assert not direct.there[:, widest:].any()
    for name in ("index", "models", "places"):
        torch.testing.assert_close(getattr(kept, name), getattr(direct, name), rtol=0, atol=0)
    torch.testing.assert_close(kept.there, direct.there[:, :widest])
    torch.testing.assert_close(kept.flows, direct.flows[:, :widest])
    torch.testing.assert_close(kept.motions[kept.motion], direct.motions[direct.motion])
    torch.testing.assert_close(kept.candidates, direct.candidates, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(kept.numbers, direct.numbers, rtol=1e-3, atol=1e-3)
    answers = sample.answers()
    at = np.ix_(nodes.ys, nodes.xs)
    np.testing.assert_array_equal(answers.today, flow[at].reshape(-1, 2))
    np.testing.assert_array_equal(answers.flow[valid[at].ravel()], (flow + 1)[at][valid[at]])
    assert answers.visible is None
