"""Flow fields on disk: every stage of every method, where `--method NAME=FOLDER` finds them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.flow.methods import StageResult
from benchmarks.flow.names import field_file
from benchmarks.flow.table import Label
from patchbatch.data.datasets.trees import FlowPair
from patchbatch.data.files import make_folder
from patchbatch.data.formats import FLOW_SUFFIXES, write_flow


@dataclass(frozen=True)
class Fields:
    """Where fields are written, and in which form.

    Attributes
    ----------
    folder
        For all methods; see `benchmarks.flow.names.field_file` for what lies where.
    suffix
        One of `patchbatch.data.formats.FLOW_SUFFIXES`; `.npz` keeps the confidence too.
    """

    folder: Path
    suffix: str

    def write(self, pair: FlowPair, label: Label, stages: Mapping[str, StageResult]) -> None:
        """Write the fields of a pair, each whole or not at all, in place of those of any other form.

        Raises
        ------
        PatchBatchError
            If one cannot be written.
        """
        for stage, result in stages.items():
            file = field_file(self.folder, pair, label, stage, self.suffix)
            make_folder(file.parent)
            write_flow(file, result.flow, result.valid, result.confidence)
            for suffix in FLOW_SUFFIXES:  # of an earlier run: who reads the folder would find two answers
                if suffix != self.suffix:
                    field_file(self.folder, pair, label, stage, suffix).unlink(missing_ok=True)

    def are_there(self, pair: FlowPair, label: Label, stages: Iterable[str]) -> bool:
        """Tell whether the fields of a pair were written before."""
        return all(field_file(self.folder, pair, label, stage, self.suffix).is_file() for stage in stages)
