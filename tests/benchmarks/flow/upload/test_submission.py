"""Archives for the servers, of made testing trees: looked into byte by byte, and refused ones."""

import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_trees import make_kitti_testing, make_sintel_testing

from benchmarks.__main__ import main
from benchmarks.flow.names import field_file
from benchmarks.flow.table import Label
from benchmarks.flow.upload.checker import check_archive
from benchmarks.flow.upload.servers import SERVERS
from patchbatch.data.datasets.pairs import find_pairs
from patchbatch.data.formats import write_flow
from patchbatch.errors import PatchBatchError


def decoded_png(data: bytes) -> np.ndarray:
    """Decode a 16-bit RGB PNG by the standard's own words: chunks, zlib, and the five filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, blocks = 8, {}
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        blocks[kind] = blocks.get(kind, b"") + data[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, depth, colours, *_ = struct.unpack(">IIBBBBB", blocks[b"IHDR"])
    assert (depth, colours) == (16, 2)
    raw, step = zlib.decompress(blocks[b"IDAT"]), 6
    rows = [bytearray(width * step)]
    for y in range(height):
        kind, *row = raw[y * (width * step + 1) : (y + 1) * (width * step + 1)]
        for x in range(len(row)):
            left, up = row[x - step] if x >= step else 0, rows[-1][x]
            corner = rows[-1][x - step] if x >= step else 0
            paeth = min((left, up, corner), key=lambda one, p=left + up - corner: abs(p - one))
            row[x] = (row[x] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        rows.append(bytearray(row))
    return np.frombuffer(b"".join(rows[1:]), ">u2").reshape(height, width, 3)


def write_fields(root: Path, dataset: str, folder: Path, u: float = 1.5, v: float = -2) -> None:
    """Write a field for every testing pair; that of the second pair has a hole."""
    for number, pair in enumerate(find_pairs(dataset, root, testing=True)):
        height, width = cv2.imread(str(pair.image1)).shape[:2]
        valid = np.ones((height, width), bool)
        valid[1, 1] = number != 1
        file = field_file(folder, pair, Label("made", None), "final", ".flo")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_flow(file, np.full((height, width, 2), (u, v), np.float32), valid)


def submit(root: Path, dataset: str, fields: Path, file: Path) -> int:
    """Score the fields and make the archive."""
    results = [
        "--method",
        f"x={fields / 'made'}",
        "--write",
        str(fields / "again"),
        "--submission",
        str(file),
    ]
    return main(["flow", dataset, str(root), "--testing", *results])


@pytest.mark.parametrize(
    ("dataset", "count", "entry"),
    [
        pytest.param("kitti2012", 195, "{:06d}_10.png", marks=pytest.mark.slow),
        ("kitti2015", 200, "flow/{:06d}_10.png"),
    ],
)
def test_kitti_takes_what_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dataset: str, count: int, entry: str
) -> None:
    root, file = make_kitti_testing(tmp_path, dataset, count), tmp_path / "upload.zip"
    write_fields(root, dataset, tmp_path / "fields")
    assert submit(root, dataset, tmp_path / "fields", file) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == (
        f"{file}: {count} fields, read back and checked; "
        "1 of them had pixels without a value, which were filled"
    )
    header, _, row = captured.out.splitlines()
    assert [cell.strip() for cell in header.split("|")][1:6] == [
        "method",
        "model",
        "stage",
        "pairs",
        "density",
    ]
    assert [cell.strip() for cell in row.split("|")][1:5] == ["x", "", "final", str(count)]
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == [entry.format(number) for number in range(count)]
        for number in (0, 1, count - 1):
            stored = decoded_png(archive.read(entry.format(number)))
            assert stored.shape == (6, 9 + number % 2, 3)
            assert (stored == (32768 + 96, 32768 - 128, 1)).all()


@pytest.mark.slow
def test_sintel_takes_both_renderings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, file = make_sintel_testing(tmp_path, 12, 47), tmp_path / "upload.zip"
    for rendering, u in (("clean", 1.5), ("final", 700.25)):
        write_fields(root, f"sintel-{rendering}", tmp_path / "fields", u)
    assert submit(root, "sintel-clean", tmp_path / "fields", file) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: no ") and "run sintel-final --testing with the same --write folder" in said
    assert not file.exists()
    assert submit(root, "sintel-final", tmp_path / "fields", file) == 0
    assert "2 of them had pixels" in capsys.readouterr().err
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names)) == 2 * 552
        assert {"clean/scene_0/frame0001.flo", "final/scene_11/frame0046.flo"} <= set(names)
        data = archive.read("final/scene_11/frame0046.flo")
    assert data[:12] == b"PIEH" + struct.pack("<ii", 8, 5)
    assert (np.frombuffer(data[12:], "<f4").reshape(5, 8, 2) == (700.25, -2)).all()


@pytest.mark.slow
def test_what_a_kitti_file_cannot_hold_is_held_at_its_edge(tmp_path: Path) -> None:
    root, file = make_kitti_testing(tmp_path, "kitti2015", 200), tmp_path / "upload.zip"
    write_fields(root, "kitti2015", tmp_path / "fields", 900, -900)
    assert submit(root, "kitti2015", tmp_path / "fields", file) == 0
    with zipfile.ZipFile(file) as archive:
        assert (decoded_png(archive.read("flow/000003_10.png")) == (65535, 0, 1)).all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--testing", "--write", "F"], "kitti2015 has 200 pairs for testing but 3 pairs are here"),
        (["--testing", "--write", "F", "--limit", "2"], "--submission takes all testing pairs"),
        (["--write", "F"], "--submission takes all testing pairs: give --testing"),
        (["--testing"], "--submission needs --write DIR"),
        (["--testing", "--write", "F", "--method", "zero", "dis-fast"], "--submission is of one method"),
        (["--testing", "--write", "F", "--submission", "no/a.zip"], "the submission is a .zip in a folder"),
        (["--testing", "--write", "F", "--submission", "a.tar"], "the submission is a .zip in a folder"),
    ],
)
def test_a_submission_that_cannot_be_made_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    root = make_kitti_testing(tmp_path, "kitti2015", 3)
    (root / "training").mkdir()
    command = ["flow", "kitti2015", str(root), "--submission", str(tmp_path / "a.zip"), "--method", "zero"]
    more = [word.replace("F", str(tmp_path / "fields")) if word == "F" else word for word in words]
    if "--method" in more:
        command = command[:-2]
    assert main([*command, *more]) == 1
    said = capsys.readouterr().err
    assert says in said or "no kitti2015 pairs" in said
    assert said.count("\n") == 1


def png(stored: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", stored)[1])


def whole_png(shape: tuple[int, int] = (6, 9), dtype: type = np.uint16) -> np.ndarray:
    stored = np.full((*shape, 3), 32768 if dtype is np.uint16 else 128, dtype)
    stored[..., 0] = 1  # OpenCV has blue, the validity, first
    return stored


def with_a_hole() -> np.ndarray:
    stored = whole_png()
    stored[2, 3] = 0
    return stored


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"flow/000000_10.png": png(whole_png())}, None),
        ({}, "flow/000000_10.png is missing"),
        ({"000000_10.png": png(whole_png())}, "000000_10.png is missing, or is not asked for"),
        (
            {"flow/000000_10.png": png(whole_png()), "more.txt": b""},
            "more.txt is missing, or is not asked for",
        ),
        ({"flow/000000_10.png": png(with_a_hole())}, "has 1 invalid pixels"),
        ({"flow/000000_10.png": png(whole_png((5, 9)))}, "is 9x5, not 9x6"),
        ({"flow/000000_10.png": png(whole_png(dtype=np.uint8))}, "has 8 bits and colour type 2"),
        ({"flow/000000_10.png": png(whole_png()[..., 0])}, "has 16 bits and colour type 0"),
        ({"flow/000000_10.png": png(whole_png())[:60]}, "cannot be decoded"),
        ({"flow/000000_10.png": b"P"}, "is cut off"),
    ],
)
def test_the_checker_refuses_what_the_server_would(
    tmp_path: Path, entries: dict[str, bytes], says: str | None
) -> None:
    root = make_kitti_testing(tmp_path, "kitti2015", 1)
    (pair,) = find_pairs("kitti2015", root, testing=True)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    frames = {SERVERS["kitti2015"].entry_of(pair): pair.image1}
    if says is None:
        check_archive(tmp_path / "a.zip", frames)
        return
    with pytest.raises(PatchBatchError) as caught:
        check_archive(tmp_path / "a.zip", frames)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (struct.pack("<fii", 202021.25, 8, 5) + np.zeros(80, "<f4").tobytes(), None),
        (struct.pack("<fii", 202021.0, 8, 5) + np.zeros(80, "<f4").tobytes(), "has no PIEH tag"),
        (struct.pack("<fii", 202021.25, 5, 8) + np.zeros(80, "<f4").tobytes(), "is 5x8, not 8x5"),
        (struct.pack("<fii", 202021.25, 8, 5) + np.zeros(79, "<f4").tobytes(), "has 328 bytes"),
        (struct.pack("<fii", 202021.25, 8, 5) + np.full(80, 1e10, "<f4").tobytes(), "has 80 invalid values"),
        (
            struct.pack("<fii", 202021.25, 8, 5) + np.full(80, np.nan, "<f4").tobytes(),
            "has 80 invalid values",
        ),
    ],
)
def test_the_checker_reads_flo_files(tmp_path: Path, data: bytes, says: str | None) -> None:
    root = make_sintel_testing(tmp_path, 1, 2)
    (pair,) = find_pairs("sintel-clean", root, testing=True)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("clean/scene_0/frame0001.flo", data)
    frames = {SERVERS["sintel-clean"].entry_of(pair): pair.image1}
    if says is None:
        check_archive(tmp_path / "a.zip", frames)
        return
    with pytest.raises(PatchBatchError) as caught:
        check_archive(tmp_path / "a.zip", frames)
    assert says in str(caught.value)


def test_a_truncated_archive_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(PatchBatchError, match="is no archive"):
        check_archive(tmp_path / "a.zip", {})
