"""What a network makes of patches that callers hand in: the same, or one line."""

import warnings

import numpy as np
import pytest
import torch

from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError

SMALL = PatchNetConfig(
    patch_size=62,
    partial_windows=False,
    normalization="per-channel",
    channels=(2, 3, 4, 5, 6),
    unit_length=True,
)
BYTES = np.random.default_rng(0).integers(0, 256, (3, 1, 62, 62), np.uint8)
FLOATS = torch.from_numpy(BYTES.astype(np.float32) / 255)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return PatchNet(SMALL).eval().requires_grad_(False)


@pytest.mark.parametrize(
    "patches",
    [BYTES, torch.from_numpy(BYTES), BYTES.astype(np.uint16) * 257, FLOATS.double(), FLOATS.numpy(),
     FLOATS.tolist(), FLOATS.numpy().astype(np.float64)],
)  # fmt: skip
def test_the_scale_and_type_of_patches_do_not_matter(net, patches):
    expected = net.evaluate(FLOATS)
    assert float((net.evaluate(FLOATS * 255) - expected).abs().max()) > 0.1  # what was taken in silence
    torch.testing.assert_close(net(patches), expected)


@pytest.mark.parametrize(
    ("patches", "says"),
    [
        (FLOATS * 255, r"span \[0, 255\]; divide by 255"),
        (FLOATS.numpy() * 65535, "divide by 255"),
        (FLOATS * np.nan, "NaN or infinity"),
        (FLOATS.long(), "are torch.int64"),
        (BYTES.tolist(), "are torch.int64"),
        (FLOATS[:, 0], r"shape \(3, 62, 62\)"),
        (FLOATS[..., :51, :51], r"takes \(N, 1, 62, 62\)"),
        (FLOATS.to("meta"), "on meta but the network is on cpu"),
        ("patches", "give an array of numbers"),
        (FLOATS + 0j, "complex64"),
    ],
)
def test_other_patches_are_refused_in_one_line(net, patches, says):
    with pytest.raises(PatchBatchError, match=says) as caught:
        net(patches)
    assert "\n" not in str(caught.value)


def test_no_patches_give_no_descriptors(net):
    assert net(FLOATS[:0]).shape == (0, 6)
    assert net(FLOATS + 0.3).shape == (3, 6)  # what a resampling overshoots


def test_gradients_and_number_types_are_those_of_torch(net):
    patches = FLOATS.clone().requires_grad_()
    net(patches)[0, 0].backward()
    assert patches.grad.abs().sum() > 0
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(net(FLOATS), net.evaluate(FLOATS))
    double = PatchNet(SMALL).double().eval()
    assert double(FLOATS).dtype == torch.float32 and double(BYTES).shape == (3, 6)


def test_in_training_standardised_patches_are_taken_as_they_are():
    assert PatchNet(SMALL).train()(FLOATS * 40 - 9).shape == (3, 6)


def test_tracing_works_and_scripting_says_why_not(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own future
        traced = torch.jit.trace(net, FLOATS)
        torch.testing.assert_close(traced(FLOATS[:2]), net(FLOATS[:2]))
        with pytest.raises(PatchBatchError, match=r"torch\.jit\.script .* OUT\.pt2"):
            torch.jit.script(net)
