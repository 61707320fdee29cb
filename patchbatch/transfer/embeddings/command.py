"""What `patchbatch-verify` does with photographs: for each two, the probability of one person."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from patchbatch.data.files import atomic_path
from patchbatch.transfer.embeddings.detection import load_detector
from patchbatch.transfer.embeddings.embedding import Embedding
from patchbatch.transfer.embeddings.photographs import embed_files
from patchbatch.transfer.embeddings.settings import InputSettings
from patchbatch.transfer.embeddings.sources import load_embedding

COLUMNS = ("image1", "image2", "cosine", "probability")


def run(arguments: argparse.Namespace, inputs: InputSettings | None) -> Iterator[str]:
    """Compare every photograph with every later one; yield the lines to print.

    Parameters
    ----------
    arguments
        As `patchbatch.transfer.cli` parsed them; `inputs` are the photographs.
    inputs
        Of an ONNX or TorchScript file.

    Raises
    ------
    PatchBatchError
        As `load_embedding`, `load_detector` and `embed_files`, and for files that cannot be written.
    """
    embedding = load_for(arguments, inputs)
    detector = None if arguments.detector is None else load_detector(arguments.detector)
    vectors = embed_files(embedding, arguments.inputs, detector)
    first, second = np.array(list(combinations(range(len(vectors)), 2))).T
    cosines = np.einsum("nd,nd->n", vectors[first], vectors[second])
    told = None
    if embedding.verifier is not None:
        told = embedding.verify(vectors[first], vectors[second], arguments.prior)
    rows = [
        {"image1": str(arguments.inputs[i]), "image2": str(arguments.inputs[j]), "cosine":
        float(cosines[row]),
         "probability": None if told is None else float(told[row])}
        for row, (i, j) in enumerate(zip(first, second, strict=True))
    ]  # fmt: skip
    yield from _lines(rows)
    yield from _written(arguments, rows)


def load_for(arguments: argparse.Namespace, inputs: InputSettings | None) -> Embedding:
    """Load the embedding that a command line asks for, `--model` being its verifier."""
    return load_embedding(
        arguments.embedding, inputs=inputs, verifier=arguments.model, device=arguments.device
    )


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    calibrated = rows[0]["probability"] is not None
    yield "probability  cosine" if calibrated else "cosine  (no --model, so no probability)"
    for row in rows:
        start = f"{row['probability']:<11.3f}  " if calibrated else ""
        yield f"{start}{row['cosine']:6.3f}  {row['image1']}  {row['image2']}"


def _written(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> Iterator[str]:
    if arguments.output is not None:
        with (
            atomic_path(arguments.output) as temporary,
            open(temporary, "w", encoding="utf-8", newline="") as text,
        ):
            writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        yield f"wrote {arguments.output}"
    if arguments.json is not None:
        report = {"embedding": str(arguments.embedding), "prior": arguments.prior, "pairs": rows}
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        yield f"wrote {arguments.json}"
