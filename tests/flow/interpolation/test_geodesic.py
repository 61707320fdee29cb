"""Distance transform, cell graph and neighbours against slow, exact computations."""

import heapq

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from flow.interpolation.geodesic import distance_transform
from flow.interpolation.neighbours import cell_graph, nearest_on_graph
from patchbatch.errors import PatchBatchError
from patchbatch.threads import loops_in


def marched(cost, seeds):
    """Distances and labels by fast marching: the same upwind step, pixels settled by rising distance."""
    height, width = cost.shape
    distance, label = np.full(cost.shape, np.inf), np.full(cost.shape, -1)
    waiting = []
    for number, (x, y) in enumerate(seeds):
        distance[y, x], label[y, x] = cost[y, x], number
        waiting.append((distance[y, x], y, x))
    fixed = label >= 0
    heapq.heapify(waiting)
    while waiting:
        value, y, x = heapq.heappop(waiting)
        if value > distance[y, x]:
            continue
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width and not fixed[v, u]:
                new, owner = upwind(v, u, cost, distance, label)
                if new < distance[v, u]:
                    distance[v, u], label[v, u] = new, owner
                    heapq.heappush(waiting, (new, v, u))
    return distance, label


def upwind(y, x, cost, distance, label):
    """Solve (t - a)^2 + (t - b)^2 = C^2 for the nearest neighbours on both axes; label of the nearer one."""
    padded, owners = np.pad(distance, 1, constant_values=np.inf), np.pad(label, 1)
    a, owner_a = min((padded[v, x + 1], owners[v, x + 1]) for v in (y, y + 2))
    b, owner_b = min((padded[y + 1, u], owners[y + 1, u]) for u in (x, x + 2))
    price, owner = cost[y, x], owner_a if a <= b else owner_b
    if abs(a - b) >= price:
        return min(a, b) + price, owner
    return np.roots([2, -2 * (a + b), a**2 + b**2 - price**2]).real.max(), owner


def some_seeds(generator, count, shape):
    pixel = generator.choice(shape[0] * shape[1], count, replace=False)
    return np.column_stack([pixel % shape[1], pixel // shape[1]])


@pytest.mark.parametrize("seed", range(4))
def test_distances_and_labels_are_those_of_fast_marching(seed):
    generator = np.random.default_rng(seed)
    cost = (0.01 + generator.random((17, 23)) ** 3).astype(np.float32)
    seeds = some_seeds(generator, 5, cost.shape)
    distance, label = distance_transform(cost, seeds)
    expected, owner = marched(cost.astype(float), seeds)
    np.testing.assert_allclose(distance, expected, rtol=2e-3)  # the sweeps end at changes of 1e-3
    assert (label != owner).mean() < 0.01


def test_one_row_is_exact():
    cost = np.array([[0.5, 1, 2, 1, 0.25]], np.float32)
    distance, label = distance_transform(cost, np.array([[0, 0], [4, 0]]))
    np.testing.assert_allclose(distance, [[0.5, 1.5, 3.25, 1.25, 0.25]])
    assert label.tolist() == [[0, 0, 1, 1, 1]]


def test_flat_cost_comes_close_to_the_euclidean_distance():
    distance, _ = distance_transform(np.ones((61, 61), np.float32), np.array([[30, 30]]))
    y, x = np.mgrid[:61, :61]
    straight = np.hypot(x - 30, y - 30) + 1
    assert np.abs(distance - straight).max() < 2  # the first-order scheme errs by about log of the radius


def test_wall_makes_the_path_go_through_its_gap():
    cost = np.full((21, 21), 0.01, np.float32)
    cost[:, 10] = 100
    cost[20, 10] = 0.01
    distance, label = distance_transform(cost, np.array([[8, 0], [12, 20]]))
    assert (label[:10, :10] == 0).all() and (label[:20, 11:] == 1).all()
    assert distance.max(where=cost < 1, initial=0) < 1


def test_labels_are_cells_around_their_seeds():
    generator = np.random.default_rng(5)
    cost = (0.01 + generator.random((30, 40))).astype(np.float32)
    seeds = some_seeds(generator, 50, cost.shape)
    _, label = distance_transform(cost, seeds)
    assert (label[seeds[:, 1], seeds[:, 0]] == np.arange(50)).all()


def test_later_seed_owns_a_shared_pixel_and_no_seed_leaves_all_open():
    cost = np.ones((3, 3), np.float32)
    assert (distance_transform(cost, np.array([[1, 1], [1, 1]]))[1] == 1).all()
    distance, label = distance_transform(cost, np.zeros((0, 2), int))
    assert np.isinf(distance).all() and (label == -1).all()


def test_graph_against_a_loop_over_pixels():
    generator = np.random.default_rng(6)
    cost = (0.01 + generator.random((12, 15))).astype(np.float32)
    seeds = some_seeds(generator, 9, cost.shape)
    distance, label = distance_transform(cost, seeds)
    expected = np.full((9, 9), np.inf, np.float32)
    for y in range(12):
        for x in range(15):
            for other_y, other_x in ((y, x + 1), (y + 1, x)):
                if other_y < 12 and other_x < 15 and label[y, x] != label[other_y, other_x]:
                    pair = label[y, x], label[other_y, other_x]
                    length = min(expected[pair], distance[y, x] + distance[other_y, other_x])
                    expected[pair] = expected[pair[::-1]] = length
    graph = cell_graph(distance, label, 9).toarray()
    np.testing.assert_array_equal(np.where(graph == 0, np.inf, graph), expected)


def random_graph(count, seed):
    generator = np.random.default_rng(seed)
    dense = np.triu(generator.random((count, count)) + 0.1, 1) * (generator.random((count, count)) < 0.1)
    return sparse.csr_array((dense + dense.T).astype(np.float32))


def test_neighbours_by_brute_force():
    graph = random_graph(40, 0)
    index, distance = nearest_on_graph(graph, 12)
    exact = dijkstra(graph)
    for node in range(40):
        reachable = np.sort(exact[node][np.isfinite(exact[node])])[:12]
        np.testing.assert_allclose(distance[node][: len(reachable)], reachable, rtol=1e-5)
        np.testing.assert_allclose(exact[node][index[node][: len(reachable)]], reachable, rtol=1e-5)
        assert (index[node][len(reachable) :] == -1).all()
    assert (index[:, 0] == np.arange(40)).all() and (distance[:, 0] == 0).all()


def test_unreachable_neighbours_are_missing():
    graph = sparse.csr_array(np.array([[0, 2, 0], [2, 0, 0], [0, 0, 0]], np.float32))
    index, distance = nearest_on_graph(graph, 3)
    assert index.tolist() == [[0, 1, -1], [1, 0, -1], [2, -1, -1]]
    assert distance.tolist() == [[0, 2, np.inf], [0, 2, np.inf], [0, np.inf, np.inf]]


def test_same_neighbours_for_any_number_of_threads():
    graph = random_graph(60, 1)
    results = []
    for threads in (1, 3):
        with loops_in(threads):
            results.append(nearest_on_graph(graph, 20))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize(
    ("cost", "seeds", "complaint"),
    [
        (np.zeros((3, 3)), [[0, 0]], "positive"),
        (np.full((3, 3), np.nan), [[0, 0]], "positive"),
        (np.ones(3), [[0, 0]], "shape"),
        (np.ones((3, 3)), [[3, 0]], "outside"),
        (np.ones((3, 3)), [[0, 0, 0]], "shape"),
    ],
)
def test_malformed_input_is_named(cost, seeds, complaint):
    with pytest.raises(PatchBatchError, match=complaint):
        distance_transform(cost.astype(np.float32), np.array(seeds))


def test_no_neighbours_is_an_error():
    with pytest.raises(PatchBatchError, match="at least 1"):
        nearest_on_graph(random_graph(4, 0), 0)
