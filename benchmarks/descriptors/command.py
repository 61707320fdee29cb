"""`python -m benchmarks descriptors`: how well descriptors find the true match."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.arguments import (
    add_datasets,
    add_device,
    add_json,
    add_limit,
    add_models,
    check_outputs,
    check_picture,
    not_negative,
    positive,
)
from benchmarks.descriptors.table import BASELINES, TFEAT
from benchmarks.progress import status_of

if TYPE_CHECKING:
    from benchmarks.descriptors.settings import DescriptorBenchmark


DESCRIPTION = """\
Compare descriptors on pairs with true flow: for points drawn at random among those seen in both images, how
often is the true match the nearest descriptor? A table per data set on stdout; means over its pairs."""
FIGURES_HELP = """\
figures (percent; L2 distances; the match is the pixel of image 2 nearest to the truth):
  rank1@Tpx  the nearest descriptor within +-64 px of the match is at most T px from the truth (higher is
             better, in all other figures lower)
  fpr95      negatives, 10 random pixels a point, >= 10 px from the truth, that pass the threshold which 95 %
             of the matches pass
  near-miss  pixels 2 to 8 px from the truth whose descriptor is no farther than the match's, of all
             such pixels
  raw-error  points whose nearest descriptor in the whole image (or --window) is > 3 px from the truth
  seconds    to describe every pixel of image 2"""
ONLY_HELP = f"""\
only these rows, of the models (NAME-alone: without the context of coarser scales), {", ".join(BASELINES)},
{TFEAT.name} and those of --descriptor; default all"""
TFEAT_HELP = "TFeat's weights as .safetensors (ROOT/../tfeat/tfeat-liberty.safetensors; without, no such row)"
CUSTOM_HELP = """\
repeatable: one more row; factory() returns a Descriptor, or a callable, patches (N, 1, P, P) in [0, 1] ->
(N, D), P its attribute patch_size"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description, parser.epilog = DESCRIPTION, f"{FIGURES_HELP}\n\n{BASELINES.help()}"
    add_datasets(parser)
    add_limit(parser)
    parser.add_argument("--points", type=positive, default=2000, metavar="N", help="of each pair (2000)")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the points and negatives (0)")
    parser.add_argument(
        "--window",
        type=positive,
        metavar="N",
        help="raw-error within +-N px of the point itself instead of the whole image",
    )
    parser.add_argument(
        "--by-motion", action="store_true", help="also a table of raw errors by length of the true motion"
    )
    add_json(parser, "pair")
    parser.add_argument("--figure", metavar="FILE", help="draw the raw errors into FILE, a .png (matplotlib)")
    _add_descriptor_arguments(parser.add_argument_group("descriptors"))
    parser.set_defaults(run=run)


def _add_descriptor_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--only", nargs="+", action="extend", metavar="NAME", help=ONLY_HELP)
    add_models(group, default="all shipped ones")
    group.add_argument(
        "--descriptor", nargs="+", action="extend", metavar="NAME=package.module:factory", help=CUSTOM_HELP
    )
    group.add_argument("--tfeat", metavar="FILE", help=TFEAT_HELP)
    group.add_argument("--cell", type=_length, default=4.0, metavar="PX", help="side of SIFT's cells (4)")
    add_device(group, "of the networks given by --model")


def _length(text: str) -> float:
    number = float(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError(f"{text} px is not between 1 and 64")
    return number


def benchmark_of(arguments: argparse.Namespace) -> DescriptorBenchmark:
    """Turn parsed arguments into what is measured."""
    from benchmarks.descriptors.settings import DescriptorBenchmark  # noqa: PLC0415 (slow to import: see run)

    return DescriptorBenchmark(
        root=arguments.root,
        datasets=tuple(arguments.dataset or ()),
        models=tuple(arguments.model or ()),
        descriptors=tuple(arguments.descriptor or ()),
        only=tuple(arguments.only or ()),
        tfeat=arguments.tfeat,
        cell_px=arguments.cell,
        points=arguments.points,
        window=arguments.window,
        limit=arguments.limit,
        seed=arguments.seed,
        device=arguments.device,
        precision=arguments.precision,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, print its tables and write its files.

    Returns
    -------
    int
        0, or 1 if a pair could not be scored.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    check_outputs(arguments.json, arguments.figure, arguments.root)
    check_picture("--figure", arguments.figure)
    benchmark = benchmark_of(arguments)
    benchmark.check()
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.descriptors import rows  # noqa: PLC0415
    from benchmarks.descriptors.report import format_motion, format_tables, write_figure  # noqa: PLC0415
    from benchmarks.descriptors.summary import MOTION_PX  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    report = rows.run(benchmark)
    print(format_tables(report["rows"], report["all_wrong"], benchmark.window))
    if arguments.by_motion:
        print("\n" + format_motion(report["by_motion"], MOTION_PX))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if arguments.figure is not None:
        write_figure(arguments.figure, report["rows"], benchmark.window)
    return status_of(report["failed"])
