"""Graphs written as files that other programs run: ONNX, torch.export."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from patchbatch import __version__
from patchbatch.data.files import FilePath, atomic_path
from patchbatch.descriptors.export.graphs import ImageGraph, PatchGraph
from patchbatch.descriptors.export.table import DEFAULT_OPSET, OPSETS
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError

TOLERANCE = 1e-4
"""Largest difference of a number from torch's, in units of the largest number."""
NEEDED = ("onnx", "onnxscript")
OUTPUT = "descriptors"
# Sizes that are not special in any way, so that nothing is taken for fixed; the second is for the check.
_EXAMPLE, _CHECKED = (2, 1, 70, 91), (1, 1, 53, 38)


def save_onnx(
    net: PatchNet, path: FilePath, *, images: bool = False, opset: int = DEFAULT_OPSET
) -> float | None:
    """Write a network as ONNX, with its settings in the file's metadata.

    Parameters
    ----------
    net
        From `load_model`, on the CPU.
    path
        The .onnx file; written whole or not at all.
    images
        False: patches `(N, 1, P, P)` -> `(N, D)`. True: grey images `(N, 1, H, W)` -> `(N, E, H, W)` with the
        coarser scales, any N, H and W. Inputs are float32 in [0, 1], and called "patches" or "images".
    opset
        Version of ONNX's operators, 18 to 23.

    Returns
    -------
    float or None
        Largest difference between onnxruntime and torch on an input of another size than the exporter saw, in
        units of the largest number; None where onnxruntime is not installed.

    Raises
    ------
    PatchBatchError
        Without onnx and onnxscript, for a network that describes no whole images, an opset that is none,
        where the difference is above `TOLERANCE`, or for a file that cannot be written.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise PatchBatchError(f"ONNX needs {' and '.join(missing)}; pip install 'patchbatch[export]'")
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise PatchBatchError(f"opset is {opset}; give {OPSETS[0]} to {OPSETS[1]}")
    graph, example, name = _graph_of(net, images)
    with _without_remarks():
        program = torch.onnx.export(
            graph, (example,), dynamo=True, opset_version=opset, verbose=False, input_names=[name],
            output_names=[OUTPUT], dynamic_shapes=(_varying(example, images),),
        )  # fmt: skip
    assert program is not None  # noqa: S101 - with dynamo it is one
    program.model.metadata_props.update(_notes(net, images))
    program.model.producer_name, program.model.producer_version = "patchbatch", __version__
    with atomic_path(path) as temporary:
        program.save(temporary)
        return _difference(temporary, graph, name, images)


def save_torch_export(net: PatchNet, path: FilePath, *, images: bool = False) -> float:
    """Write a network as a program of `torch.export`, which `torch.export.load` reads without this package.

    Parameters
    ----------
    net, path, images
        As for `save_onnx`; a .pt2 file. Images have 2 rows and columns or more.

    Returns
    -------
    float
        Largest difference between the file, read again, and the network, as for `save_onnx`.

    Raises
    ------
    PatchBatchError
        As `save_onnx`.
    """
    graph, example, _ = _graph_of(net, images)
    with _without_remarks():
        program = torch.export.export(graph, (example,), dynamic_shapes=(_varying(example, images),))
        with atomic_path(path) as temporary:
            torch.export.save(
                program, temporary, extra_files={"patchbatch.json": json.dumps(_notes(net, images))}
            )
            again = torch.export.load(temporary).module()
            return _checked(again(_other(graph, images)), graph(_other(graph, images)))


def _graph_of(net: PatchNet, images: bool) -> tuple[nn.Module, Tensor, str]:
    graph = ImageGraph(net) if images else PatchGraph(net)
    example = torch.rand(_EXAMPLE) if images else torch.rand(3, 1, net.patch_size, net.patch_size)
    return graph, example, "images" if images else "patches"


def _varying(example: Tensor, images: bool) -> dict[int, Any]:
    return dict.fromkeys((0, 2, 3) if images else (0,), torch.export.Dim.DYNAMIC)


def _other(graph: nn.Module, images: bool) -> Tensor:
    """Return an input of another size than the exporter saw, the same each time."""
    net = graph.get_submodule("net")
    assert isinstance(net, PatchNet)  # noqa: S101 - tells the type checker
    shape = _CHECKED if images else (5, 1, net.patch_size, net.patch_size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _notes(net: PatchNet, images: bool) -> dict[str, str]:
    """Return what a reader of the file wants to know."""
    takes = "(N, 1, H, W)" if images else f"(N, 1, {net.patch_size}, {net.patch_size})"
    gives = f"(N, {net.dimension}, H, W)" if images else f"(N, {net.patch_dimension})"
    return {
        "patchbatch.model": net.name,
        "patchbatch.version": __version__,
        "patchbatch.input": f"{takes} float32 grey in [0, 1]",
        "patchbatch.output": f"{gives} float32, compared by L2 distance",
        "patchbatch.config": json.dumps(net.config.to_dict()),
    }


def _difference(path: Path, graph: nn.Module, name: str, images: bool) -> float | None:
    """Run an ONNX file and compare it with torch."""
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime  # noqa: PLC0415 - an extra

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    values = _other(graph, images)
    (found,) = session.run([OUTPUT], {name: values.numpy()})
    return _checked(torch.from_numpy(found), graph(values))


@torch.no_grad()
def _checked(found: Tensor, expected: Tensor) -> float:
    scale = max(1.0, float(expected.abs().max()))
    difference = float((found - expected).abs().max()) / scale
    if not difference <= TOLERANCE:
        raise PatchBatchError(
            f"what was exported differs from torch by {difference:.1e}, above {TOLERANCE:g}; nothing is kept"
        )
    return difference


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep torch's remarks about its own future and about torchvision from the user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
