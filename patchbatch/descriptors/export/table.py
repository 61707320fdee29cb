"""The forms that a network is exported in, by suffix; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.tables import Entry, Table

OPSETS = (18, 23)
"""The least and the most that torch's exporter and onnxruntime know together."""
DEFAULT_OPSET = 20


@dataclass(frozen=True)
class ExportForm(Entry):
    """A form of file.

    Attributes
    ----------
    name, help
        As of every `Entry`.
    target
        A function that writes a network.
    suffix
        Of the file; empty for a folder.
    graph
        Whether it holds what is computed, so that patches and whole images are two of them, or weights alone.
    """

    suffix: str = ""
    graph: bool = True


PLACE = "patchbatch.descriptors.export"
EXPORT_FORMS = Table(
    "export form",
    [
        ExportForm("onnx", "for onnxruntime and others, opset 20 unless --opset says",
                   f"{PLACE}.programs:save_onnx", suffix=".onnx"),
        ExportForm("torch-export", "for torch.export.load, without this package",
                   f"{PLACE}.programs:save_torch_export", suffix=".pt2"),
        ExportForm("folder", "config.json and model.safetensors, as on Hugging Face; load_model reads it",
                   f"{PLACE}.folder:save_folder", graph=False),
    ],
)  # fmt: skip
