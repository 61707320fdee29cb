"""What the study of faces is asked to train and measure; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings.settings import InputSettings
from patchbatch.transfer.images.table import IMAGE_SETS
from patchbatch.transfer.train_images.plan import Plan

TEST_FOLDS, SOURCE_FOLDS = (1, 2, 3, 4, 5), (6, 7, 8, 9, 10)
ENSEMBLES = (2, 3)
"""Numbers of networks that are asked together, as in the talk's table."""


@dataclass(frozen=True)
class EmbeddingBenchmark:
    """What is asked of an embedding.

    Attributes
    ----------
    root, images
        Folder of LFW's lists, and of its images if they are elsewhere.
    embedding, inputs, device
        As `load_embedding` takes them.
    held_out
        Share of the people of folds 6 to 10 from whom Joint Bayesian does not learn: thresholds and
        calibration.
    save
        File for the calibrated Joint Bayesian model; None: none.
    """

    root: str
    images: str | None
    embedding: str
    inputs: InputSettings | None = None
    device: str = "cpu"
    held_out: float = 0.1
    save: Path | None = None


@dataclass(frozen=True)
class FacesBenchmark:
    """What is trained and measured.

    Attributes
    ----------
    root
        Folder of LFW.
    plan
        The training that all runs have in common; its output is the folder of all of them. Its data are LFW
        itself, of which the source folds are learned, or a folder tree of other people.
    copies
        Values of m.
    seeds
        Runs of each, from seed 0; ensembles are of the first ones.
    mirrored
        Whether a face is represented by the mean of it and its mirror image.
    """

    root: str
    plan: Plan
    copies: tuple[int, ...]
    seeds: int
    mirrored: bool = True

    @property
    def on_lfw(self) -> bool:
        """Whether LFW's own source folds are learned."""
        return self.plan.kind is IMAGE_SETS["lfw"]

    def check(self) -> None:
        """Refuse what would learn from the test.

        Raises
        ------
        PatchBatchError
            For a test fold among those that are learned, and for LFW without people that are held out, of
            whom the threshold is.
        """
        tested = sorted(set(self.plan.learned.folds) & set(TEST_FOLDS))
        if self.on_lfw and tested:
            raise PatchBatchError(
                f"fold {tested[0]} is tested on, so it is not learned; give folds of 6 to 10"
            )
        if self.on_lfw and not self.plan.learned.held_out:
            raise PatchBatchError("the threshold is chosen on held-out people; give --held-out above 0")

    def run_of(self, copies: int, seed: int) -> Plan:
        """Return one training, in a folder of its own under the plan's output."""
        plan = self.plan
        product = plan.objective.inner_product if copies > 1 else "plain"
        pairs = "" if plan.objective.pair_term == "none" else f"-{plan.objective.pair_term}"
        name = f"{plan.network}-m{copies}-{product}{pairs}-seed{seed}-{plan.schedule.steps}"
        return replace(
            plan,
            objective=replace(plan.objective, copies=copies, inner_product=product),
            schedule=replace(plan.schedule, seed=seed),
            output=plan.output / name,
        )
