"""What the descriptor benchmark is asked to measure; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arguments import AUTO
from benchmarks.datasets import find_jobs
from benchmarks.descriptors.table import BASELINES, TFEAT
from benchmarks.models import network_config, short_name
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.errors import PatchBatchError
from patchbatch.models import MODELS, check_model, is_factory
from patchbatch.tables import unknown

ALONE = "-alone"


@dataclass(frozen=True)
class Row:
    """A row to be measured, before anything is loaded for it.

    Attributes
    ----------
    name
        For the table.
    kind
        "model", "alone" (a model without the context of coarser scales), "baseline", "tfeat" or "custom".
    spec
        Which: a model as it was given, a name of `BASELINES`, a weights file, `package.module:factory`.
    """

    name: str
    kind: str
    spec: str


@dataclass(frozen=True)
class DescriptorBenchmark:
    """What is measured.

    Attributes
    ----------
    root
        The folder that holds the data sets, or one of them.
    datasets
        Names of `DATASETS`; empty = all that are there.
    models
        Names, weights files, package.module:factory; empty = all shipped ones.
    descriptors
        More descriptors, `NAME=package.module:factory`.
    only
        Names of the rows wanted; empty = all.
    tfeat
        TFeat's weights; None = where they lie beside the root, and no such row if they do not.
    cell_px
        Side of SIFT's cells in pixels.
    points
        Points of each pair.
    window
        Of the raw error, pixels on both axes from the point itself; None = the whole image.
    limit
        Only the first so many pairs of each data set; None = all.
    seed
        Of the points and negatives, which are the same for every descriptor.
    device, precision
        Of the networks; `precision` only of `models`.
    """

    root: str
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    descriptors: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    tfeat: str | None = None
    cell_px: float = 4.0
    points: int = 2000
    window: int | None = None
    limit: int | None = None
    seed: int = 0
    device: str = AUTO
    precision: str = AUTO

    def pairs(self) -> list[FlowPair]:
        """List the pairs; raises `PatchBatchError` if there are none."""
        return find_jobs(self.root, self.datasets, limit=self.limit)

    def rows(self) -> list[Row]:
        """List the rows wanted: models first, then the baselines, then the user's own.

        Raises
        ------
        PatchBatchError
            For an unknown or repeated name, or a file that is not there.
        """
        rows = [*self._models(), *(Row(name, "baseline", name) for name in BASELINES)]
        rows += [*self._tfeat(), *(_custom(word) for word in self.descriptors)]
        names = [row.name for row in rows]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise PatchBatchError(f"two descriptors are called {repeated!r}; give each a name of its own")
        for name in self.only:
            if name not in names:
                raise PatchBatchError(unknown("descriptor", name, names))
        return [row for row in rows if not self.only or row.name in self.only]

    @property
    def tfeat_file(self) -> Path:
        """TFeat's weights, whether they are there or not."""
        usual = Path(self.root).absolute().parent / "tfeat" / "tfeat-liberty.safetensors"
        return usual if self.tfeat is None else Path(self.tfeat)

    def _models(self) -> Iterator[Row]:
        for spec in self.models or tuple(MODELS):
            check_model(spec)
            yield Row(short_name(spec), "model", spec)
            config = network_config(spec)
            if config is not None and config.context:
                yield Row(short_name(spec) + ALONE, "alone", spec)

    def _tfeat(self) -> Iterator[Row]:
        if self.tfeat is not None and not Path(self.tfeat).is_file():
            raise PatchBatchError(f"no file {self.tfeat}; give TFeat's weights as .safetensors")
        if self.tfeat_file.is_file():
            yield Row(TFEAT.name, TFEAT.name, str(self.tfeat_file))
        elif TFEAT.name in self.only:
            raise PatchBatchError(
                f"no weights for tfeat: there is no {self.tfeat_file}; give them with --tfeat"
            )

    def check(self) -> None:
        """Refuse what can be refused before anything is computed.

        Raises
        ------
        PatchBatchError
            For unknown names, files and folders that are not there.
        """
        self.rows()
        self.pairs()


def _custom(word: str) -> Row:
    name, _, place = word.partition("=")
    if not (name and is_factory(place) and all(place.split(":"))):
        raise PatchBatchError(f"descriptor {word!r} is not of the form NAME=package.module:factory")
    return Row(name, "custom", place)
