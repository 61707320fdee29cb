"""dlib's network in torch: a file of its layout, layer by layer; where dlib is, the two are compared."""

import importlib.util
import struct

import numpy as np
import pytest
import torch
from torch import nn

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings.detection import dlib_file
from patchbatch.transfer.embeddings.dlib_file import DlibFile
from patchbatch.transfer.embeddings.dlib_net import DlibFaceNet
from patchbatch.transfer.embeddings.named import DLIB_WEIGHTS

WITH_WEIGHTS = importlib.util.find_spec("face_recognition_models") is not None


def whole(value):
    size = max(1, (value.bit_length() + 7) // 8)
    return bytes([size]) + value.to_bytes(size, "little")


def layer(name, values, sides, before=()):
    return b"".join(
        [bytes([1, len(name)]), name.encode(), *map(whole, before), whole(2), *map(whole, sides),
         struct.pack(f"<{len(values)}f", *values), whole(7)]
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file as dlib writes it, with weights of our own, and the same convolutions as plain torch layers."""
    generator = torch.Generator().manual_seed(0)
    parts, plain = [b"\x01\x01"], []
    for inputs, outputs, size in convolutions():
        weight = torch.randn(outputs, inputs, size, size, generator=generator) * (inputs * size**2) ** -0.5
        bias = torch.randn(outputs, generator=generator) * 0.1
        gain, shift = (
            1 + torch.rand(outputs, generator=generator),
            torch.randn(outputs, generator=generator) * 0.1,
        )
        values = torch.cat([weight.flatten(), bias])
        parts.append(layer("con_4", values.tolist(), (len(values), 1, 1, 1)))
        parts.append(layer("affine_", torch.cat([gain, shift]).tolist(), (2 * outputs, 1, 1, 1)))
        plain.append((weight, bias, gain, shift))
    last = torch.randn(256, 128, generator=generator) / 16
    parts.append(layer("fc_2", last.flatten().tolist(), (256, 128, 1, 1), before=(128, 256)))
    path = tmp_path_factory.mktemp("dlib") / "net.dat"
    path.write_bytes(b"".join(parts))
    return path, plain, last


def convolutions():
    """(inputs, outputs, size) of the 29 convolutions, by dnn_face_recognition_ex.cpp."""
    found, inputs = [(3, 32, 7)], 32
    for outputs, units in ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1)):
        for _ in range(units):
            found += [(inputs, outputs, 3), (outputs, outputs, 3)]
            inputs = outputs
    return found


def by_definition(plain, last, chips):
    """dlib's layers one by one: convolution, scale, and sums over maps that lack channels or rows."""
    mean = torch.tensor([122.782, 117.001, 104.298])[:, None, None]
    taken = iter(plain)

    def scaled(x, stride):
        weight, bias, gain, shift = next(taken)
        padding = 0 if stride > 1 else weight.shape[-1] // 2
        x = nn.functional.conv2d(x, weight, bias, stride, padding)
        return x * gain[:, None, None] + shift[:, None, None]

    x = nn.functional.max_pool2d(scaled((chips - mean) / 256, 2).relu(), 3, 2)
    for outputs, units in ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1)):
        for unit in range(units):
            halves = unit == 0 and outputs != 32
            changed = scaled(scaled(x, 2 if halves else 1).relu(), 1)
            short = nn.functional.avg_pool2d(x, 2, 2) if halves else x
            total = torch.zeros(
                len(x), *(max(a, b) for a, b in zip(changed.shape[1:], short.shape[1:], strict=True))
            )
            for one in (changed, short):
                total[:, : one.shape[1], : one.shape[2], : one.shape[3]] += one
            x = total.relu()
    return x.mean(dim=(2, 3)) @ last


def test_layers_by_definition(written):
    path, plain, last = written
    chips = torch.rand(2, 3, 150, 150, generator=torch.Generator().manual_seed(1)) * 255
    found = DlibFaceNet(path)(chips)
    assert found.shape == (2, 128)
    torch.testing.assert_close(found, by_definition(plain, last, chips), rtol=1e-4, atol=1e-5)
    assert found.std() > 1e-3


def test_a_cut_file_and_another_file_are_one_line(written, tmp_path):
    path, _, _ = written
    content = path.read_bytes()
    cut, other, swapped = (tmp_path / name for name in ("cut.dat", "other.dat", "swapped.dat"))
    cut.write_bytes(content[: len(content) // 2])
    other.write_bytes(b"\x00" * 1000)
    first, second = content.index(b"\x01\x05con_4"), content.index(b"\x01\x05con_4", 100)
    swapped.write_bytes(content[second:] + content[first:second])
    for file, words in ((cut, "should be at byte"), (other, "a layer con_4"), (swapped, "does not hold")):
        with pytest.raises(PatchBatchError, match=words) as caught:
            DlibFaceNet(file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(PatchBatchError, match="a layer relu"):
        DlibFile(path).parameters("relu_")


@pytest.mark.skipif(
    not WITH_WEIGHTS, reason="face_recognition_models is not installed, see the extra [faces]"
)
def test_the_same_numbers_as_dlib():
    dlib = pytest.importorskip("dlib", reason="dlib is not installed, see the extra [faces]")
    path = dlib_file(DLIB_WEIGHTS)
    chips = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), np.uint8)
    theirs = dlib.face_recognition_model_v1(str(path))
    wanted = np.stack([np.array(theirs.compute_face_descriptor(chip)) for chip in chips])
    found = DlibFaceNet(path)(torch.from_numpy(chips).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PatchBatchError, match=r"pip install 'patchbatch\[faces\]'"):
        dlib_file(DLIB_WEIGHTS)
