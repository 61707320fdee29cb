"""Network and loss in one module, as `DistributedDataParallel` wants it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchbatch.transfer.multiverse.head import MultiverseSettings, at_least_single
from patchbatch.transfer.multiverse.image_net import STAGE, standardized
from patchbatch.transfer.multiverse.networks import MultiverseNet
from patchbatch.transfer.multiverse.table import PAIR_TERMS, TrunkConfig
from patchbatch.transfer.train_images.settings import ImageObjective


def head_settings(objective: ImageObjective) -> MultiverseSettings:
    """Return the settings of the head that an objective asks for."""
    return MultiverseSettings(
        weight_penalty=objective.weight_penalty,
        orthogonality=objective.orthogonality,
        inner_product=objective.inner_product,
    )


class ImageLoss(nn.Module):
    """The multiverse loss of a batch, with the term of its pairs where one is asked for.

    Under `torch.distributed` the pairs are those within a process's share.

    Parameters
    ----------
    net
        As `make_image_net` makes it.
    config
        Of its trunk.
    objective
        What to learn by.
    dtype
        Of the products; float32 switches autocast off.
    """

    def __init__(
        self, net: MultiverseNet, config: TrunkConfig, objective: ImageObjective, dtype: torch.dtype
    ):
        super().__init__()
        self.net, self.config, self.objective, self.dtype = net, config, objective, dtype
        entry = PAIR_TERMS[objective.pair_term]
        self._term = entry.load() if entry.target else None
        softmax = objective.pair_term == "softmax"
        self._number = objective.temperature if softmax else objective.margin

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of images `(N, C, H, W)` in [0, 1] and class numbers `(N,)`, a scalar."""
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            represented = self.net.stage_outputs(standardized(images, self.config))[STAGE]
            loss: Tensor = self.net.heads[STAGE](represented, labels)
        if self._term is None:
            return loss
        unit = F.normalize(at_least_single(represented))
        pairs: Tensor = self._term(unit, labels, self._number)
        return loss + self.objective.pair_weight * pairs
