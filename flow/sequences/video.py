"""Videos: read frame by frame, and written; by PyAV through imageio, an extra of the package."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.sequences.sources import Frame, FramePair
from patchbatch.data.files import atomic_path, peek
from patchbatch.data.headers.limits import MAX_PIXELS
from patchbatch.errors import PatchBatchError
from patchbatch.tables import in_one_line

MISSING = "needs PyAV: pip install 'patchbatch[video]'"


def can_videos() -> bool:
    """Whether what reads and writes videos is installed."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in ("av", "imageio"))
    except ValueError:  # switched off in sys.modules
        return False


@dataclass(frozen=True)
class Video:
    """The frames of a video file, one after the other.

    Parameters
    ----------
    path
        Anything that FFmpeg reads. A rotation in its metadata is not applied.
    step
        Every so manieth frame is taken.

    Raises
    ------
    PatchBatchError
        When the file is missing, PyAV is, or it is no video that can be decoded.
    """

    path: Path
    step: int = 1
    chained: bool = True

    def __post_init__(self) -> None:
        peek(self.path, 1)
        if not can_videos():
            raise PatchBatchError(f"{self.path}: reading a video {MISSING}; or give a folder of frames")
        if (self._about["width"] or 1) * (self._about["height"] or 1) > MAX_PIXELS:
            raise PatchBatchError(f"{self.path} claims frames of more than {MAX_PIXELS // 10**6} megapixels")
        with closing(self._decoded()) as frames:
            next(frames)  # refuse now what has no frame that can be decoded

    @cached_property
    def identity(self) -> dict[str, Any]:
        """File, size and time of change."""
        found = self.path.stat()
        return {"video": str(self.path.resolve()), "bytes": found.st_size, "changed": found.st_mtime_ns}

    @property
    def count(self) -> int | None:
        """The number of pairs as the header tells it, which may be wrong; None where it does not."""
        frames = self._about["frames"]
        return None if not frames else max(0, -(-int(frames) // self.step) - 1)

    @property
    def fps(self) -> float | None:
        """Frames a second, of those that are taken."""
        rate = self._about["fps"]
        return rate / self.step if rate else None

    def pairs(self) -> Iterator[FramePair]:
        """Yield the pairs, named after the number of their first frame, from 000000.

        Raises
        ------
        PatchBatchError
            Where the video cannot be decoded further.
        """
        frames = (
            Frame(f"frame {number} of {self.path}", [number], pixels)
            for number, pixels in islice(enumerate(self._decoded()), 0, None, self.step)
        )
        for first, second in pairwise(frames):
            yield FramePair(f"{first.identity[0]:06d}", first, second)

    @cached_property
    def _about(self) -> dict[str, Any]:
        with self._opened() as file:
            stream = file.metadata()
            (frames, height, width), fps = file.properties().shape[:3], stream.get("fps")
            if not frames and fps and stream.get("duration"):
                frames = round(fps * stream["duration"])
            return {"frames": frames, "height": height, "width": width, "fps": fps}

    def _decoded(self) -> Generator[NDArray[np.uint8], None, None]:
        number = 0
        with self._opened() as file:
            try:
                for pixels in file.iter():
                    yield np.asarray(pixels, np.uint8)
                    number += 1
            except (OSError, ValueError) as error:  # what FFmpeg raises is both, by its cause
                raise PatchBatchError(
                    f"{self.path} cannot be decoded from frame {number} on ({in_one_line(error)}); "
                    "copy it again, or convert it"
                ) from error
        if not number:
            raise PatchBatchError(f"{self.path} holds no frame that can be decoded; is it a video?")

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import imageio.v3 as iio  # noqa: PLC0415 - only videos need it

        try:
            file = iio.imopen(self.path, "r", plugin="pyav")
        except (OSError, ValueError, IndexError) as error:  # the last where there is sound only
            raise PatchBatchError(f"{self.path} is no video that can be read; convert it to .mp4") from error
        with file:
            yield file


@contextmanager
def film(path: Path, fps: float) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Write a video, whole or not at all: give a function that takes its frames `(H, W, 3)` uint8 RGB.

    It is H.264 with colour at half the resolution, as all players show it. Its sides are even: the last row
    or column is repeated where they are not.

    Parameters
    ----------
    path
        .mp4, .mkv or .mov.
    fps
        Frames a second.

    Raises
    ------
    PatchBatchError
        When it cannot be written.
    """
    import imageio.v3 as iio  # noqa: PLC0415 - only videos need it

    with atomic_path(path) as part:
        try:
            with iio.imopen(part, "w", plugin="pyav") as file:
                file.init_video_stream("libx264", fps=fps, pixel_format="yuv420p")
                yield lambda frame: file.write_frame(_even(frame))
        except PatchBatchError:  # of who writes
            raise
        except ValueError as error:  # what FFmpeg raises
            raise PatchBatchError(f"{path} cannot be written ({in_one_line(error)})") from error


def _even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    return np.ascontiguousarray(frame)
