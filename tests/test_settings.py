"""Settings: what is refused and in which words, and that tables are read back as they were written."""

import math
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Literal

import numpy as np
import pytest

from patchbatch.errors import PatchBatchError
from patchbatch.settings import NONE, Rule, Settings, rows_of, setting


@dataclass(frozen=True)
class Inner(Settings):
    step: int = setting(3, least=1, most=64, unit="px")
    share: float = setting(0.5, above=0, below=1)


@dataclass(frozen=True)
class Outer(Settings):
    method: Literal["exact", "search"] = "exact"
    loss: str = setting("hinge", choices=("hinge", "softmax"))
    window: int | None = setting(None, least=1, unit="px")
    limit: float = setting(math.inf, above=0, infinite=True)
    rates: tuple[float, ...] = setting((0.7, 0.5), above=0, most=1)
    note: str = ""
    quick: bool = False
    inner: Inner = field(default_factory=Inner)


def message(call, *arguments, **named):
    with pytest.raises(PatchBatchError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"method": "exakt"}, "method is 'exakt'; give one of exact, search"),
        ({"loss": "hing"}, "loss is 'hing'; give one of hinge, softmax"),
        ({"loss": 3}, "loss is 3; give one of hinge, softmax"),
        ({"window": 0}, 'window is 0; give a whole number or "none", 1 or more (px)'),
        ({"window": 2.0}, 'window is 2.0; give a whole number or "none", 1 or more (px)'),
        ({"limit": 0.0}, "limit is 0.0; give a number, above 0"),
        ({"limit": math.nan}, "limit is nan; give a number, above 0"),
        ({"limit": "far"}, "limit is 'far'; give a number, above 0"),
        ({"rates": (0.5, 1.5)}, "rates is (0.5, 1.5); give a list, each a number, above 0 and at most 1"),
        ({"rates": ("a",)}, "rates is ('a',); give a list, each a number, above 0 and at most 1"),
        ({"rates": 0.5}, "rates is 0.5; give a list, each a number, above 0 and at most 1"),
        ({"note": None}, "note is None; give a text"),
        ({"quick": 1}, "quick is 1; give true or false"),
        ({"inner": 3}, "inner is 3; give Inner"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_give(values, says):
    assert message(Outer, **values) == says


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"step": 65}, "step is 65; give a whole number, at least 1 and at most 64 (px)"),
        ({"step": True}, "step is True; give a whole number, at least 1 and at most 64 (px)"),
        ({"share": 0}, "share is 0; give a number, above 0 and below 1"),
        ({"share": 1.0}, "share is 1.0; give a number, above 0 and below 1"),
        ({"share": True}, "share is True; give a number, above 0 and below 1"),
    ],
)
def test_ranges_are_told_with_their_ends(values, says):
    assert message(Inner, **values) == says


def test_the_ends_of_a_range_are_in_it_or_not_as_the_rule_says():
    for step in (1, 64, np.int64(7)):
        assert Inner(step=step).step == step
    assert not any(Rule(above=0, below=1).allows(value) for value in (0, 1))
    assert all(Rule(least=0, most=1).allows(value) for value in (0, 1))
    assert not Rule(least=0).allows(-1e-9) and not Rule(most=1).allows(1 + 1e-9)


def test_an_infinite_number_is_allowed_only_where_it_means_off():
    assert Outer(limit=math.inf).limit == math.inf
    assert message(Outer, limit=-math.inf).startswith("limit is -inf")
    assert not Rule(least=0).allows(math.inf)


def test_settings_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Inner().step = 4


CHANGED = Outer("search", "softmax", 9, 2.5, (1.0,), "a note", True, Inner(5, 0.25))


@pytest.mark.parametrize("settings", [Outer(), CHANGED, Outer(rates=())], ids=["defaults", "all", "empty"])
def test_a_table_is_read_back_as_it_was_written(settings):
    assert Outer.from_table(settings.to_table()) == settings


def test_tables_hold_plain_values():
    assert Outer().to_table() == {
        "method": "exact", "loss": "hinge", "window": NONE, "limit": math.inf, "rates": [0.7, 0.5],
        "note": "", "quick": False, "inner": {"step": 3, "share": 0.5},
    }  # fmt: skip


def test_what_a_table_lacks_comes_from_the_base_or_the_defaults():
    table = {"window": NONE, "inner": {"step": 8}}
    assert Outer.from_table(table) == Outer(inner=Inner(step=8))
    read = Outer.from_table(table, CHANGED)
    assert read == Outer("search", "softmax", None, 2.5, (1.0,), "a note", True, Inner(8, 0.25))


def test_whole_numbers_and_lists_of_toml_become_numbers_and_tuples():
    read = Outer.from_table({"limit": 3, "rates": [1, 0.5], "window": 4})
    assert (type(read.limit), read.limit) == (float, 3)
    assert read.rates == (1, 0.5)
    assert (type(read.window), read.window) == (int, 4)


def test_none_is_a_text_where_none_is_not_allowed():
    assert Outer.from_table({"note": NONE}).note == NONE
    assert message(Outer.from_table, {"limit": NONE}).startswith("limit is 'none'; give a number")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"metod": "exact"}, "unknown setting 'matching.metod'; did you mean 'matching.method'? There are "
         "matching.method, matching.loss, matching.window"),
        ({"inner": {"stepp": 1}},
         "unknown setting 'matching.inner.stepp'; did you mean 'matching.inner.step'"),
        ({"inner": {"step": 0}},
         "matching.inner.step is 0; give a whole number, at least 1 and at most 64 (px)"),
        ({"window": 0}, 'matching.window is 0; give a whole number or "none", 1 or more (px)'),
        ({"inner": 3}, "matching.inner is 3; give a table of settings"),
        ({"rates": "all"}, "matching.rates is 'all'; give a list, each a number, above 0 and at most 1"),
        ({"quick": "yes"}, "matching.quick is 'yes'; give true or false"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_table_is_named_by_its_whole_key(table, says):
    assert message(Outer.from_table, table, where="matching.").startswith(says)


def test_rows_for_the_docs_name_nested_keys_ranges_and_units():
    rows = {key: rest for key, *rest in rows_of(Outer, "m.")}
    assert list(rows)[-2:] == ["m.inner.step", "m.inner.share"]
    assert rows["m.inner.step"] == ["3", "a whole number, at least 1 and at most 64", "px"]
    assert rows["m.window"] == [NONE, 'a whole number or "none", 1 or more', "px"]
    assert rows["m.loss"] == ["hinge", "one of hinge, softmax", ""]
    assert rows["m.rates"][0] == "[0.7, 0.5]"
