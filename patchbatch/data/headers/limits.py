"""How large pictures may be, and how well a file may be packed."""

from __future__ import annotations

from patchbatch.errors import PatchBatchError

# 256 megapixels: sixty times a 4K frame, and about 1.5 GB as 16-bit RGB.
MAX_PIXELS = 256_000_000
# Deflate codes at best 258 bytes in 2 bits, so no stream grows by more than this factor.
MAX_INFLATION = 1032
# A block of 8x8 pixels takes a JPEG a bit at least. What is packed tighter is blank or was made to fill the
# memory; up to the size of an 8K frame, which takes under 1 GB to read, it may be.
MAX_PIXELS_A_BYTE = 512
FREE_PIXELS = 34_000_000


def check_size(width: int, height: int, name: str, size: int) -> None:
    """Refuse sizes that no picture has, and those that a file of so many bytes can hardly hold.

    Parameters
    ----------
    width, height
        As the header claims, in pixels.
    name
        What to call the file in an error.
    size
        Of the file, in bytes.

    Raises
    ------
    PatchBatchError
        No size, over 256 megapixels, or over 34 megapixels at more than 512 a byte.
    """
    if width < 1 or height < 1:
        raise PatchBatchError(f"{name} has a damaged header (no size); write or copy it again")
    if width * height > MAX_PIXELS:
        raise PatchBatchError(
            f"{name} claims {width}x{height} pixels, over {MAX_PIXELS // 10**6} million; crop or shrink it"
        )
    if width * height > max(FREE_PIXELS, size * MAX_PIXELS_A_BYTE):
        raise PatchBatchError(
            f"{name} claims {width}x{height} pixels in {size} bytes, as files that fill the memory do; "
            "crop or shrink it"
        )
