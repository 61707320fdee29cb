"""The one exception that bad input raises."""


class PatchBatchError(ValueError):
    """An error the caller can mend: one line saying what is wrong, with which file, and what to do.

    The command lines print it as it is and exit with status 1, so a message never spans lines.
    """
