"""Compiled loops: numba's, with a cache that never stands in the way.

Numba keeps what it compiled beside the source, or in the user's cache folder. Here a third place is tried
before there is none, and nothing that happens to the files of the cache stops a program: what cannot be
read is compiled again, what cannot be written is compiled at every start, and one line of the log says so.
What was compiled from other code is never taken, that of the functions called and their constants
included, which numba by itself does not look at.

A loop over `prange` is compiled as a loop over a part of it, and the parts are shared among the threads of
`patchbatch.threads`. Numba's own way to do that takes twice as long to compile, and its threads spin while
they wait.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import logging
import os
import stat
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from functools import update_wrapper
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numba
from numba import prange
from numba.core.caching import FunctionCache

from patchbatch.threads import pool, thread_count

__all__ = ["njit", "prange"]

log = logging.getLogger(__name__)
_AT_EVERY_START = "they are compiled at every start, which takes up to a minute"
_config: Any = numba.config
_ANNOTATIONS = annotations.compiler_flag
_said: set[str] = set()


def njit(*, parallel: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function, without Python's lock, when it is first called.

    Parameters
    ----------
    parallel
        Whether the function ends in a loop over `prange`, which is shared among threads. What it assigns
        before is computed for every part; the loop writes into arrays, and returns nothing.
    options
        Of `numba.njit`: fastmath, error_model.
    """

    def compiled(function: Any) -> Any:
        if parallel and not _config.DISABLE_JIT:
            return InParts(function, options)
        return _compiled(function, options)

    return compiled


def _compiled(function: Any, options: dict[str, Any]) -> Any:
    dispatcher = numba.njit(nogil=True, **options)(function)
    if hasattr(dispatcher, "_cache"):  # not where numba is switched off, as to debug
        dispatcher._cache = _cache_of(function) or dispatcher._cache
    return dispatcher


class InParts:
    """A function that ends in a loop over `prange`, the parts of which run in several threads.

    Raises
    ------
    TypeError
        When it is made, if it is of another form.
    """

    _PER_THREAD = 4  # parts, so that a thread whose parts are quick takes more of them

    def __init__(self, function: FunctionType, options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        counted, part = _taken_apart(function)
        self._count, self._part = counted, _compiled(part, options)

    def __call__(self, *arguments: Any) -> None:
        """Run the whole loop."""
        count = self._count(*arguments)
        workers = min(thread_count(), count)
        if workers <= 1:
            self._part(*arguments, 0, count)
            return
        size = -(-count // (workers * self._PER_THREAD))
        starts = iter(range(0, count, size))

        def work() -> None:
            for first in starts:
                self._part(*arguments, first, min(first + size, count))

        others = [pool().submit(work) for _ in range(workers - 1)]
        try:
            work()
        finally:
            for other in others:
                other.result()


def _taken_apart(function: FunctionType) -> tuple[Any, Any]:
    """Return a function that counts the turns of a loop, and one that takes some, `first_` to `last_`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    whole: Any = tree.body[0]
    *before, loop = whole.body
    turns = getattr(loop, "iter", None)
    if not (isinstance(turns, ast.Call) and isinstance(turns.func, ast.Name) and turns.func.id == "prange"):
        raise TypeError(f"{function.__qualname__} does not end in a loop over prange")
    shared = _assigned(before) & _assigned(loop.body)
    if shared or any(isinstance(node, ast.Return) for node in ast.walk(whole)):
        raise TypeError(f"the turns of the loop of {function.__qualname__} share {shared or 'a return'}")
    whole.decorator_list, whole.returns = [], None
    counting = ast.copy_location(ast.Return(turns.args[0]), loop)
    counted = _made(function, whole, [*before, counting])
    ends: list[ast.expr] = [ast.Name(name, ast.Load()) for name in ("first_", "last_")]
    loop.iter = ast.copy_location(ast.Call(ast.Name("range", ast.Load()), ends, []), turns)
    whole.args.args += [ast.arg("first_"), ast.arg("last_")]
    return counted, _made(function, whole, [*before, loop])


def _assigned(statements: list[ast.stmt]) -> set[str]:
    nodes = (node for statement in statements for node in ast.walk(statement))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _made(function: FunctionType, whole: ast.FunctionDef, body: list[ast.stmt]) -> FunctionType:
    """Return a function with another body, from the same place in the same file."""
    made = ast.copy_location(ast.FunctionDef(whole.name, whole.args, body, []), whole)
    setattr(made, "type_params", [])  # noqa: B010 - asked for from Python 3.12 on
    module = ast.fix_missing_locations(ast.Module([made], []))
    code = compile(module, function.__code__.co_filename, "exec", _ANNOTATIONS, dont_inherit=True)
    (body_code,) = (one for one in code.co_consts if isinstance(one, CodeType))
    result = FunctionType(body_code, function.__globals__, function.__name__, function.__defaults__)
    result.__qualname__, result.__module__ = function.__qualname__, function.__module__
    return result


class _Cache(FunctionCache):
    """Numba's cache of a function, which fails quietly and knows what the function depends on."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
            if found is None or tuple(found.signature.args) == tuple(sig):
                return found if found is not None else _tell_of_compiling()
        except Exception as error:
            log.info("compiled loops in %s cannot be read (%s): compiling anew", self.cache_path, error)
        self._start_anew()
        return _tell_of_compiling()

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _tell_once(
                f"compiled loops cannot be kept in {self.cache_path} ({error}): every start compiles them"
            )

    def _start_anew(self) -> None:
        try:
            self.flush()
        except OSError:
            return

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), _what_it_uses(self._py_func))


def _cache_of(function: Callable[..., Any]) -> _Cache | None:
    """Return a cache in the first folder that can be had; None without one."""
    try:
        return _Cache(function)
    except RuntimeError:  # neither beside the source nor in the home folder
        folder = _own_temporary_folder()
    if folder is None:
        _tell_once(
            "no folder to keep compiled loops in: every start compiles them; NUMBA_CACHE_DIR names one"
        )
        return None
    before, _config.CACHE_DIR = _config.CACHE_DIR, str(folder)
    try:
        return _Cache(function)
    except RuntimeError:
        return None
    finally:
        _config.CACHE_DIR = before


def _own_temporary_folder() -> Path | None:
    """Return a folder for temporary files that nobody else can write: what lies in a cache is run."""
    try:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"patchbatch-compiled-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    ours = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    return folder if ours and stat.S_ISDIR(found.st_mode) else None


def _what_it_uses(function: Any) -> str:
    """Return a digest of all compiled functions that one calls, and of the constants that they read."""
    digest = hashlib.sha256()
    for part in _parts(function, set()):
        digest.update(part.encode())
    return digest.hexdigest()


def _parts(function: FunctionType, seen: set[int]) -> Iterator[str]:
    seen.add(id(function))
    for code in _codes(function.__code__):
        yield repr((code.co_code, [one for one in code.co_consts if not isinstance(one, CodeType)]))
        for name in code.co_names:
            value = function.__globals__.get(name)
            called = getattr(value, "py_func", None)
            if called is not None:
                if id(called) not in seen:
                    yield from _parts(called, seen)
            elif isinstance(value, FunctionType):  # stands for one that numba makes of what is beside it
                found = os.stat(value.__code__.co_filename)
                yield f"{name}: {found.st_size} bytes of {found.st_mtime_ns}"
            elif isinstance(value, int | float | str | tuple) or type(value).__module__ == "numpy":
                yield f"{name}={value!r}"


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _tell_of_compiling() -> None:
    if "compiling" not in _said:
        _said.add("compiling")
        log.info("compiling loops, which happens once and takes up to a minute")


def _tell_once(line: str) -> None:
    if line not in _said:
        _said.add(line)
        log.warning("%s", line)
