"""Options of `python -m benchmarks flow` about how it is run and shown; nothing is slow to import."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.arguments import add_choice, add_json, positive
from benchmarks.flow.printing.columns import COLUMNS
from benchmarks.flow.printing.forms import FORMATS
from benchmarks.flow.printing.published import PUBLISHED
from patchbatch.data.files import check_overwriting
from patchbatch.errors import PatchBatchError
from patchbatch.runs.processes import group_of_torchrun

if TYPE_CHECKING:
    from benchmarks.flow.settings import Running

# patchbatch.data.formats.FLOW_SUFFIXES, which --help is not to wait for.
SUFFIXES = (".npz", ".flo", ".png", ".pfm")


def add_running(group: argparse._ArgumentGroup) -> None:
    """Add the options about how the pairs are run and what is kept of them."""
    group.add_argument(
        "--keep", dest="folder", metavar="DIR",
        help="keep the result of every pair in DIR as it is made; the same command, with more pairs "
        "or methods too, then goes on where it was",
    )  # fmt: skip
    group.add_argument(
        "--jobs", type=positive, default=1, metavar="N",
        help="share the pairs and the processors out to N processes (1); under torchrun its processes share "
        "them instead",
    )  # fmt: skip
    group.add_argument(
        "--write", metavar="DIR",
        help="keep the flow fields of every stage in DIR/METHOD, named as for the benchmark's upload",
    )  # fmt: skip
    group.add_argument(
        "--write-as", choices=SUFFIXES, metavar="SUFFIX",
        help=f"their form: {', '.join(SUFFIXES)}; .npz is exact and keeps the confidence too (.npz)",
    )  # fmt: skip
    group.add_argument(
        "--submission", metavar="FILE.zip",
        help="make the archive that the server takes of the fields, and read it back: KITTI 2012 and 2015, "
        "and Sintel once clean and final are written to one folder; with --testing",
    )  # fmt: skip


def add_printing(group: argparse._ArgumentGroup) -> None:
    """Add the options about the table and the files of figures."""
    add_choice(group, "--columns", COLUMNS, "papers")
    add_choice(group, "--format", FORMATS, "markdown")
    group.add_argument(
        "--published", action="store_true",
        help="add the rows of the PatchBatch paper, figures of test sets, and small networks by ptlflow "
        f"({', '.join(PUBLISHED)})",
    )  # fmt: skip
    add_json(group, "pair")
    group.add_argument(
        "--report", metavar="DIR", help="write a page with curves and a viewer of all pairs, DIR/index.html"
    )
    group.add_argument(
        "--report-pictures", choices=("all", "none"), default="all",
        help="none leaves the viewer out, and with it all that is under the data set's licence (all)",
    )  # fmt: skip
    group.add_argument("--csv", metavar="FILE", help="the same figures as comma-separated values")


def running_of(arguments: argparse.Namespace) -> Running:
    """Turn parsed arguments into how the measurement is run.

    Raises
    ------
    PatchBatchError
        For --jobs under torchrun.
    """
    from benchmarks.flow.settings import Running  # noqa: PLC0415 (slow to import)

    if arguments.jobs > 1 and group_of_torchrun().size > 1:
        raise PatchBatchError("--jobs and torchrun both share the pairs out; leave --jobs out")
    if arguments.write_as is not None and arguments.write is None:
        raise PatchBatchError("--write-as is the form of what --write DIR keeps; give it too")
    return Running(
        arguments.folder, arguments.write, arguments.write_as or SUFFIXES[0], arguments.submission,
        arguments.jobs, arguments.report, arguments.report_pictures == "all",
    )  # fmt: skip


def check_printing(arguments: argparse.Namespace) -> None:
    """Refuse files that could not be written after the run, and rows that nobody published.

    Raises
    ------
    PatchBatchError
        Says what to give.
    """
    file = arguments.csv
    if file is not None and (
        Path(file).suffix.lower() != ".csv" or not Path(file).absolute().parent.is_dir()
    ):
        raise PatchBatchError(f"{file}: give --csv a .csv file in a folder that exists")
    check_overwriting(
        [], [("--json", arguments.json), ("--csv", file), ("--submission", arguments.submission)]
    )
    if arguments.report is None and arguments.report_pictures != "all":
        raise PatchBatchError("--report-pictures is about the page of --report DIR; give it too")
    if arguments.published and arguments.dataset not in PUBLISHED:
        raise PatchBatchError(f"--published has rows for {', '.join(PUBLISHED)} only; leave it out")


def show(arguments: argparse.Namespace, report: dict[str, Any]) -> None:
    """Print the table and write the files that are asked for.

    Raises
    ------
    PatchBatchError
        If a file cannot be written.
    """
    from benchmarks.flow.printing.forms import write_csv  # noqa: PLC0415
    from benchmarks.flow.report import format_table  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    words = {"columns": arguments.columns, "form": arguments.format, "published": arguments.published}
    print(format_table(report["dataset"], report["rows"], **words))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if arguments.csv is not None:
        write_csv(arguments.csv, report)
    if arguments.report is not None:
        from benchmarks.pages.page import write_page  # noqa: PLC0415
        from benchmarks.pages.recorder import Recorder  # noqa: PLC0415

        page = write_page(Recorder(arguments.report, pictures=arguments.report_pictures == "all"), report)
        print(f"report: {page}", file=sys.stderr)
