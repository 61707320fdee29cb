"""An embedding of faces: crops -> unit vectors; two of them -> the probability of one person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch import progress
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import as_numpy
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.scorers import unit_length

Bytes = NDArray[np.uint8]
Represent = Callable[[Bytes], Any]
"""From crops `(N, side, side, 3)` RGB, or `(N, side, side)` grey, uint8, to vectors `(N, D)`."""
_BATCH = 32


@dataclass(frozen=True)
class Embedding:
    """A network that describes faces, and what makes probabilities of its vectors.

    Attributes
    ----------
    name
        As it was asked for.
    represent
        The network.
    crop
        Which crop it expects: a name of `CROPS`.
    side
        Of its crops, px; other sizes are brought to it.
    grey
        Whether it takes one channel.
    verifier
        Joint Bayesian on its unit vectors, calibrated; None: there is no `verify`.
    """

    name: str
    represent: Represent
    crop: str
    side: int
    grey: bool = False
    verifier: JointBayesian | None = None

    def embed(self, images: ArrayLike | Sequence[Any]) -> NDArray[np.float32]:
        """Return the vectors of faces.

        Parameters
        ----------
        images
            Crops as `crop` says: one image `(S, S)` or `(S, S, 3)` RGB, a batch of them, or a list of images
            of any sizes; numpy or torch, uint8, or floats in [0, 1].

        Returns
        -------
        ndarray
            `(N, D)` float32 of unit length; of one image `(D,)`.

        Raises
        ------
        PatchBatchError
            Images of other shapes, types or ranges, or that are not square, and whatever the network refuses.
        """
        single, crops = self._crops(images)
        found = []
        for start in range(0, len(crops), _BATCH):
            found.append(self._represented(np.stack(crops[start : start + _BATCH])))
            progress.tell("faces", min(start + _BATCH, len(crops)), len(crops))
        if not found:
            raise PatchBatchError("there are no images to embed; give one or more")
        vectors = unit_length(np.concatenate(found)).astype(np.float32)
        return vectors[0] if single else vectors

    def verify(self, a: ArrayLike, b: ArrayLike, prior: float = 0.5) -> Any:
        """Return the probability that two faces are of one person.

        Parameters
        ----------
        a, b
            Vectors as `embed` gives them, `(D,)` or `(N, D)`: row i of one against row i of the other.
        prior
            Share of pairs of one person where it is asked, in (0, 1). Among people who come to a door under
            another's name it may be 0.999, among all pairs of a photo collection 0.01.

        Returns
        -------
        float or ndarray
            In [0, 1]: a number for `(D,)`, `(N,)` else. What a share of 0.9 is worth stands in the card of
            the weights: it was calibrated on LFW and holds for faces like those.

        Raises
        ------
        PatchBatchError
            There is no verifier, vectors of another width, or a prior outside (0, 1).
        """
        model = self.verifier
        if model is None:
            raise PatchBatchError(
                f"{self.name} has no calibrated verifier; learn one with python -m benchmarks faces LFW "
                f"--embedding {self.name} --save FILE, and load the embedding with verifier=FILE"
            )
        one, other = (np.atleast_2d(as_numpy(x, name)) for x, name in ((a, "a"), (b, "b")))
        probability = model.probability(model.score(unit_length(one), unit_length(other)), prior)
        return float(probability[0]) if np.ndim(a) == 1 else probability

    def _represented(self, crops: Bytes) -> NDArray[np.float32]:
        vectors = np.asarray(self.represent(crops), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(crops) or not vectors.size:
            raise PatchBatchError(
                f"{self.name} makes {vectors.shape} of {len(crops)} images; it must give one vector for each"
            )
        if not np.isfinite(vectors).all():
            raise PatchBatchError(
                f"{self.name} makes vectors that are not finite; look at its input settings"
            )
        return vectors

    def _crops(self, images: Any) -> tuple[bool, list[Bytes]]:
        """Return whether it is one image alone, and all as the network wants them."""
        if isinstance(images, list | tuple):
            return False, [self._crop(as_numpy(image, "an image")) for image in images]
        array = as_numpy(images, "images")
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3):
            return True, [self._crop(array)]
        if array.ndim not in (3, 4):
            raise PatchBatchError(
                f"images have shape {array.shape}; give (N, S, S, 3), (N, S, S), or one of them"
            )
        return False, [self._crop(image) for image in array]

    def _crop(self, image: NDArray[Any]) -> Bytes:
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or 0 in image.shape:
            raise PatchBatchError(f"an image has shape {image.shape}; give (S, S) grey or (S, S, 3) RGB")
        if image.shape[0] != image.shape[1]:
            raise PatchBatchError(
                f"an image is {image.shape[1]} x {image.shape[0]}; give square crops of faces, as align makes"
            )
        if image.dtype != np.uint8:
            image = _from_floats(image)
        if self.grey and image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if not self.grey and image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        if image.shape[0] != self.side:
            way = cv2.INTER_AREA if image.shape[0] > self.side else cv2.INTER_CUBIC
            image = cv2.resize(image, (self.side, self.side), interpolation=way)
        return np.ascontiguousarray(image, np.uint8)


def _from_floats(image: NDArray[Any]) -> NDArray[Any]:
    if image.dtype.kind != "f" or not (image.min() >= 0 and image.max() <= 1):
        raise PatchBatchError(f"an image holds {image.dtype} beyond [0, 1]; give uint8, or floats in [0, 1]")
    return np.asarray(np.rint(image * 255), np.uint8)
