"""How orthogonal the classifiers of a multiverse head are, and how far they say the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from patchbatch.transfer.multiverse.head import MultiverseHead, at_least_single


@dataclass(frozen=True)
class Diagnostics:
    """How orthogonal the copies of a head are and how much they agree; means over all pairs of copies.

    Attributes
    ----------
    cosine
        Mean |cos| of the same class in two copies, in the head's own inner product. In [0, 1].
    agreement
        Share of the samples for which two copies name the same class. In [0, 1].
    total_variation
        Mean of half the sum over classes of |p - p'|. In [0, 1].
    logit_gap
        Norm of the difference of two copies' logits, freed of what no softmax sees and of their mean over the
        samples, as a part of the norm of the first's. 0 for copies that differ by Lemma 1's shift alone.
    """

    cosine: float
    agreement: float
    total_variation: float
    logit_gap: float


@torch.no_grad()
def diagnose(head: MultiverseHead, representation: Tensor) -> Diagnostics:
    """Compare the copies of a head on samples.

    One copy has no pairs: cosine, variation and gap are 0, the agreement 1.

    Parameters
    ----------
    head
        A trained head.
    representation
        `(N, d)`, N >= 1, held-out samples for an honest answer.
    """
    logits = at_least_single(head(representation)).unbind(1)
    pairs = list(itertools.permutations(range(head.copies), 2))
    if not pairs:
        return Diagnostics(0.0, 1.0, 0.0, 0.0)
    probabilities = [z.softmax(dim=1) for z in logits]
    named = [z.argmax(dim=1) for z in logits]
    centred = [_doubly_centred(z) for z in logits]

    def over_pairs(compare: Callable[[int, int], Tensor]) -> float:
        return float(torch.stack([compare(r, s).double() for r, s in pairs]).mean())

    return Diagnostics(
        cosine=_mean_cosine(head),
        agreement=over_pairs(lambda r, s: (named[r] == named[s]).double().mean()),
        total_variation=over_pairs(
            lambda r, s: (probabilities[r] - probabilities[s]).abs().sum(1).mean() / 2
        ),
        logit_gap=over_pairs(lambda r, s: (centred[r] - centred[s]).norm() / centred[r].norm()),
    )


def _mean_cosine(head: MultiverseHead) -> float:
    weight = head.weight.double()
    scatter = head.within_scatter
    mapped = weight if scatter is None else weight @ scatter.double()
    gram = torch.einsum("rcd,scd->crs", mapped, weight)
    norms = gram.diagonal(dim1=1, dim2=2).sqrt()
    cosines = gram / (norms[:, :, None] * norms[:, None, :]).clamp_min(torch.finfo(gram.dtype).tiny)
    upper = torch.ones(head.copies, head.copies, dtype=torch.bool, device=gram.device).triu(diagonal=1)
    return float(cosines[:, upper].abs().mean())


def _doubly_centred(logits: Tensor) -> Tensor:
    free = logits - logits.mean(dim=1, keepdim=True)
    return free - free.mean(dim=0, keepdim=True)
