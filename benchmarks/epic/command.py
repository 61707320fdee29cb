"""`python -m benchmarks epic`: the interpolation beside the original EpicFlow program, on equal input."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_json, check_folders

# Said again here because the modules that define them take a second to import, which --help should not.
ESTIMATORS = ("affine", "nadaraya-watson", "robust")
PRESETS = ("auto", "default", "kitti", "sintel", "middlebury")
REFINEMENTS = ("auto", "original", "own", "fast")

DESCRIPTION = """\
Interpolate the matches that the original program was given, compare with its flow and with the ground truth:
a table on stdout, everything with --json. By default this is the reproduction of the original."""
ESTIMATOR_HELP = """\
local models: affine (the original's, default), nadaraya-watson (its -nw), robust (this project's settings)"""
REFINEMENT_HELP = """\
after the interpolation: original (EpicFlow's), own (this project's), fast (OpenCV's); auto is own for
the estimator robust, else original"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command and its arguments."""
    parser = commands.add_parser(
        "epic", help="the interpolation beside the original EpicFlow program", description=DESCRIPTION
    )
    parser.add_argument(
        "root",
        metavar="ROOT",
        help="the folder of reference pairs, or the one that holds it as epic_reference",
    )
    parser.add_argument(
        "--frames",
        metavar="DIR",
        help="the folder of the frames and their truth (flow, beside the references)",
    )
    parser.add_argument("--estimator", choices=ESTIMATORS, default="affine", help=ESTIMATOR_HELP)
    parser.add_argument("--preset", choices=PRESETS, default="auto", help="auto: the data set's own")
    parser.add_argument(
        "--edges",
        default="given",
        metavar="given|gradient|network|FILE",
        help="given: the map the original was given (default); FILE: weights of an edge network",
    )
    parser.add_argument("--refinement", choices=REFINEMENTS, default="auto", help=REFINEMENT_HELP)
    parser.add_argument("--no-refine", dest="refine", action="store_false", help="only the interpolated flow")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the table and write the file.

    Raises
    ------
    PatchBatchError
        For a folder without references, or frames that are missing.
    """
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    from benchmarks import report as table  # noqa: PLC0415
    from benchmarks.epic import comparison as epic  # noqa: PLC0415

    check_folders(arguments.json)
    report = epic.run(
        epic.EpicBenchmark(
            root=arguments.root,
            frames=arguments.frames,
            estimator=arguments.estimator,
            preset=arguments.preset,
            edges=arguments.edges,
            refinement=arguments.refinement,
            refine=arguments.refine,
        )
    )
    print(epic.format_table(report["rows"]))
    if arguments.json is not None:
        table.write_json(arguments.json, report)
    return 0
