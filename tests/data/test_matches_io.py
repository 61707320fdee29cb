"""Match lists and edge maps in the forms of other tools."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from patchbatch.data import read_edges, read_matches, write_edges, write_matches
from patchbatch.errors import PatchBatchError

EDGES = np.array([[0, 0.25, 0.5], [0.75, 1, 0.125]], np.float32)


def test_matches_are_five_numbers_a_line(tmp_path: Path) -> None:
    write_matches(
        tmp_path / "m", np.array([[1, 2], [3, 4]]), np.array([[1.5, -2], [0, 1e6]]), np.array([0.25, 1])
    )
    assert (tmp_path / "m").read_text() == "1 2 1.5 -2 0.25\n3 4 0 1000000 1\n"
    write_matches(tmp_path / "m", np.zeros((1, 2)), np.zeros((1, 2)))
    assert (tmp_path / "m").read_text() == "0 0 0 0 1\n"


def test_matches_of_other_tools_are_read(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("1 2 3 4\r\n\n  5.5\t6 7 8e0 0.5 17 anything\n9 10 11 12 3.25")
    points1, points2, score = read_matches(tmp_path / "m")
    np.testing.assert_array_equal(points1, [[1, 2], [5.5, 6], [9, 10]])
    np.testing.assert_array_equal(points2, [[3, 4], [7, 8], [11, 12]])
    np.testing.assert_array_equal(score, [1, 0.5, 3.25])
    assert points1.dtype == points2.dtype == score.dtype == np.float32


def test_no_matches_are_matches_too(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("\n")
    points1, points2, score = read_matches(tmp_path / "m")
    assert points1.shape == points2.shape == (0, 2)
    assert score.shape == (0,)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(arrays(np.float32, st.tuples(st.integers(1, 4), st.just(5)), elements=st.floats(-1e6, 1e6, width=32)))
def test_matches_come_back_exactly(tmp_path_factory: pytest.TempPathFactory, table: np.ndarray) -> None:
    path = tmp_path_factory.getbasetemp() / "matches.txt"
    write_matches(path, table[:, :2], table[:, 2:4], table[:, 4])
    np.testing.assert_array_equal(np.column_stack(read_matches(path)), table)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"1 2 3", "line 3: 3 numbers"),
        (b"1 2 x 4", "line 3: not a number"),
        (b"1 2 3 4 good", "line 3: not a number"),
        (b"1 2 3 nan", "line 3: a number is not finite"),
        (b"1 2 3 -inf", "line 3: a number is not finite"),
        (b"1 2 3 4 1e10", "line 3: a number is not finite or beyond"),
        (b"\xff\xfe\x00", "line 3: not a number"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, part: str) -> None:
    (tmp_path / "m").write_bytes(b"1 2 3 4\n\n" + line + b"\n1 2 3 4\n")
    with pytest.raises(PatchBatchError, match=part):
        read_matches(tmp_path / "m")


@pytest.mark.parametrize(
    ("points1", "points2", "score"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3)), None),
        (np.zeros((2, 2)), np.zeros((3, 2)), None),
        (np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(3)),
        (np.zeros((2, 2)), np.full((2, 2), np.nan), None),
        (np.zeros((2, 2)), np.full((2, 2), 1e10), None),
    ],
)
def test_bad_matches_are_not_written(
    tmp_path: Path, points1: np.ndarray, points2: np.ndarray, score: np.ndarray | None
) -> None:
    with pytest.raises(PatchBatchError, match="matches"):
        write_matches(tmp_path / "m", points1, points2, score)
    assert not list(tmp_path.iterdir())


def test_raw_edges_are_row_major_floats_without_a_header(tmp_path: Path) -> None:
    write_edges(tmp_path / "edges", EDGES)
    assert (tmp_path / "edges").read_bytes() == EDGES.astype("<f4").tobytes()
    np.testing.assert_array_equal(read_edges(tmp_path / "edges", (2, 3)), EDGES)


def test_edges_as_array_and_as_image(tmp_path: Path) -> None:
    write_edges(tmp_path / "e.npy", EDGES)
    np.testing.assert_array_equal(np.load(tmp_path / "e.npy"), EDGES)
    np.testing.assert_array_equal(read_edges(tmp_path / "e.npy"), EDGES)
    write_edges(tmp_path / "e.png", EDGES)
    np.testing.assert_allclose(read_edges(tmp_path / "e.png", (2, 3)), EDGES, atol=0.5 / 255)


@pytest.mark.parametrize(
    ("name", "data", "shape", "part"),
    [
        ("e", EDGES.tobytes(), None, "give the shape"),
        ("e", EDGES.tobytes(), (2, 4), "24 bytes but 4x2 edges take 32"),
        ("e", (255 * EDGES).tobytes(), (2, 3), "e: .*divide by 255"),
        ("e", np.full(6, np.nan, np.float32).tobytes(), (2, 3), "NaN"),
        ("e.npy", b"no array", None, "not a .npy"),
        ("e.npy", b"\x93NUMPY\x01\0\xff\xff", None, "damaged"),
        ("none", None, (2, 3), "does not exist"),
    ],
)
def test_bad_edges_are_refused(
    tmp_path: Path, name: str, data: bytes | None, shape: tuple[int, int] | None, part: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(PatchBatchError, match=part):
        read_edges(tmp_path / name, shape)


def test_edge_arrays_that_claim_too_much_or_hold_objects(tmp_path: Path) -> None:
    write_edges(tmp_path / "e.npy", EDGES)
    whole = (tmp_path / "e.npy").read_bytes()
    with pytest.raises(PatchBatchError, match=r"shape \(2, 3\)"):
        read_edges(tmp_path / "e.npy", (3, 2))
    for damaged in (whole[:-1], whole.replace(b"(2, 3), }       ", b"(99999, 99999), }")):
        assert damaged != whole
        (tmp_path / "e.npy").write_bytes(damaged)
        with pytest.raises(PatchBatchError, match="damaged"):
            read_edges(tmp_path / "e.npy")
    stream = io.BytesIO()
    np.save(stream, np.array([[{}]], object), allow_pickle=True)
    (tmp_path / "e.npy").write_bytes(stream.getvalue())
    with pytest.raises(PatchBatchError, match="damaged"):
        read_edges(tmp_path / "e.npy")
    np.save(tmp_path / "e.npy", np.zeros((2, 3, 3)))
    with pytest.raises(PatchBatchError, match="one channel"):
        read_edges(tmp_path / "e.npy")


def test_edges_in_colour_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(PatchBatchError, match="one channel"):
        write_edges(tmp_path / "e.npy", np.zeros((2, 3, 3)))
    assert not list(tmp_path.iterdir())
