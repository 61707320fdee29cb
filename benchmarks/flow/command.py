"""`python -m benchmarks flow`: optical flow on a public data set."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.arguments import add_device, add_json, add_limit, check_folders

if TYPE_CHECKING:
    from benchmarks.flow.runner import FlowBenchmark

# Said again here because the modules that define them take a second to import, which --help should not.
DATASETS = ("kitti2012", "kitti2015", "sintel", "middlebury", "chairs")
PRESETS = ("auto", "default", "kitti", "sintel", "middlebury")

DESCRIPTION = """\
Score methods on the pairs of a data set: a table on stdout, everything with --json.
EPE and Out-* are means over the pairs, Fl-all pools the pixels of all pairs; shares in percent."""
METHODS_HELP = """\
repeatable: patchbatch (default), dis-ultrafast, dis-fast, dis-medium, farneback, zero, or
NAME=FOLDER with .flo, KITTI .png, .pfm or .npz files named as for the benchmark's upload (flow/000002_10,
final/alley_1/frame0002), like its ground truth, or like the pair (000002, RubberWhale)"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command and its arguments."""
    parser = commands.add_parser("flow", help="optical flow on a public data set", description=DESCRIPTION)
    parser.add_argument("dataset", choices=DATASETS, metavar="DATASET", help=", ".join(DATASETS))
    parser.add_argument("root", metavar="ROOT", help="the data set's folder, or the one that holds it")
    parser.add_argument(
        "--pass", dest="rendering", choices=("clean", "final"), default="final", help="of Sintel (final)"
    )
    parser.add_argument("--method", nargs="+", action="extend", metavar="M", help=METHODS_HELP)
    add_limit(parser, of="")
    parser.add_argument(
        "--keep-invalid", action="store_true", help="count the pixels of Sintel's invalid mask too"
    )
    add_json(parser, "pair")
    _add_pipeline_arguments(parser.add_argument_group("of the method patchbatch"))
    parser.set_defaults(run=run)


def _add_pipeline_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--model", nargs="+", action="extend", metavar="NAME|FILE", help="networks (compact)")
    group.add_argument("--preset", choices=PRESETS, default="auto", help="auto: the data set's own")
    add_device(group)
    group.add_argument("--no-refine", dest="refine", action="store_false", help="stop after interpolation")
    group.add_argument("--seed", type=int, default=0, help="of the matcher's random choices (0)")


def settings_of(arguments: argparse.Namespace) -> FlowBenchmark:
    """Turn parsed arguments into the settings of the runner."""
    from benchmarks.flow.methods import PatchBatchSettings  # noqa: PLC0415 (slow to import: see run)
    from benchmarks.flow.runner import FlowBenchmark  # noqa: PLC0415

    return FlowBenchmark(
        dataset=arguments.dataset,
        root=arguments.root,
        rendering=arguments.rendering,
        methods=tuple(arguments.method or ["patchbatch"]),
        models=tuple(arguments.model or ["compact"]),
        patchbatch=PatchBatchSettings(
            preset=arguments.preset,
            device=arguments.device,
            precision=arguments.precision,
            refine=arguments.refine,
            seed=arguments.seed,
        ),
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
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    from benchmarks import report as table  # noqa: PLC0415
    from benchmarks.flow import runner  # noqa: PLC0415

    check_folders(arguments.json)
    report = runner.run(settings_of(arguments))
    print(table.format_table(report["dataset"], report["rows"]))
    if arguments.json is not None:
        table.write_json(arguments.json, report)
    return 0
