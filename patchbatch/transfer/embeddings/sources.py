"""Embeddings by name, by file, by `package.module:factory`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchbatch.data.files import FilePath, peek
from patchbatch.errors import PatchBatchError
from patchbatch.models import is_factory
from patchbatch.tables import in_one_line, load_object, unknown
from patchbatch.transfer.embeddings.settings import InputSettings
from patchbatch.transfer.embeddings.table import CROPS, DEFAULT_EMBEDDING, EMBEDDINGS

if TYPE_CHECKING:
    from patchbatch.transfer.embeddings.embedding import Embedding

ONNX, TORCHSCRIPT, OURS = (".onnx",), (".pt", ".ts", ".torchscript", ".pth"), (".safetensors",)


def load_embedding(
    spec: FilePath = DEFAULT_EMBEDDING,
    *,
    inputs: InputSettings | None = None,
    verifier: FilePath | None = None,
    device: str = "cpu",
) -> Embedding:
    """Load an embedding of faces.

    Parameters
    ----------
    spec
        A name of `EMBEDDINGS`; a `.safetensors` file of `python -m patchbatch.transfer.train_images`; an
        ONNX or TorchScript file (their code is run); or `package.module:factory`: a function without
        arguments that returns an `Embedding`, or a callable from uint8 crops `(N, side, side, 3)` to `(N,
        D)` with an attribute `side` and perhaps `crop`, a name of `CROPS`, and `grey`.
    inputs
        Of ONNX and TorchScript files; None: as `InputSettings` has it.
    verifier
        A Joint Bayesian model of unit vectors of this embedding, as `python -m benchmarks faces --embedding
        --save` makes one; None: the one that comes with it, if there is one.
    device
        "auto", "cpu", "cuda" ...; ONNX runs on the CPU.

    Raises
    ------
    PatchBatchError
        Unknown names, files that are missing or cannot be read, an extra that is not installed, a factory
        that fails or returns something else, and a verifier for another number of features.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = load_embedding("faces-small")
    >>> a, b = embedding.embed(np.arange(2 * 48 * 48, dtype=np.uint8).reshape(2, 48, 48))
    >>> a.shape, embedding.verify(a, b) > 0.5
    ((80,), True)
    """
    check_embedding(spec)
    if inputs is not None and not takes_inputs(spec):
        raise PatchBatchError(
            f"{spec} knows its input itself; input settings are for ONNX and TorchScript files"
        )
    from patchbatch.devices import resolve_device  # noqa: PLC0415 - imports torch
    from patchbatch.transfer.joint_bayesian.model import JointBayesian  # noqa: PLC0415 - imports scipy

    embedding = _made(os.fspath(spec), inputs or InputSettings(), resolve_device(device))
    given = verifier
    if given is None and os.fspath(spec) in EMBEDDINGS and EMBEDDINGS[os.fspath(spec)].verifier.is_file():
        given = EMBEDDINGS[os.fspath(spec)].verifier
    return embedding if given is None else replace(embedding, verifier=JointBayesian.load(Path(given)))


def check_embedding(spec: FilePath) -> None:
    """Refuse, without torch, what can be refused: names and files that are not there.

    Raises
    ------
    PatchBatchError
        An unknown name, or a file that is not there or of no known kind; a factory is believed.
    """
    text = os.fspath(spec)
    if text in EMBEDDINGS or is_factory(text):
        return
    if Path(text).suffix.lower() in ONNX + TORCHSCRIPT + OURS:
        peek(text, 1)
        return
    raise PatchBatchError(
        unknown("embedding", text, EMBEDDINGS)
        + "; or give a file .onnx, .pt or .safetensors, or package.module:factory"
    )


def takes_inputs(spec: FilePath) -> bool:
    """Whether it is a file that does not say itself what it wants to see."""
    text = os.fspath(spec)
    return text not in EMBEDDINGS and Path(text).suffix.lower() in ONNX + TORCHSCRIPT


def _made(text: str, inputs: InputSettings, device: Any) -> Embedding:
    if text in EMBEDDINGS:
        named: Embedding = EMBEDDINGS[text].load()(device)
        return named
    if is_factory(text):
        return _of_factory(text)
    suffix = Path(text).suffix.lower()
    from patchbatch.transfer.embeddings import from_files  # noqa: PLC0415 - import torch
    from patchbatch.transfer.embeddings import named as makers  # noqa: PLC0415

    if suffix in OURS:
        from patchbatch.transfer.multiverse.image_net import load_image_net  # noqa: PLC0415 - imports torch

        return makers.of_image_net(text, load_image_net(text, str(device)))
    if suffix in ONNX:
        return from_files.from_onnx(text, inputs)
    return from_files.from_torchscript(text, inputs, device)


def _of_factory(text: str) -> Embedding:
    from patchbatch.transfer.embeddings.embedding import Embedding  # noqa: PLC0415 - see load_embedding

    factory = load_object(text)
    try:
        made = factory()
    except PatchBatchError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's code raises
        raise PatchBatchError(f"{text}() fails with {in_one_line(error)}") from error
    if isinstance(made, Embedding):
        return made
    side, crop, grey = getattr(made, "side", None), getattr(made, "crop", "lfw"), getattr(made, "grey", False)
    if not callable(made) or not isinstance(side, int) or side < 1:
        raise PatchBatchError(
            f"{text}() returns {type(made).__name__}; return an Embedding, or a callable with a side"
        )
    CROPS[str(crop)]
    represent: Callable[..., Any] = made
    return Embedding(text, represent, str(crop), side, bool(grey))
