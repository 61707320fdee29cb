"""The pipeline as torchvision's and OpenCV's programs call it, and its dense stage alone."""

import numpy as np
import pytest
import torch

from flow.interfaces import FlowCalculator, FlowModel, choose
from flow.settings import flow_settings
from flow.synthetic import demo_scene
from patchbatch import describe_pyramid, estimate_flow, judged_matches, load_model, refine
from patchbatch.errors import PatchBatchError


@pytest.fixture(scope="module")
def scene():
    return demo_scene(64, 80)


@pytest.fixture(scope="module")
def expected(scene):
    return estimate_flow(scene.image1, scene.image2, precision="float32")


def batch(image, count=1):
    """As torchvision's transforms make it: `(B, 3, H, W)` in [-1, 1]."""
    return torch.stack([2 * torch.from_numpy(image).permute(2, 0, 1) - 1] * count)


@pytest.fixture(scope="module")
def model():
    return FlowModel(precision="float32")


def test_the_module_gives_what_the_function_gives(model, scene, expected):
    flows = model(batch(scene.image1, 2), batch(scene.image2, 2), num_flow_updates=12)
    assert [tuple(flow.shape) for flow in flows] == [(2, 2, 64, 80)] and flows[-1].dtype == torch.float32
    for flow in flows[-1]:
        assert np.abs(flow.permute(1, 2, 0).numpy() - expected.flow).mean() < 1e-3
    there = model(batch(scene.image1), batch(scene.image2).double().requires_grad_())[-1]
    assert (there[0] - flows[-1][0]).abs().mean() < 1e-3


def test_the_module_is_one(model):
    assert isinstance(model, torch.nn.Module) and not model.training
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in load_model().parameters())
    assert model.to("cpu") is model and set(model.state_dict())


def test_grey_and_colour_and_all_that_is_known(model, scene):
    grey = batch(scene.image1).mean(dim=1, keepdim=True), batch(scene.image2).mean(dim=1, keepdim=True)
    (result,) = model.estimate(*grey)
    assert result.confidence.shape == (64, 80) and len(result.matches)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda image: image * 127.5 + 127.5, r"spans \[.*\]; give floats in \[-1, 1\]"),
        (lambda image: (image * 127.5 + 127.5).to(torch.uint8), "torch.uint8; give floats"),
        (lambda image: image[0], r"give a tensor \(B, 3, H, W\)"),
        (lambda image: image.numpy(), "ndarray; give a tensor"),
        (lambda image: image.permute(0, 2, 3, 1), "give a tensor"),
        (lambda image: image * torch.nan, "NaN or infinity"),
        (lambda image: image.to("meta"), "device meta"),
        (lambda image: image[:0], "give a tensor"),
        (lambda image: image[..., :60], "crop or resize one"),
    ],
)
def test_other_batches_are_refused_in_one_line(model, scene, change, says):
    with pytest.raises(PatchBatchError, match=says) as caught:
        model(change(batch(scene.image1)), batch(scene.image2))
    assert "\n" not in str(caught.value)


def test_calc_writes_where_opencv_does(scene, expected):
    calculator = FlowCalculator(precision="float32")
    bytes1, bytes2 = (np.rint(255 * image).astype(np.uint8) for image in (scene.image1, scene.image2))
    flow = calculator.calc(bytes1, bytes2, None)
    assert np.linalg.norm(flow - expected.flow, axis=2).mean() < 0.1
    assert calculator.result.confidence.shape == (64, 80)
    place = np.zeros((64, 80, 2), np.float32)
    assert calculator.calc(bytes1, bytes2, place) is place
    np.testing.assert_array_equal(place, flow)
    for wrong in (np.zeros((64, 80, 2)), np.zeros((2, 64, 80), np.float32), [0]):
        with pytest.raises(PatchBatchError, match=r"flow is .* give None, or a float32 array"):
            calculator.calc(bytes1, bytes2, wrong)


def test_an_unknown_model_is_said_when_it_is_made():
    for door in (FlowModel, FlowCalculator):
        for wrong in ("compakt", 3, torch.nn.Identity()):
            with pytest.raises(PatchBatchError):
                door(wrong)
        with pytest.raises(PatchBatchError):
            door(preset="kiti")


def test_stage_by_stage_is_the_whole(scene, expected):
    settings = flow_settings()
    net = load_model()
    first, second = (
        describe_pyramid(image, net, precision="float32") for image in (scene.image1, scene.image2)
    )
    judged = judged_matches(first, second, settings.matching)
    chosen = choose(judged, scene.image1, scene.image2, first, second[0].numpy(), settings=settings)
    assert len(judged.matches) == len(expected.matches)
    from_tensor = choose(
        judged, batch(scene.image1) / 2 + 0.5, scene.image2, first, second, settings=settings
    )
    assert np.abs(from_tensor.flow - chosen.flow).mean() < 1e-3
    refined = refine(chosen.flow, scene.image1, scene.image2, settings.refinement, chosen.confidence)
    assert np.abs(refined - expected.flow).mean() < 1e-3 < np.abs(chosen.flow - expected.flow).mean()
    assert chosen.occluded.shape == chosen.confidence.shape == (64, 80)


def test_choosing_refuses_what_does_not_fit(scene):
    net = load_model()
    first = describe_pyramid(scene.image1, net)
    judged = judged_matches(first, first)
    image = scene.image1
    for arguments, says in (
        ((judged.matches, image, image, first, first), "give what judged_matches returns"),
        ((judged, image, image[:50], first, first), "crop or resize one"),
        ((judged, image[:50], image[:50], first, first), "describe these images"),
        ((judged, image * 255, image, first, first), "divide by 255"),
        ((judged, image, image, first, None), "descriptors 2 are a NoneType"),
    ):
        with pytest.raises(PatchBatchError, match=says):
            choose(*arguments)
