"""The command that teaches the network that chooses: `python -m flow.completion.train --help`.

Importing torch takes seconds, so nothing here does until the arguments are known to be right.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from flow.completion.train.plan import make_plan
from flow.completion.train.settings import ChoiceTraining
from patchbatch import program
from patchbatch.training.logs import add_log


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = program.Parser(
        prog="python -m flow.completion.train",
        description="Teach the network that chooses the motion of what cannot be matched. Samples are "
        "made once and kept: pairs with all that speaks for each candidate. A run that was stopped goes on.",
    )
    _add_sources(parser.add_argument_group("what is learned from"))
    _add_schedule(parser.add_argument_group("schedule"))
    parser.add_argument(
        "--output", type=Path, default=Path("runs/choices.safetensors"), metavar="FILE",
        help="the weights (%(default)s); what a stopped run goes on from, and .log.csv, lie beside them",
    )  # fmt: skip
    add_log(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (auto)")
    program.add_common(parser)
    return parser


def _add_sources(group: argparse._ArgumentGroup) -> None:
    default = ChoiceTraining()
    group.add_argument(
        "--photos", type=Path, nargs="+", required=True, metavar="DIR", help="folders of photographs"
    )
    group.add_argument(
        "--frames", type=Path, nargs="+", required=True, metavar="DIR",
        help="folders of frames of a driving camera",
    )  # fmt: skip
    group.add_argument(
        "--pairs", type=Path, metavar="ROOT",
        help="folder with real pairs in the official layouts, stereo pairs too; all of them are learned from",
    )  # fmt: skip
    group.add_argument(
        "--cache", type=Path, required=True, metavar="DIR",
        help="where samples are kept; several commands may fill it at once",
    )  # fmt: skip
    group.add_argument("--scenes", type=int, default=default.scenes, help="made pairs (%(default)s)")
    group.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes that make samples (%(default)s)"
    )
    group.add_argument("--make-only", action="store_true", help="make samples, teach nothing")


def _add_schedule(group: argparse._ArgumentGroup) -> None:
    default = ChoiceTraining()
    group.add_argument("--minutes", type=float, default=default.minutes, help="of teaching, at most (any)")
    group.add_argument("--steps", type=int, default=default.steps, help="at most (%(default)s)")
    group.add_argument(
        "--real", type=float, default=default.real, metavar="SHARE",
        help="of windows that are of real pairs (%(default)s)",
    )  # fmt: skip
    group.add_argument("--learning-rate", type=float, default=default.learning_rate, help="(%(default)s)")
    group.add_argument("--start", type=Path, metavar="FILE", help="earlier weights to start from")
    group.add_argument(
        "--seed", type=int, default=default.seed, help="of scenes, windows and weights (%(default)s)"
    )


def main(argv: list[str] | None = None) -> int:
    """Make samples, teach, write; return the exit status (0 done, 1 bad input). Usage errors exit with 2."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return program.run("error", lambda: _run(arguments), arguments)


def _run(arguments: argparse.Namespace) -> None:
    plan = make_plan(arguments)
    from flow.completion.train.teach import run  # noqa: PLC0415 - imports torch

    print(run(plan))


if __name__ == "__main__":
    sys.exit(main())
