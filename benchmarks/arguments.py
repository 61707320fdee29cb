"""Arguments that several benchmarks have in common, and checks of them; nothing here is slow to import."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.matching.table import MATCHERS
from flow.presets import PRESETS, preset_of_kind
from patchbatch.data.datasets.table import DATASETS
from patchbatch.errors import PatchBatchError
from patchbatch.models import DEFAULT_MODEL, MODELS
from patchbatch.tables import Table

if TYPE_CHECKING:
    from flow.settings import FlowSettings

MODEL_HELP = f"{', '.join(MODELS)}, a weights file, or package.module:factory"
AUTO = "auto"


def add_datasets(parser: argparse.ArgumentParser) -> None:
    """Add ROOT and --dataset."""
    parser.add_argument("root", metavar="ROOT", help="the folder that holds the data sets")
    parser.add_argument(
        "--dataset", nargs="+", action="extend", choices=tuple(DATASETS), metavar="DATASET",
        help=f"{', '.join(DATASETS)}; default all there are but stereo pairs",
    )  # fmt: skip


def add_limit(parser: argparse.ArgumentParser, of: str = " of each data set") -> None:
    """Add --limit."""
    parser.add_argument("--limit", type=positive, metavar="N", help=f"only the first N pairs{of}")


def add_json(parser: argparse._ActionsContainer, also: str = "") -> None:
    """Add --json; `also` says what the file has besides the figures of the table."""
    figures = f"all figures, also of every {also}," if also else "all figures"
    parser.add_argument("--json", metavar="FILE", help=f"write {figures} to FILE")


def add_device(parser: argparse._ActionsContainer, of: str = "of the network") -> None:
    """Add --device and --precision."""
    parser.add_argument("--device", default=AUTO, metavar="auto|cpu|cuda|mps", help="where to compute (auto)")
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16", "float16"), default=AUTO, help=of
    )


def add_model(parser: argparse._ActionsContainer, default: str | None = DEFAULT_MODEL) -> None:
    """Add --model for one model; None as the default takes the preset's."""
    words = f"the preset's, mostly {DEFAULT_MODEL}" if default is None else default
    parser.add_argument("--model", default=default, metavar="MODEL", help=f"{MODEL_HELP} ({words})")


def add_models(parser: argparse._ActionsContainer, default: str = DEFAULT_MODEL) -> None:
    """Add --model for several models, None if it is not given; `default` says what is taken then."""
    parser.add_argument(
        "--model", nargs="+", action="extend", metavar="MODEL",
        help=f"{MODEL_HELP} ({default})",
    )  # fmt: skip


def add_settings(parser: argparse._ActionsContainer) -> None:
    """Add --matcher and --settings."""
    add_choice(parser, "--matcher", MATCHERS, None, "the preset's")
    parser.add_argument(
        "--settings", metavar="FILE", help="a .toml file of settings of every stage, see docs/settings.md"
    )


def add_choice(
    parser: argparse._ActionsContainer, option: str, table: Table[Any], default: str | None, words: str = ""
) -> None:
    """Add an option that takes a name of a table; `words` say what the default is where it is no name."""
    parser.add_argument(
        option, choices=tuple(table), default=default, metavar="NAME",
        help=f"{', '.join(table)} ({words or default})",
    )  # fmt: skip


def add_preset(parser: argparse._ActionsContainer) -> None:
    """Add --preset, by default that of the data set."""
    parser.add_argument(
        "--preset", choices=(AUTO, *PRESETS), default=AUTO, metavar="NAME",
        help=f"{', '.join(PRESETS)}, or auto: the data set's own; of a preset that has a form for the data "
        "set's kind of images, that form (auto)",
    )  # fmt: skip


def preset_for(preset: str, dataset: str) -> str:
    """Return a preset in the form for a data set's kind of images, or for "auto" that of the data set."""
    own = DATASETS[dataset].preset
    return own if preset == AUTO else preset_of_kind(preset, own)


def model_for(preset: str) -> str:
    """Return the model that belongs to a preset, or to "auto"."""
    return DEFAULT_MODEL if preset == AUTO else PRESETS[preset].model


def chosen_settings(
    preset: str, file: str | None, matcher: str | None = None, seed: int | None = None
) -> FlowSettings:
    """Return the settings of every stage that --preset, --settings and --matcher ask for.

    Raises
    ------
    PatchBatchError
        For a file that is no file of settings.
    """
    # A tenth of a second, which --help does not need.
    from flow.settings import flow_settings, read_settings, with_methods  # noqa: PLC0415

    settings = flow_settings(preset) if file is None else read_settings(file, preset)
    return with_methods(settings, preset, matcher=matcher, seed=seed)


def refuse_others(
    arguments: argparse.Namespace, parser: argparse.ArgumentParser, used: Collection[str], when: str
) -> None:
    """Refuse options that were given and would do nothing.

    Parameters
    ----------
    arguments, parser
        What was parsed, and by what.
    used
        Names of the arguments that do something.
    when
        Says when the others do nothing.

    Raises
    ------
    PatchBatchError
        Names the first of them.
    """
    known = {action.dest: action for action in parser._actions}
    for name, value in vars(arguments).items():
        action = known.get(name)
        if action is not None and name not in used and value != action.default:
            called = action.option_strings[0] if action.option_strings else name
            raise PatchBatchError(f"{called} does nothing {when}; leave it out")


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def not_negative(text: str) -> int:
    """Read a whole number of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def check_outputs(json: str | None, picture: str | None = None, root: str | None = None) -> None:
    """Refuse before the run, which may take hours, files that could not be written after it, or should not.

    Parameters
    ----------
    json, picture
        Of --json and of the option that draws; None where they are not asked for.
    root
        The folder of the data sets, whose pictures are not to be drawn over.

    Raises
    ------
    PatchBatchError
        If a folder is missing, the report is not to be a `.json`, or the picture is one of the data.
    """
    for file in (json, picture):
        if file is not None and not Path(file).absolute().parent.is_dir():
            raise PatchBatchError(f"no folder for {file}: make it first")
        if file is not None and Path(file).is_dir():
            raise PatchBatchError(f"{file} is a folder; give a file name")
    if json is not None and Path(json).suffix.lower() != ".json":
        raise PatchBatchError(f"{json}: the report is a .json; give it that suffix")
    drawn_over = picture is not None and root is not None and Path(picture).exists()
    if drawn_over and Path(str(root)).resolve() in Path(str(picture)).resolve().parents:
        raise PatchBatchError(f"{picture} would be drawn over a file of {root}; choose another name")


def check_picture(option: str, file: str | None) -> None:
    """Refuse a picture that could not be drawn after the run.

    Raises
    ------
    PatchBatchError
        For any suffix but `.png`, or without matplotlib.
    """
    if file is None:
        return
    if Path(file).suffix.lower() != ".png":
        raise PatchBatchError(f"{file}: the picture is a .png; give it that suffix")
    from benchmarks.report import require_matplotlib  # noqa: PLC0415 - seldom needed

    require_matplotlib(option)
