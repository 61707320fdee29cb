"""`python -m benchmarks flow`: optical flow on a public data set."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks.arguments import (
    add_device,
    add_json,
    add_limit,
    add_models,
    add_preset,
    add_settings,
    check_outputs,
    model_for,
    not_negative,
)
from benchmarks.flow.table import METHODS, OWN
from benchmarks.pages.folder import check_folder
from flow.matching.table import MATCHERS
from flow.presets import PRESETS
from patchbatch.data.datasets.table import DATASETS
from patchbatch.models import DEFAULT_MODEL, MODELS

if TYPE_CHECKING:
    from benchmarks.flow.settings import FlowBenchmark

DESCRIPTION = """\
Score methods on the pairs of a data set: a table on stdout, everything with --json.
EPE and Out-* are means over the pairs, Fl-all pools the pixels of all pairs; shares in percent."""
METHODS_HELP = f"""\
repeatable: {", ".join(METHODS)}, or NAME=FOLDER with .flo, KITTI .png, .pfm or .npz files named as for the
benchmark's upload (flow/000002_10, final/alley_1/frame0002), like its ground truth, or like the pair (000002,
RubberWhale) ({OWN})"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.epilog = "\n\n".join(table.help() for table in (DATASETS, METHODS, MODELS, PRESETS, MATCHERS))
    parser.add_argument("dataset", choices=tuple(DATASETS), metavar="DATASET", help=", ".join(DATASETS))
    parser.add_argument("root", metavar="ROOT", help="the data set's folder, or the one that holds it")
    parser.add_argument("--method", nargs="+", action="extend", metavar="M", help=METHODS_HELP)
    add_limit(parser, of="")
    parser.add_argument(
        "--keep-invalid", action="store_true", help="count the pixels of Sintel's invalid mask too"
    )
    add_json(parser, "pair")
    parser.add_argument(
        "--report", metavar="DIR", help="write a page with curves and a viewer of all pairs, DIR/index.html"
    )
    _add_pipeline_arguments(parser.add_argument_group(f"of the method {OWN}"))
    parser.set_defaults(run=run)


def _add_pipeline_arguments(group: argparse._ArgumentGroup) -> None:
    add_models(group, f"the preset's, mostly {DEFAULT_MODEL}")
    add_preset(group)
    add_settings(group)
    add_device(group)
    group.add_argument("--no-refine", dest="refine", action="store_false", help="stop after interpolation")
    group.add_argument(
        "--seed", type=not_negative, help="of the matcher's random choices (that of the settings)"
    )


def benchmark_of(arguments: argparse.Namespace) -> FlowBenchmark:
    """Turn parsed arguments into what is measured."""
    from benchmarks.flow.settings import FlowBenchmark  # noqa: PLC0415 (slow to import: see run)

    return FlowBenchmark(
        dataset=arguments.dataset,
        root=arguments.root,
        methods=tuple(arguments.method or [OWN]),
        models=tuple(arguments.model or [model_for(arguments.preset)]),
        preset=arguments.preset,
        matcher=arguments.matcher,
        settings=arguments.settings,
        device=arguments.device,
        precision=arguments.precision,
        refine=arguments.refine,
        seed=arguments.seed,
        limit=arguments.limit,
        keep_invalid=arguments.keep_invalid,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, print its table and write its file.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    check_outputs(arguments.json)
    benchmark = benchmark_of(arguments)
    benchmark.check()
    check_folder(arguments.report)
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.flow import runner  # noqa: PLC0415
    from benchmarks.flow.report import format_table  # noqa: PLC0415
    from benchmarks.pages.page import write_page  # noqa: PLC0415
    from benchmarks.pages.recorder import recorder_for  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    recorder = recorder_for(arguments.report, keep_invalid=benchmark.keep_invalid)
    report = runner.run(benchmark, recorder)
    print(format_table(report["dataset"], report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if recorder is not None:
        print(f"report: {write_page(recorder, report)}", file=sys.stderr)
    return 0
