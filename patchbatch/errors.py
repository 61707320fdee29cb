"""The one exception that bad input raises."""

import errno


class PatchBatchError(ValueError):
    """An error the caller can mend: one line saying what is wrong, with which file, and what to do.

    The command lines print it as it is and exit with status 1, so a message never spans lines.
    """


_PLAIN = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is full",
    errno.EFBIG: "files may not be as large here",
    errno.EROFS: "the disk can only be read",
    errno.EMFILE: "too many files are open",
}


def cause(error: Exception) -> str:
    """Return what went wrong in plain words, without the name of the file.

    Examples
    --------
    >>> cause(OSError(errno.ENOSPC, "No space left on device", "a.flo"))
    'the disk is full'
    >>> cause(OSError("512 requested and 0 written"))
    'the disk is full'
    >>> cause(PermissionError(13, "Permission denied"))
    'Permission denied'
    """
    text = str(error)
    if isinstance(error, OSError):
        if error.errno is None and text.endswith("written"):  # numpy tells how many numbers went in
            return _PLAIN[errno.ENOSPC]
        return _PLAIN.get(error.errno or 0) or error.strerror or text or type(error).__name__
    if "PytorchStreamWriter failed" in text or "unexpected pos" in text:  # torch tells where it stopped
        return _PLAIN[errno.ENOSPC]
    return text or type(error).__name__
