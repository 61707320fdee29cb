"""What is exported gives the same numbers, for sizes that the exporter did not see."""

import json

import numpy as np
import pytest
import torch

from patchbatch import load_model
from patchbatch.descriptors.description import describe_pyramid
from patchbatch.descriptors.export import ImageGraph, PatchGraph, save_folder, save_onnx, save_torch_export
from patchbatch.descriptors.export.command import main
from patchbatch.descriptors.export.programs import TOLERANCE
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError
from patchbatch.models import WEIGHTS

TINY = PatchNetConfig(
    patch_size=62, partial_windows=False, normalization="per-channel", channels=(2, 3, 4, 5, 6), sides=(2, 4),
    unit_length=True,
)  # fmt: skip


def run_onnx(path, values):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: values})[0]


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return PatchNet(TINY, "tiny").eval()


@pytest.mark.parametrize("name", ["compact", "fast"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (37, 52)])
def test_the_graph_of_images_is_what_describes_them(name, shape):
    net = load_model(name)
    image = np.random.default_rng(0).random(shape, np.float32)
    expected = describe_pyramid(image, net, 1, "float32")[0]
    found = ImageGraph(net)(torch.from_numpy(image)[None, None])[0].permute(1, 2, 0)
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


def test_the_graph_standardises_whole_images_too_and_takes_batches():
    net = load_model("compact").seen_as("image", single_scale=True)
    images = torch.rand(2, 1, 20, 33)
    found = ImageGraph(net)(images).permute(0, 2, 3, 1)
    for image, one in zip(images, found, strict=True):
        expected = describe_pyramid(image[0].numpy(), net, 1, "float32")[0]
        torch.testing.assert_close(one, expected, atol=TOLERANCE, rtol=0)


def test_networks_that_see_patch_by_patch_have_no_graph_of_images():
    with pytest.raises(PatchBatchError, match="accurate describes patch by patch"):
        ImageGraph(load_model("accurate"))
    patches = torch.rand(2, 1, 51, 51)
    net = load_model("accurate")
    torch.testing.assert_close(PatchGraph(net)(patches), net(patches))


@pytest.mark.slow
def test_patches_as_onnx(tiny, tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    difference = save_onnx(tiny, tmp_path / "t.onnx", opset=18)
    assert difference is None or difference <= TOLERANCE
    stored = onnx.load(tmp_path / "t.onnx")
    onnx.checker.check_model(stored)
    notes = {each.key: each.value for each in stored.metadata_props}
    assert PatchNetConfig.from_dict(json.loads(notes["patchbatch.config"])) == TINY
    assert "(N, 1, 62, 62)" in notes["patchbatch.input"] and notes["patchbatch.model"] == "tiny"
    assert [each.version for each in stored.opset_import if not each.domain] == [18]
    for count in (1, 9):
        patches = np.random.default_rng(count).random((count, 1, 62, 62), np.float32)
        np.testing.assert_allclose(
            run_onnx(tmp_path / "t.onnx", patches), tiny(patches).detach(), atol=TOLERANCE
        )


def test_patches_as_torch_export(tiny, tmp_path):
    assert save_torch_export(tiny, tmp_path / "t.pt2") <= TOLERANCE
    again = torch.export.load(tmp_path / "t.pt2").module()
    patches = torch.rand(1, 1, 62, 62)
    torch.testing.assert_close(again(patches), tiny(patches))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compact", "fast"])
def test_shipped_networks_and_images_as_onnx(name, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    net = load_model(name)
    for images in (False, True):
        save_onnx(net, tmp_path / "m.onnx", images=images)
        if not images:
            patches = np.random.default_rng(0).random((4, 1, 62, 62), np.float32)
            found = run_onnx(tmp_path / "m.onnx", patches)
            np.testing.assert_allclose(found, net(patches).detach(), atol=TOLERANCE)
            continue
        for shape in ((1, 1), (1, 9), (33, 70), (121, 64)):
            image = np.random.default_rng(1).random(shape, np.float32)
            found = run_onnx(tmp_path / "m.onnx", image[None, None])[0].transpose(1, 2, 0)
            np.testing.assert_allclose(found, describe_pyramid(image, net, 1, "float32")[0], atol=TOLERANCE)


@pytest.mark.slow
def test_accurate_as_onnx(tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    net = load_model("accurate")
    save_onnx(net, tmp_path / "m.onnx")
    patches = np.random.default_rng(0).random((4, 1, 51, 51), np.float32)
    expected = net(patches).detach()
    np.testing.assert_allclose(
        run_onnx(tmp_path / "m.onnx", patches), expected, atol=TOLERANCE * expected.abs().max()
    )


@pytest.mark.slow
def test_images_as_torch_export(tmp_path):
    net = load_model("compact")
    save_torch_export(net, tmp_path / "m.pt2", images=True)
    again = torch.export.load(tmp_path / "m.pt2").module()
    for shape in ((2, 2), (33, 70)):
        image = np.random.default_rng(1).random(shape, np.float32)
        found = again(torch.from_numpy(image)[None, None])[0].permute(1, 2, 0)
        torch.testing.assert_close(
            found, describe_pyramid(image, net, 1, "float32")[0], atol=TOLERANCE, rtol=0
        )


def test_a_difference_is_told_and_nothing_is_written(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("patchbatch.descriptors.export.programs.TOLERANCE", -1.0)
    with pytest.raises(PatchBatchError, match="differs from torch"):
        save_torch_export(tiny, tmp_path / "t.pt2")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_is_said_how_to_get_it(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("patchbatch.descriptors.export.programs.find_spec", lambda name: None)
    with pytest.raises(PatchBatchError, match=r"pip install 'patchbatch\[export\]'"):
        save_onnx(tiny, tmp_path / "t.onnx")
    for opset in (17, 99):
        monkeypatch.undo()
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
        with pytest.raises(PatchBatchError, match="give 18 to 23"):
            save_onnx(tiny, tmp_path / "t.onnx", opset=opset)


def test_a_folder_is_read_as_the_file_is(tmp_path):
    net = load_model("compact")
    save_folder(net, tmp_path / "hub")
    assert {path.name for path in (tmp_path / "hub").iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    again = load_model(tmp_path / "hub")
    patches = torch.rand(2, 1, 62, 62)
    torch.testing.assert_close(again(patches), net(patches), atol=0, rtol=0)
    assert again.config == net.config and again.name == "hub"


def test_a_folder_that_others_wrote_is_read_by_its_config(tmp_path, tiny):
    from safetensors.torch import save_file  # noqa: PLC0415

    save_folder(tiny, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    floats = {key: value for key, value in tiny.state_dict().items() if value.is_floating_point()}
    save_file(floats, tmp_path / "model.safetensors", metadata={"format": "pt"})
    patches = torch.rand(2, 1, 62, 62)
    torch.testing.assert_close(load_model(tmp_path)(patches), tiny(patches))
    config = json.loads((tmp_path / "config.json").read_text())
    for change, says in (
        ({"model_type": "bert"}, "config.json is of a 'bert' model"),
        ({"patchnet_config": {"depth": 3}}, "depth"),
        ({"patchnet_config": 3}, "config.json"),
        ({"patchnet_config": config["patchnet_config"] | {"sides": [2]}}, "do not fit"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(PatchBatchError, match=says) as caught:
            load_model(tmp_path)
        assert "\n" not in str(caught.value)
    for text in ("{", "[]", "\xff", " " * 200_000):
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(PatchBatchError, match=r"config\.json"):
            load_model(tmp_path)


def test_a_folder_without_weights_is_none(tmp_path):
    with pytest.raises(PatchBatchError, match=r"is a folder without config\.json and model\.safetensors"):
        load_model(tmp_path)


def test_the_command_writes_a_folder(tmp_path, capsys):
    assert main(["compact", str(tmp_path / "hub")]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'hub'} (load_model reads it)\n"
    assert main([str(tmp_path / "hub"), str(tmp_path / "again"), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    first, second = (load_model(tmp_path / name).state_dict() for name in ("hub", "again"))
    assert all((first[key] == second[key]).all() for key in first)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compakt", "a.onnx"], "did you mean 'compact'"),
        (["compact", "a.txt"], "there are .onnx, .pt2, and folders"),
        (["compact", "a.pt"], "TorchScript is deprecated"),
        (["compact", "no/a.onnx"], "folder no does not exist"),
        (["compact", "hub", "--images"], "--images does nothing for a folder"),
        (["compact", "a.pt2", "--opset", "20"], "--opset is of .onnx"),
        (["compact", "a.onnx", "--opset", "3"], "give 18 to 23"),
        (["math:pi", "a.onnx"], "is a factory"),
        ([str(WEIGHTS / "compact.safetensors"), str(WEIGHTS)], "is what is exported"),
        (["accurate", "a.onnx", "--images"], "describes patch by patch"),
    ],
)
def test_the_command_says_what_it_cannot_do(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    said = capsys.readouterr().err
    assert says in said and said.startswith("patchbatch-export: ") and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
