"""The tensors of a network that dlib wrote, read without dlib and without running code.

dlib writes the layers of a network from the input on. A layer's parameters follow its name as a tensor: whole
numbers (a byte that says how many bytes follow, least first) for a version and four sizes, then float32,
least byte first. What stands between the tensors is settings, which the code of a network knows anyway.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.files import FilePath, read_bytes
from patchbatch.errors import PatchBatchError

_VERSION = 2
_MEND = "use dlib's file, as the package face_recognition_models has it"
_MOST = 2**24  # numbers in a tensor; the largest of the face network has 590,000


class DlibFile:
    """A file of dlib's, read from the start on.

    Parameters
    ----------
    path
        The file, such as `dlib_face_recognition_resnet_model_v1.dat`.

    Raises
    ------
    PatchBatchError
        The file cannot be read.
    """

    def __init__(self, path: FilePath) -> None:
        self.path, self._content, self._at = path, read_bytes(path), 0

    def parameters(self, layer: str, skip: int = 0) -> NDArray[np.float32]:
        """Return the parameters of the next layer of a kind, as one tensor of four sides.

        Parameters
        ----------
        layer
            What dlib calls the kind in its files, such as "con_4".
        skip
            Whole numbers between the name and the tensor.

        Raises
        ------
        PatchBatchError
            There is no such layer, or what follows its name is no tensor.
        """
        name = layer.encode()
        found = self._content.find(bytes([1, len(name)]) + name, self._at)
        if found < 0:
            raise self._unexpected(f"a layer {layer}")
        self._at = found + 2 + len(name)
        for _ in range(skip):
            self._whole()
        if self._whole() != _VERSION:
            raise self._unexpected(f"a tensor after {layer}")
        sides = [self._whole() for _ in range(4)]
        count = math.prod(sides)
        values = self._content[self._at : self._at + 4 * count]
        if not 0 < count <= _MOST or len(values) < 4 * count:
            raise self._unexpected(f"the tensor of {layer}")
        self._at += 4 * count
        return np.frombuffer(values, "<f4").reshape(sides).astype(np.float32)

    def _whole(self) -> int:
        count = self._content[self._at] if self._at < len(self._content) else 0
        if not 1 <= count <= 4:  # the sign is the top bit, and no size is below 0
            raise self._unexpected("a size")
        self._at += 1 + count
        return int.from_bytes(self._content[self._at - count : self._at], "little")

    def unlike(self, network: str) -> PatchBatchError:
        """Return the error for layers of other sizes than a network's."""
        return PatchBatchError(f"{self.path} does not hold {network}; {_MEND}")

    def _unexpected(self, wanted: str) -> PatchBatchError:
        return PatchBatchError(f"{self.path}: {wanted} should be at byte {self._at}; {_MEND}")
