"""`python -m benchmarks speed`: what each stage costs, by size of the images, beside the machine's limit."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_json, add_models, add_settings, check_outputs
from benchmarks.speed.table import STAGES
from patchbatch.models import DEFAULT_MODEL

SIZES = ("320x240", "1024x436", "1242x375", "1920x1080", "3840x2160")
DEFAULT_SIZES = SIZES[:3]

DESCRIPTION = """\
Time each stage on made scenes, without files: the median of some runs after one to warm up, the memory the
process takes beyond what it held before, and the share of this machine's own matrix product, timed between
the runs and in the number type of the stage's products. Work beyond --limit is timed on a strip of the images
and scaled by its arithmetic ("part" in the file). What the memory cannot hold is reported as refused.
Set OMP_NUM_THREADS to compare on a given number of cores."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description, parser.epilog = DESCRIPTION, STAGES.help()
    parser.add_argument(
        "--only", nargs="+", choices=tuple(STAGES), default=list(STAGES), metavar="STAGE",
        help=f"of {', '.join(STAGES)} (all)",
    )  # fmt: skip
    add_models(parser)
    add_settings(parser)
    parser.add_argument(
        "--size", nargs="+", type=size, default=[size(text) for text in DEFAULT_SIZES], metavar="WxH",
        help=f"image sizes ({' '.join(DEFAULT_SIZES)}; 1080p and 4K are {' and '.join(SIZES[3:])})",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each row (%(default)s)")
    parser.add_argument(
        "--limit", type=float, default=1.0, metavar="TFLOP",
        help="arithmetic of one timed run, 0: whole images whatever it takes (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu, cuda, auto (%(default)s)")
    add_json(parser)
    parser.add_argument(
        "--plot", metavar="FILE",
        help="also time description and matching of the first model from 0.1 to 8 megapixels, and draw "
        "seconds and memory against pixels",
    )  # fmt: skip
    parser.set_defaults(run=run)


def size(text: str) -> tuple[int, int]:
    """Read a size such as `1242x375` -> width and height in px, at least 32 each."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()) or min(int(width), int(height)) < 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT with 32 px or more, such as 1242x375")
    return int(width), int(height)


def run(arguments: argparse.Namespace) -> int:
    """Time the rows, print the table, write the file and the picture."""
    from benchmarks.report import check_plot, write_json  # noqa: PLC0415 (only to run)
    from benchmarks.speed.settings import SpeedSettings  # noqa: PLC0415 (only to run)

    check_outputs(arguments.json, arguments.plot)
    check_plot("--plot", arguments.plot)
    settings = SpeedSettings(
        tuple(arguments.only), tuple(arguments.model or [DEFAULT_MODEL]), tuple(arguments.size),
        arguments.repeats, arguments.limit * 1e12, arguments.device, arguments.plot is not None,
        arguments.matcher, arguments.settings,
    )  # fmt: skip
    settings.check()
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.speed import measure  # noqa: PLC0415

    report = measure.run(settings)
    print(measure.format_table(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if arguments.plot is not None:
        from benchmarks.speed.plot import draw  # noqa: PLC0415

        draw(report["rows"], arguments.plot)
    return 0
