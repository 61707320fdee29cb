"""Names of shipped models -> networks; and any weights file by its path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from patchbatch.errors import PatchBatchError

if TYPE_CHECKING:
    from patchbatch.descriptors.network import PatchNet

WEIGHTS = Path(__file__).parent / "weights"


def model_names() -> list[str]:
    """Return the names of the shipped models."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def load_model(name: str | Path = "compact", device: str = "cpu") -> PatchNet:
    """Load a descriptor network in evaluation mode.

    Parameters
    ----------
    name
        A shipped model's name (`model_names()`), or the path of a `.safetensors` file that the trainer wrote.
    device
        "auto", "cpu", "cuda", "cuda:1", "mps" ...

    Returns
    -------
    PatchNet
        A `torch.nn.Module` in float32: patches `(N, 1, P, P)` in [0, 1] -> `(N, D)`, with `patch_size` P.

    Raises
    ------
    PatchBatchError
        For an unknown name or a file that is not a PatchBatch weights file.
    """
    # Imported here: names and help texts of the models are wanted without torch.
    from patchbatch.descriptors.weights_io import read_weights  # noqa: PLC0415
    from patchbatch.devices import resolve_device  # noqa: PLC0415

    return read_weights(weights_file(name)).to(resolve_device(device))


def weights_file(name: str | Path) -> Path:
    """Return the file of a shipped model, or the given path of a weights file.

    Raises
    ------
    PatchBatchError
        For a name that is neither shipped nor an existing file.
    """
    shipped = WEIGHTS / f"{name}.safetensors"
    if str(name) in model_names():
        return shipped
    if Path(name).is_file():
        return Path(name)
    shipped_names = ", ".join(model_names())
    raise PatchBatchError(f"unknown model {str(name)!r}; shipped are {shipped_names}; or give a weights file")
