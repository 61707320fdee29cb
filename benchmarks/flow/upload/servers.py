"""What the servers of the data sets take; nothing here is slow to import.

Sources: readme files of the KITTI 2012 and 2015 devkits; for Sintel the tree that RAFT's program writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from patchbatch.data.datasets.trees import FlowPair
from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class Server:
    """What one server asks for.

    Attributes
    ----------
    datasets
        The data sets that go into one archive.
    pairs, scenes
        How many pairs, and folders of them, each of these data sets has.
    entry
        Name of a field in the archive: `{name}` is the pair's name, `{upload}` that name without the
        underscore of its frame, `{rendering}` what follows the dash of the data set's name.
    note
        What is left to do with the archive; empty for nothing but to upload it.
    """

    datasets: tuple[str, ...]
    pairs: int
    scenes: int
    entry: str
    note: str = ""

    def entry_of(self, pair: FlowPair) -> str:
        """Return the name of a pair's field in the archive."""
        rendering = pair.dataset.rpartition("-")[2]
        upload = pair.name.replace("/frame_", "/frame")
        return self.entry.format(name=pair.name, upload=upload, rendering=rendering)

    def check_pairs(self, pairs: Sequence[FlowPair]) -> None:
        """Refuse a testing tree that is not whole, since the server takes all pairs or none.

        Raises
        ------
        PatchBatchError
            Says how many there are and how many there should be.
        """
        scenes = len({pair.name.rpartition("/")[0] for pair in pairs})
        if (len(pairs), scenes) != (self.pairs, self.scenes):
            name = pairs[0].dataset if pairs else self.datasets[0]
            here, all_of_it = (f"{n} pairs in {m} scenes" if self.scenes > 1 else f"{n} pairs"
                               for n, m in ((len(pairs), scenes), (self.pairs, self.scenes)))  # fmt: skip
            raise PatchBatchError(
                f"--submission: {name} has {all_of_it} for testing but {here} are here; copy the others too"
            )


_SINTEL = Server(
    ("sintel-clean", "sintel-final"), 552, 12, "{rendering}/{upload}.flo",
    note="unpack it and pack both folders with the bundler of the data set: bundler clean final FILE.lzma",
)  # fmt: skip

SERVERS = {
    "kitti2012": Server(("kitti2012",), 195, 1, "{name}_10.png"),
    "kitti2015": Server(("kitti2015",), 200, 1, "flow/{name}_10.png"),
    "sintel-clean": _SINTEL,
    "sintel-final": _SINTEL,
}
"""By data set."""
