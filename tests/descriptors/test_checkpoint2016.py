"""The authors' pickles: read right, and harmless when they are not what they seem."""

import io
import os
import pickle
import re

import numpy as np
import pytest
import torch

from patchbatch.descriptors import PRESETS, PatchNet
from patchbatch.descriptors.checkpoint2016 import load_2016, read_statistics_2016
from patchbatch.descriptors.description import describe_points
from patchbatch.descriptors.pickles2016 import MAX_BYTES
from patchbatch.errors import PatchBatchError

CHANNELS = (32, 64, 128, 256, 512)
KERNELS = (3, 3, 3, 3, 2)
SIDES = {51: (49, 23, 10, 3, 1), 71: (69, 33, 15, 6, 2)}


# The format, written by hand as Python 2 writes it.


def array_text(array, kind="f4"):
    """One array in protocol 0: _reconstruct(ndarray, (0,), 'b'), then its state."""
    shape = "".join(f"I{length}\n" for length in array.shape)
    # Values as the repr of a Python 2 str: that of bytes, less its b; the quotes may be double ones.
    order = "F" if array.flags.fnc else "C"
    return (
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        f"(I1\n({shape}tcnumpy\ndtype\n(S'{kind}'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        f"I0{int(order == 'F')}\nS{repr(array.tobytes(order))[1:]}\ntb"
    )


def write_list(path, arrays):
    path.write_text("(lp0\n" + "".join(array_text(array) + "a" for array in arrays) + ".", encoding="ascii")
    return path


def make_statistics(patch_size):
    rng = np.random.default_rng(0)
    sizes = [c * side * side for c, side in zip(CHANNELS, SIDES[patch_size], strict=True)]
    arrays = [(rng.normal(0, 0.5, (1, n)), rng.uniform(0.5, 2, (1, n))) for n in sizes]
    return [array.astype(np.float32) for pair in arrays for array in pair]


def make_weights(patch_size):
    rng = np.random.default_rng(1)
    arrays, inputs = [], 1
    for outputs, kernel, side in zip(CHANNELS, KERNELS, SIDES[patch_size], strict=True):
        filters = rng.normal(0, (inputs * kernel**2) ** -0.5, (outputs, inputs, kernel, kernel))
        n = outputs * side**2
        arrays += [filters, rng.normal(0, 0.1, outputs), rng.uniform(0.5, 1.5, n), rng.normal(0, 0.5, n)]
        inputs = outputs
    return [array.astype(np.float32) for array in arrays]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Weights and statistics by patch size."""
    folder = tmp_path_factory.mktemp("models")
    return {
        size: (
            write_list(folder / f"{size}-weights.pickle", make_weights(size)),
            write_list(folder / f"{size}-eparams-test.pickle", make_statistics(size)),
        )
        for size in SIDES
    }


# The network of 2016, slowly.


def slow_pool(x):
    """Maxima of 2x2 windows; the last row and column may have half a window."""
    rows, columns = (-(-side // 2) for side in x.shape[1:])
    windows = [[x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] for j in range(columns)] for i in range(rows)]
    return np.array([[w.max(axis=(1, 2)) for w in row] for row in windows]).transpose(2, 0, 1)


def slow_network(patch, weights, statistics, negative):
    """Descriptor of one standardised patch (P, P): correlation, normalisation, activation, pooling."""
    x = patch[None].astype(np.float64)
    for layer in range(5):
        filters, bias, gain, offset = weights[4 * layer : 4 * layer + 4]
        mean, deviation = statistics[2 * layer : 2 * layer + 2]
        kernel = filters.shape[-1]
        side = x.shape[-1] - kernel + 1
        y = sum(
            np.tensordot(filters[:, :, i, j], x[:, i : i + side, j : j + side], axes=1)
            for i in range(kernel)
            for j in range(kernel)
        )
        flat = (y + bias[:, None, None]).reshape(1, -1)
        x = ((flat - mean) / deviation * gain + offset).reshape(y.shape)
        x = np.where(x > 0, x, negative(np.minimum(x, 0)))
        if layer < 4:
            x = slow_pool(x)
    return x.reshape(-1)


@pytest.mark.parametrize(
    ("size", "length", "negative"), [(51, 512, lambda x: 0.1 * x), (71, 2048, np.expm1)], ids=["leaky", "elu"]
)
def test_same_descriptors_as_a_slow_network(files, size, length, negative):
    net = load_2016(*files[size])
    assert not net.training
    patches = np.random.default_rng(2).normal(size=(3, size, size))
    expected = [slow_network(p, make_weights(size), make_statistics(size), negative) for p in patches]
    grey = patches * net.config.input_std + net.config.input_mean
    with torch.no_grad():
        found = net(torch.tensor(grey, dtype=torch.float32)[:, None]).numpy()
    assert found.shape == (3, length)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).mean())


@pytest.mark.parametrize("size", [51, 71])
def test_images_are_described_as_the_authors_did(files, size):
    """Grey levels of 8 bits less their mean over their deviation, mirrored at the border (reference 1.4)."""
    grey = np.random.default_rng(3).integers(0, 256, (80, 90)).astype(np.float64)
    grey[:, 40:] /= 4  # where surroundings differ, so do the two ways of standardising
    before = size // 2
    canvas = np.pad((grey - grey.mean()) / grey.std(), (before, size - 1 - before), mode="reflect")
    points = np.array([[0, 0], [89, 3], [41, 79]])
    negative = {51: lambda x: 0.1 * x, 71: np.expm1}[size]
    expected = [
        slow_network(canvas[y : y + size, x : x + size], make_weights(size), make_statistics(size), negative)
        for x, y in points
    ]
    net = load_2016(*files[size])
    found = describe_points((grey / 255).astype(np.float32), net, points, "float32").numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).mean())


def test_statistics_keep_their_places(files):
    made = make_statistics(51)
    read = read_statistics_2016(files[51][1])
    for layer, (mean, std) in enumerate(read):
        side = SIDES[51][layer]
        assert mean.shape == std.shape == (CHANNELS[layer], side, side)
        np.testing.assert_array_equal(mean.reshape(1, -1), made[2 * layer])
        np.testing.assert_array_equal(std.reshape(1, -1), made[2 * layer + 1])


def test_filters_stored_column_by_column(files, tmp_path):
    arrays = make_weights(51)
    arrays[4] = np.asfortranarray(arrays[4])
    net = load_2016(write_list(tmp_path / "weights.pickle", arrays), files[51][1])
    np.testing.assert_array_equal(net.convolutions[1].weight.detach().numpy(), arrays[4])


@pytest.mark.parametrize("model", ["KITTI2012_ACCURATE", "KITTI2015_ACCURATE"])
def test_published_statistics(real_data, model):
    (path,) = (real_data / "patchbatch2016" / model).glob("*-eparams-test.pickle")
    read = read_statistics_2016(path)
    layers = PatchNet(PRESETS["accurate"]).normalizations
    assert [mean.shape for mean, _ in read] == [tuple(layer.running_mean.shape) for layer in layers]
    assert [std.shape for _, std in read] == [tuple(layer.running_std.shape) for layer in layers]
    # The first layer sees the same in every place, so its means must be even once places are unravelled
    # as (C, H, W); any other order would mix channels.
    mean, std = read[0]
    assert np.median(mean.std(axis=(1, 2)) / std.mean(axis=(1, 2))) < 0.02


# Files that are something else.

GOOD = np.ones((1, 4), np.float32)


def with_one(path, place, array):
    arrays = make_statistics(51)
    arrays[place] = array
    return write_list(path, arrays)


def wrong_files(folder):
    """Write files that are no statistics: yields (path, a word of the message)."""
    (folder / "empty").write_bytes(b"")
    yield folder / "empty", "not a pickle"
    (folder / "text").write_text("these are no statistics")
    yield folder / "text", "not a pickle"
    (folder / "cut").write_bytes(write_list(folder / "whole", make_statistics(51)).read_bytes()[:100_000])
    yield folder / "cut", "not a pickle"
    (folder / "dict").write_bytes(b"(dp0\n.")
    yield folder / "dict", "not a list"
    yield write_list(folder / "nine", make_statistics(51)[:9]), "not a list of 10"
    (folder / "numbers").write_bytes(b"(l" + b"I1\na" * 10 + b".")
    yield folder / "numbers", "other things"
    yield write_list(folder / "small", [GOOD] * 10), "for no network"
    yield with_one(folder / "shape", 3, GOOD), "running_std is (1, 4), not (33856,)"
    yield with_one(folder / "nan", 9, np.full((1, 512), np.nan, np.float32)), "not finite"
    yield with_one(folder / "zero", 9, np.zeros((1, 512), np.float32)), "not positive"
    yield with_one(folder / "short", 9, GOOD), "(1, 4)"
    yield folder / "absent", "no file"
    yield folder, "no file"


def test_wrong_files(tmp_path):
    for path, word in wrong_files(tmp_path):
        with pytest.raises(PatchBatchError, match=re.escape(str(path))) as caught:
            read_statistics_2016(path)
        assert word in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("S'f4'", "S'f8'", "not float32"),
        ("S'f4'", "S'O8'", "not float32"),
        ("S'<'", "S'>'", "not float32"),
        ("(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb", "", "not float32"),
        ("cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb", "N", "not float32"),
        ("(I1\nI512\nt", "N", "no proper shape"),
        ("(I1\nI512\nt", "(I-1\nI512\nt", "no proper shape"),
        ("(I1\nI512\nt", "(F1\nI512\nt", "no proper shape"),
        ("(I1\nI512\nt", "(I1\nL" + "9" * 4000 + "\nt", "no proper shape"),
        ("'\ntb", "'\n0Ntb", "cut short"),
        ("'\ntb", "'\n0(lNatb", "cut short"),  # a list of objects in place of the values
        ("I00\nS'", "I00\nS'x", "cut short"),
        ("I00\nS'", "I00\nV\\u1234'", "cut short"),
    ],
)
def test_odd_arrays(tmp_path, old, new, word):
    text = array_text(np.ones((1, 512), np.float32))
    assert text.count(old) == 1
    good = "".join(array_text(array) + "a" for array in make_statistics(51)[:9])
    path = tmp_path / "odd.pickle"
    path.write_text("(l" + good + text.replace(old, new) + "a.", encoding="ascii")
    with pytest.raises(PatchBatchError, match=re.escape(str(path))) as caught:
        read_statistics_2016(path)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


class Runs:
    """An object whose pickle runs a command."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile_pickles(mark):
    """Pickles that would make the file `mark`, or take all memory."""
    command = f"touch {mark}"
    yield f"cos\nsystem\n(S'{command}'\ntR.".encode()
    yield f"cposix\nsystem\n(S'{command}'\ntR.".encode()
    yield f"(S'{command}'\nios\nsystem\n.".encode()  # INST
    yield f"(cos\nsystem\nS'{command}'\no.".encode()  # OBJ
    code = f"open({str(mark)!r}, 'w')"
    yield f"c__builtin__\neval\n(S{code!r}\ntR.".encode()
    yield f"(lp0\nc__builtin__\neval\n(S{code!r}\ntRa.".encode()
    yield f"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\nS'{command}'\ntR.".encode()
    yield b"cnumpy\nload\n(S'x'\ntR."
    yield b"cnumpy\nndarray.__class__\n."
    yield b"cos\r\x0bx\nsystem\n."
    yield b"c" + b"x" * 1_000_000 + b"\nsystem\n."
    for protocol in range(6):
        yield pickle.dumps([Runs(os.system, command)], protocol)
        yield pickle.dumps(Runs(eval, code), protocol)
    yield b"cnumpy\nndarray\n(dS'shape'\nI1\nsb."  # changes the class itself
    yield b"P1\n."  # a persistent id
    yield b"\x82\x01."  # an extension code
    yield b"(" * 1_000_000 + b"l" * 1_000_000 + b"."
    yield b"]" * 1_000_000 + b"a" * 999_999 + b"."
    yield b"\x95" + b"\xff\xff\xff\x7f\x00\x00\x00\x00" + b"]" * 1_000_000  # a frame
    yield b"\x96" + b"\xff" * 7 + b"\x00."  # a bytearray of 72 million GB


def test_nothing_in_a_hostile_pickle_runs(files, tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "hostile.pickle"
    for content in hostile_pickles(mark):
        path.write_bytes(content)
        for read in (read_statistics_2016, lambda path: load_2016(path, files[51][1])):
            with pytest.raises(PatchBatchError, match=re.escape(str(path))) as caught:
                read(path)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < len(str(path)) + 200
        assert not mark.exists()


def test_the_hostile_pickles_do_work_elsewhere(tmp_path):
    mark = tmp_path / "mark"
    pickle.Unpickler(io.BytesIO(next(hostile_pickles(mark)))).load()  # noqa: S301 - our own
    assert mark.exists()


def test_memory_follows_the_file_not_its_numbers(tmp_path):
    # The unpickler in C would make room for 10**12 memo entries.
    path = tmp_path / "memo.pickle"
    path.write_bytes(b"(lp1000000000000\n.")
    with pytest.raises(PatchBatchError, match="not a list of 10"):
        read_statistics_2016(path)


def test_large_file_is_not_read(tmp_path):
    path = tmp_path / "large.pickle"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(PatchBatchError, match="larger than any"):
        read_statistics_2016(path)


def test_files_of_two_models(files):
    weights51, statistics51 = files[51]
    weights71, statistics71 = files[71]
    with pytest.raises(PatchBatchError, match="one model"):
        load_2016(weights51, statistics71)
    with pytest.raises(PatchBatchError, match="one model"):
        load_2016(weights71, statistics51)
    with pytest.raises(PatchBatchError, match="swapped"):
        load_2016(statistics51, weights51)
