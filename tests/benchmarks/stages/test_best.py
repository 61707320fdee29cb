"""The best of the candidates: what the completion would reach if it knew the truth."""

import numpy as np
from completion_scenes import random_scene

from benchmarks.stages.best import best_of_candidates
from flow.completion.evidence import gather_evidence
from flow.completion.nodes import find_nodes
from flow.completion.settings import CompletionSettings
from patchbatch.data.datasets.pairs import Truth

SETTINGS = CompletionSettings(planes=0)


def test_nodes_follow_the_candidate_that_is_nearest_to_the_truth():
    """The truth of each open node is one of its candidates, its place and its square all over."""
    scene = random_scene(3)
    nodes = find_nodes(scene, SETTINGS.settled, SETTINGS.planes)
    flows = gather_evidence(scene, nodes).flows
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, (nodes.ids >= 0).sum(1))
    truth, valid = np.zeros((*scene.shape, 2), np.float32), np.zeros(scene.shape, np.bool_)
    for (x, y), n, k in zip(nodes.points, range(len(chosen)), chosen, strict=True):
        truth[y, x], valid[y, x] = flows[n, k], True
    best = best_of_candidates(scene, SETTINGS, Truth(truth, valid))
    # A node's own pixel hears the nodes around it too, so a single one may be outvoted: most are not.
    x, y = nodes.points.T
    error = np.linalg.norm(best.flow - truth, axis=-1)[y, x]
    before = np.linalg.norm(scene.cells.flow - truth, axis=-1)[y, x]
    assert np.median(error) < 0.3 * np.median(before)
    assert (best.confidence > 0.99).all()


def test_without_truth_everything_stays_as_interpolated():
    scene = random_scene(4)
    nothing = Truth(np.zeros((*scene.shape, 2), np.float32), np.zeros(scene.shape, np.bool_))
    best = best_of_candidates(scene, SETTINGS, nothing)
    settled = scene.cells.confidence >= SETTINGS.settled
    np.testing.assert_array_equal(best.flow[settled], scene.cells.flow[settled])
    assert np.isfinite(best.flow).all()
