"""Descriptors of images that come up again, as the frames of a video do: once as second, once as first."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[np.float32]
Describe = Callable[[Image], list[Tensor]]


class Memory:
    """Pyramids of descriptors by the image they are of, until they are let go.

    It serves one descriptor at one number of levels and in one precision; see `remembering`.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Future[list[Tensor]]] = {}
        self._one_at_a_time = threading.Lock()  # memory for two images' work is not asked for
        self._helper: ThreadPoolExecutor | None = None
        self._describe: Describe | None = None
        self._shape: tuple[int, ...] = ()

    def pyramid(self, image: Image, describe: Describe) -> list[Tensor]:
        """Return the descriptors of an image `(H, W)`, made now if they are not known, and keep them."""
        self._describe, self._shape = describe, image.shape
        key = _key(image)
        found = self._kept.get(key)
        if found is not None:
            return found.result()
        made: Future[list[Tensor]] = Future()
        made.set_result(self._made(image, describe))
        self._kept[key] = made
        return made.result()

    def prepare(self, image: Image) -> None:
        """Begin to describe an image beside other work, as the last one was described; it is kept.

        What goes wrong is raised when the image is asked for. Before any image was described nothing is
        done, and none of another size than that one.
        """
        key, describe = _key(image), self._describe
        if describe is None or key in self._kept or image.shape != self._shape:
            return
        if self._helper is None:
            self._helper = ThreadPoolExecutor(1, "describe")
        self._kept[key] = self._helper.submit(self._made, image, describe)

    def knows(self, image: Image) -> bool:
        """Whether an image is described, or being described."""
        return _key(image) in self._kept

    def keep_only(self, images: Iterable[Image]) -> None:
        """Let the descriptors of all other images go."""
        wanted = {_key(image) for image in images}
        self._kept = {key: kept for key, kept in self._kept.items() if key in wanted}

    def close(self) -> None:
        """Let everything go, and wait for what is being described."""
        if self._helper is not None:
            self._helper.shutdown(cancel_futures=True)
        self._kept.clear()

    def _made(self, image: Image, describe: Describe) -> list[Tensor]:
        with self._one_at_a_time:
            return describe(image)


_MEMORY: ContextVar[Memory | None] = ContextVar("memory", default=None)


@contextmanager
def remembering() -> Iterator[Memory]:
    """Keep what the body of a `with` statement describes, all by one descriptor with one set of settings.

    The body says through the memory which images come up again.
    """
    memory = Memory()
    token = _MEMORY.set(memory)
    try:
        yield memory
    finally:
        _MEMORY.reset(token)
        memory.close()


def current_memory() -> Memory | None:
    """Return the memory of the `with` statement that this is called in; None outside of one."""
    return _MEMORY.get()


def is_remembered(image: Image) -> bool:
    """Whether an image `(H, W)` float32 is described already, as far as the memory here knows."""
    memory = current_memory()
    return memory is not None and memory.knows(image)


def _key(image: Image) -> tuple[object, ...]:
    """Return what tells images apart by their pixels; takes a millisecond for 640x480."""
    pixels = np.ascontiguousarray(image, np.float32)
    return (pixels.shape, hashlib.blake2b(pixels.data, digest_size=16).digest())
