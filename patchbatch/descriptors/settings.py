"""How networks are made to see images; nothing here needs torch before one is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from patchbatch.settings import Settings, setting

if TYPE_CHECKING:
    from patchbatch.descriptors.protocol import Descriptor


@dataclass(frozen=True)
class DescriptionSettings(Settings):
    """How the networks of this package see images; descriptors of others see to that themselves.

    Attributes
    ----------
    standardization
        Whose mean and contrast are brought to what the network expects: "surroundings" of every pixel,
        "image", or "model": as the model's own settings say.
    single_scale
        Whether nothing of coarser scales is read beside the image, whatever the model's settings say.
    """

    standardization: str = setting("model", choices=("model", "surroundings", "image"))
    single_scale: bool = setting(False)

    def applied_to(self, descriptor: Descriptor) -> Descriptor:
        """Return a descriptor that sees images so."""
        from patchbatch.descriptors.patch_net import PatchNet  # noqa: PLC0415 - imports torch

        if not isinstance(descriptor, PatchNet):
            return descriptor
        way = "" if self.standardization == "model" else self.standardization
        return descriptor.seen_as(way, self.single_scale)
