"""The options that choose an embedding, for every command that takes one; torch-free."""

from __future__ import annotations

import argparse

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings.settings import COLOURS, InputSettings
from patchbatch.transfer.embeddings.sources import check_embedding, takes_inputs
from patchbatch.transfer.embeddings.table import CROPS, DEFAULT_EMBEDDING

_NAMES = ("crop", "side", "colour", "mean", "deviation")


def add_embedding(group: argparse._ActionsContainer, default: str | None = None) -> None:
    """Add `--embedding`, and what ONNX and TorchScript files want to see."""
    told = InputSettings()
    group.add_argument(
        "--embedding", default=default, metavar="NAME",
        help="an embedding, see below; a file .safetensors, .onnx or .pt; or package.module:factory "
        f"({default or 'none'}; {DEFAULT_EMBEDDING} is ours)",
    )  # fmt: skip
    group.add_argument("--crop", choices=tuple(CROPS), help=f"that an ONNX or .pt file expects ({told.crop})")
    group.add_argument("--side", type=int, metavar="PX", help="of its crops (what the file says, else 112)")
    group.add_argument("--colour", choices=COLOURS, help=f"of its input ({told.colour})")
    group.add_argument("--mean", type=float, metavar="M", help=f"it sees (pixel - M) / D ({told.mean:g})")
    group.add_argument("--deviation", type=float, metavar="D", help=f"({told.deviation:g})")


def inputs_of(arguments: argparse.Namespace) -> InputSettings | None:
    """Check the embedding as far as it can be without torch; return its input settings if any are given.

    Raises
    ------
    PatchBatchError
        As `check_embedding`; and settings for an embedding that knows its input itself.
    """
    given = {name: getattr(arguments, name) for name in _NAMES if getattr(arguments, name) is not None}
    if arguments.embedding is None:
        if given:
            raise PatchBatchError(f"--{next(iter(given))} is of the embedding; give --embedding as well")
        return None
    check_embedding(arguments.embedding)
    if not takes_inputs(arguments.embedding):
        if given:
            raise PatchBatchError(
                f"{arguments.embedding} knows its input itself; leave out --{next(iter(given))}"
            )
        return None
    return InputSettings(**given)
