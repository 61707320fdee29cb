"""Matches as a database of COLMAP, the way its documentation has it ("Database Format").

Tables and columns are the oldest ones; newer versions add theirs when they open the file. COLMAP 4.2 was
tried: it verified such a database and reconstructed three views of made points from it.
Pixel centres lie at halves there, so that key points are moved by (0.5, 0.5).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import numpy as np

from flow.views.view_graph import View, ViewGraph
from patchbatch.data.files import FilePath, atomic_path
from patchbatch.errors import PatchBatchError

TABLES = """
CREATE TABLE cameras (camera_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, model INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, params BLOB, prior_focal_length INTEGER NOT NULL);
CREATE TABLE images (image_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT NOT NULL UNIQUE,
    camera_id INTEGER NOT NULL, CONSTRAINT image_id_check CHECK(image_id >= 0 and image_id < 2147483647),
    FOREIGN KEY(camera_id) REFERENCES cameras(camera_id));
CREATE UNIQUE INDEX index_name ON images(name);
CREATE TABLE keypoints (image_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL,
    data BLOB, FOREIGN KEY(image_id) REFERENCES images(image_id) ON DELETE CASCADE);
CREATE TABLE descriptors (image_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL,
    cols INTEGER NOT NULL, data BLOB,
    FOREIGN KEY(image_id) REFERENCES images(image_id) ON DELETE CASCADE);
CREATE TABLE matches (pair_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL,
    data BLOB);
CREATE TABLE two_view_geometries (pair_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL,
    cols INTEGER NOT NULL, data BLOB, config INTEGER NOT NULL, F BLOB, E BLOB, H BLOB);
"""
MOST_IMAGES = 2147483647
"""Of two images with these numbers, the smaller first: pair_id = number1 * MOST_IMAGES + number2."""
ORIGIN_PX = 0.5
SIMPLE_RADIAL = 2
"""Number of the camera model with a focal length, a centre and one distortion, in COLMAP's list."""
# What COLMAP takes for a focal length that nobody knows.
FOCAL_OF_SIDE = 1.2


def write_colmap(path: FilePath, graph: ViewGraph, *, one_camera: bool = False) -> None:
    """Write a database with cameras, images, key points and matches; an old file is replaced.

    The matches are not verified: let COLMAP do it (`colmap matches_importer`, or
    `pycolmap.verify_matches(FILE, PAIRS)` with a text file of two names a line) before its mapper.

    Parameters
    ----------
    path
        The .db file.
    graph
        With at least one pair.
    one_camera
        Whether all images are from one camera, as the frames of a film are; they have one size then.

    Raises
    ------
    PatchBatchError
        For an empty graph, sizes that differ with `one_camera`, or a file that cannot be written.
    """
    views = graph.views()
    if not views:
        raise PatchBatchError("the view graph has no pair; add one first")
    sizes = {view.shape for view in views}
    if one_camera and len(sizes) > 1:
        raise PatchBatchError(
            f"images of the sizes {sorted(sizes)} are from no one camera; leave one_camera out"
        )
    with atomic_path(path) as temporary:
        try:
            with closing(sqlite3.connect(temporary)) as database, database:
                _fill(database, views, graph, one_camera)
        except sqlite3.Error as error:
            raise PatchBatchError(f"{path} cannot be written ({error}); choose another place") from error


def _fill(database: sqlite3.Connection, views: list[View], graph: ViewGraph, one_camera: bool) -> None:
    database.executescript(TABLES)
    for number, view in enumerate(views, 1):
        if number == 1 or not one_camera:
            database.execute("INSERT INTO cameras VALUES (?, ?, ?, ?, ?, 0)", _camera(number, view))
        camera = 1 if one_camera else number
        database.execute("INSERT INTO images VALUES (?, ?, ?)", (number, view.name, camera))
        points = np.asarray(view.keypoints + np.float32(ORIGIN_PX), "<f4")
        database.execute("INSERT INTO keypoints VALUES (?, ?, 2, ?)", (number, len(points), points.tobytes()))
    for pair in graph.pairs():
        first, second, index = pair.first + 1, pair.second + 1, pair.index.astype("<u4")
        if first > second:
            first, second, index = second, first, index[:, ::-1]
        row = (first * MOST_IMAGES + second, len(index), index.tobytes())
        database.execute("INSERT INTO matches VALUES (?, ?, 2, ?)", row)


def _camera(number: int, view: View) -> tuple[Any, ...]:
    height, width = view.shape
    parameters = np.array([FOCAL_OF_SIDE * max(width, height), width / 2, height / 2, 0], "<f8")
    return number, SIMPLE_RADIAL, width, height, parameters.tobytes()
