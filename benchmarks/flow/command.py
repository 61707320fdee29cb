"""`python -m benchmarks flow`: optical flow on a public data set."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks.arguments import (
    add_device,
    add_limit,
    add_models,
    add_preset,
    add_settings,
    check_outputs,
    model_for,
    not_negative,
)
from benchmarks.flow.options import add_printing, add_running, check_printing, running_of, show
from benchmarks.flow.table import METHODS, OWN
from benchmarks.progress import status_of
from flow.matching.table import MATCHERS
from flow.presets import PRESETS
from patchbatch.data.datasets.table import DATASETS
from patchbatch.models import DEFAULT_MODEL, MODELS
from patchbatch.runs.processes import group_of_torchrun, sharing_threads

if TYPE_CHECKING:
    from benchmarks.flow.settings import FlowBenchmark

DESCRIPTION = """\
Score methods on the pairs of a data set: a table on stdout, everything with --json.
EPE and Out-* are means over the pairs, Fl-all pools the pixels of all pairs; shares in percent.
A pair that cannot be read is told in a line and left out; the exit status is 0 if every pair was scored."""
METHODS_HELP = f"""\
repeatable: {", ".join(METHODS)}, or NAME=FOLDER with .flo, KITTI .png, .pfm or .npz files named as for the
benchmark's upload (flow/000002_10, final/alley_1/frame0002), like its ground truth, or like the pair (000002,
RubberWhale), or NAME=module:function of two frames, uint8 RGB (H, W, 3), that returns the flow (H, W, 2)
({OWN})"""
MATCHES_HELP = f"""\
repeatable: NAME=FOLDER with any program's matches, x1 y1 x2 y2 [score] a line in .txt files of the same
names, made dense by the stages of {OWN}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.epilog = "\n\n".join(table.help() for table in (DATASETS, METHODS, MODELS, PRESETS, MATCHERS))
    parser.add_argument("dataset", choices=tuple(DATASETS), metavar="DATASET", help=", ".join(DATASETS))
    parser.add_argument("root", metavar="ROOT", help="the data set's folder, or the one that holds it")
    parser.add_argument("--method", nargs="+", action="extend", metavar="M", help=METHODS_HELP)
    parser.add_argument("--matches", nargs="+", action="extend", metavar="M", help=MATCHES_HELP)
    add_limit(parser, of="")
    parser.add_argument(
        "--testing", action="store_true", help="the pairs whose truth is not published: fields and times"
    )
    parser.add_argument(
        "--keep-invalid", action="store_true", help="count the pixels of Sintel's invalid mask too"
    )
    add_printing(parser.add_argument_group("what is shown and written of the figures"))
    add_running(parser.add_argument_group("how it is run"))
    add_pipeline_arguments(parser.add_argument_group(f"of the method {OWN}"))
    parser.set_defaults(run=run, kept=lambda arguments: arguments.folder)


def add_pipeline_arguments(
    group: argparse._ArgumentGroup, models: str = f"the preset's, mostly {DEFAULT_MODEL}"
) -> None:
    """Add the options of this project's own method; `models` says which are taken if none are given."""
    add_models(group, models)
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
        methods=tuple(arguments.method or ([] if arguments.matches else [OWN])),
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
        matches=tuple(arguments.matches or []),
        testing=arguments.testing,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, print its table and write its files.

    Returns
    -------
    int
        0, or 1 if a pair could not be scored.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    check_outputs(arguments.json)
    check_printing(arguments)
    benchmark, running = benchmark_of(arguments), running_of(arguments)
    benchmark.check()
    running.check(benchmark)
    with sharing_threads():
        # Imported after all that can be said without: torch takes seconds, and reads the number of threads.
        from benchmarks.flow import runner  # noqa: PLC0415

        report = runner.run_shared(benchmark, running, group_of_torchrun())
    if report is None:  # another process of torchrun shows it
        return 0
    show(arguments, report)
    if running.submission is not None and not report["failed"]:
        from benchmarks.flow.upload.submission import make_submission  # noqa: PLC0415

        print(make_submission(running, benchmark), file=sys.stderr)
    # A pair that fails for several methods is one pair.
    return status_of(list({one["pair"]: one for one in report["failed"]}.values()))
