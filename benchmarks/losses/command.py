"""`python -m benchmarks losses`: which loss, at one budget for all, and at a longer one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.arguments import AUTO, add_datasets, add_json, add_limit, check_outputs, positive
from benchmarks.losses.table import TRIED, Budget
from patchbatch.descriptors.losses.table import LOSSES

if TYPE_CHECKING:
    from benchmarks.losses.settings import LossesBenchmark

DESCRIPTION = """\
Train one narrow network (descriptors of unit length, one scale) with every loss on the same made scenes, for
the same steps; choose each loss's margin, threshold or temperature among a few on held-out scenes; then judge
several seeds at that budget, and one at a longer one, on real pairs: raw error, near misses and rank of
descriptors, and the final flow. A table per data set on stdout. Trained networks are kept, and a run that was
stopped goes on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    budget = Budget()
    lines = (
        f"  {loss:<9} {option}: {', '.join(map(str, values))}" for loss, (option, values) in TRIED.items()
    )
    tried = "\n".join(lines)
    parser.description, parser.epilog = DESCRIPTION, f"{LOSSES.help()}\n\ntried:\n{tried}"
    add_datasets(parser)
    parser.add_argument(
        "--photos", type=Path, nargs="+", required=True, metavar="DIR", help="folders of photographs"
    )
    parser.add_argument(
        "--streets", type=Path, nargs="+", default=[], metavar="DIR", help="folders of driving frames"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("runs/losses"), metavar="DIR", help="the networks (%(default)s)"
    )
    parser.add_argument(
        "--loss", nargs="+", action="extend", choices=tuple(TRIED), metavar="NAME", help="only these (all)"
    )
    for name, what in (
        ("steps", "updates of the short budget"), ("longer", "times the long one is as long"),
        ("seeds", "runs of each loss at the short budget"), ("scenes", "made pairs to learn from"),
    ):  # fmt: skip
        parser.add_argument(
            f"--{name}", type=positive, default=getattr(budget, name), help=f"{what} (%(default)s)"
        )
    parser.add_argument("--points", type=positive, default=1000, metavar="N", help="of each pair (1000)")
    add_limit(parser)
    add_json(parser, "run")
    parser.add_argument("--device", default=AUTO, metavar="auto|cpu|cuda|mps", help="where to compute (auto)")
    parser.set_defaults(run=run, kept=lambda arguments: arguments.work)


def benchmark_of(arguments: argparse.Namespace) -> LossesBenchmark:
    """Turn parsed arguments into what is measured."""
    from benchmarks.losses.settings import LossesBenchmark  # noqa: PLC0415 (slow to import: see run)

    budget = Budget(
        steps=arguments.steps, longer=arguments.longer, seeds=arguments.seeds, scenes=arguments.scenes
    )
    return LossesBenchmark(
        arguments.root, tuple(arguments.photos), arguments.work, tuple(arguments.streets),
        tuple(arguments.loss or ()), budget, arguments.points, tuple(arguments.dataset or ()),
        arguments.limit, arguments.device,
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train and judge, print the tables and write the file.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    check_outputs(arguments.json)
    benchmark = benchmark_of(arguments)
    benchmark.check()
    # Imported after what can be said without: torch takes seconds.
    from benchmarks.losses import study  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    report = study.run(benchmark)
    print(study.format_tables(report))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return 0
