"""What the results of a run depend on beside its settings: weights, programs; nothing here needs torch."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import patchbatch
from patchbatch.errors import PatchBatchError
from patchbatch.models import MODELS, is_factory, weights_file

PACKAGES = ("patchbatch", "torch", "numpy", "scipy", "numba", "opencv-python-headless")


def versions() -> dict[str, str | None]:
    """Return the versions of this package and of those whose arithmetic results depend on, and the commit."""
    found: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found | {"commit": checkout_commit(Path(patchbatch.__file__))}


def model_hash(model: str) -> str | None:
    """Return the hash of the weights behind a model's name or file, or of the module of a factory."""
    target = MODELS[model].target if model in MODELS else model
    return module_hash(target) if is_factory(target) else file_hash(weights_file(model))


def module_hash(path: str) -> str | None:
    """Return the hash of the file of `module:name`; None where there is none to be found."""
    try:
        spec = importlib.util.find_spec(path.partition(":")[0])
    except (ImportError, ValueError):
        return None
    return file_hash(Path(spec.origin)) if spec and spec.origin and Path(spec.origin).is_file() else None


def file_hash(file: Path) -> str:
    """Return the SHA-256 of a file.

    Raises
    ------
    PatchBatchError
        If it cannot be read.
    """
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise PatchBatchError(f"{file} cannot be read ({error.strerror}); check the file") from error


def checkout_commit(file: Path) -> str | None:
    """Return the git commit of the checkout that tracks a file, None if there is none."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*arguments: str) -> str | None:
        command = [git, "-C", str(file.parent), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (no shell)
        return answer.stdout.strip() if answer.returncode == 0 else None

    # An installed copy may lie inside somebody else's checkout, which does not track it.
    if ask("ls-files", "--error-unmatch", "--", file.name) is None:
        return None
    return ask("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
