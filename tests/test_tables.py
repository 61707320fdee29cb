"""Tables of names: what they hold, what an unknown name is told, and what can go wrong on import."""

import os.path
import sys

import pytest

from patchbatch.errors import PatchBatchError
from patchbatch.tables import Entry, Table, load_object, unknown

TABLE = Table(
    "matcher",
    [
        Entry("exact", "all pairs", "math:sqrt", "patchbatch.tables:Entry"),
        Entry("patchmatch", "random search", "math:cos"),
    ],
)


def message(call, *arguments):
    with pytest.raises(PatchBatchError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_entries_are_found_by_name_in_their_order():
    assert list(TABLE) == ["exact", "patchmatch"]
    assert len(TABLE) == 2
    assert TABLE["patchmatch"].help == "random search"
    assert "exact" in TABLE and "exakt" not in TABLE
    assert TABLE.get("exact").load()(9) == 3
    assert TABLE["exact"].load_settings() is Entry


def test_help_has_a_line_for_every_entry():
    assert TABLE.help().splitlines() == [
        "matchers:",
        "  exact       all pairs",
        "  patchmatch  random search",
    ]


def test_an_unknown_name_is_told_the_nearest_and_all():
    assert message(TABLE.__getitem__, "pachmatch") == (
        "unknown matcher 'pachmatch'; did you mean 'patchmatch'? There are exact, patchmatch"
    )
    assert message(TABLE.__getitem__, "zzz") == "unknown matcher 'zzz'; there are exact, patchmatch"
    assert unknown("loss", "x", iter(["y"])) == "unknown loss 'x'; there are y"


@pytest.mark.parametrize("path", ["", "math", "math:", ":sqrt", "math.sqrt"])
def test_a_path_without_module_or_name_is_refused(path):
    assert message(load_object, path) == f"{path!r} does not name an object; write package.module:name"


def test_what_is_not_there_is_named():
    assert message(load_object, "no_such_module:f") == (
        "cannot import no_such_module (ModuleNotFoundError: No module named 'no_such_module'); "
        "check 'no_such_module:f'"
    )
    assert message(load_object, "math:sqroot") == "module math has no 'sqroot'; check 'math:sqroot'"
    assert (
        message(load_object, "os:path.nothing") == "module os has no 'path.nothing'; check 'os:path.nothing'"
    )


def test_names_inside_of_objects_are_found():
    assert load_object("os:path.join") is os.path.join


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder that is not on the path of modules, as for a console script."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_module_of_the_current_folder_is_found(here):
    (here / "made_by_a_user.py").write_text("def twice(x):\n    return 2 * x\n")
    assert load_object("made_by_a_user:twice")(4) == 8
    before = list(sys.path)
    load_object("made_by_a_user:twice")
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 / 0\n", "(ZeroDivisionError: division by zero)"),
        ("def f(:\n", "(SyntaxError: invalid syntax"),
        ("raise ValueError('one\\ntwo')\n", "(ValueError: one)"),
        ("raise ValueError\n", "(ValueError)"),
    ],
)
def test_whatever_a_users_module_raises_is_one_line(here, text, says):
    name = f"broken_{len(text)}"
    (here / f"{name}.py").write_text(text)
    heard = message(load_object, f"{name}:f")
    assert heard.startswith(f"cannot import {name} ") and says in heard
