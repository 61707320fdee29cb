"""Tables of named things: name -> what it is, where it is made, its one line of help.

Each kind of thing (models, matchers, estimators, losses, data sets ...) has one table, in a file that imports
nothing slow. Command lines, help texts, error messages and the tables of the docs are made from it; adding a
thing is one entry and its own file.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class Entry:
    """One named thing.

    Attributes
    ----------
    name
        As it is typed.
    help
        One line without a full stop.
    target
        `package.module:attribute` that makes it or does it; empty where the table's user knows.
    settings
        `package.module:Class` of its settings; empty for none.
    """

    name: str
    help: str
    target: str = ""
    settings: str = ""

    def load(self) -> Any:
        """Import and return what `target` names."""
        return load_object(self.target)

    def load_settings(self) -> Any:
        """Import and return the class that `settings` names."""
        return load_object(self.settings)


E = TypeVar("E", bound=Entry)


class Table(Mapping[str, E], Generic[E]):
    """Entries of one kind by name, in their order.

    Parameters
    ----------
    kind
        What one entry is called in messages, such as "matcher".
    entries
        With names of their own.
    """

    def __init__(self, kind: str, entries: Iterable[E]):
        self.kind = kind
        self._entries = {entry.name: entry for entry in entries}

    @property
    def kinds(self) -> str:
        """What several entries are called."""
        return self.kind + ("es" if self.kind.endswith("s") else "s")

    def __getitem__(self, name: str) -> E:
        """Return the entry of a name.

        Raises
        ------
        PatchBatchError
            For an unknown name; says which there are, and the nearest.
        """
        if name not in self._entries:
            raise PatchBatchError(unknown(self.kind, name, self._entries))
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def help(self) -> str:
        """Return a heading and a line for every entry, for the end of a help text."""
        width = max(map(len, self._entries))
        lines = [f"  {entry.name:<{width}}  {entry.help}" for entry in self._entries.values()]
        return "\n".join([f"{self.kinds}:", *lines])


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message about a name that is not known: the nearest one first, then all.

    Examples
    --------
    >>> unknown("matcher", "exakt", ["exact", "patchmatch"])
    "unknown matcher 'exakt'; did you mean 'exact'? There are exact, patchmatch"
    """
    import difflib  # noqa: PLC0415 - only in a message

    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean {close[0]!r}? There are" if close else "there are"
    return f"unknown {kind} {name!r}; {meant} {', '.join(names)}"


def load_object(path: str) -> Any:
    """Import what `package.module:attribute` names; modules in the current folder are found too.

    Raises
    ------
    PatchBatchError
        If there is no such module or attribute, or the module cannot be imported; says which.
    """
    module_name, colon, attribute = path.partition(":")
    if not (colon and module_name and attribute):
        raise PatchBatchError(f"{path!r} does not name an object; write package.module:name")
    if "/" in module_name or module_name.endswith(".py"):
        stem = module_name.rsplit("/", 1)[-1].removesuffix(".py")
        raise PatchBatchError(f"{path!r} names a file; write the module, {stem}:{attribute}, in its folder")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:  # a console script does not look there
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever a user's module raises while it is imported
        raise PatchBatchError(
            f"cannot import {module_name} ({in_one_line(error)}); check {path!r}"
        ) from error
    try:
        found: Any = module
        for name in attribute.split("."):
            found = getattr(found, name)
    except AttributeError as error:
        raise PatchBatchError(f"module {module_name} has no {attribute!r}; check {path!r}") from error
    return found


def in_one_line(error: BaseException) -> str:
    """Return an error in one line: its kind, and the first line of what it says."""
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
