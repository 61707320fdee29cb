"""`patchbatch-verify`: how likely two photographs are of one person, or two vectors of one class."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from patchbatch import __version__, program
from patchbatch.data.files import check_overwriting, peek
from patchbatch.errors import PatchBatchError
from patchbatch.progress import listening
from patchbatch.transfer.embeddings.arguments import add_embedding, inputs_of
from patchbatch.transfer.embeddings.table import CROPS, DEFAULT_EMBEDDING, EMBEDDINGS

DESCRIPTION = """\
Of photographs: the probability, for each two of them, that they show one person.
Of feature files, or a folder with a folder of photographs for each person: score pairs of vectors, by
cosine, by Joint Bayesian or by a small Siamese network, and report how well the scores tell same from not
same: accuracy with the threshold of each fold chosen on the others, equal error rate, and the share of
same pairs accepted (TAR) at given shares of not-same pairs accepted (FAR)."""
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
# What only photographs use, what they use too, and what a folder of people uses besides.
OF_PHOTOGRAPHS = ("prior",)
EMBEDDED = ("embedding", "detector", "crop", "side", "colour", "mean", "deviation", "device")
WITH_PHOTOGRAPHS = ("inputs", "model", "output", "json", "debug", "threads", *EMBEDDED, *OF_PHOTOGRAPHS)
EPILOG = """\
photographs are taken as crops of a face unless --detector finds the face and cuts it out. It is no system for
finding out who somebody is: it compares the faces that it is given, errs, and says how sure it is.

feature files: .npz or .safetensors with `features` (N, D) and perhaps `labels` (N,), integers or (.npz)
names; or .npy of features, labels apart.
pair files: text, a pair a line: row1,row2[,same[,fold]], rows from 0, same 1 or 0, perhaps under a header.
Without the column same, it is taken from the labels; without labels either, pairs are scored and not judged.
Without the column fold, pairs are dealt into folds in turn.

examples:
  patchbatch-verify a.jpg b.jpg --embedding dlib --detector dlib       with pip install 'patchbatch[faces]'
  patchbatch-verify people/ --embedding dlib --report page             one's own people: a folder each
  patchbatch-verify test.npz                              cosine, pairs drawn from the labels
  patchbatch-verify test.npz --train train.npz --rank 100 --save jb.safetensors
  patchbatch-verify test.npy --model jb.safetensors --pairs pairs.csv -o scores.csv
  patchbatch-verify all.npz --splits --scorer jb          fitted anew for each fold on the other folds

exit status: 0 done, 1 bad input (one line on stderr), 2 wrong usage
"""
EPILOG = "\n\n".join([EMBEDDINGS.help(), CROPS.help(), EPILOG])


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `patchbatch-verify`."""
    parser = program.Parser(
        prog="patchbatch-verify",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs", type=Path, nargs="+", metavar="INPUT",
        help="two photographs or more; or what is tested: a feature file, or a folder of people",
    )  # fmt: skip
    parser.add_argument("--labels", type=Path, metavar="FILE", help="its labels: .npy, or text, one a line")
    parser.add_argument("--version", action="version", version=f"patchbatch-verify {__version__}")
    _add_faces(parser.add_argument_group("photographs"))
    _add_pairs(parser.add_argument_group("pairs"))
    _add_scorer(parser.add_argument_group("scorer"))
    _add_outputs(parser.add_argument_group("what comes out"))
    program.add_common(parser)
    return parser


def _add_faces(group: argparse._ArgumentGroup) -> None:
    add_embedding(group, DEFAULT_EMBEDDING)
    group.add_argument(
        "--detector", metavar="FILE",
        help="dlib, or the file of a YuNet model: finds the face in a photograph (none: they are crops)",
    )  # fmt: skip
    group.add_argument(
        "--prior", type=float, default=0.5, metavar="P",
        help="share of pairs of one person among those that are asked about (default: 0.5)",
    )  # fmt: skip
    group.add_argument("--device", default="cpu", help="auto, cpu, cuda, mps (default: cpu)")


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
    source.add_argument(
        "--model", type=Path, metavar="FILE",
        help="Joint Bayesian model that --save wrote (of photographs: that which comes with the embedding)",
    )  # fmt: skip
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
        "--rank",
        type=_rank,
        metavar="N",
        help="jb: principal directions to work in, or all (default: chosen on held-out training classes)",
    )
    group.add_argument(
        "--shrinkage", type=float, metavar="T",
        help="jb: share in [0, 1) by which the within-class covariance is drawn to a sphere (default: chosen "
        "with the rank; 0 where a rank is given)",
    )  # fmt: skip
    group.add_argument(
        "--method", choices=("closed_form", "em"), default="closed_form",
        help="jb: how it is estimated (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--loss", choices=("binary", "contrastive"), default="binary",
        help="siamese: what it is trained with (default: %(default)s)",
    )  # fmt: skip


def _rank(text: str) -> int | str:
    """Read a number of directions, or "all"."""
    if text != "all" and not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no rank; give a whole number from 1 on, or all")
    return text if text == "all" else int(text)


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-o", "--output", type=Path, metavar="FILE", help="scores, as .csv or .npz")
    group.add_argument("--save", type=Path, metavar="FILE", help="the Joint Bayesian model, as .safetensors")
    group.add_argument(
        "--json", type=Path, metavar="FILE", help="the report as JSON, each fold's figures too"
    )
    group.add_argument(
        "--report", type=Path, metavar="DIR",
        help="a page with curves, histogram and, of photographs, the worst errors (new or empty folder)",
    )  # fmt: skip
    group.add_argument(
        "--images", type=Path, metavar="FILE", help="for --report: the image file of each row, one a line"
    )
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


def check_files(arguments: argparse.Namespace, given: str) -> None:
    """Refuse inputs that are missing and outputs that would overwrite them, before anything is imported.

    Raises
    ------
    PatchBatchError
        Names the file.
    """
    options = ("--labels", "--pairs", "--train", "--train-labels", "--model", "--images")
    reads = [] if given == "people" else [("INPUT", path) for path in arguments.inputs]
    reads += [(option, getattr(arguments, option[2:].replace("-", "_"))) for option in options]
    if arguments.detector not in (None, "dlib"):
        reads.append(("--detector", arguments.detector))
    for _, path in reads:
        if path is not None:
            peek(path, 1)
    outputs = (("-o", arguments.output), ("--save", arguments.save), ("--json", arguments.json))
    check_overwriting(reads, outputs)
    for _, path in outputs:
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise PatchBatchError(f"no folder for {path}: make it first")
    if given == "photographs" and arguments.output is not None and arguments.output.suffix.lower() != ".csv":
        raise PatchBatchError(f"{arguments.output}: of photographs the list is a .csv; give it that suffix")


def kind_of_inputs(arguments: argparse.Namespace) -> str:
    """Return "photographs", "people" or "features", by what is given.

    Raises
    ------
    PatchBatchError
        One photograph alone, inputs of several kinds, and options that do nothing for theirs.
    """
    inputs: list[Path] = arguments.inputs
    pictured = [path.suffix.lower() in IMAGES for path in inputs]
    if all(pictured):
        if len(inputs) < 2:
            raise PatchBatchError(f"{inputs[0]} is one photograph; give two or more to compare")
        _refuse(arguments, lambda name: name not in WITH_PHOTOGRAPHS, "of photographs")
        if not 0 < arguments.prior < 1:
            raise PatchBatchError(f"--prior is {arguments.prior:g}; give a share between 0 and 1")
        return "photographs"
    if len(inputs) > 1:
        raise PatchBatchError(
            f"{inputs[pictured.index(False)]} is no image by its name; give photographs, or one feature file "
            "or folder alone"
        )
    if inputs[0].is_dir():
        _refuse(arguments, lambda name: name in (*OF_PHOTOGRAPHS, "labels", "train", "images"), "of people")
        return "people"
    _refuse(arguments, lambda name: name in (*OF_PHOTOGRAPHS, *EMBEDDED), "of features")
    return "features"


def _refuse(arguments: argparse.Namespace, idle: Callable[[str], bool], what: str) -> None:
    """Refuse an option that was given and would do nothing."""
    parser = build_parser()
    for name, value in vars(arguments).items():
        if name != "inputs" and idle(name) and value != parser.get_default(name):
            raise PatchBatchError(f"--{name.replace('_', '-')} does nothing {what}; leave it out")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `patchbatch-verify`; return 0, or 1 after a one-line message. Usage errors exit with 2."""
    arguments = build_parser().parse_args(argv)
    return program.run("error", lambda: _run(arguments), arguments)


def _run(arguments: argparse.Namespace) -> None:
    given = kind_of_inputs(arguments)
    inputs = inputs_of(arguments) if given != "features" else None
    arguments.features = arguments.inputs[0]
    if given == "people" and arguments.model is None and arguments.scorer is None and not arguments.splits:
        arguments.model = _verifier_of(arguments.embedding)
    kind = checked_kind(arguments) if given != "photographs" else ""
    check_files(arguments, given)
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    if given == "photographs":
        from patchbatch.transfer.embeddings import command as photographs  # noqa: PLC0415

        lines = photographs.run(arguments, inputs)
    else:
        from patchbatch.transfer.verification import command as verify_command  # noqa: PLC0415

        lines = verify_command.run(arguments, kind, inputs)
    with listening(_Bars() if sys.stderr.isatty() else None):
        for line in lines:
            print(line, flush=True)


class _Bars:
    """Shows on a terminal how far long computations are, with the time left."""

    def __init__(self) -> None:
        self.bar: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - only long runs need it

        if self.bar is None:
            self.bar = tqdm(total=total, desc=what)
        self.bar.update(done - self.bar.n)
        if done >= total:
            self.bar.close()
            self.bar = None


def _verifier_of(embedding: str) -> Path | None:
    """Return the Joint Bayesian model that comes with an embedding, None where none does."""
    if embedding not in EMBEDDINGS or not EMBEDDINGS[embedding].verifier.is_file():
        return None
    return EMBEDDINGS[embedding].verifier


if __name__ == "__main__":
    sys.exit(main())
