"""Models by name, by weights file, by `package.module:factory` -> descriptors; nothing here needs torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchbatch.errors import PatchBatchError
from patchbatch.tables import Entry, Table, in_one_line, load_object, unknown

if TYPE_CHECKING:
    from patchbatch.descriptors.patch_net import PatchNet
    from patchbatch.descriptors.protocol import Descriptor

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Model(Entry):
    """A model that comes with the package.

    Attributes
    ----------
    name, help, target
        As of every `Entry`. A target is a factory as `load_descriptor` takes it; without one the weights of
        that name in `WEIGHTS` are read.
    """

    @property
    def file(self) -> Path:
        """Its weights."""
        return WEIGHTS / f"{self.name}.safetensors"


MODELS = Table(
    "model",
    [
        Model("compact", "the default: dense, quick without a GPU; three scales joined into 64 numbers"),
        Model("fast", "dense, 512 numbers at each of three scales; ten times the arithmetic of compact"),
        Model("accurate", "Table 1 as printed, patch by patch; minutes for an image on a CPU"),
    ],
)
DEFAULT_MODEL = "compact"


def model_names() -> list[str]:
    """Return the names of the models that come with the package, the default first."""
    return list(MODELS)


def load_model(name: str | os.PathLike[str] = DEFAULT_MODEL, device: str = "cpu") -> PatchNet:
    """Load a patch network in evaluation mode.

    Parameters
    ----------
    name
        A shipped model's name (`model_names()`), the path of a `.safetensors` file that the trainer wrote, or
        of a folder that `patchbatch-export` did. No network is asked.
    device
        "auto", "cpu", "cuda", "cuda:1", "mps" ...

    Returns
    -------
    PatchNet
        A `torch.nn.Module` in float32: patches `(N, 1, P, P)` in [0, 1] -> `(N, D)`, with `patch_size` P;
        and a `Descriptor` of whole images.

    Raises
    ------
    PatchBatchError
        For an unknown name or a file that is not a PatchBatch weights file.
    """
    # Imported here: names and help texts of the models are wanted without torch.
    from patchbatch.descriptors.weights import read_weights  # noqa: PLC0415
    from patchbatch.devices import resolve_device  # noqa: PLC0415

    resolved = resolve_device(device)
    net = read_weights(weights_file(name))
    net.name = str(name) if str(name) in MODELS else Path(name).name
    return net.to(resolved)


def load_descriptor(spec: str | os.PathLike[str] = DEFAULT_MODEL, device: str = "cpu") -> Descriptor:
    """Load whatever describes images: a shipped model, a weights file, or a user's own.

    Parameters
    ----------
    spec
        A name or file as for `load_model`, or `package.module:factory`: a callable without arguments that
        returns a `Descriptor`, or a patch network: a callable `(N, 1, P, P)` in [0, 1] -> `(N, D)` with an
        attribute `patch_size` P. Modules in the current folder are found. The code is run.
    device
        As for `load_model`. A `Descriptor` that a factory returns stays where it is.

    Raises
    ------
    PatchBatchError
        For an unknown name, a file that is no weights file, or a factory that cannot be imported, fails, or
        returns something else.
    """
    text = os.fspath(spec)
    shipped = MODELS[text].target if text in MODELS else ""
    if shipped or is_factory(text):
        from patchbatch.descriptors.checked import as_descriptor  # noqa: PLC0415 - see load_model
        from patchbatch.devices import resolve_device  # noqa: PLC0415

        resolved = resolve_device(device)
        return as_descriptor(_made_by(shipped or text), text, resolved)
    return load_model(spec, device)


def is_factory(spec: str) -> bool:
    """Whether a text is `package.module:factory` and not a file."""
    return ":" in spec and not Path(spec).is_file() and not spec.endswith(".safetensors")


def _made_by(path: str) -> Any:
    factory = load_object(path)
    if not callable(factory):
        raise PatchBatchError(f"{path} is not callable; name a function that returns a descriptor")
    try:
        return factory()
    except PatchBatchError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's code raises
        raise PatchBatchError(f"{path}() fails with {in_one_line(error)}") from error


def check_model(spec: str | os.PathLike[str]) -> None:
    """Refuse, without torch, what can be refused: names and files that are not there.

    Raises
    ------
    PatchBatchError
        As `weights_file`; a factory is believed until it is imported.
    """
    text = os.fspath(spec)
    if not is_factory(text):
        weights_file(text)
    elif not all(text.partition(":")[::2]):
        raise PatchBatchError(f"{text!r} does not name a factory; write package.module:name")


def weights_file(name: str | os.PathLike[str]) -> Path:
    """Return the file of a shipped model, the given path of a weights file, or that in a folder of weights.

    Raises
    ------
    PatchBatchError
        For a name that is neither shipped nor an existing file.
    """
    text = os.fspath(name)
    if text in MODELS:
        return MODELS[text].file
    if Path(text).is_file():
        return Path(text)
    if Path(text).is_dir():
        inside = Path(text) / "model.safetensors"
        if inside.is_file() and inside.with_name("config.json").is_file():
            return inside
        raise PatchBatchError(
            f"{text} is a folder without config.json and model.safetensors; name the weights file in it"
        )
    if text.endswith(".safetensors"):
        raise PatchBatchError(f"no weights file {text}; check the name")
    raise PatchBatchError(
        unknown("model", text, MODELS) + "; or give a weights file, or package.module:factory"
    )
