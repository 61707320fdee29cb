"""`python -m benchmarks confidence`: how far the dense flow's confidence and occlusion can be trusted."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.arguments import (
    add_datasets,
    add_device,
    add_json,
    add_limit,
    add_model,
    add_preset,
    add_settings,
    check_outputs,
    check_picture,
    model_for,
)
from benchmarks.progress import status_of
from patchbatch.data.files import make_folder
from patchbatch.errors import PatchBatchError

if TYPE_CHECKING:
    from benchmarks.confidence.settings import ConfidenceBenchmark

DESCRIPTION = """\
Run the whole pipeline on pairs with true flow, and compare the confidence and the occlusion that it gives
for every pixel with what is true of the pixel. Three tables on stdout, a line for each data set, its pairs
weighing the same."""
FIGURES_HELP = """\
figures, over the pixels with known truth (percent, but AUSE and best-at):
  Fl              wrong: more than 3 px and more than 5 % off; also the AURC of a random order
  ECE             expected calibration error of "within 3 px", in 20 equal steps of confidence
  sure            pixels with a confidence above 0.9
  sure-wrong>3px  of these, more than 3 px off
  sure-Fl         of these, wrong by Fl's rule
  AURC            wrong pixels among the most confident share c, mean over all c from 0 to 1
  AURC-ideal      the same, had the confidence put all wrong pixels last
  AUSE            mean error in px of the most confident share c, less that of the share with the least error,
                  mean over all c, of the mean error of all (0 is ideal, about 1 a random order)
  truth           whose word it is that a pixel is not seen in the second image; noc: KITTI's flow_occ
                  without flow_noc; mask + frame: Sintel's occlusion mask, and what truly leaves the frame
                  (of which the mask has a part only); none: the data set does not say
  unseen          pixels that are not seen
  precision, recall, F
                  of "not seen" at a probability of one half
  best-F, best-at
                  the highest F of all thresholds, and its threshold
  leaves, hidden, border, other
                  the wrong pixels by cause, each counted once, of all pixels: the true target leaves the
                  frame; hidden inside it by the data set's masks; within 8 px of a jump of the true flow by
                  over 3 px (and, where truth is sparse, over 1 px for each px between the pixels with
                  truth); none of these"""
PICTURES = ("reliability.png", "risk-coverage.png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description, parser.epilog = DESCRIPTION, FIGURES_HELP
    add_datasets(parser)
    add_limit(parser)
    add_model(parser, None)
    add_preset(parser)
    add_settings(parser)
    add_json(parser, "pair")
    parser.add_argument(
        "--picture", metavar="FOLDER", help=f"draw {' and '.join(PICTURES)} into FOLDER (matplotlib)"
    )
    add_device(parser)
    parser.set_defaults(run=run)


def benchmark_of(arguments: argparse.Namespace) -> ConfidenceBenchmark:
    """Turn parsed arguments into what is measured."""
    from benchmarks.confidence.settings import ConfidenceBenchmark  # noqa: PLC0415 (slow to import: see run)

    return ConfidenceBenchmark(
        root=arguments.root,
        datasets=tuple(arguments.dataset or ()),
        model=arguments.model or model_for(arguments.preset),
        preset=arguments.preset,
        matcher=arguments.matcher,
        settings=arguments.settings,
        limit=arguments.limit,
        device=arguments.device,
        precision=arguments.precision,
    )


def check_pictures(folder: str | None, root: str) -> None:
    """Make the folder of --picture; refuse one that could not be drawn into, or holds such files of the data.

    Raises
    ------
    PatchBatchError
        For a file, a folder that cannot be made, pictures of the data, or without matplotlib.
    """
    if folder is None:
        return
    if Path(folder).exists() and not Path(folder).is_dir():
        raise PatchBatchError(f"{folder} is a file; give --picture a folder")
    for name in PICTURES:
        check_picture("--picture", str(Path(folder) / name))
    make_folder(folder)
    for name in PICTURES:
        check_outputs(None, str(Path(folder) / name), root)


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
    check_outputs(arguments.json)
    benchmark = benchmark_of(arguments)
    benchmark.check()
    check_pictures(arguments.picture, arguments.root)
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.confidence import study  # noqa: PLC0415
    from benchmarks.confidence.pictures import write_reliability, write_risk  # noqa: PLC0415
    from benchmarks.confidence.report import format_tables  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    report, judged = study.run(benchmark)
    print(format_tables(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if arguments.picture is not None:
        for name, write in zip(PICTURES, (write_reliability, write_risk), strict=True):
            write(Path(arguments.picture) / name, judged)
    return status_of(report["failed"])
