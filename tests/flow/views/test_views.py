"""Matches of many views, written and read again: by hand, and by the programs themselves where they are."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from flow.views import ViewGraph, write_colmap, write_hloc
from patchbatch.errors import PatchBatchError

SHAPE = (40, 60)


def made(seed, count=80):
    """Matches `(N, 5)` that move by (3, 1), with confidences."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(1, (55, 37), (count, 2)).astype(np.float32)
    return np.column_stack([start, start + np.float32([3, 1]), rng.random(count)]).astype(np.float32)


@pytest.fixture
def graph():
    graph = ViewGraph()
    graph.add("sub/b.png", "a.png", made(0), shape=SHAPE)
    graph.add("sub/b.png", "c.png", made(1), shape=SHAPE)
    graph.add("c.png", "a.png", made(2), shape=SHAPE, least_confidence=0)
    return graph


def ends(graph, number):
    """Points of both images of a pair."""
    views, pair = graph.views(), graph.pairs()[number]
    return views[pair.first].keypoints[pair.index[:, 0]], views[pair.second].keypoints[pair.index[:, 1]]


def test_a_match_moves_by_less_than_a_cell_and_no_key_point_is_used_twice(graph):
    for number, least in enumerate((0.5, 0.5, 0)):
        pair = graph.pairs()[number]
        first, second = ends(graph, number)
        assert np.abs(second - first - [3, 1]).max() < 2
        assert all(len(np.unique(pair.index[:, side])) == len(pair.index) for side in (0, 1))
        assert pair.scores.min() >= least
        assert 0.6 * (made(number)[:, 4] >= least).sum() < len(pair.index)


def test_without_merging_all_matches_stay_as_they_are():
    graph = ViewGraph(merge_px=0)
    table = made(3)
    graph.add("a", "b", table, shape=SHAPE, least_confidence=0.3, most=20)
    first, second = ends(graph, 0)
    best = table[np.argsort(-table[:, 4])[:20]]
    np.testing.assert_array_equal(np.column_stack([first, second]), best[:, :4])


def test_a_point_is_followed_through_three_views():
    graph = ViewGraph()
    graph.add("a", "b", [[5.2, 5, 8.2, 6, 0.9]], shape=SHAPE)
    graph.add("b", "c", [[8, 6.1, 12, 7, 0.8]], shape=SHAPE)
    points = [view.keypoints.tolist() for view in graph.views()]
    assert points == [[[np.float32(5.2), 5]], [[np.float32(8.2), 6]], [[12, 7]]]


def test_the_more_confident_of_two_matches_stays():
    graph = ViewGraph()
    graph.add("a", "b", [[5, 5, 8, 6, 0.6], [5.1, 5, 20, 6, 0.9]], shape=SHAPE)
    assert ends(graph, 0)[1].tolist() == [[20, 6]]


def test_colmap_reads_its_schema_by_hand(graph, tmp_path):
    write_colmap(tmp_path / "m.db", graph)
    with closing(sqlite3.connect(tmp_path / "m.db")) as database:
        names = dict(database.execute("SELECT name, image_id FROM images"))
        assert names == {"sub/b.png": 1, "a.png": 2, "c.png": 3}
        cameras = list(database.execute("SELECT * FROM cameras"))
        points = {}
        for number, rows, columns, data in database.execute("SELECT * FROM keypoints"):
            points[number] = (
                np.frombuffer(data, "<f4").reshape(rows, columns) - 0.5
            )  # pixel centres at halves
        stored = {}
        for pair, rows, columns, data in database.execute("SELECT * FROM matches"):
            second = pair % 2147483647
            first = (pair - second) // 2147483647
            index = np.frombuffer(data, "<u4").reshape(rows, columns)
            stored[first, second] = points[first][index[:, 0]], points[second][index[:, 1]]
        assert list(database.execute("SELECT * FROM two_view_geometries")) == []
    assert [(camera[1:4], camera[5]) for camera in cameras] == [((2, 60, 40), 0)] * 3
    np.testing.assert_array_equal(np.frombuffer(cameras[0][4], "<f8"), [72, 30, 20, 0])
    assert sorted(stored) == [(1, 2), (1, 3), (2, 3)]  # the last was added the other way round
    for key, (first, second) in stored.items():
        sign = -1 if key == (2, 3) else 1
        assert np.abs(second - first - np.array([3, 1]) * sign).max() < 2
        assert len(first) == len(graph.pairs()[[(1, 2), (1, 3), (2, 3)].index(key)].index)


def test_pycolmap_reads_it(graph, tmp_path):
    pycolmap = pytest.importorskip("pycolmap", reason="COLMAP's own reader is not installed")
    write_colmap(tmp_path / "m.db", graph)
    database = pycolmap.Database.open(str(tmp_path / "m.db"))
    views = graph.views()
    for image in database.read_all_images():
        view = views[image.image_id - 1]
        assert image.name == view.name
        np.testing.assert_allclose(database.read_keypoints(image.image_id)[:, :2], view.keypoints + 0.5)
    np.testing.assert_array_equal(database.read_matches(1, 2), graph.pairs()[0].index)


def test_one_camera_for_the_frames_of_a_film(graph, tmp_path):
    write_colmap(tmp_path / "m.db", graph, one_camera=True)
    with closing(sqlite3.connect(tmp_path / "m.db")) as database:
        assert list(database.execute("SELECT DISTINCT camera_id FROM images")) == [(1,)]
        assert len(list(database.execute("SELECT * FROM cameras"))) == 1
    graph.add("a.png", "large.png", made(4), shape=SHAPE, shape2=(80, 90))
    with pytest.raises(PatchBatchError, match="no one camera"):
        write_colmap(tmp_path / "m.db", graph, one_camera=True)
    assert (tmp_path / "m.db").stat().st_size  # the old one


def test_hloc_finds_what_it_looks_for(graph, tmp_path):
    h5py = pytest.importorskip("h5py", reason="hloc's files need h5py")
    write_hloc(tmp_path / "f.h5", tmp_path / "m.h5", graph, pairs=tmp_path / "p.txt")
    views = {view.name: view for view in graph.views()}
    with h5py.File(tmp_path / "f.h5") as features, h5py.File(tmp_path / "m.h5") as matches:
        for number, line in enumerate((tmp_path / "p.txt").read_text().splitlines()):
            first, second = line.split()
            group = matches["/".join(name.replace("/", "-") for name in (first, second))]
            partner = group["matches0"].__array__()
            index = np.stack([np.flatnonzero(partner != -1), partner[partner != -1]], axis=-1)
            assert sorted(map(tuple, index)) == sorted(map(tuple, graph.pairs()[number].index))
            points = features[first]["keypoints"].__array__(), features[second]["keypoints"].__array__()
            moves = points[1][index[:, 1]] - points[0][index[:, 0]]
            assert np.abs(moves - [3, 1]).max() < 2
            assert (group["matching_scores0"][:][partner == -1] == 0).all()
        np.testing.assert_array_equal(features["sub/b.png"]["keypoints"], views["sub/b.png"].keypoints)
        assert features["sub/b.png"]["image_size"][:].tolist() == [60, 40]


def test_what_does_not_fit_is_refused(graph, tmp_path):
    cases = (
        (lambda: graph.add("a.png", "sub/b.png", made(0), shape=SHAPE), "no new pair"),
        (lambda: graph.add("a.png", "a.png", made(0), shape=SHAPE), "no new pair"),
        (lambda: graph.add("a.png", "d.png", made(0), shape=(9, 9)), "it has one size"),
        (lambda: graph.add("x.png", "y.png", made(0)), "give shape="),
        (lambda: graph.add("x.png", "y.png", [[1, 2]], shape=SHAPE), r"\(N, 4\)"),
        (lambda: ViewGraph(merge_px=-1), "merge_px is -1"),
        (lambda: write_colmap(tmp_path / "e.db", ViewGraph()), "has no pair"),
        (lambda: write_colmap(tmp_path / "no" / "e.db", graph), "does not exist"),
    )
    for call, says in cases:
        with pytest.raises(PatchBatchError, match=says):
            call()
    assert list(tmp_path.iterdir()) == []


def test_names_that_hloc_takes_for_one_are_refused(tmp_path):
    pytest.importorskip("h5py", reason="hloc's files need h5py")
    graph = ViewGraph()
    graph.add("a/b.png", "a-b.png", made(0), shape=SHAPE)
    with pytest.raises(PatchBatchError, match="only in / and -"):
        write_hloc(tmp_path / "f.h5", tmp_path / "m.h5", graph)
