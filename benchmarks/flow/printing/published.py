"""Published figures to stand beside a table, marked as what they are; nothing is slow to import.

Sources: Gadot & Wolf, PatchBatch (CVPR 2016), Tables 4, 5 and 6, as Wolf's talk shows them: the leaders of
the servers when the paper was submitted; later entries of the same methods differ. And of small networks that
were taught on FlyingChairs and FlyingThings3D ("C+T"), what ptlflow measured: docs/source/results/
metrics_all_things.csv of github.com/hmorimitsu/ptlflow, commit 069b237.
"""

from __future__ import annotations

from typing import NamedTuple

TEST_SET, TRAINING_SET = "test set", "training set"
_TALK = (
    "Rows of the test set are published figures of 2015-2016 (Gadot & Wolf, CVPR 2016, {table}), with the "
    "times their authors named, of other machines."
)
_PTLFLOW = (
    "Rows of the training set are networks taught on FlyingChairs and FlyingThings3D (C+T), measured by "
    "ptlflow on all pairs with public truth, by its own averaging."
)


class Row(NamedTuple):
    """A published row: the method, its error by the figure of the table, its running time or None."""

    method: str
    error: float
    seconds: float | None = None


class Published(NamedTuple):
    """Some published rows.

    Attributes
    ----------
    where
        The pairs that they are of, in place of their number.
    figure
        The one that they have.
    note
        What has to stand below a table with these rows.
    rows
        In their order.
    """

    where: str
    figure: str
    note: str
    rows: tuple[Row, ...]


_TABLES = {
    "kitti2012": Published(TEST_SET, "Out-Noc", _TALK.format(table="Table 4"), (
        Row("PatchBatch-ACCRTE-PS71", 5.29, 60.5), Row("PatchBatch-ACCURATE", 5.44, 50.5),
        Row("PH-Flow", 5.76, 800), Row("FlowFields", 5.77, 23), Row("CPM-Flow (anon.)", 5.80, 2),
        Row("NLTGV-SC", 5.93, 16), Row("PatchBatch-FAST", 5.94, 25.5), Row("DDS-DF", 6.03, 60),
        Row("TGV2ADCSIFT", 6.20, 12), Row("DiscreteFlow", 6.23, 180),
    )),
    "kitti2015": Published(TEST_SET, "Fl-all", _TALK.format(table="Table 5"), (
        Row("PatchBatch-ACCURATE", 21.69, 50.5), Row("DiscreteFlow", 22.38, 180),
        Row("CPM-Flow (anon.)", 24.24, 2), Row("EpicFlow", 27.10, 15),
        Row("FilteringFlow (anon.)", 28.50, 116), Row("DeepFlow", 29.18, 17), Row("HS", 42.18, 156),
        Row("DB-TV-L1", 47.97, 16), Row("HAOF", 50.29, 16.2), Row("PolyExpand", 53.32, 1),
    )),
    "sintel-final": Published(TEST_SET, "EPE-pooled", _TALK.format(table="Table 6"), (
        Row("FlowFields", 5.810), Row("CPM-Flow (anon.)", 5.960), Row("DiscreteFlow", 6.077),
        Row("EpicFlow", 6.285), Row("Deep+R", 6.769), Row("PatchBatch-CENT+SD", 6.783),
        Row("DeepFlow2 (anon.)", 6.928), Row("PatchBatch-SPRG", 7.188), Row("SparseFlowFused", 7.189),
        Row("DeepFlow", 7.212), Row("FlowNetS+ft+v", 7.218), Row("NNF-Local", 7.249),
        Row("PatchBatch-SPRG+SD", 7.281), Row("PatchBatch-CENT", 7.323), Row("SPM-BP", 7.325),
        Row("AggregFlow", 7.329),
    )),
}  # fmt: skip

# Sintel clean and final, EPE in px; KITTI 2015, Fl-all in %.
_SMALL_NETWORKS = (
    ("NeuFlow v2", 1.264, 2.768, 14.516),
    ("RAPIDFlow", 1.574, 2.895, 17.719),
    ("RAFT-small", 2.116, 3.262, 24.652),
    ("LiteFlowNet", 2.591, 4.063, 30.414),
    ("NeuFlow", 1.660, 3.126, 30.919),
    ("VCN-small", 2.759, 4.316, 31.808),
    ("PWC-Net", 2.643, 4.059, 33.015),
    ("FastFlowNet", 2.873, 4.194, 33.274),
)


def _networks(figure: str, column: int) -> Published:
    rows = tuple(Row(f"{network[0]} (C+T)", float(network[column])) for network in _SMALL_NETWORKS)
    return Published(TRAINING_SET, figure, _PTLFLOW, rows)


PUBLISHED = {
    "kitti2012": (_TABLES["kitti2012"],),
    "kitti2015": (_TABLES["kitti2015"], _networks("Fl-all", 3)),
    "sintel-final": (_TABLES["sintel-final"], _networks("EPE-pooled", 2)),
    "sintel-clean": (_networks("EPE-pooled", 1),),
}
"""By data set."""
