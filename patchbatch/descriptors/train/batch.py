"""The loss of a batch of crop pairs: describe their points in one go, then pair by pair."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.grid import describe_grid
from patchbatch.descriptors.train.objective import Described, PointMatches, points_loss
from patchbatch.descriptors.train.points import cut_patches, grid_matches, grid_places, patch_points
from patchbatch.descriptors.train.settings import ObjectiveSettings
from patchbatch.errors import PatchBatchError

Batch = tuple[Tensor, Tensor, Tensor, Tensor]
DescribedPair = tuple[Described, Described, PointMatches]
# A pair with fewer matches says next to nothing, and its spread is noise.
LEAST_MATCHES = 16


class BatchLoss(nn.Module):
    """Network and objective in one module, as `DistributedDataParallel` wants it.

    Parameters
    ----------
    net
        The network that learns.
    objective
        See `ObjectiveSettings`; options of the loss that are not given are chosen for the network.
    bfloat16
        Whether products are computed in bfloat16.
    seed
        Which points of a pair are taken depends on it and the pair's number alone.
    teacher
        A dense network of the same patch size, or None.

    Raises
    ------
    PatchBatchError
        For a margin that never acts on the network's descriptors, and a teacher that does not fit.
    """

    def __init__(
        self, net: PatchNet, objective: ObjectiveSettings, bfloat16: bool, seed: int,
        teacher: PatchNet | None = None,
    ):  # fmt: skip
        super().__init__()
        self.net, self.seed = net, seed
        self.objective = objective.for_network(net.config.ends_in_unit_length)
        self.half_products = bfloat16
        self._teacher: tuple[PatchNet, ...]
        # In a tuple, so that it is no part of this module: it neither learns nor is saved.
        self._teacher = () if teacher is None else (teacher.eval(),)
        if teacher is not None and not (
            net.is_dense and teacher.is_dense and net.patch_size == teacher.patch_size
        ):
            raise PatchBatchError(
                "teacher and pupil must be dense networks of one patch size, such as fast and compact"
            )
        if teacher is not None and objective.of_pairs:
            raise PatchBatchError(f"a teacher goes with the loss softmax, not {objective.loss}")

    def forward(self, batch: Batch, numbers: list[int]) -> Tensor:
        """Return the mean loss of the pairs with enough matches.

        Parameters
        ----------
        batch
            image1, image2 `(N, H, W)`, flow `(N, H, W, 2)` float32 and visible `(N, H, W)` bool.
        numbers
            Number of each pair in the whole run.
        """
        pairs = self.described(batch, numbers)
        taught = self._taught(batch) if self._teacher else [None] * len(numbers)
        # bfloat16 is precise enough for the products here: similarities of unit vectors, divided once.
        with torch.autocast(_device(self.net).type, torch.bfloat16, enabled=self.half_products):
            losses = [
                self._loss_of_pair(set1, set2, matches, teacher)
                for (set1, set2, matches), teacher in zip(pairs, taught, strict=True)
                if len(matches.source) >= LEAST_MATCHES
            ]
        if losses:
            return torch.stack(losses).mean()
        return torch.stack([pair[0].descriptors.sum() for pair in pairs]).sum() * 0.0

    def _loss_of_pair(
        self, set1: Described, set2: Described, matches: PointMatches,
        teacher: tuple[Described, Described] | None,
    ) -> Tensor:  # fmt: skip
        loss = points_loss(set1, set2, matches, self.objective, teacher)
        if set1.alone is None:
            return loss
        alone = points_loss(set1.finest(), set2.finest(), matches, self.objective)
        return loss + self.objective.alone * alone

    def described(self, batch: Batch, numbers: list[int]) -> list[DescribedPair]:
        """Describe the points of every pair and match them."""
        generators = [torch.Generator().manual_seed(self.seed * 1_000_003 + number) for number in numbers]
        if self.net.is_dense:
            return self._dense_pairs(batch, generators)
        return self._patch_pairs(batch, generators)

    def _dense_pairs(self, batch: Batch, generators: list[torch.Generator]) -> list[DescribedPair]:
        _, _, flow, visible = batch
        pairs = []
        for index, (set1, set2, grid) in enumerate(self._grids(self.net, batch)):
            matches = grid_matches(
                flow[index], visible[index], grid, self._offset(self.net), self.objective, generators[index]
            )
            pairs.append((set1, set2, matches.to(set1.places.device)))
        return pairs

    def _grids(self, net: PatchNet, batch: Batch) -> Iterator[tuple[Described, Described, tuple[int, int]]]:
        images = torch.cat(batch[:2])[:, None].contiguous(memory_format=torch.channels_last)
        images = images.to(_device(net))
        objective, count = self.objective, len(batch[0])
        lost = net.patch_size - 1 + 2 * objective.surround
        grid = tuple((size - lost - 1) // objective.stride + 1 for size in images.shape[-2:])
        places = grid_places((grid[0], grid[1]), self._offset(net), objective.stride)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.half_products):
            own, joined = describe_grid(net, images, places, objective.stride, objective.surround)
        places = places.to(images.device)
        # Unbound once: the gradient of an index is a whole zero batch, that of unbind is not.
        if joined is None:
            each = [Described(one, places) for one in own.unbind()]
        else:
            both = zip(joined.unbind(), own.unbind(), strict=True)
            each = [Described(one, places, alone) for one, alone in both]
        return ((each[index], each[count + index], (grid[0], grid[1])) for index in range(count))

    def _offset(self, net: PatchNet) -> int:
        return net.patch_size // 2 + self.objective.surround

    @torch.no_grad()
    def _taught(self, batch: Batch) -> list[tuple[Described, Described]]:
        return [(set1, set2) for set1, set2, _ in self._grids(self._teacher[0], batch)]

    def _patch_pairs(self, batch: Batch, generators: list[torch.Generator]) -> list[DescribedPair]:
        image1, image2, flow, visible = batch
        size, device = self.net.patch_size, _device(self.net)
        chosen = [
            patch_points(f, v, size, self.objective, generator)
            for f, v, generator in zip(flow, visible, generators, strict=True)
        ]
        patches, counts = [], []
        for one, two, points in zip(image1, image2, chosen, strict=True):
            patches += [cut_patches(one, points.source, size), cut_patches(two, points.seen, size)]
            counts += [len(points.source), len(points.seen)]
        together = torch.cat(patches).contiguous(memory_format=torch.channels_last).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.half_products):
            described = self.net(together).float().split(counts)
        return [
            (
                Described(described[2 * index], points.source.float().to(device)),
                Described(described[2 * index + 1], points.seen.float().to(device)),
                points.matches().to(device),
            )
            for index, points in enumerate(chosen)
        ]


def _device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


@torch.inference_mode()
def rank1(loss: BatchLoss, batches: Iterator[Batch]) -> float:
    """Share (percent) of points whose nearest described point of the other crop is within 3 px of the truth.

    For dense networks among all points of the grid, otherwise among the matches and non-matches that were
    described.
    """
    loss.net.eval()
    hits, total, number = 0, 0, 0
    for batch in batches:
        numbers = list(range(number, number + len(batch[0])))
        number += len(numbers)
        for set1, set2, matches in loss.described(batch, numbers):
            apart = torch.cdist(set1.descriptors[matches.source].float(), set2.descriptors.float())
            if len(matches.source):
                off = (set2.places[apart.argmin(dim=1)] - matches.target).norm(dim=1)
                hits += int((off <= 3).sum())
                total += len(off)
    loss.net.train()
    return 100.0 * hits / max(1, total)
