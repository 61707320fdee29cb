"""`patchbatch-verify`: are two feature vectors of one class? For embeddings of any kind."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from patchbatch import __version__, program
from patchbatch.data.files import check_overwriting, peek
from patchbatch.errors import PatchBatchError

DESCRIPTION = """\
Score pairs of feature vectors, by cosine, by Joint Bayesian or by a small Siamese network, and report how
well the scores tell same from not same: accuracy with the threshold of each fold chosen on the others, equal
error rate, and the share of same pairs accepted (TAR) at given shares of not-same pairs accepted (FAR)."""
EPILOG = """\
feature files: .npz or .safetensors with `features` (N, D) and perhaps `labels` (N,), integers or (.npz)
names; or .npy of features, labels apart.
pair files: text, a pair a line: row1,row2[,same[,fold]], rows from 0, same 1 or 0, perhaps under a header.
Without the column same, it is taken from the labels; without labels either, pairs are scored and not judged.
Without the column fold, pairs are dealt into folds in turn.

examples:
  patchbatch-verify test.npz                              cosine, pairs drawn from the labels
  patchbatch-verify test.npz --train train.npz --rank 100 --save jb.safetensors
  patchbatch-verify test.npy --model jb.safetensors --pairs pairs.csv -o scores.csv
  patchbatch-verify all.npz --splits --scorer jb          fitted anew for each fold on the other folds

exit status: 0 done, 1 bad input (one line on stderr), 2 wrong usage
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `patchbatch-verify`."""
    parser = program.Parser(
        prog="patchbatch-verify",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("features", type=Path, metavar="FEATURES", help="what is tested: a feature file")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="its labels: .npy, or text, one a line")
    parser.add_argument("--version", action="version", version=f"patchbatch-verify {__version__}")
    _add_pairs(parser.add_argument_group("pairs"))
    _add_scorer(parser.add_argument_group("scorer"))
    _add_outputs(parser.add_argument_group("what comes out"))
    program.add_common(parser)
    return parser


def _add_pairs(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--pairs", type=Path, metavar="FILE", help="pair file; default: drawn from the labels")
    group.add_argument(
        "--count", type=int, default=300, metavar="N",
        help="pairs of each kind drawn for a fold (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--folds", type=int, default=10, metavar="K", help="number of folds (default: %(default)s)"
    )
    group.add_argument("--seed", type=int, default=0, help="of the drawing and of training (default: 0)")


def _add_scorer(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--scorer", choices=("cosine", "jb", "siamese"),
        help="default: jb with --train, --model or --splits, else cosine",
    )  # fmt: skip
    source = group.add_mutually_exclusive_group()
    source.add_argument(
        "--train", type=Path, metavar="FILE",
        help="feature file to learn from, of other classes than the test's (cosine: its mean is subtracted)",
    )  # fmt: skip
    source.add_argument("--model", type=Path, metavar="FILE", help="Joint Bayesian model that --save wrote")
    source.add_argument(
        "--splits", action="store_true",
        help="deal the classes of FEATURES into folds and learn anew for each fold from the others",
    )  # fmt: skip
    group.add_argument("--train-labels", type=Path, metavar="FILE", help="labels of --train, as --labels")
    group.add_argument(
        "--unrelated-labels", action="store_true",
        help="labels of FEATURES and --train were numbered apart: equal ones are different classes",
    )  # fmt: skip
    group.add_argument(
        "--rank", type=int, metavar="N", help="jb: principal directions to work in (default: all)"
    )
    group.add_argument(
        "--shrinkage", type=float, default=0.0, metavar="T",
        help="jb: share in [0, 1) by which the within-class covariance is drawn to a sphere (default: 0)",
    )  # fmt: skip
    group.add_argument(
        "--method", choices=("closed_form", "em"), default="closed_form",
        help="jb: how it is estimated (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--loss", choices=("binary", "contrastive"), default="binary",
        help="siamese: what it is trained with (default: %(default)s)",
    )  # fmt: skip


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-o", "--output", type=Path, metavar="FILE", help="scores, as .csv or .npz")
    group.add_argument("--save", type=Path, metavar="FILE", help="the Joint Bayesian model, as .safetensors")
    group.add_argument("--json", type=Path, metavar="FILE", help="the report as JSON")
    group.add_argument(
        "--far", type=float, nargs="+", metavar="F",
        help="FAR to report TAR at; refused below 1 / not-same pairs (default: 0.1 0.01 0.001, as far as "
        "there are enough)",
    )  # fmt: skip


def checked_kind(arguments: argparse.Namespace) -> str:
    """Return which scorer is meant, after a look at what goes together.

    Raises
    ------
    PatchBatchError
        For options that do not.
    """
    learned = arguments.train is not None or arguments.splits
    kind = str(arguments.scorer or ("jb" if learned or arguments.model else "cosine"))
    if arguments.model is not None and kind != "jb":
        raise PatchBatchError(f"--model is a Joint Bayesian model, not {kind}; leave out --scorer")
    if kind != "cosine" and not learned and arguments.model is None:
        raise PatchBatchError(f"{kind} has to learn: give --train, --splits, or (jb) --model")
    if arguments.save is not None and (kind != "jb" or arguments.train is None):
        raise PatchBatchError("--save keeps a Joint Bayesian model learned from --train; give --train")
    if arguments.splits and arguments.pairs is not None:
        raise PatchBatchError("--splits draws pairs within its folds; leave out --pairs")
    if arguments.train_labels is not None and arguments.train is None:
        raise PatchBatchError("--train-labels are those of --train; give --train as well")
    if arguments.folds < 2 or arguments.seed < 0:
        raise PatchBatchError("--folds must be 2 or more and --seed 0 or more")
    return kind


def check_files(arguments: argparse.Namespace) -> None:
    """Refuse inputs that are missing and outputs that would overwrite them, before anything is imported.

    Raises
    ------
    PatchBatchError
        Names the file.
    """
    given = ("--labels", "--pairs", "--train", "--train-labels", "--model")
    reads = [("FEATURES", arguments.features)]
    reads += [(option, getattr(arguments, option[2:].replace("-", "_"))) for option in given]
    for _, path in reads:
        if path is not None:
            peek(path, 1)
    outputs = (("-o", arguments.output), ("--save", arguments.save), ("--json", arguments.json))
    check_overwriting(reads, outputs)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `patchbatch-verify`; return 0, or 1 after a one-line message. Usage errors exit with 2."""
    arguments = build_parser().parse_args(argv)
    return program.run("error", lambda: _run(arguments), arguments)


def _run(arguments: argparse.Namespace) -> None:
    kind = checked_kind(arguments)
    check_files(arguments)
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    from patchbatch.transfer.verification import command as verify_command  # noqa: PLC0415

    for line in verify_command.run(arguments, kind):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
