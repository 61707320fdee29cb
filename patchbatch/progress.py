"""Long computations tell how far they are, to whoever listens; nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
"""Is called with what is done, in words, how much of it is done, and how much there is."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Let the body of a `with` statement tell a listener how far it is.

    Examples
    --------
    >>> with listening(lambda what, done, total: print(f"{what}: {done} of {total}")):
    ...     tell("patches", 128, 512)
    patches: 128 of 512
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(what: str, done: int, total: int) -> None:
    """Say how far a computation is."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(what, done, total)


def in_time(seconds: float) -> str:
    """Return a length of time in words.

    Examples
    --------
    >>> in_time(7.4), in_time(150), in_time(7300)
    ('7 s', '2.5 min', '2 h 1 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
