"""The page of all names that can be typed, made from the tables; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.descriptors.table import BASELINES
from benchmarks.flow.printing.columns import COLUMNS
from benchmarks.flow.printing.forms import FORMATS
from benchmarks.flow.table import METHODS as FLOW_METHODS
from benchmarks.matching.table import METHODS as MATCHING_METHODS
from benchmarks.models import network_config
from benchmarks.report import markdown, number
from benchmarks.speed.table import STAGES
from benchmarks.table import COMMANDS
from flow.completion.table import DENSE_METHODS
from flow.interpolation.table import ESTIMATORS
from flow.matching.table import MATCHERS
from flow.presets import PRESETS
from flow.refinement.table import REFINEMENTS
from patchbatch.data.datasets.table import DATASETS
from patchbatch.descriptors.cost import describing_flop
from patchbatch.descriptors.export.table import EXPORT_FORMS
from patchbatch.descriptors.losses.table import LOSSES
from patchbatch.models import MODELS
from patchbatch.tables import Table
from patchbatch.training.logs import LOGS
from patchbatch.transfer.embeddings.table import CROPS, EMBEDDINGS
from patchbatch.transfer.images.table import IMAGE_SETS
from patchbatch.transfer.multiverse.table import NETWORKS as IMAGE_NETWORKS
from patchbatch.transfer.multiverse.table import PAIR_TERMS
from patchbatch.transfer.train_images.settings import AUGMENTATIONS

HEAD = """\
# Names

Everything that has a name on a command line or in a settings file. Made by `python -m benchmarks tables`.
"""
IMAGES = "python -m patchbatch.transfer.train_images"
SIZE = (1024, 1024)  # of the image that a pixel's share of the arithmetic is taken of


def page() -> str:
    """Return docs/tables.md."""
    sections = [
        ("Models", "`--model`, `patchbatch.load_model`", _models()),
        ("Presets", "`--preset`, `estimate_flow(..., preset=)`", _names(PRESETS)),
        ("Matchers", "`--matcher`, `matching.method`", _names(MATCHERS)),
        ("Estimators", "`--estimator`, `interpolation.estimator`", _names(ESTIMATORS)),
        ("Dense stages", "`--dense`, `completion.method`", _names(DENSE_METHODS)),
        ("Refinements", "`--refinement`, `refinement.method`", _names(REFINEMENTS)),
        ("Forms of export", "suffixes of `patchbatch-export MODEL OUT`", _names(EXPORT_FORMS)),
        ("Losses", "`python -m patchbatch.descriptors.train --loss`", _names(LOSSES)),
        ("Data sets", "`--dataset`, `patchbatch.data.find_pairs`", _datasets()),
        ("Sets of labelled images", f"`{IMAGES} --kind`", _names(IMAGE_SETS)),
        ("Networks for labelled images", f"`{IMAGES} --network`", _names(IMAGE_NETWORKS)),
        ("Terms of pairs", f"`{IMAGES} --pair-term`", _names(PAIR_TERMS)),
        ("Augmentations", f"`{IMAGES} --augment`", _names(AUGMENTATIONS)),
        ("Logs of trainings", "`--log` of every trainer", _names(LOGS)),
        ("Benchmarks", "`python -m benchmarks NAME`", _names(COMMANDS)),
        (
            "Methods of the flow benchmark",
            "`flow --method`, or `NAME=FOLDER` with results, or `NAME=module:function`",
            _names(FLOW_METHODS),
        ),
        ("Face embeddings", "`patchbatch-verify --embedding`, `load_embedding`", _names(EMBEDDINGS)),
        ("Crops of faces", "`patchbatch-verify --crop`, `align`", _names(CROPS)),
        ("Columns of the flow benchmark", "`flow --columns`", _names(COLUMNS)),
        ("Formats of the flow benchmark", "`flow --format`", _names(FORMATS)),
        ("Methods of the matching benchmark", "`--method`", _names(MATCHING_METHODS)),
        ("Hand-made descriptors", "`descriptors --only`", _names(BASELINES)),
        ("Stages of the speed benchmark", "`speed --only`", _names(STAGES)),
    ]
    return HEAD + "".join(f"\n## {title}\n\n{words}\n\n{table}\n" for title, words, table in sections)


def _names(table: Table[Any]) -> str:
    return _table([[f"`{entry.name}`", entry.help] for entry in table.values()])


def _table(rows: Sequence[Sequence[str]], header: Sequence[str] = ("name", "what it is")) -> str:
    return markdown(header, rows, labels=len(header))


def _models() -> str:
    rows = []
    for model in MODELS.values():
        config = network_config(model.name)
        figures = ["", "", ""]
        if config is not None:
            flop = describing_flop(config, SIZE, 1) / (SIZE[0] * SIZE[1])
            figures = [str(config.patch_size), str(config.dimension), number(flop / 1e6, 2)]
        rows.append([f"`{model.name}`", model.help, *figures])
    return markdown(["name", "what it is", "patch, px", "numbers", "MFLOP a pixel"], rows, labels=2)


def _datasets() -> str:
    rows = [
        [
            f"`{name}`",
            one.help,
            f"`{one.preset}`",
            ", ".join(f"`{folder}`" for folder in one.folders),
            one.expected,
        ]
        for name, one in DATASETS.items()
    ]
    return _table(rows, ("name", "what it is", "preset", "its folder is called", "and holds"))
