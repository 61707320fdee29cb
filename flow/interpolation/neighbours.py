"""The graph of touching cells, and the nearest matches on it.

Between two matches the geodesic distance is taken as the length of the shortest path over the graph whose
edges join matches with touching cells (Revaud et al., EpicFlow, CVPR 2015, section 3.2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from patchbatch.compiled import njit, prange
from patchbatch.errors import PatchBatchError
from patchbatch.threads import thread_count


def cell_graph(distance: NDArray[np.float32], label: NDArray[np.int32], count: int) -> sparse.csr_array:
    """Return the graph whose nodes are seeds and whose edges join seeds with touching cells.

    Parameters
    ----------
    distance, label
        `(H, W)` float32 and int32, from `distance_transform`.
    count
        Number of seeds N; one that owns no pixel is a node without edges.

    Returns
    -------
    scipy.sparse.csr_array
        `(N, N)` float32, symmetric: the smallest `d(p) + d(q)` over pixels p, q that touch across the common
        border.
    """
    first, second, length = (np.concatenate(parts) for parts in zip(*_borders(distance, label), strict=True))
    key = np.minimum(first, second) * np.int64(count) + np.maximum(first, second)
    order = np.argsort(key, kind="stable")
    pairs, start = np.unique(key[order], return_index=True)
    shortest = np.minimum.reduceat(length[order], start) if len(start) else length[:0]
    low, high = pairs // max(count, 1), pairs % max(count, 1)
    rows, columns = np.concatenate([low, high]), np.concatenate([high, low])
    graph = sparse.coo_array((np.tile(shortest, 2), (rows, columns)), shape=(count, count)).tocsr()
    graph.sort_indices()
    return graph


def _borders(
    distance: NDArray[np.float32], label: NDArray[np.int32]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Return both labels and `d(p) + d(q)` of pixel pairs across a border: horizontal, then vertical."""
    found = []
    for p, q in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1, :], np.s_[1:, :]),
    ):
        across = label[p] != label[q]
        found.append(
            (
                label[p][across].astype(np.int64),
                label[q][across].astype(np.int64),
                distance[p][across] + distance[q][across],
            )
        )
    return found


def nearest_on_graph(graph: sparse.csr_array, n: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the n nodes closest to each node by path length, itself first (distance 0).

    Parameters
    ----------
    graph
        `(N, N)` CSR with positive lengths, from `cell_graph`.
    n
        Neighbours wanted, the node itself included; time grows as `n log n`.

    Returns
    -------
    index, distance
        `(N, n)` int32 and float32 in rising order of distance. Where fewer nodes can be reached, the index is
        -1 and the distance infinite. The result does not depend on the number of threads.
    """
    if n < 1:
        raise PatchBatchError(f"n is {n}; ask for at least 1 neighbour")
    count = graph.shape[0]
    index = np.full((count, n), -1, np.int32)
    distance = np.full((count, n), np.inf, np.float32)
    if count:
        _nearest(
            graph.indptr.astype(np.int64),
            graph.indices.astype(np.int32),
            graph.data.astype(np.float32),
            thread_count(),
            index,
            distance,
        )
    return index, distance


@njit(parallel=True)
def _nearest(
    row_start: NDArray[np.int64],
    columns: NDArray[np.int32],
    lengths: NDArray[np.float32],
    workers: int,
    index: NDArray[np.int32],
    distance: NDArray[np.float32],
) -> None:
    """Run Dijkstra from each node; one contiguous share of the nodes, with its own scratch, per worker."""
    count = len(index)
    for worker in prange(workers):
        # `reached[v]` says from which start `best[v]` was written, so nothing of size N is cleared.
        # Every directed edge is pushed at most once per start, which bounds the heap.
        reached = np.full(count, -1, np.int64)
        best = np.empty(count, np.float32)
        heap_length = np.empty(len(columns) + 1, np.float32)
        heap_node = np.empty(len(columns) + 1, np.int32)
        for i in range(count * worker // workers, count * (worker + 1) // workers):
            _dijkstra(
                row_start, columns, lengths, i, reached, best, heap_length, heap_node, index[i], distance[i]
            )


@njit()
def _dijkstra(
    row_start: NDArray[np.int64],
    columns: NDArray[np.int32],
    lengths: NDArray[np.float32],
    start: int,
    reached: NDArray[np.int64],
    best: NDArray[np.float32],
    heap_length: NDArray[np.float32],
    heap_node: NDArray[np.int32],
    index: NDArray[np.int32],
    distance: NDArray[np.float32],
) -> None:
    """Settle the closest nodes of one start, until `index` is full or the component is used up."""
    reached[start], best[start] = start, 0.0
    size = _push(heap_length, heap_node, 0, np.float32(0), np.int32(start))
    settled = 0
    while size and settled < len(index):
        length, node = heap_length[0], heap_node[0]
        size = _pop(heap_length, heap_node, size)
        if length > best[node]:  # an older entry of a node that has since been reached on a shorter path
            continue
        index[settled], distance[settled] = node, length
        settled += 1
        for edge in range(row_start[node], row_start[node + 1]):
            other, through = columns[edge], length + lengths[edge]
            if reached[other] != start or through < best[other]:
                reached[other], best[other] = start, through
                size = _push(heap_length, heap_node, size, through, other)


@njit()
def _push(
    heap_length: NDArray[np.float32],
    heap_node: NDArray[np.int32],
    size: int,
    length: np.float32,
    node: np.int32,
) -> int:
    """Add an entry to the binary heap and return its new size."""
    place = size
    while place > 0:
        parent = (place - 1) // 2
        if heap_length[parent] <= length:
            break
        heap_length[place], heap_node[place] = heap_length[parent], heap_node[parent]
        place = parent
    heap_length[place], heap_node[place] = length, node
    return size + 1


@njit()
def _pop(heap_length: NDArray[np.float32], heap_node: NDArray[np.int32], size: int) -> int:
    """Remove the smallest entry of the binary heap and return its new size."""
    size -= 1
    length, node = heap_length[size], heap_node[size]
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and heap_length[child + 1] < heap_length[child]:
            child += 1
        if heap_length[child] >= length:
            break
        heap_length[place], heap_node[place] = heap_length[child], heap_node[child]
        place = child
    heap_length[place], heap_node[place] = length, node
    return size
