"""Whatever holds the numbers, the stages get the same; what is none is refused in one line."""

import numpy as np
import pytest
import torch
from PIL import Image

from patchbatch.data.given.arrays import as_array
from patchbatch.data.given.descriptors import given_pyramid
from patchbatch.data.given.fields import given_flow_array, given_map
from patchbatch.data.given.images import given_grey, given_image, given_images
from patchbatch.data.images import write_image
from patchbatch.errors import PatchBatchError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (5, 7, 3), np.uint8)
FLOATS = BYTES.astype(np.float32) / 255


def tensor(image):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, 2, 0)))


SAME = {
    "uint8": BYTES,
    "uint16": BYTES.astype(np.uint16) * 257,
    "float32": FLOATS,
    "float64": BYTES / 255,
    "with alpha": np.dstack([BYTES, np.zeros((5, 7), np.uint8)]),
    "batch of one": BYTES[None],
    "list of floats": FLOATS.tolist(),
    "not contiguous": BYTES[::-1][::-1],
    "read only": np.frombuffer(BYTES.tobytes(), np.uint8).reshape(5, 7, 3),
    "tensor, channels first": tensor(BYTES),
    "tensor, channels last": torch.from_numpy(BYTES),
    "tensor, batch of one": tensor(FLOATS)[None],
    "tensor, uint16": tensor(BYTES.astype(np.uint16) * 257),
    "tensor, float64": tensor(FLOATS).double(),
    "tensor with a graph": tensor(FLOATS).requires_grad_() * 1,
    "tensor, sparse": tensor(FLOATS).to_sparse(),
    "tensor, transposed": tensor(FLOATS).transpose(1, 2).contiguous().transpose(1, 2),
    "PIL": Image.fromarray(BYTES),
    "PIL with alpha": Image.fromarray(BYTES).convert("RGBA"),
}


@pytest.mark.parametrize("kind", SAME)
def test_what_holds_an_image_does_not_matter(kind):
    taken = given_image(SAME[kind])
    assert taken.dtype == np.float32 and taken.flags.c_contiguous
    np.testing.assert_allclose(taken, FLOATS, atol=1e-7)


def test_files_are_images_too(tmp_path):
    write_image(tmp_path / "a.png", BYTES)
    for name in (tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_allclose(given_image(name), FLOATS, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_floats_are_taken_to_their_precision(dtype):
    np.testing.assert_allclose(given_image(tensor(FLOATS).to(dtype)), FLOATS, atol=4e-3)


def test_pictures_of_pil_in_every_mode():
    picture = Image.fromarray(BYTES)
    grey = BYTES[..., 0]
    for mode, channels in (("L", 2), ("1", 2), ("LA", 2), ("P", 3), ("CMYK", 3), ("YCbCr", 3), ("HSV", 3)):
        taken = given_image(picture.convert(mode))
        assert taken.ndim == channels and taken.shape[:2] == (5, 7)
        back = np.asarray(picture.convert(mode).convert("RGB" if channels == 3 else "L"))
        np.testing.assert_allclose(taken, back / 255, atol=1e-7)
    sixteen = Image.fromarray(grey.astype(np.uint16) * 257)
    for one in (sixteen, sixteen.convert("I"), Image.fromarray(grey.astype(np.float32) / 255)):
        np.testing.assert_allclose(given_image(one), grey / 255, atol=1e-7)
    with pytest.raises(PatchBatchError, match="32-bit integers"):
        given_image(Image.fromarray(grey.astype(np.int32) * 1000000))


def test_grey_is_the_luma_of_colours():
    np.testing.assert_allclose(given_grey(tensor(BYTES)), FLOATS @ [0.299, 0.587, 0.114], atol=1e-6)
    assert given_grey(torch.from_numpy(BYTES[..., :1])).shape == (5, 7)
    assert given_image(torch.zeros(1, 5, 7)).shape == (5, 7)
    assert given_image(torch.zeros(3, 5, 3)).shape == (5, 3, 3)  # channels first, if they could be both


REFUSED = {
    "to 255": (FLOATS * 255, r"spans \[0, 2\d\d\]; divide by 255"),
    "tensor to 255": (tensor(FLOATS) * 255, "divide by 255"),
    "to -1": (FLOATS * 2 - 1, "span"),
    "integers": (BYTES.astype(np.int64), "not int64; convert it"),
    "list of integers": (BYTES.tolist(), "not int64; convert it"),
    "NaN": (np.where(FLOATS > 0.5, np.nan, FLOATS), "NaN or infinity"),
    "infinity": (tensor(FLOATS) / 0, "NaN or infinity"),
    "complex": (FLOATS * 1j, "numbers of type complex"),
    "ragged": ([[0.0, 1.0], [0.5]], "give an array of numbers"),
    "words": ([["a", "b"]], "give an array of numbers"),
    "none": (None, "give an array of numbers"),
    "a dictionary": ({"image": 1}, "give an array of numbers"),
    "meta": (torch.zeros(3, 5, 7, device="meta"), "device meta and holds no numbers"),
    "masked": (np.ma.masked_greater(FLOATS, 0.5), "masked; fill them"),
    "a batch": (np.stack([BYTES, BYTES]), "a batch of 2 images"),
    "channels first in numpy": (np.moveaxis(BYTES, 2, 0), "move its axes"),
    "two channels": (BYTES[..., :2], "has shape"),
    "a row": (FLOATS[0, 0], "has shape"),
    "nothing": (np.zeros((0, 7)), "no pixels"),
    "no pixels": (torch.zeros(3, 0, 7), "no pixels"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_refused_in_one_line(kind):
    image, says = REFUSED[kind]
    with np.errstate(all="ignore"), pytest.raises(PatchBatchError, match=says) as caught:
        given_image(image, "image 1")
    assert str(caught.value).startswith("image 1") and "\n" not in str(caught.value)


def test_batches_are_told_from_single_images():
    for single in (
        BYTES,
        FLOATS.tolist(),
        tensor(BYTES),
        "a.png",
        Image.fromarray(BYTES),
        [np.zeros(3)] * 2,
        [],
    ):
        assert given_images(single) is None
    for many in (np.stack([BYTES] * 2), torch.stack([tensor(BYTES)] * 2), ["a.png", "b.png"], [BYTES, BYTES],
                 (tensor(BYTES),) * 2, [Image.fromarray(BYTES)] * 2):  # fmt: skip
        assert len(given_images(many)) == 2


FLOW = RNG.normal(size=(5, 7, 2)).astype(np.float32)


@pytest.mark.parametrize(
    "flow",
    [FLOW, FLOW.astype(np.float64), FLOW.tolist(), FLOW[None], tensor(FLOW), tensor(FLOW)[None],
     torch.tensor(FLOW), tensor(FLOW).requires_grad_()],
)  # fmt: skip
def test_what_holds_a_flow_does_not_matter(flow):
    taken = given_flow_array(flow, (5, 7))
    assert taken.dtype == np.float32 and taken.flags.c_contiguous
    np.testing.assert_array_equal(taken, FLOW)


@pytest.mark.parametrize(
    ("flow", "says"),
    [
        (np.moveaxis(FLOW, 2, 0), r"the flow has shape \(2, 5, 7\); give \(5, 7, 2\)"),
        (FLOW[:4], "has shape"),
        (np.stack([FLOW, FLOW]), "has shape"),
        (FLOW * np.nan, "not finite"),
        (FLOW * 1e12, "beyond 1e9"),
        (tensor(FLOW).to("meta"), "meta"),
        ("word", "give an array"),
    ],
)
def test_what_is_no_flow_is_refused(flow, says):
    with pytest.raises(PatchBatchError, match=says):
        given_flow_array(flow, (5, 7))


def test_maps_have_the_size_of_the_image_and_lie_in_0_to_1():
    sure = RNG.random((5, 7), np.float32)
    for given in (
        sure,
        sure.astype(np.float64),
        sure.tolist(),
        torch.from_numpy(sure)[None, None],
        sure[None],
    ):
        np.testing.assert_allclose(given_map(given, (5, 7), "the confidence"), sure, atol=1e-7)
    assert given_map(sure > 0.5, (5, 7), "the edge map").dtype == np.float32
    wrong = (
        (sure[:4], "has shape"),
        (sure - 1, "negative"),
        (sure * np.nan, "not finite"),
        (sure * 255, "divide"),
    )
    for given, says in wrong:
        with pytest.raises(PatchBatchError, match=says):
            given_map(given, (5, 7), "the confidence")


def test_descriptors_are_taken_from_arrays_tensors_and_lists():
    first, second = RNG.random((5, 7, 4), np.float32), RNG.random((3, 4, 4), np.float32)
    for given in (
        first,
        torch.from_numpy(first),
        [first],
        [first, torch.from_numpy(second)],
        (first, second),
    ):
        levels = given_pyramid(given, "descriptors 1")
        torch.testing.assert_close(levels[0], torch.from_numpy(first))
        assert all(isinstance(level, torch.Tensor) for level in levels)
    assert given_pyramid((first * 9).astype(np.uint8), "descriptors")[0].dtype == torch.float32
    assert given_pyramid(first.astype(np.float64), "descriptors")[0].dtype == torch.float32
    assert given_pyramid(torch.from_numpy(first).bfloat16().requires_grad_(), "d")[0].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "empty"),
        (np.zeros((5, 7)), "one image at a time"),
        (np.zeros((2, 5, 7, 4)), "one image at a time"),
        (np.full((5, 7, 4), np.nan), "not finite"),
        (torch.zeros(5, 7, 4, device="meta"), "meta"),
        (torch.zeros(5, 7, 4, dtype=torch.complex64), "complex"),
        ([np.zeros((5, 7, 4)), np.zeros((2, 3, 4))], r"give \(3, 4, 4\) there"),
        (3, "give tensors"),
        (["word"], "give an array"),
    ],
)
def test_what_are_no_descriptors_is_refused(given, says):
    with pytest.raises(PatchBatchError, match=says):
        given_pyramid(given, "descriptors 1")


def test_numbers_keep_their_type_if_asked_to():
    assert as_array(torch.zeros(2, dtype=torch.uint8), "x", None).dtype == np.uint8
    assert as_array([1, 2], "x", None).dtype == np.int64
    assert as_array(torch.tensor(3 + 0j).real, "x") == 3
