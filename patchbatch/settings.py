"""Settings that check themselves, and their form in a TOML file.

A settings class is a frozen dataclass that inherits from `Settings` and says of every field, by `setting`,
what it may be. Types, ranges and names are then checked in one place, whether the values come from Python,
from a file or from a command line.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Self, TypeVar

from patchbatch.errors import PatchBatchError
from patchbatch.tables import unknown

NONE = "none"  # TOML has no word for it
T = TypeVar("T")


@dataclass(frozen=True)
class Rule:
    """What a setting may be besides its type; every limit that is None is off.

    Attributes
    ----------
    least, most
        Smallest and largest value, themselves allowed.
    above, below
        The value lies strictly above and below them.
    choices
        The values there are.
    unit
        For messages and docs, such as "px".
    infinite
        Whether an infinite number is allowed, as a way to say "off".
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[Any, ...] | None = None
    unit: str = ""
    infinite: bool = False

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type is in range."""
        if self.choices is not None:
            return value in self.choices
        if not isinstance(value, Real):
            return True
        value = float(value)
        if math.isinf(value) and not self.infinite:
            return False
        return not (
            (self.least is not None and value < self.least)
            or (self.most is not None and value > self.most)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )

    def __str__(self) -> str:
        """Say the range in words, such as "0 or more" or "above 0 and at most 1"."""
        if self.choices is not None:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        parts = []
        if self.above is not None:
            parts.append(f"above {self.above:g}")
        if self.least is not None:
            alone = self.most is None and self.below is None
            parts.append(f"{self.least:g} or more" if alone else f"at least {self.least:g}")
        if self.most is not None:
            parts.append(f"at most {self.most:g}")
        if self.below is not None:
            parts.append(f"below {self.below:g}")
        return " and ".join(parts)


def setting(default: T, **rule: Any) -> T:
    """Return the dataclass field of a setting; keyword arguments are those of `Rule`."""
    made: T = field(default=default, metadata={"rule": Rule(**rule)})
    return made


class Settings:
    """Base of frozen settings dataclasses: every field is checked against its type and its `Rule`.

    Raises
    ------
    PatchBatchError
        For a value of the wrong type or out of range; names the field, the value and the range.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Search(Settings):
    ...     step: int = setting(3, least=1, unit="px")
    >>> Search(step=0)
    Traceback (most recent call last):
        ...
    patchbatch.errors.PatchBatchError: step is 0; give a whole number, 1 or more (px)
    """

    def __post_init__(self) -> None:
        expected = types_of(type(self))
        for one in settings_fields(type(self)):
            check_value(one.name, getattr(self, one.name), expected[one.name], rule_of(one))

    @classmethod
    def from_table(cls, table: Mapping[str, Any], base: Self | None = None, where: str = "") -> Self:
        """Build settings from a table as TOML gives it.

        Parameters
        ----------
        table
            Keys and values; nested settings are tables of their own. "none" stands for None.
        base
            What is not in the table is taken from it; None takes the defaults.
        where
            In front of the keys in messages, such as "matching.".

        Raises
        ------
        PatchBatchError
            For an unknown key, a wrong type or a value out of range; names the key, its range, and the
            nearest right name.
        """
        names = [one.name for one in settings_fields(cls)]
        values = {name: getattr(base, name) for name in names} if base is not None else {}
        for key in table:
            if key not in names:
                raise PatchBatchError(unknown("setting", where + key, [where + name for name in names]))
        values |= cls._read(table, base, where)
        return cls(**values)

    @classmethod
    def _read(cls, table: Mapping[str, Any], base: Self | None, where: str) -> dict[str, Any]:
        """Return the values of a table's keys, each checked."""
        values, expected = {}, types_of(cls)
        for one in settings_fields(cls):
            if one.name not in table:
                continue
            value, inner = table[one.name], cls._nested(one.name, table, base)
            if inner is not None and value != NONE:
                if not isinstance(value, Mapping):
                    raise PatchBatchError(f"{where}{one.name} is {value!r}; give a table of settings")
                values[one.name] = type(inner).from_table(value, inner, f"{where}{one.name}.")
            else:
                values[one.name] = _from_toml(value, expected[one.name])
                check_value(where + one.name, values[one.name], expected[one.name], rule_of(one))
        return values

    @classmethod
    def _nested(cls, name: str, table: Mapping[str, Any], base: Self | None) -> Settings | None:
        """Return the settings that a nested table starts from; None where the field is no table."""
        value = getattr(base if base is not None else cls(), name)
        return value if isinstance(value, Settings) else None

    def to_table(self) -> dict[str, Any]:
        """Return all values as plain ones for TOML or JSON; `from_table` reads them back."""
        return {one.name: _to_toml(getattr(self, one.name)) for one in settings_fields(type(self))}


def settings_fields(cls: type[Settings]) -> Sequence[Field[Any]]:
    """Return the fields of a settings class."""
    return fields(cls)  # type: ignore[arg-type]


def rule_of(one: Field[Any]) -> Rule:
    """Return the rule of a field; one without allows every value of its type."""
    rule: Rule = one.metadata.get("rule", Rule())
    return rule


def types_of(cls: type[Settings]) -> dict[str, Any]:
    """Return the types that the fields are annotated with, by name."""
    return typing.get_type_hints(cls)


def check_value(name: str, value: Any, expected: Any, rule: Rule) -> None:
    """Refuse a value of another type than annotated or out of range.

    Raises
    ------
    PatchBatchError
        Names the setting, the value and what to give.
    """
    if all(_fits(one, kind, rule) for one, kind in _parts(value, expected)):
        return
    limits = str(rule)
    what = limits if rule.choices is not None else _called(expected) + (f", {limits}" if limits else "")
    unit = f" ({rule.unit})" if rule.unit else ""
    raise PatchBatchError(f"{name} is {value!r}; give {what}{unit}")


def _parts(value: Any, expected: Any) -> Iterator[tuple[Any, Any]]:
    """Split tuples `tuple[kind, ...]` into their members."""
    if typing.get_origin(expected) is tuple and isinstance(value, tuple):
        for one in value:
            yield one, typing.get_args(expected)[0]
    else:
        yield value, expected


def _fits(value: Any, expected: Any, rule: Rule) -> bool:
    origin = typing.get_origin(expected)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one, rule) for one in typing.get_args(expected))
    if origin is typing.Literal:
        return value in typing.get_args(expected)
    if expected is types.NoneType:
        return value is None
    return _is_of(value, origin or expected) and rule.allows(value)


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a plain type; truth values are no numbers, and NaN is none."""
    if kind in (int, float):
        number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
        return number and not math.isnan(value)
    return isinstance(value, kind) if isinstance(kind, type) else True


def _called(expected: Any) -> str:
    origin = typing.get_origin(expected)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_called(one) for one in typing.get_args(expected))
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(expected))
    if origin is tuple:
        return f"a list, each {_called(typing.get_args(expected)[0])}"
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if expected is types.NoneType:
        return f'"{NONE}"'
    return words.get(expected, getattr(expected, "__name__", str(expected)))


def _from_toml(value: Any, expected: Any) -> Any:
    if value == NONE and types.NoneType in typing.get_args(expected):
        return None
    if isinstance(value, list):
        return tuple(tuple(one) if isinstance(one, list) else one for one in value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    kinds = (expected, *typing.get_args(expected))
    return float(value) if whole and float in kinds and int not in kinds else value


def _to_toml(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_table()
    if isinstance(value, tuple):
        return [_to_toml(one) for one in value]
    return NONE if value is None else value


def rows_of(cls: type[Settings], where: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield (key, default, range, unit) of every setting, nested ones included, for the docs."""
    for one in settings_fields(cls):
        default = one.default if one.default is not MISSING else getattr(cls(), one.name)
        if isinstance(default, Settings):
            yield from rows_of(type(default), f"{where}{one.name}.")
            continue
        expected, rule = types_of(cls)[one.name], rule_of(one)
        limits = str(rule)
        kind = limits if rule.choices is not None else _called(expected) + (f", {limits}" if limits else "")
        yield where + one.name, str(_to_toml(default)), kind, rule.unit
