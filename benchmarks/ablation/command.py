"""`python -m benchmarks ablation`: which loss and which normalisation, at one small budget."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.arguments import add_json, check_outputs
from patchbatch.errors import PatchBatchError

DESCRIPTION = """\
Train the 51-px network, narrowed, with {DrLIM, CENT-DrLIM} x {with, without SD} x {fine-grained, per-channel}
normalisation for the same number of steps on the same made scenes, several seeds each, and score every one on
held-out scenes. A table of means and standard deviations over the seeds on stdout."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="folders of photographs")
    parser.add_argument("--steps", type=int, default=400, help="updates of each run (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each variant (%(default)s)")
    parser.add_argument("--scenes", type=int, default=400, help="made pairs to train on (%(default)s)")
    parser.add_argument("--margin", type=float, default=100.0, help="m (%(default)s)")
    parser.add_argument("--balance", type=float, default=0.8, help="λ of the SD term (%(default)s)")
    add_json(parser, "run")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train all variants, print the table and write the file.

    Raises
    ------
    PatchBatchError
        For folders without photographs and settings out of range.
    """
    check_outputs(arguments.json)
    for folder in arguments.photos:
        if not Path(folder).is_dir():
            raise PatchBatchError(f"no folder {folder}: give folders of photographs")
    # Imported after what can be said without: torch takes seconds.
    from benchmarks import report as table  # noqa: PLC0415
    from benchmarks.ablation import study as ablation  # noqa: PLC0415

    settings = ablation.AblationSettings(
        steps=arguments.steps, seeds=arguments.seeds, scenes=arguments.scenes, margin=arguments.margin,
        balance=arguments.balance,
    )  # fmt: skip
    report = ablation.run([Path(folder) for folder in arguments.photos], settings)
    print(ablation.format_table(report["rows"]))
    if arguments.json is not None:
        table.write_json(arguments.json, report)
    return 0
