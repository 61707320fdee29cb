"""Embeddings through every door, on networks made here; crops in, unit vectors and probabilities out."""

import sys
import types
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings import from_files
from patchbatch.transfer.embeddings.embedding import Embedding
from patchbatch.transfer.embeddings.settings import InputSettings
from patchbatch.transfer.embeddings.sources import load_embedding
from patchbatch.transfer.embeddings.table import CROPS, EMBEDDINGS
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.multiverse.head import MultiverseSettings
from patchbatch.transfer.multiverse.image_net import ImageNet, make_image_net, save_image_net
from patchbatch.transfer.multiverse.table import TrunkConfig

SIDE = 16


class Averages(nn.Module):
    """The means of the four quarters of each channel: easy to foretell."""

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def faces(count=3, seed=0, side=SIDE):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def expected(images, order=slice(None), mean=127.5, deviation=127.5):
    """What `Averages` must give."""
    half = images.shape[1] // 2
    quarters = images[..., order].reshape(len(images), 2, half, 2, half, -1).mean(axis=(2, 4))
    return unit(((quarters - mean) / deviation).transpose(0, 3, 1, 2).reshape(len(images), -1))


@pytest.fixture
def torchscript(tmp_path):
    path = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would rather have other files made
        torch.jit.trace(Averages(), torch.zeros(1, 3, SIDE, SIDE)).save(str(path))
    return path


@pytest.fixture
def onnx_file(tmp_path):
    """`Averages` as ONNX, written by hand so that it needs no exporter of torch."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper = onnx.helper
    half = SIDE // 2
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[half, half], strides=[half, half]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    single = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", single, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", single, [1, 12])],
    )  # fmt: skip
    path = tmp_path / "net.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_torchscript(torchscript, colour):
    embedding = load_embedding(
        torchscript, inputs=InputSettings(side=SIDE, colour=colour, mean=10, deviation=3)
    )
    order = slice(None, None, -1) if colour == "bgr" else slice(None)
    found = embedding.embed(faces())
    np.testing.assert_allclose(found, expected(faces(), order, 10, 3), atol=1e-5)
    assert (embedding.crop, embedding.side) == ("arcface", SIDE)


def test_onnx_by_onnxruntime_says_its_side_and_takes_batches_of_one(onnx_file):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    embedding = load_embedding(onnx_file)
    assert embedding.side == SIDE
    np.testing.assert_allclose(embedding.embed(faces()), expected(faces()), atol=1e-5)


def test_onnx_by_opencv(onnx_file, monkeypatch):
    monkeypatch.setattr(from_files.importlib.util, "find_spec", lambda name: None)
    embedding = load_embedding(onnx_file, inputs=InputSettings(side=SIDE))
    np.testing.assert_allclose(embedding.embed(faces()), expected(faces()), atol=1e-5)


def test_a_factory(monkeypatch):
    module = types.ModuleType("mine")

    class Grey:
        side, crop, grey = SIDE, "arcface", True

        def __call__(self, crops):
            assert crops.shape[1:] == (SIDE, SIDE)
            return crops.reshape(len(crops), -1).astype(float)

    module.make, module.other, module.fails = Grey, lambda: 3, lambda: 1 / 0
    monkeypatch.setitem(sys.modules, "mine", module)
    embedding = load_embedding("mine:make")
    assert (embedding.crop, embedding.side, embedding.grey) == ("arcface", SIDE, True)
    assert embedding.embed(faces()).shape == (3, SIDE * SIDE)
    with pytest.raises(PatchBatchError, match="returns int"):
        load_embedding("mine:other")
    with pytest.raises(PatchBatchError, match="fails with ZeroDivisionError"):
        load_embedding("mine:fails")


def test_our_own_file(tmp_path):
    config = TrunkConfig("scratch", (4,) * 10, inputs=1, size=32, normalization="batch")
    net = make_image_net(config, 5, 1, MultiverseSettings(), seed=0).eval()
    path = tmp_path / "net.safetensors"
    save_image_net(net, config, path)
    grey = faces(side=32)[..., 0]
    found = load_embedding(path).embed(grey)
    wanted = ImageNet(net, config, {}).embed(grey, mirrored=True)
    np.testing.assert_allclose(found, unit(wanted), atol=5e-3)  # stored in half precision
    np.testing.assert_allclose(found, load_embedding(path).embed(grey[:, :, ::-1]), atol=1e-5)


def made(represent=None, grey=False, **changes):
    def flat(crops):
        return crops.reshape(len(crops), -1)[:, :8].astype(float)

    return Embedding("made", represent or flat, "lfw", SIDE, grey, **changes)


def test_one_image_many_lists_floats_and_torch_are_the_same_faces():
    embedding, images = made(), faces()
    whole = embedding.embed(images)
    assert whole.shape == (3, 8)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(embedding.embed(images[0]), whole[0])
    np.testing.assert_array_equal(embedding.embed(list(images)), whole)
    np.testing.assert_array_equal(embedding.embed(torch.from_numpy(images)), whole)
    np.testing.assert_array_equal(embedding.embed(images / 255), whole)
    larger = np.repeat(np.repeat(images, 3, axis=1), 3, axis=2)
    np.testing.assert_allclose(embedding.embed(larger), whole, atol=1e-2)
    grey = np.repeat(images[..., :1], 3, axis=3)
    np.testing.assert_array_equal(embedding.embed(grey[..., 0]), embedding.embed(grey))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], "no images"),
        (np.zeros((2, 5, 6, 3), np.uint8), "6 x 5; give square"),
        (np.zeros((5,), np.uint8), "images have shape"),
        ([np.zeros((5, 5, 4), np.uint8)], r"\(S, S, 3\) RGB"),
        (np.full((4, 4), 3.0), "beyond"),
        (np.full((4, 4), np.nan), "beyond"),
        (np.zeros((4, 4), np.int64), "int64"),
    ],
)
def test_what_is_no_face(images, words):
    with pytest.raises(PatchBatchError, match=words) as caught:
        made().embed(images)
    assert "\n" not in str(caught.value)


def test_what_a_network_may_not_give():
    for represent, words in (
        (lambda crops: np.zeros(3), "one vector for each"),
        (lambda crops: np.full((len(crops), 2), np.inf), "not finite"),
    ):
        with pytest.raises(PatchBatchError, match=words):
            made(represent).embed(faces())


def test_the_probability_is_that_of_joint_bayesian_on_unit_vectors():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(50), 4)
    X = unit(generator.normal(size=(50, 8))[labels] + 0.4 * generator.normal(size=(200, 8)))
    model = JointBayesian().fit(X, labels)
    embedding = made(verifier=model)
    told = embedding.verify(X[:50] * 7, X[50:100], prior=0.1)
    np.testing.assert_allclose(told, model.probability(model.score(X[:50], X[50:100]), 0.1))
    single = embedding.verify(X[0], X[1])
    assert isinstance(single, float)
    assert single == pytest.approx(float(embedding.verify(X[:1], X[1:2])[0]))
    assert embedding.verify(X[0::4], X[1::4]).mean() > 0.6
    assert embedding.verify(X[:100], X[100:]).mean() < 0.4
    with pytest.raises(PatchBatchError, match="no calibrated verifier"):
        made().verify(X[0], X[1])
    with pytest.raises(PatchBatchError, match="expecting 8 features"):
        embedding.verify(X[0, :3], X[1, :3])
    with pytest.raises(PatchBatchError, match="prior is 0"):
        embedding.verify(X[0], X[1], prior=0)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("dlub", "did you mean 'dlib'"),
        ("nothing.onnx", "does not exist"),
        ("patchbatch.nowhere:thing", "cannot import"),
    ],
)
def test_what_cannot_be_loaded(spec, words):
    with pytest.raises(PatchBatchError, match=words):
        load_embedding(spec)


@pytest.mark.parametrize(("name", "kind"), [("bad.pt", "TorchScript"), ("bad.onnx", "ONNX")])
def test_damaged_files_are_one_line(tmp_path, name, kind):
    path = tmp_path / name
    path.write_bytes(b"nothing of the kind" * 10)
    with pytest.raises(PatchBatchError, match=f"cannot be read as {kind}") as caught:
        load_embedding(path)
    assert "\n" not in str(caught.value)


def test_input_settings_where_they_do_nothing():
    with pytest.raises(PatchBatchError, match="knows its input itself"):
        load_embedding("faces-small", inputs=InputSettings())


def test_entries_of_the_table():
    for entry in EMBEDDINGS.values():
        assert entry.crop in CROPS
        assert entry.licence
        assert entry.verifier.is_file()
