"""Every public function that takes images takes them in every form, and refuses what is none in one line."""

import numpy as np
import pytest
import torch
from PIL import Image

import patchbatch
from flow.alignment import find_alignment
from flow.edges import gradient_edges, network_edges, saliency
from flow.results.warping import warp
from patchbatch.descriptors import DenseDescriptor, PatchDescriptor
from patchbatch.errors import PatchBatchError

RNG = np.random.default_rng(0)
SHAPE = (12, 16)
BYTES = RNG.integers(0, 256, (*SHAPE, 3), np.uint8)
FLOATS = BYTES.astype(np.float32) / 255
FIRST = torch.from_numpy(np.moveaxis(FLOATS, 2, 0).copy())
FLOW = np.full((*SHAPE, 2), 0.25, np.float32)
MATCHES = np.float32([[3, 4, 5, 4], [9, 8, 11, 8], [12, 3, 14, 3]])


@pytest.fixture(scope="module")
def net():
    return patchbatch.load_model("compact")


def mean(patches):
    return patches.mean(dim=(2, 3))


def in_one(grey):
    return grey[..., None]


DOORS = {
    "estimate_flow": lambda net, image: patchbatch.estimate_flow(image, FLOATS, matches=MATCHES).flow,
    "image 2": lambda net, image: patchbatch.estimate_flow(FLOATS, image, initial_flow=FLOW).flow,
    "describe": lambda net, image: patchbatch.describe(image, net, "float32"),
    "describe_pyramid": lambda net, image: patchbatch.describe_pyramid(image, net, precision="float32")[0],
    "describe_points": lambda net, image: patchbatch.describe_points(image, net, [[3, 4]], "float32"),
    "PatchNet": lambda net, image: net.describe_pyramid(image, 1, "float32")[0],
    "PatchDescriptor": lambda net, image: PatchDescriptor("mean", mean, 5).describe(image),
    "PatchDescriptor, at": lambda net, image: PatchDescriptor("mean", mean, 5).at(image, np.array([[3, 4]])),
    "DenseDescriptor": lambda net, image: DenseDescriptor("g", in_one, 1, 0).describe(image),
    "interpolate": lambda net, image: patchbatch.interpolate(MATCHES, image)[0],
    "refine": lambda net, image: patchbatch.refine(FLOW, image, FLOATS),
    "refine, image 2": lambda net, image: patchbatch.refine(FLOW, FLOATS, image),
    "gradient_edges": lambda net, image: gradient_edges(image),
    "saliency": lambda net, image: saliency(image),
    "network_edges": lambda net, image: network_edges(image),
    "find_alignment": lambda net, image: torch.tensor(find_alignment(image, FLOATS) is None),
    "warp": lambda net, image: warp(image, FLOW),
}  # fmt: skip
FORMS = {
    "uint8": BYTES,
    "float64": BYTES / 255,
    "list": FLOATS.tolist(),
    "tensor": FIRST,
    "tensor with a graph": FIRST[None].double().requires_grad_(),
    "PIL": Image.fromarray(BYTES),
}
NONE = {
    "to 255": FLOATS * 255,
    "tensor to 255": FIRST * 255,
    "integers": BYTES.astype(np.int32),
    "NaN": FLOATS * np.nan,
    "meta": FIRST.to("meta"),
    "a shape": FLOATS[..., :2],
    "a row": FLOATS[0, :, 0],
    "none": None,
}


@pytest.mark.parametrize("door", DOORS)
def test_every_form_gives_the_same(door, net):
    expected = torch.as_tensor(DOORS[door](net, FLOATS))
    for form, image in FORMS.items():
        made = torch.as_tensor(DOORS[door](net, image))
        if made.ndim == 4:  # a batch of one is described as a batch
            made = made[0]
        torch.testing.assert_close(made, expected, atol=1e-4, rtol=0, msg=form)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", NONE)
def test_what_is_no_image_is_one_line_everywhere(door, kind, net):
    with pytest.raises(PatchBatchError) as caught:
        DOORS[door](net, NONE[kind])
    assert "\n" not in str(caught.value)


def test_a_batch_is_described_or_refused(net):
    both = torch.stack([FIRST, FIRST.flip(2)])
    together = patchbatch.describe(both, net, "float32")
    assert together.shape == (2, *SHAPE, 64)
    torch.testing.assert_close(together[1], patchbatch.describe(both[1], net, "float32"))
    listed = patchbatch.describe([FLOATS, Image.fromarray(BYTES[:5])], net, "float32")
    assert [tuple(one.shape[:2]) for one in listed] == [SHAPE, (5, 16)]
    for door in ("estimate_flow", "describe_pyramid", "interpolate", "refine", "warp"):
        with pytest.raises(PatchBatchError, match="batch of 2 images"):
            DOORS[door](net, both)


def test_another_module_is_no_model_in_one_line():
    for model in (torch.nn.Identity(), torch.nn.Linear(2, 2), "compact", None):
        for function in (patchbatch.describe, patchbatch.describe_pyramid):
            with pytest.raises(PatchBatchError, match="no network from load_model"):
                function(FLOATS, model)
        with pytest.raises(PatchBatchError, match="no network from load_model"):
            patchbatch.describe_points(FLOATS, model, [[0, 0]])


@pytest.mark.parametrize("points", [[[3.0, 4.0]], np.array([[3, 4]], np.uint8), torch.tensor([[3, 4]])])
def test_points_are_taken_in_every_form(net, points):
    described = patchbatch.describe_points(FLOATS, net, points, "float32")
    torch.testing.assert_close(
        described[0], patchbatch.describe(FLOATS, net, "float32")[4, 3], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([[3.5, 4]], "between pixels"),
        ([3, 4], r"give \(N, 2\)"),
        ([[np.nan, 1]], "not finite"),
        ("x", "numbers"),
    ],
)
def test_points_that_are_none_are_refused(net, points, says):
    with pytest.raises(PatchBatchError, match=says):
        patchbatch.describe_points(FLOATS, net, points)


@pytest.mark.parametrize("form", [MATCHES.tolist(), torch.from_numpy(MATCHES), MATCHES.astype(np.float64)])
def test_matches_are_taken_in_every_form(form):
    expected = patchbatch.estimate_flow(FLOATS, FLOATS, matches=MATCHES, refine=False)
    np.testing.assert_array_equal(
        patchbatch.estimate_flow(FLOATS, FLOATS, matches=form, refine=False).flow, expected.flow
    )
    np.testing.assert_allclose(patchbatch.interpolate(form, FLOATS)[0], expected.flow, atol=1e-5)


def test_flow_edges_and_confidence_are_taken_as_tensors():
    flow, ones = torch.from_numpy(np.moveaxis(FLOW, 2, 0).copy()), torch.ones(1, 1, *SHAPE)
    expected = patchbatch.refine(FLOW, FLOATS, FLOATS)
    for given in (flow, flow[None], FLOW.tolist(), torch.from_numpy(FLOW)):
        np.testing.assert_array_equal(patchbatch.refine(given, FIRST, FIRST, confidence=ones), expected)
    by_edges, _ = patchbatch.interpolate(MATCHES, FIRST, ones * 0.5)
    np.testing.assert_array_equal(by_edges, patchbatch.interpolate(MATCHES, FIRST, np.full(SHAPE, 0.5))[0])


def test_matching_takes_arrays_and_says_what_does_not_fit(net):
    levels = patchbatch.describe_pyramid(FLOATS, net, precision="float32")
    as_tensors = patchbatch.match(levels, levels)
    as_arrays = patchbatch.match([level.numpy() for level in levels], tuple(levels))
    np.testing.assert_array_equal(as_tensors.points2, as_arrays.points2)
    assert len(as_tensors) and (as_tensors.vectors == 0).all()
    for one, other, says in (
        (levels[0], levels[0], "needs a list of levels"),
        ([levels[0][..., :9]], levels, "describe both images by one model"),
        ([levels[0] * torch.nan], levels, "descriptors 1 hold numbers that are not finite"),
        (levels, [levels[0][None]], "one image at a time"),
        (levels, None, "descriptors 2 are a NoneType"),
    ):
        with pytest.raises(PatchBatchError, match=says):
            patchbatch.match(one, other)


def test_names_are_found_by_completion_and_load_nothing_before():
    for name in (
        "estimate_flow",
        "describe",
        "match",
        "interpolate",
        "choose",
        "refine",
        "FlowModel",
        "descriptors",
    ):
        assert name in dir(patchbatch)
    assert patchbatch.descriptors.describe is patchbatch.describe
