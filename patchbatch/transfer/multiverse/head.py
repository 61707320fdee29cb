"""The multiverse loss: several classifiers, orthogonal and equally right, over one representation.

Source: Littwin & Wolf, "The multiverse loss for robust transfer learning", CVPR 2016, as told in Wolf's talk.
Orthogonal classifiers that agree need directions in which the samples hardly vary, so training with them
concentrates the representation in fewer dimensions. After training the classifiers are dropped and the
representation is what is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting


@dataclass(frozen=True)
class MultiverseSettings(Settings):
    """What the loss of a `MultiverseHead` is made of.

    Attributes
    ----------
    reduction
        "mean" or "sum" over the copies' cross entropies. The sum with λ1, λ2 is m times the mean with λ1/m,
        λ2/m: same minimisers, another scale of the learning rate.
    weight_penalty
        λ1 >= 0 on the norm of each copy's weights and of its biases; 0 is off. Pulls the classifiers to 0.
    squared
        Whether λ1 multiplies squared norms (weight decay) or, as the talk prints it, the norms themselves,
        which are not smooth at 0.
    orthogonality
        λ2 >= 0 on the sum over classes and pairs of copies of |<f, f'>|; 0 is off. From some size on it makes
        the copies orthogonal to rounding.
    inner_product
        "plain", or "within" for f^T S_w f' with S_w the running within-class scatter of trace d.
    memory
        Share in [0, 1) of the old S_w that stays at each batch; 0 takes the batch's alone. A batch that holds
        NaN or infinity does not move S_w.
    """

    reduction: str = setting("mean", choices=("mean", "sum"))
    weight_penalty: float = setting(5e-4, least=0)
    squared: bool = setting(True)
    orthogonality: float = setting(1e-2, least=0)
    inner_product: str = setting("plain", choices=("plain", "within"))
    memory: float = setting(0.99, least=0, below=1)


class MultiverseHead(nn.Module):
    """m affine classifiers of the same classes over one representation, kept orthogonal class by class.

    With `copies=1` it is an ordinary softmax classifier with weight decay. Under `torch.distributed` the
    within-class scatter is that of all processes together.

    Parameters
    ----------
    features
        Width d of the representation.
    classes
        Number of classes c, at least 2.
    copies
        m, at least 1.
    settings
        Weights and form of the loss.

    Attributes
    ----------
    weight
        `(m, c, d)`, one f per copy and class.
    bias
        `(m, c)`.
    within_scatter
        `(d, d)` of trace d, the running S_w, I at first; None with `inner_product="plain"`.

    Raises
    ------
    PatchBatchError
        For counts that are too small, and in use for another width and for labels that are no class numbers.

    Examples
    --------
    >>> head = MultiverseHead(features=16, classes=4, copies=3)
    >>> x, labels = torch.randn(8, 16), torch.arange(8) % 4
    >>> head(x).shape
    torch.Size([8, 3, 4])
    >>> head(x, labels).backward()
    """

    within_scatter: Tensor | None

    def __init__(
        self, features: int, classes: int, copies: int = 1, settings: MultiverseSettings | None = None
    ):
        super().__init__()
        for name, value, least in (("features", features, 1), ("classes", classes, 2), ("copies", copies, 1)):
            if value < least:
                raise PatchBatchError(f"{name} is {value}; give at least {least}")
        self.features, self.classes, self.copies = features, classes, copies
        self.settings = settings or MultiverseSettings()
        self.weight = nn.Parameter(torch.empty(copies, classes, features))
        self.bias = nn.Parameter(torch.empty(copies, classes))
        within = self.settings.inner_product == "within"
        self.register_buffer("within_scatter", torch.empty(features, features) if within else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew, uniform in ±1/√d, and set S_w to I."""
        bound = self.features**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        if self.within_scatter is not None:
            nn.init.eye_(self.within_scatter)

    def extra_repr(self) -> str:
        """Return the sizes and settings for `print`."""
        return f"{self.features}, {self.classes}, copies={self.copies}, {self.settings}"

    def forward(self, representation: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the logits of all copies or, given labels, the loss.

        Parameters
        ----------
        representation
            `(N, d)`, any floating type.
        labels
            `(N,)` class numbers 0 .. c - 1 as integers. In training mode they also move the running S_w.

        Returns
        -------
        Tensor
            `(N, m, c)` logits without labels; with labels the loss, a scalar of at least single precision.
        """
        _check_representation(representation, self.features)
        stacked = F.linear(representation, self.weight.flatten(0, 1), self.bias.flatten())
        logits = stacked.view(-1, self.copies, self.classes)
        if labels is None:
            return logits
        _check_labels(labels, len(representation), self.classes)
        if self.training and self.within_scatter is not None:
            self._move_scatter(representation, labels)
        return self._cross_entropy(logits, labels) + self.penalty()

    def logits(self, representation: Tensor) -> Tensor:
        """Return the logits averaged over the copies: `(N, d)` -> `(N, c)`."""
        averaged: Tensor = self(representation).mean(dim=1)
        return averaged

    def predict(self, representation: Tensor) -> Tensor:
        """Return the probabilities of the classes, the softmax of `logits`: `(N, d)` -> `(N, c)`."""
        return at_least_single(self.logits(representation)).softmax(dim=1)

    def penalty(self) -> Tensor:
        """Return λ1 times the norms plus λ2 times the inner products, a scalar; the same for any batch."""
        # Under autocast the products of the classes' vectors would be rounded to half precision.
        with torch.autocast(self.weight.device.type, enabled=False):
            wide = at_least_single(self.weight)
            total = self.settings.weight_penalty * self._norms()
            if self.copies > 1:
                total = total + self.settings.orthogonality * self._inner_products(wide)
        return total

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        each = labels.long()[:, None].expand(-1, self.copies).flatten()
        mean = F.cross_entropy(at_least_single(logits).flatten(0, 1), each)
        return mean * self.copies if self.settings.reduction == "sum" else mean

    def _norms(self) -> Tensor:
        wide = (at_least_single(self.weight).flatten(1), at_least_single(self.bias))
        if self.settings.squared:
            return torch.stack([values.square().sum() for values in wide]).sum()
        return torch.stack([torch.linalg.vector_norm(values, dim=1).sum() for values in wide]).sum()

    def _inner_products(self, weight: Tensor) -> Tensor:
        scatter = self.within_scatter
        # A copy: the next batch may move the running one before this one's gradient is asked for.
        mapped = weight if scatter is None else weight @ scatter.to(weight.dtype, copy=True)
        gram = torch.einsum("rcd,scd->crs", mapped, weight)
        # The diagonal holds the copies' own norms; each pair counts once.
        return gram.triu(diagonal=1).abs().sum()

    @torch.no_grad()
    def _move_scatter(self, representation: Tensor, labels: Tensor) -> None:
        assert self.within_scatter is not None  # noqa: S101 - type
        with torch.autocast(representation.device.type, enabled=False):
            batch = within_class_products(at_least_single(representation), labels)
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(batch)
        # A sample that is not finite would stay in the running S_w for ever: such a batch is left out.
        batch = torch.where(torch.isfinite(batch).all(), batch, torch.zeros_like(batch))
        trace = batch.trace()
        # A batch without two samples of a class says nothing about S_w.
        share = (trace > 0) * (1 - self.settings.memory)
        scaled = batch * (self.features / (trace + (trace == 0)))
        kept = self.within_scatter
        kept.lerp_(scaled.to(kept.dtype), share.to(kept.dtype))


def within_class_products(representation: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over samples of r r^T, r = x - the mean of x's class: `(N, d)`, `(N,)` -> `(d, d)`."""
    # Means by an N x N product: nothing as long as the list of classes, no shape that depends on the labels.
    same = (labels[:, None] == labels[None, :]).to(representation.dtype)
    residual = representation - (same / same.sum(dim=1, keepdim=True)) @ representation
    return residual.mT @ residual


def at_least_single(x: Tensor) -> Tensor:
    """Return half precision as single; single and double as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check_representation(representation: Tensor, features: int) -> None:
    if representation.ndim != 2 or representation.shape[1] != features:
        shape = tuple(representation.shape)
        raise PatchBatchError(f"the representation is {shape}; the head was made for (N, {features})")


def _check_labels(labels: Tensor, samples: int, classes: int) -> None:
    if labels.dtype.is_floating_point or labels.dtype == torch.bool or labels.dtype.is_complex:
        raise PatchBatchError(f"the labels are {labels.dtype}; give class numbers as integers")
    if labels.shape != (samples,) or samples == 0:
        raise PatchBatchError(f"labels of shape {tuple(labels.shape)} for {samples} samples; give one each")
    # A compiled graph cannot look at values; there the gather of the cross entropy is the guard.
    if torch.compiler.is_compiling():
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise PatchBatchError(f"labels from {low} to {high}; the head was made for 0 to {classes - 1}")
