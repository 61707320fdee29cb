"""The command that teaches the edge network: `python -m flow.edges.train --help`.

Importing torch takes seconds, so nothing here does until the arguments are known to be right.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from flow.edges.train.settings import SPLITS, EdgeTraining, boundary_pairs
from patchbatch import program
from patchbatch.data.files import atomic_path, check_overwriting, make_folder, peek
from patchbatch.errors import PatchBatchError
from patchbatch.training.logs import add_log, check_log


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = program.Parser(
        prog="python -m flow.edges.train",
        description="Teach the edge network the boundaries that people drew in BSDS500, and score it.",
    )
    defaults = EdgeTraining()
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder of BSDS500")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/edges.safetensors"), metavar="FILE",
        help="the weights (%(default)s); the losses go into .log.csv beside them",
    )  # fmt: skip
    parser.add_argument("--score", type=Path, metavar="FILE", help="only score these weights, train nothing")
    parser.add_argument("--minutes", type=float, default=defaults.minutes, help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="at most (%(default)s)")
    parser.add_argument("--batch", type=int, default=defaults.batch, help="crops a step (%(default)s)")
    parser.add_argument("--crop", type=int, default=defaults.crop, help="px (%(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="(%(default)s)")
    parser.add_argument("--test-images", type=int, metavar="N", help="score on the first N only (all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores to FILE")
    add_log(parser)
    program.add_common(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Train, score, write; return the exit status (0 done, 1 bad input). Usage errors exit with 2."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return program.run("error", lambda: _run(arguments), arguments)


def _run(arguments: argparse.Namespace) -> None:
    training = check(arguments)
    from flow.edges.train import teach  # noqa: PLC0415 - imports torch

    weights = arguments.score
    if weights is None:
        weights = teach.train_and_save(arguments.data, training, arguments.output, arguments.log)
    figures = teach.score(arguments.data, weights, arguments.test_images)
    print("\n".join(f"{name}: {value:.4f}" for name, value in figures.items()))
    _write_report(arguments, figures, training)


def check(arguments: argparse.Namespace) -> EdgeTraining:
    """Check what was parsed, make the folders of what is written, and return the settings.

    Raises
    ------
    PatchBatchError
        For numbers out of range, a folder without the images that are needed, weights that are not there, and
        folders that cannot be made.
    """
    training = EdgeTraining(
        minutes=arguments.minutes, steps=arguments.steps, batch=arguments.batch, crop=arguments.crop,
        seed=arguments.seed,
    )  # fmt: skip
    if arguments.test_images is not None and arguments.test_images < 1:
        raise PatchBatchError(f"test-images is {arguments.test_images}; give 1 or more")
    check_log(arguments.log)
    if arguments.score is not None:
        peek(arguments.score, 0)
    for split in SPLITS if arguments.score is None else ("test",):
        boundary_pairs(arguments.data, split)
    written = (arguments.json, arguments.output if arguments.score is None else None)
    check_overwriting([("--score", arguments.score)], zip(("--json", "--output"), written, strict=True))
    for path in written:
        if path is not None:
            if path.is_dir():
                raise PatchBatchError(f"{path} is a folder; name a file in it")
            make_folder(path.parent)
    return training


def _write_report(arguments: argparse.Namespace, figures: dict[str, float], training: EdgeTraining) -> None:
    if arguments.json is None:
        return
    report = {"training": training.to_table()} if arguments.score is None else {}
    report |= {"test-images": arguments.test_images, "scores": figures}
    with atomic_path(arguments.json) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
