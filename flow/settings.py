"""The settings of the whole pipeline, and their file; nothing here needs torch."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from flow.alignment.settings import NEVER, AlignmentSettings
from flow.completion.settings import PRESETS as COMPLETION_PRESETS
from flow.completion.settings import CompletionSettings
from flow.interpolation.settings import PRESETS as EPICFLOW_INTERPOLATION
from flow.interpolation.settings import ROBUST_PRESETS, InterpolationSettings, interpolation_settings
from flow.interpolation.table import DEFAULT_ESTIMATOR
from flow.matching.settings import MatchingSettings, matching_settings
from flow.matching.table import DEFAULT_MATCHER
from flow.presets import PAPER_DESCRIPTION, PRESETS, paper_matching
from flow.refinement.settings import PRESETS as EPICFLOW_REFINEMENT
from flow.refinement.settings import TRUSTING_PRESETS, RefinementSettings
from patchbatch.data.files import FilePath, read_bytes
from patchbatch.descriptors.settings import DescriptionSettings
from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings


@dataclass(frozen=True)
class FlowSettings(Settings):
    """What can be chosen about every stage; the defaults are those of the preset "default".

    Attributes
    ----------
    matching, interpolation, completion, refinement, description, alignment
        Settings of the stages.

    Examples
    --------
    >>> FlowSettings.from_table({"matching": {"method": "exact", "search": {"step": 2}}}).matching.search.step
    2
    """

    matching: MatchingSettings = field(default_factory=MatchingSettings)
    interpolation: InterpolationSettings = ROBUST_PRESETS["default"]
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    refinement: RefinementSettings = TRUSTING_PRESETS["default"]
    description: DescriptionSettings = field(default_factory=DescriptionSettings)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], base: Self | None = None, where: str = "") -> Self:
        """Build settings from a table as TOML gives it, see `Settings.from_table`."""
        return super().from_table(table, base if base is not None else cls(), where)


def flow_settings(
    preset: str = "default", *, matcher: str | None = None, estimator: str | None = None,
    dense: str | None = None, refinement: str | None = None,
) -> FlowSettings:  # fmt: skip
    """Return the settings of a preset, with other methods where they are named.

    Parameters
    ----------
    preset
        A name of `PRESETS`.
    matcher, estimator, dense, refinement
        Names of `MATCHERS`, `ESTIMATORS`, `DENSE_METHODS` and `REFINEMENTS`; None takes the preset's.
        A method comes with the settings that belong to it.

    Raises
    ------
    PatchBatchError
        For an unknown name.
    """
    entry = PRESETS[preset]
    kind = entry.kind
    if entry.paper:
        base = _paper_settings(kind)
    else:
        base = FlowSettings(
            matching_settings(DEFAULT_MATCHER, kind), interpolation_settings(DEFAULT_ESTIMATOR, kind),
            COMPLETION_PRESETS[kind], TRUSTING_PRESETS[kind],
        )  # fmt: skip
    completion, last = base.completion, base.refinement
    same = matcher in (None, base.matching.method), estimator in (None, base.interpolation.estimator)
    return FlowSettings(
        base.matching if same[0] else matching_settings(str(matcher), kind),
        base.interpolation if same[1] else interpolation_settings(str(estimator), kind),
        completion if dense is None else replace(completion, method=dense),
        last if refinement is None else replace(last, method=refinement),
        base.description,
        base.alignment,
    )


def _paper_settings(kind: str) -> FlowSettings:
    interpolated = replace(COMPLETION_PRESETS[kind], method="interpolated")
    return FlowSettings(
        paper_matching(kind), EPICFLOW_INTERPOLATION[kind], interpolated, EPICFLOW_REFINEMENT[kind],
        PAPER_DESCRIPTION, NEVER,
    )  # fmt: skip


def with_methods(
    settings: FlowSettings, preset: str, *, matcher: str | None = None, estimator: str | None = None,
    dense: str | None = None, refinement: str | None = None, seed: int | None = None, align: bool = True,
) -> FlowSettings:  # fmt: skip
    """Change the methods of settings, the seed of the matcher's random search, and whether it aligns.

    A method that changes brings its own settings; one that stays keeps what was set.

    Raises
    ------
    PatchBatchError
        For an unknown name, or a seed below 0.
    """
    fresh = flow_settings(preset, matcher=matcher, estimator=estimator)
    matching, interpolation, completion = settings.matching, settings.interpolation, settings.completion
    last = settings.refinement
    if matcher not in (None, matching.method):
        matching = replace(matching, method=fresh.matching.method, search=fresh.matching.search)
    if estimator not in (None, interpolation.estimator):
        interpolation = fresh.interpolation
    if dense is not None:
        completion = replace(completion, method=dense)
    if refinement is not None:
        last = replace(last, method=refinement)
    alignment = settings.alignment if align else replace(settings.alignment, below=0.0)
    if seed is not None and hasattr(matching.search, "seed"):
        matching = replace(matching, search=replace(matching.search, seed=seed))  # type: ignore[type-var]
    return replace(
        settings,
        matching=matching,
        interpolation=interpolation,
        completion=completion,
        refinement=last,
        alignment=alignment,
    )


def read_settings(path: FilePath, preset: str = "default") -> FlowSettings:
    """Read settings from a TOML file.

    Parameters
    ----------
    path
        Tables `[matching]`, `[matching.search]`, `[matching.confidence]`, `[interpolation]`,
        `[completion]`, `[refinement]`, `[description]` and `[alignment]`, any part of them, as
        `settings_text` writes them.
    preset
        Whose settings hold for what the file does not say. An estimator or matcher that the file names
        brings its own.

    Raises
    ------
    PatchBatchError
        If it cannot be read or is not TOML; for an unknown key, a wrong type or a value out of range, by
        name, with the range and the nearest right name.
    """
    try:
        table = tomllib.loads(read_bytes(path).decode("utf-8-sig"))  # editors may put a mark first
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PatchBatchError(f"{path} is not a TOML file in UTF-8: {error}") from error
    try:
        return FlowSettings.from_table(table, _base_for(table, preset))
    except PatchBatchError as error:
        raise PatchBatchError(f"{path}: {error}") from error


def _base_for(table: Mapping[str, Any], preset: str) -> FlowSettings:
    """Return the preset with the methods that a table names, whose settings are the ground for the rest."""
    stages = {name: table.get(name) for name in ("matching", "interpolation")}
    named = {name: part if isinstance(part, Mapping) else {} for name, part in stages.items()}
    matcher, estimator = named["matching"].get("method"), named["interpolation"].get("estimator")
    return flow_settings(
        preset,
        matcher=None if matcher is None else str(matcher),
        estimator=None if estimator is None else str(estimator),
    )


def settings_text(settings: FlowSettings) -> str:
    """Return settings as TOML that `read_settings` reads back."""
    import tomli_w  # noqa: PLC0415 - only to write

    return tomli_w.dumps(settings.to_table())
