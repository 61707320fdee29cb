"""Images: every kind of file and array, and every way of being none."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from patchbatch.data import as_float, load_image, read_image, to_grey, to_rgb, write_image
from patchbatch.errors import PatchBatchError

RGB = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)


def pillow_bytes(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def opencv_bytes(pixels: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".tga", ".pcx"])
def test_lossless_formats_give_the_stored_rgb(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RGB).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), RGB)


def test_grey_and_sixteen_bits_stay_as_stored(tmp_path: Path) -> None:
    deep = RGB.astype(np.uint16) * 257 - 5
    for name, pixels in [("g8", RGB[..., 0]), ("g16", deep[..., 0])]:
        (tmp_path / name).write_bytes(opencv_bytes(pixels))
        np.testing.assert_array_equal(read_image(tmp_path / name), pixels)
    (tmp_path / "c16").write_bytes(opencv_bytes(deep[..., ::-1]))
    np.testing.assert_array_equal(read_image(tmp_path / "c16"), deep)


def test_palette_is_expanded_and_alpha_dropped(tmp_path: Path) -> None:
    picture = Image.fromarray(RGB)
    palette = picture.convert("P")
    cases = {
        "palette": (pillow_bytes(palette), np.asarray(palette.convert("RGB"))),
        "transparent": (pillow_bytes(palette, transparency=3), np.asarray(palette.convert("RGB"))),
        "rgba": (pillow_bytes(picture.convert("RGBA")), RGB),
        "grey_alpha": (pillow_bytes(picture.convert("LA")), np.asarray(picture.convert("L"))),
        "one_bit": (pillow_bytes(picture.convert("1")), np.asarray(picture.convert("1")) * np.uint8(255)),
    }
    for name, (data, expected) in cases.items():
        (tmp_path / name).write_bytes(data)
        np.testing.assert_array_equal(read_image(tmp_path / name), expected, err_msg=name)


def test_gif_gives_its_first_frame(tmp_path: Path) -> None:
    flat = np.zeros((9, 8, 3), np.uint8)
    flat[:4] = (255, 0, 0)
    pages = [Image.fromarray(page) for page in (flat, flat[::-1].copy())]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(to_rgb(load_image(tmp_path / "a.gif")), flat / np.float32(255))


def test_orientation_in_the_metadata_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    (tmp_path / "a.jpg").write_bytes(pillow_bytes(Image.fromarray(RGB), "JPEG", exif=exif))
    assert read_image(tmp_path / "a.jpg").shape == RGB.shape


def test_name_may_hold_any_character(tmp_path: Path) -> None:
    write_image(tmp_path / "Übergröße 光.png", RGB)
    np.testing.assert_array_equal(read_image(str(tmp_path / "Übergröße 光.png")), RGB)


def test_files_that_are_no_image_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello, this is no image")
    (tmp_path / "program.gif").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "float.pfm").write_bytes(b"Pf\n1 1\n-1\n\0\0\0\0")
    for name, part in [
        ("none.png", "does not exist"),
        ("", "is a folder"),
        ("empty.png", "is empty"),
        ("text.png", "not an image"),
        ("program.gif", "not an image"),
        ("float.pfm", r"a float map \(.pfm\)"),
        ("a\0b.png", "cannot be read"),
    ]:
        path = os.path.join(tmp_path, name)
        with pytest.raises(PatchBatchError, match=part) as caught:
            read_image(path)
        assert str(caught.value).startswith(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".ppm", ".gif", ".webp"])
def test_a_cut_file_is_refused(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    whole = opencv_bytes(np.random.default_rng(1).integers(0, 256, (60, 70, 3), dtype=np.uint8), suffix)
    for length in (1, 2, 9, len(whole) // 3, len(whole) - 40, len(whole) - 3):
        (tmp_path / f"a{suffix}").write_bytes(whole[:length])
        if suffix in (".png", ".jpg") or length < len(whole) // 2:
            with pytest.raises(PatchBatchError, match="a" + suffix):
                read_image(tmp_path / f"a{suffix}")
    assert capfd.readouterr().err == ""


def test_float_form_divides_by_the_largest_value() -> None:
    np.testing.assert_array_equal(as_float(np.array([[0, 51, 255]], np.uint8)), np.float32([[0, 0.2, 1]]))
    np.testing.assert_array_equal(as_float(np.array([[0, 65535]], np.uint16)), [[0, 1]])
    np.testing.assert_array_equal(as_float(np.array([[False, True]])), [[0, 1]])
    np.testing.assert_array_equal(as_float(np.array([[-0.1, 0.25, 1.3]])), [[0, 0.25, 1]])


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 1), (2, 5, 3), (2, 5, 4)])
def test_float_form_of_every_shape_and_type(shape: tuple[int, ...], kind: type) -> None:
    image = as_float(np.ones(shape, kind))
    assert image.shape == ((2, 5, 3) if shape[2:] in ((3,), (4,)) else (2, 5))
    assert image.dtype == np.float32
    assert image.flags.c_contiguous


@pytest.mark.parametrize(
    ("image", "part"),
    [
        (np.zeros((3, 4, 2), np.uint8), r"\(3, 4, 2\)"),
        (np.zeros((3, 20, 20), np.uint8), "move its axes"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((1, 3, 4, 3), np.uint8), "shape"),
        (np.zeros((0, 4)), "no pixels"),
        (np.zeros((3, 4), np.complex64), "complex64"),
        (np.zeros((3, 4), np.int32), "int32"),
        (np.full((3, 4), np.nan), "NaN or infinity"),
        (np.full((3, 4), -np.inf), "NaN or infinity"),
        (np.full((3, 4), 200.0), "divide by 255"),
        (np.full((3, 4), 1e300), "divide by 255"),
        (np.full((3, 4), -1.0), "divide by 255"),
        ([[1, 2]], "list"),
        (None, "NoneType"),
    ],
)
def test_arrays_that_are_no_image_are_refused(image: object, part: str) -> None:
    with pytest.raises(PatchBatchError, match=part):
        load_image(image)  # type: ignore[arg-type]


def test_grey_has_opencvs_weights() -> None:
    image = as_float(RGB)
    np.testing.assert_allclose(to_grey(image), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), atol=2e-7)
    np.testing.assert_allclose(
        to_grey(np.float32([[[1, 0, 0], [0, 1, 0], [0, 0, 1]]])), [[0.299, 0.587, 0.114]]
    )
    assert to_grey(np.ones((4, 4, 3), np.float32)).max() <= 1


def test_rgb_of_grey_repeats_it() -> None:
    grey = as_float(RGB[..., 1])
    np.testing.assert_array_equal(to_rgb(grey), np.stack([grey] * 3, axis=2))
    np.testing.assert_array_equal(to_grey(grey), grey)
    assert to_rgb(as_float(RGB)).shape == RGB.shape


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda kind: arrays(kind, st.sampled_from([(1, 1), (3, 2), (1, 1, 3), (2, 3, 3)]))
    ),
    st.sampled_from([".png", ".tif", ".TIFF"]),
)
def test_lossless_round_trip(
    tmp_path_factory: pytest.TempPathFactory, image: np.ndarray, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"image{suffix}"
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path), image)


def test_floats_are_rounded_and_bool_is_black_and_white(tmp_path: Path) -> None:
    write_image(tmp_path / "f.png", np.array([[0.0, 0.5019, 1.2]]))
    np.testing.assert_array_equal(read_image(tmp_path / "f.png"), [[0, 128, 255]])
    write_image(tmp_path / "b.bmp", np.array([[True, False]]))
    np.testing.assert_array_equal(to_grey(load_image(tmp_path / "b.bmp")), [[1, 0]])
    write_image(tmp_path / "g.ppm", RGB[..., 0])
    np.testing.assert_array_equal(read_image(tmp_path / "g.ppm")[..., 2], RGB[..., 0])


@pytest.mark.parametrize(
    ("name", "image", "part"),
    [
        ("a.xyz", RGB, "choose one of these"),
        ("a", RGB, "choose one of these"),
        ("a.jpg", RGB.astype(np.uint16), "holds 8 bits"),
        ("a.png", RGB[None], "shape"),
        ("none/a.png", RGB, "folder .*none does not exist"),
        ("a.jpg", np.zeros((1, 70000), np.uint8), "cannot hold"),
    ],
)
def test_images_that_cannot_be_written(tmp_path: Path, name: str, image: np.ndarray, part: str) -> None:
    with pytest.raises(PatchBatchError, match=part):
        write_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


def test_every_kitti_image_reads_as_pillow_does(real_data: Path) -> None:
    for path in sorted((real_data / "flow").glob("kitti201*/training/image_*/*.png")):
        np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path)), err_msg=str(path))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF"])
def test_no_file_of_66_kb_takes_a_gigabyte(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    options = {"WEBP": {"lossless": True}, "PNG": {}, "TIFF": {"compression": "tiff_adobe_deflate"}}
    Image.new("RGBA" if kind == "WEBP" else "P", (5830, 5830)).save(path, kind, **options[kind])
    assert path.stat().st_size < 66_000
    code = (
        "import resource, sys\n"
        "from patchbatch.data import load_image\n"
        "image = load_image(sys.argv[1])\n"
        "print(image.shape[:2], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    ).stdout
    assert told.startswith("(5830, 5830) ")
    assert int(told.split()[-1]) < 1_000_000  # kB
