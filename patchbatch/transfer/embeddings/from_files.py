"""Embeddings from files of other people: ONNX, by onnxruntime or OpenCV, and TorchScript."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from patchbatch.data.files import FilePath, peek
from patchbatch.errors import PatchBatchError
from patchbatch.tables import in_one_line
from patchbatch.transfer.embeddings.embedding import Bytes, Embedding
from patchbatch.transfer.embeddings.settings import InputSettings

_SIDE = 112  # of most face networks, where neither the file nor the settings say another
Run = Callable[[NDArray[np.float32]], Any]


def from_onnx(path: FilePath, settings: InputSettings) -> Embedding:
    """Return the network of an ONNX file, run by onnxruntime where that is installed, else by OpenCV.

    Raises
    ------
    PatchBatchError
        The file is missing, or neither can read it.
    """
    peek(path, 1)
    try:
        by_runtime = importlib.util.find_spec("onnxruntime") is not None
        run, told = _by_onnxruntime(path) if by_runtime else _by_opencv(path)
    except PatchBatchError:
        raise
    except Exception as error:  # both raise types of their own
        raise PatchBatchError(
            f"{path} cannot be read as ONNX ({in_one_line(error)}); export it again"
        ) from error
    return _embedding(path, run, settings, settings.side or told or _SIDE)


def from_torchscript(path: FilePath, settings: InputSettings, device: torch.device) -> Embedding:
    """Return the network of a TorchScript file.

    Raises
    ------
    PatchBatchError
        The file is missing or no TorchScript.
    """
    peek(path, 1)
    try:
        with warnings.catch_warnings():
            # torch would rather have other files made; these are there.
            warnings.simplefilter("ignore", DeprecationWarning)
            net = torch.jit.load(os.fspath(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise PatchBatchError(
            f"{path} cannot be read as TorchScript ({in_one_line(error)}); write it with torch.jit.save"
        ) from error

    @torch.inference_mode()
    def run(batch: NDArray[np.float32]) -> Any:
        return net(torch.from_numpy(batch).to(device)).float().cpu().numpy()

    return _embedding(path, run, settings, settings.side or _SIDE)


def _embedding(path: FilePath, run: Run, settings: InputSettings, side: int) -> Embedding:
    def represent(crops: Bytes) -> Any:
        try:
            return run(as_input(crops, settings))
        except Exception as error:  # whatever a network raises whose input is another
            raise PatchBatchError(
                f"{path} does not take crops of {side} px, {settings.colour} ({in_one_line(error)}); "
                "set --side or --colour"
            ) from error

    return Embedding(os.fspath(path), represent, settings.crop, side, settings.colour == "grey")


def as_input(crops: Bytes, settings: InputSettings) -> NDArray[np.float32]:
    """Return uint8 crops `(N, S, S[, 3])` as `(N, C, S, S)` float32, as the settings say."""
    batch = crops[:, None] if crops.ndim == 3 else crops.transpose(0, 3, 1, 2)
    ordered = batch[:, ::-1] if settings.colour == "bgr" else batch
    scaled = (ordered.astype(np.float32) - np.float32(settings.mean)) / np.float32(settings.deviation)
    return np.ascontiguousarray(scaled, np.float32)


def _by_onnxruntime(path: FilePath) -> tuple[Run, int]:
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # or it warns about the machine on stderr
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    side = given.shape[-1] if len(given.shape) == 4 and isinstance(given.shape[-1], int) else 0
    # Many such files say batches of one.
    alone = isinstance(given.shape[0], int) and given.shape[0] == 1

    def run(batch: NDArray[np.float32]) -> Any:
        parts = [batch[row : row + 1] for row in range(len(batch))] if alone else [batch]
        return np.concatenate([session.run(None, {given.name: part})[0] for part in parts])

    return run, side


def _by_opencv(path: FilePath) -> tuple[Run, int]:
    net = cv2.dnn.readNetFromONNX(os.fspath(path))

    def run(batch: NDArray[np.float32]) -> Any:
        found = []
        for row in range(len(batch)):  # files that say batches of one are run as they are
            net.setInput(batch[row : row + 1])
            found.append(np.asarray(net.forward()).reshape(1, -1))
        return np.concatenate(found)

    return run, 0
