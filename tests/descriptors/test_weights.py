"""Weight files, model names and devices."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import patchbatch
from patchbatch.descriptors import PRESETS, PatchNet, read_weights, save_weights
from patchbatch.devices import resolve_device, resolve_precision
from patchbatch.errors import PatchBatchError
from patchbatch.models import WEIGHTS


def test_round_trip_in_half_precision(tmp_path):
    net = PatchNet(PRESETS["fast"]).eval()
    save_weights(net, tmp_path / "net.safetensors", {"loss": "softmax"})
    again = read_weights(tmp_path / "net.safetensors")
    assert again.config == net.config
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(again.state_dict()[name], value.half().float())
    assert not again.training


def test_weights_are_as_readable_as_other_files(tmp_path):
    (tmp_path / "other").write_text("")
    save_weights(PatchNet(PRESETS["compact"]), tmp_path / "net.safetensors")
    modes = {(tmp_path / name).stat().st_mode for name in ("other", "net.safetensors")}
    assert len(modes) == 1


def test_shipped_fast_model():
    assert "fast" in patchbatch.model_names()
    net = patchbatch.load_model("fast")
    assert isinstance(net, torch.nn.Module)
    patches = torch.rand(4, 1, net.patch_size, net.patch_size)
    with torch.no_grad():
        out = net(patches)
    assert out.shape == (4, 512)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(4))


def bad_files(tmp_path):
    """Weight files that are not: name -> content."""
    header = {"config": json.dumps(PRESETS["fast"].to_dict())}
    save_file({"a": torch.zeros(2)}, tmp_path / "others.safetensors", metadata=header)
    save_file({"a": torch.zeros(2)}, tmp_path / "bare.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "odd.safetensors", metadata={"config": '{"depth": 4}'})
    save_file({"a": torch.zeros(2)}, tmp_path / "list.safetensors", metadata={"config": "[1]"})
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("these are no weights")
    (tmp_path / "huge.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    good = tmp_path / "good.safetensors"
    net = PatchNet(PRESETS["fast"])
    save_weights(net, good)
    (tmp_path / "cut.safetensors").write_bytes(good.read_bytes()[:5000])
    with torch.no_grad():
        net.convolutions[0].weight[0, 0, 0, 0] = torch.nan
    save_weights(net, tmp_path / "nan.safetensors")
    good.unlink()
    return sorted(tmp_path.iterdir())


def test_bad_files_get_one_line(tmp_path):
    files = bad_files(tmp_path)
    assert len(files) == 9
    for path in [*files, tmp_path / "missing.safetensors", tmp_path]:
        with pytest.raises(PatchBatchError) as caught:
            read_weights(path)
        assert "\n" not in str(caught.value)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(PatchBatchError, match="fast"):
        patchbatch.load_model("slow")


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(PatchBatchError, match="warp"):
        resolve_device("warp")
    if not torch.cuda.is_available():
        with pytest.raises(PatchBatchError, match="no usable cuda"):
            resolve_device("cuda")


def test_precisions():
    cpu = torch.device("cpu")
    assert resolve_precision("float32", cpu) == torch.float32
    assert resolve_precision("auto", cpu) in (torch.float32, torch.bfloat16)
    assert resolve_precision("auto", torch.device("cuda")) == torch.float16
    for bad in ("float16", "int8"):
        with pytest.raises(PatchBatchError, match=bad):
            resolve_precision(bad, cpu)


def test_public_names_are_all_there():
    assert {"load_model", "estimate_flow", "FlowResult"} <= set(patchbatch.__all__)
    assert all(getattr(patchbatch, name) is not None for name in patchbatch.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        patchbatch.nothing  # noqa: B018


def test_weights_are_small_files():
    assert np.all([path.stat().st_size < 4e6 for path in WEIGHTS.glob("*.safetensors")])
    assert all(path.with_suffix(".md").exists() for path in WEIGHTS.glob("*.safetensors"))
