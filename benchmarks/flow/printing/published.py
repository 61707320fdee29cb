"""Published figures of test sets, of 2015 and 2016, to stand beside a table; nothing is slow to import.

Source: Gadot & Wolf, PatchBatch (CVPR 2016), Tables 4, 5 and 6, as Wolf's talk shows them: the leaders of the
servers when the paper was submitted. Later entries of the same methods differ.
"""

from __future__ import annotations

from typing import NamedTuple

WHERE = "test set"
NOTE = (
    "Rows of the test set are published figures of 2015-2016 (Gadot & Wolf, CVPR 2016, {table}), with the "
    "times their authors named, of other machines. The other rows are of pairs with public truth."
)


class Row(NamedTuple):
    """A published row: the method, its error by the figure of the table, its running time or None."""

    method: str
    error: float
    seconds: float | None = None


class Published(NamedTuple):
    """One published table: its number, the figure it has, and its rows in their order."""

    table: str
    figure: str
    rows: tuple[Row, ...]

    @property
    def note(self) -> str:
        """What has to stand below a table with these rows."""
        return NOTE.format(table=self.table)


PUBLISHED = {
    "kitti2012": Published("Table 4", "Out-Noc", (
        Row("PatchBatch-ACCRTE-PS71", 5.29, 60.5), Row("PatchBatch-ACCURATE", 5.44, 50.5),
        Row("PH-Flow", 5.76, 800), Row("FlowFields", 5.77, 23), Row("CPM-Flow (anon.)", 5.80, 2),
        Row("NLTGV-SC", 5.93, 16), Row("PatchBatch-FAST", 5.94, 25.5), Row("DDS-DF", 6.03, 60),
        Row("TGV2ADCSIFT", 6.20, 12), Row("DiscreteFlow", 6.23, 180),
    )),
    "kitti2015": Published("Table 5", "Fl-all", (
        Row("PatchBatch-ACCURATE", 21.69, 50.5), Row("DiscreteFlow", 22.38, 180),
        Row("CPM-Flow (anon.)", 24.24, 2), Row("EpicFlow", 27.10, 15),
        Row("FilteringFlow (anon.)", 28.50, 116), Row("DeepFlow", 29.18, 17), Row("HS", 42.18, 156),
        Row("DB-TV-L1", 47.97, 16), Row("HAOF", 50.29, 16.2), Row("PolyExpand", 53.32, 1),
    )),
    "sintel-final": Published("Table 6", "EPE-pooled", (
        Row("FlowFields", 5.810), Row("CPM-Flow (anon.)", 5.960), Row("DiscreteFlow", 6.077),
        Row("EpicFlow", 6.285), Row("Deep+R", 6.769), Row("PatchBatch-CENT+SD", 6.783),
        Row("DeepFlow2 (anon.)", 6.928), Row("PatchBatch-SPRG", 7.188), Row("SparseFlowFused", 7.189),
        Row("DeepFlow", 7.212), Row("FlowNetS+ft+v", 7.218), Row("NNF-Local", 7.249),
        Row("PatchBatch-SPRG+SD", 7.281), Row("PatchBatch-CENT", 7.323), Row("SPM-BP", 7.325),
        Row("AggregFlow", 7.329),
    )),
}  # fmt: skip
"""By data set."""
