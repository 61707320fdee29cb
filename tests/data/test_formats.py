"""Flow and disparity files: bytes made by hand, round trips, and headers that lie."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from patchbatch.data import (
    FLOW_SUFFIXES,
    atomic_path,
    known_flow,
    read_confidence,
    read_flo,
    read_flow,
    read_kitti_disparity,
    read_kitti_flow,
    read_middlebury_disparity,
    read_npz,
    read_pfm,
    read_pfm_flow,
    write_flo,
    write_flow,
    write_kitti_flow,
    write_pfm,
    write_pfm_flow,
)
from patchbatch.errors import PatchBatchError

ONE_PIXEL = bytes.fromhex("50494548 01000000 01000000 0000C03F 000000C0")


def flow_of(*vectors: tuple[float, float]) -> np.ndarray:
    return np.array([vectors], np.float32)


def opencv_bytes(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def test_flo_is_exact_to_the_byte(tmp_path: Path) -> None:
    write_flo(tmp_path / "a.flo", flow_of((1.5, -2)))
    assert (tmp_path / "a.flo").read_bytes() == ONE_PIXEL
    flow, valid = read_flo(tmp_path / "a.flo")
    np.testing.assert_array_equal(flow, [[[1.5, -2]]])
    assert flow.dtype == np.float32
    assert valid.all()


def test_flo_unknown_is_written_as_1e10_and_read_beyond_1e9(tmp_path: Path) -> None:
    stored = flow_of((1e9, -1e9), (1.001e9, 0), (0, -2e9), (np.nan, 0), (3, np.inf), (4, 5))
    (tmp_path / "a.flo").write_bytes(b"PIEH" + struct.pack("<ii", 6, 1) + stored.tobytes())
    flow, valid = read_flo(tmp_path / "a.flo")
    np.testing.assert_array_equal(valid, [[True, False, False, False, False, True]])
    np.testing.assert_array_equal(flow, flow_of((1e9, -1e9), (0, 0), (0, 0), (0, 0), (0, 0), (4, 5)))
    write_flo(tmp_path / "b.flo", stored)
    written = np.frombuffer((tmp_path / "b.flo").read_bytes()[12:], "<f4").reshape(-1, 2)
    np.testing.assert_array_equal(written[1:5], np.full((4, 2), 1e10, np.float32))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (0, 32768),
        (1, 32832),
        (0.01, 32769),
        (65535 / 64 - 512, 65535),
        (-512, 0),
        (0.0078, 32768),
        (-1 / 64, 32767),
    ],
)
def test_kitti_rounds(tmp_path: Path, value: float, stored: int) -> None:
    write_kitti_flow(tmp_path / "a.png", flow_of((value, 0), (0, value)))
    blue_first = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert blue_first.dtype == np.uint16
    np.testing.assert_array_equal(blue_first, [[[1, 32768, stored], [1, stored, 32768]]])
    flow, _ = read_kitti_flow(tmp_path / "a.png")
    assert flow[0, 0, 0] == flow[0, 1, 1] == (stored - 32768) / 64


@pytest.mark.parametrize("value", [600, -600, 512, -512.01])
def test_kitti_leaves_out_what_it_cannot_hold(tmp_path: Path, value: float) -> None:
    write_kitti_flow(tmp_path / "a.png", flow_of((value, 0), (3, 0)))
    flow, valid = read_kitti_flow(tmp_path / "a.png")
    assert valid.tolist() == [[False, True]]
    assert flow[0, 0].tolist() == [0, 0]


def test_kitti_unknown_is_all_zero_and_any_blue_is_known(tmp_path: Path) -> None:
    write_kitti_flow(tmp_path / "a.png", flow_of((3, 4), (5, 6)), np.array([[False, True]]))
    stored = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored[0, 0], [0, 0, 0])
    stored[..., 0] = [[0, 65535]]
    stored[0, 0, 1:] = 40000
    (tmp_path / "b.png").write_bytes(opencv_bytes(stored))
    flow, valid = read_kitti_flow(tmp_path / "b.png")
    np.testing.assert_array_equal(flow, flow_of((0, 0), (5, 6)))
    np.testing.assert_array_equal(valid, [[False, True]])


@pytest.mark.parametrize("pixels", [np.zeros((3, 4, 3), np.uint8), np.zeros((3, 4), np.uint16)])
def test_kitti_refuses_other_pngs(tmp_path: Path, pixels: np.ndarray) -> None:
    (tmp_path / "a.png").write_bytes(opencv_bytes(pixels))
    with pytest.raises(PatchBatchError, match="not a 16-bit RGB PNG"):
        read_kitti_flow(tmp_path / "a.png")


def test_pfm_is_bottom_up_in_both_byte_orders(tmp_path: Path) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    for scale, order in [(b"-1", "<f4"), (b"1.0", ">f4"), (b"-0.003922", "<f4")]:
        for end in (b"\n", b"\r\n"):
            header = end.join([b"Pf", b"3 2", scale]) + end
            (tmp_path / "a.pfm").write_bytes(header + rows[::-1].astype(order).tobytes())
            np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), rows)
    write_pfm(tmp_path / "b.pfm", rows)
    assert (tmp_path / "b.pfm").read_bytes() == b"Pf\n3 2\n-1\n" + rows[::-1].astype("<f4").tobytes()


def test_pfm_flow_has_three_channels_and_reads_two(tmp_path: Path) -> None:
    write_pfm_flow(tmp_path / "a.pfm", flow_of((1, 2), (3, 4)), np.array([[1, 0]]))
    unknown = float(np.float32(1e10))
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), [[[1, 2, 0], [unknown, unknown, 0]]])
    write_pfm(tmp_path / "b.pfm", np.float32([[[1, 2, 7], [np.nan, 4, 7]]]))
    flow, valid = read_pfm_flow(tmp_path / "b.pfm")
    np.testing.assert_array_equal(flow, flow_of((1, 2), (0, 0)))
    np.testing.assert_array_equal(valid, [[True, False]])
    write_pfm(tmp_path / "c.pfm", np.array([[1e300]]))
    assert read_pfm(tmp_path / "c.pfm") == np.inf
    with pytest.raises(PatchBatchError, match="one channel"):
        read_flow(tmp_path / "c.pfm")


def test_npz_keeps_mask_and_confidence_and_repeats_its_bytes(tmp_path: Path) -> None:
    flow, valid = flow_of((1, 2), (3, 4)), np.array([[True, False]])
    confidence = np.float32([[0.25, 1]])
    for name in ("a.npz", "b.NPZ"):
        write_flow(tmp_path / name, flow, valid, confidence)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.NPZ").read_bytes()
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")[0], flow_of((1, 2), (0, 0)))
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")[1], valid)
    np.testing.assert_array_equal(read_confidence(tmp_path / "a.npz"), confidence)
    np.savez(tmp_path / "bare.npz", flow=flow.astype(">f8"))
    np.testing.assert_array_equal(read_npz(tmp_path / "bare.npz")[0], flow)
    assert read_npz(tmp_path / "bare.npz")[1].all()
    with pytest.raises(PatchBatchError, match="no array named confidence"):
        read_confidence(tmp_path / "bare.npz")


def test_npz_of_one_value_compresses_as_far_as_it_may(tmp_path: Path) -> None:
    write_flow(tmp_path / "a.npz", np.zeros((900, 1100, 2)))
    assert read_flow(tmp_path / "a.npz")[1].all()


def test_confidence_from_pfm_and_its_range(tmp_path: Path) -> None:
    write_pfm(tmp_path / "a.pfm", np.array([[0, 0.5]]))
    np.testing.assert_array_equal(read_confidence(tmp_path / "a.pfm"), [[0, 0.5]])
    write_pfm(tmp_path / "b.pfm", np.array([[0, 1.5]]))
    with pytest.raises(PatchBatchError, match="outside"):
        read_confidence(tmp_path / "b.pfm")
    with pytest.raises(PatchBatchError, match="read from"):
        read_confidence(tmp_path / "b.flo")
    for confidence in ([[np.nan]], [[2.0]], [[0.5, 0.5]], [0.5]):
        with pytest.raises(PatchBatchError, match="confidence"):
            write_flow(tmp_path / "c.npz", flow_of((1, 2)), confidence=np.array(confidence))


fields = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, (*shape, 2), elements=st.floats(-500, 500, width=32)), arrays(np.bool_, shape)
    )
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(fields, st.sampled_from(FLOW_SUFFIXES))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, field: tuple[np.ndarray, np.ndarray], suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"flow{suffix}"
    flow, valid = field
    write_flow(path, flow, valid)
    back, mask = read_flow(path)
    np.testing.assert_array_equal(mask, valid)
    assert not back[~valid].any()
    tolerance = 1 / 128 if suffix == ".png" else 0
    np.testing.assert_allclose(back[valid], flow[valid], rtol=0, atol=tolerance)


def npz_bytes(method: int = zipfile.ZIP_DEFLATED, **members: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for key, value in members.items():
            content = io.BytesIO(b"" if isinstance(value, np.ndarray) else value)
            if isinstance(value, np.ndarray):
                np.save(content, value, allow_pickle=True)
            archive.writestr(f"{key}.npy", content.getvalue())
    return stream.getvalue()


def npy_claiming(shape: str, kind: str = "<f4", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


LIES = [
    (".flo", b"PIEH", "limit"),
    (".flo", b"HEIP" + ONE_PIXEL[4:], "no PIEH tag"),
    (".flo", ONE_PIXEL[:-1], "19 bytes"),
    (".flo", ONE_PIXEL + b"\0", "21 bytes"),
    *[
        (".flo", b"PIEH" + struct.pack("<ii", *size) + ONE_PIXEL[12:], "claims|bytes")
        for size in [
            (0, 1),
            (1, 0),
            (-1, -1),
            (1, -(2**31)),
            (2**31 - 1, 2**31 - 1),
            (99999, 99999),
            (100000, 1),
        ]
    ],
    (".pfm", b"P6\n1 1\n-1\n", "no PF header"),
    (".pfm", b"PF\n1 1\n", "no PF header"),
    *[
        (".pfm", b"PF\n" + size + b"\n-1\n" + bytes(12), "claims|header")
        for size in [
            b"0 1",
            b"-1 -1",
            b"1 2",
            b"99999 99999",
            b"999999999 999999999",
            b"9" * 40 + b" 1",
            b"1.5 1",
        ]
    ],
    (".pfm", b"PF\n1 1\n-1\n" + bytes(11), "claims"),
    (".pfm", b"PF\n1 1\n-1\n" + bytes(13), "claims"),
    *[
        (".pfm", b"PF\n1 1\n" + scale + b"\n" + bytes(12), "scale|header")
        for scale in [b"0", b"nan", b"inf", b"-1e999", b"1e", b"--1", b"-0.0"]
    ],
    (".npz", b"PK\x03\x04 is no archive", "not a numpy archive"),
    (".npz", npz_bytes(other=np.zeros(3)), "no array named flow"),
    (".npz", npz_bytes(flow=np.zeros((2, 3))), "not \\(H, W, 2\\)"),
    (".npz", npz_bytes(flow=np.zeros((0, 3, 2))), "write real numbers"),
    (".npz", npz_bytes(flow=np.zeros((2, 3, 2), complex)), "write real numbers"),
    (".npz", npz_bytes(flow=np.array([{}], object)), "write real numbers"),
    (".npz", npz_bytes(flow=np.zeros((2, 3, 2)), valid=np.ones((3, 2), bool)), "valid has shape"),
    (".npz", npz_bytes(zipfile.ZIP_LZMA, flow=np.zeros((2, 3, 2))), "do not fit"),
    (".npz", npz_bytes(flow=npy_claiming("(99999, 99999, 2)")), "do not fit"),
    (".npz", npz_bytes(flow=npy_claiming("(-1, 3, 2)")), "write real numbers"),
    (".npz", npz_bytes(flow=npy_claiming("(10**30, 3, 2)")), "damaged"),
    (".npz", npz_bytes(flow=npy_claiming(f"({10**30}, 3, 2)")), "write real numbers"),
    (".npz", npz_bytes(flow=npy_claiming("(1, 1, 2)", data=bytes(7))), "do not fit"),
    (".npz", npz_bytes(flow=b"no header"), "damaged"),
    (".png", b"\x89PNG\r\n\x1a\n", "damaged PNG header"),
    (".png", b"\xff\xd8\xff", "not a PNG"),
    (".flo", b"", "is empty"),
]


@pytest.mark.parametrize(("suffix", "data", "part"), LIES)
def test_headers_that_lie_are_refused(tmp_path: Path, suffix: str, data: bytes, part: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    with pytest.raises(PatchBatchError, match=part) as caught:
        read_flow(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", FLOW_SUFFIXES)
def test_damaged_files_end_in_a_flow_or_in_our_error(tmp_path: Path, suffix: str) -> None:
    random = np.random.default_rng(5)
    path = tmp_path / f"a{suffix}"
    write_flow(path, random.normal(0, 9, (6, 7, 2)), random.random((6, 7)) > 0.3, random.random((6, 7)))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for turn in range(250):
        data = whole[: random.integers(1, len(whole))] if turn % 5 == 0 else whole
        data = data.copy()
        data[random.integers(0, min(len(data), random.choice([30, len(data)])), 2)] = random.integers(
            0, 256, 2
        )
        path.write_bytes(data.tobytes())
        try:
            flow, valid = read_flow(path)
        except PatchBatchError as error:
            assert "\n" not in str(error)
        else:
            assert np.isfinite(flow).all()
            assert flow.shape == (*valid.shape, 2)


def test_no_pickle_is_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    (tmp_path / "a.npz").write_bytes(npz_bytes(flow=np.array([Trap()], object)))
    with pytest.raises(PatchBatchError):
        read_flow(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["a.txt", "a", "a.flo5", ".flo"])
def test_an_unknown_suffix_lists_the_known(name: str) -> None:
    for act in (lambda: read_flow(name), lambda: write_flow(name, flow_of((1, 2)))):
        with pytest.raises(PatchBatchError, match=r"\.flo, \.png, \.pfm, \.npz"):
            act()


@pytest.mark.parametrize(
    ("flow", "valid", "part"),
    [
        (np.zeros((3, 4)), None, "shape"),
        (np.zeros((2, 3, 4)), None, "u, v come last"),
        (np.zeros((0, 4, 2)), None, "shape"),
        (np.zeros((3, 4, 2), complex), None, "complex"),
        (np.zeros((3, 4, 2)), np.ones((4, 3)), "mask"),
    ],
)
@pytest.mark.parametrize("suffix", FLOW_SUFFIXES)
def test_a_bad_array_is_refused_and_nothing_written(
    tmp_path: Path, suffix: str, flow: np.ndarray, valid: np.ndarray | None, part: str
) -> None:
    with pytest.raises(PatchBatchError, match=part):
        write_flow(tmp_path / f"a{suffix}", flow, valid)
    assert not list(tmp_path.iterdir())


def test_writers_leave_the_callers_arrays_alone() -> None:
    flow, valid = flow_of((1, 2), (3, np.nan)), np.array([[False, True]])
    kept = flow.copy()
    known, mask = known_flow(flow, valid)
    np.testing.assert_array_equal(flow, kept)
    np.testing.assert_array_equal(known, np.zeros((1, 2, 2)))
    np.testing.assert_array_equal(valid, [[False, True]])
    assert not mask.any()


def test_float_maps_that_cannot_be_written(tmp_path: Path) -> None:
    for values in (np.zeros((3, 4, 2)), np.zeros(3), np.zeros((0, 2)), np.zeros((2, 2), complex)):
        with pytest.raises(PatchBatchError, match="PFM"):
            write_pfm(tmp_path / "a.pfm", values)
    with pytest.raises(PatchBatchError, match="at most 99999"):
        write_flo(tmp_path / "a.flo", np.zeros((1, 100_000, 2), np.float32))


def test_disparities(tmp_path: Path) -> None:
    (tmp_path / "k.png").write_bytes(opencv_bytes(np.array([[0, 256, 65535]], np.uint16)))
    disparity, valid = read_kitti_disparity(tmp_path / "k.png")
    np.testing.assert_array_equal(disparity, np.float32([[0, 1, 65535 / 256]]))
    np.testing.assert_array_equal(valid, [[False, True, True]])
    (tmp_path / "m.png").write_bytes(opencv_bytes(np.array([[0, 4, 255]], np.uint8)))
    disparity, valid = read_middlebury_disparity(tmp_path / "m.png", 4)
    np.testing.assert_array_equal(disparity, [[0, 1, 63.75]])
    np.testing.assert_array_equal(valid, [[False, True, True]])
    with pytest.raises(PatchBatchError, match="16-bit grey"):
        read_kitti_disparity(tmp_path / "m.png")
    for scale in (0, -1, np.nan, np.inf):
        with pytest.raises(PatchBatchError, match="scale"):
            read_middlebury_disparity(tmp_path / "m.png", scale)
    (tmp_path / "c.png").write_bytes(opencv_bytes(np.zeros((2, 2, 3), np.uint8)))
    with pytest.raises(PatchBatchError, match="colour"):
        read_middlebury_disparity(tmp_path / "c.png", 4)


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.flo"
    path.write_text("old")
    for failure in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(failure), atomic_path(path) as temporary:
            temporary.write_text("half")
            raise failure
    with (
        pytest.raises(PatchBatchError, match=r"a\.flo cannot be written \(the disk is full\)"),
        atomic_path(path) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_write_goes_through_links_with_the_usual_rights(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "link.flo").symlink_to("real.flo")
    with atomic_path(tmp_path / "link.flo") as temporary:
        assert temporary.parent == tmp_path.resolve()
        assert temporary.suffix == ".flo"
        temporary.touch()
    assert (tmp_path / "link.flo").is_symlink()
    assert (tmp_path / "real.flo").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name, part in [
        ("none/a.flo", "folder .*none does not exist; create it or choose another"),
        ("file/a.flo", "does not exist"),
        ("", "is a folder"),
        ("loop", "loop"),
        ("a\0.flo", "no usable file name"),
        ("n" * 300 + "/a", "does not exist|too long"),
    ]:
        with pytest.raises(PatchBatchError, match=part), atomic_path(os.path.join(tmp_path, name)):
            pytest.fail("the block must not run")
    with pytest.raises(PatchBatchError, match="is a folder, a pipe or a device"), atomic_path(os.devnull):
        pytest.fail("the block must not run")


def test_real_files_come_back_byte_for_byte(real_data: Path, tmp_path: Path) -> None:
    for path in sorted((real_data / "flow").rglob("*.flo")):
        flow, valid = read_flow(path)
        write_flo(tmp_path / "a.flo", flow, valid)
        if valid.all():  # Middlebury's own unknown marks differ from 1e10
            assert (tmp_path / "a.flo").read_bytes() == path.read_bytes()
    for path in sorted((real_data / "flow").rglob("flow_occ/*.png"))[:2]:
        flow, valid = read_flow(path)
        assert 0.1 < valid.mean() < 0.5
        write_kitti_flow(tmp_path / "a.png", flow, valid)
        np.testing.assert_array_equal(read_flow(tmp_path / "a.png")[0], flow)
