"""What the study of transfer is asked to measure; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.train_images.plan import Plan

PICTURES = ("singular-values.png", "fisher-spectra.png")
SHOWN = (5, 3, 1)
"""Copies whose spectra the talk draws: solid blue, dotted red, dashed magenta."""


@dataclass(frozen=True)
class TransferBenchmark:
    """What is measured.

    Attributes
    ----------
    plan
        The training that all runs have in common; its output is the folder of all of them.
    copies
        Values of m.
    orthogonality
        "plain" and perhaps "within", which is S_w.
    seeds
        Runs of each kind, from seed 0.
    pairs
        Same pairs of target images in each of ten folds, and as many others.
    per_class
        Training images of each source class that Joint Bayesian learns from.
    """

    plan: Plan
    copies: tuple[int, ...]
    orthogonality: tuple[str, ...]
    seeds: int
    pairs: int = 300
    per_class: int = 100

    def kinds(self) -> list[tuple[int, str]]:
        """Return (copies, orthogonality) of each kind of run; one copy has nothing to be orthogonal to."""
        return [
            (copies, product) for copies in self.copies for product in self.orthogonality
            if copies > 1 or product == self.orthogonality[0]
        ]  # fmt: skip

    def runs(self) -> list[Plan]:
        """Return the trainings, seed by seed, so that a study that is cut short has whole rows of kinds."""
        return [
            run_of(self.plan, copies, product, seed) for seed in range(self.seeds)
            for copies, product in self.kinds()
        ]  # fmt: skip


def run_of(plan: Plan, copies: int, orthogonality: str, seed: int) -> Plan:
    """Return a training of a study, in a folder of its own under the plan's output."""
    product = orthogonality if copies > 1 else "plain"
    # Made when it is trained: a study that is refused leaves no empty folders.
    folder = plan.output / f"{plan.network}-m{copies}-{product}-seed{seed}-{plan.schedule.steps}"
    return replace(
        plan,
        objective=replace(plan.objective, copies=copies, inner_product=product),
        schedule=replace(plan.schedule, seed=seed),
        output=folder,
    )


def check_counts(copies: Sequence[int], **counts: int) -> None:
    """Refuse counts below 1.

    Raises
    ------
    PatchBatchError
        Names the count and its value.
    """
    for name, value in (("copies", min(copies)), *counts.items()):
        if value < 1:
            raise PatchBatchError(f"{name} is {value}; give 1 or more")


def check_pictures(folder: str | None) -> Path | None:
    """Refuse, before the trainings, a folder that pictures could not be written to.

    Raises
    ------
    PatchBatchError
        If it is not there or matplotlib is missing.
    """
    if folder is None:
        return None
    from benchmarks.report import require_matplotlib  # noqa: PLC0415 - seldom needed

    require_matplotlib("--pictures")
    if not Path(folder).is_dir():
        raise PatchBatchError(f"no folder {folder} for the pictures: make it first")
    return Path(folder)
