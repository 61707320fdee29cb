"""How a flow becomes dense, by name."""

from __future__ import annotations

from patchbatch.tables import Entry, Table

DENSE_METHODS = Table(
    "dense stage",
    [
        Entry("chosen", "the default: where no match is sure, a network chooses among the motions around"),
        Entry("interpolated", "EpicFlow's: every pixel follows the match that is nearest over edges"),
    ],
)
DEFAULT_DENSE = "chosen"
