"""The dense stage alone: from matches to a flow at every pixel, with confidence and occlusion."""

from __future__ import annotations

from typing import Any

from flow.completion.stage import Completion
from flow.cost import Meter
from flow.dense import Found, make_dense
from flow.inputs import EdgesLike, given_edges, load_pair
from flow.matching.stage import JudgedMatches
from flow.settings import FlowSettings
from patchbatch.data.given.descriptors import given_pyramid
from patchbatch.data.given.images import ImageLike
from patchbatch.errors import PatchBatchError


def choose(
    judged: JudgedMatches,
    image1: ImageLike,
    image2: ImageLike,
    descriptors1: Any,
    descriptors2: Any,
    edges: EdgesLike | None = None,
    settings: FlowSettings | None = None,
) -> Completion:
    """Interpolate matches, and choose the motion of what they do not settle; what `estimate_flow` does then.

    Parameters
    ----------
    judged
        From `judged_matches`: matches both ways, also those that are not believed, which are candidates.
    image1, image2
        Files, arrays, tensors or pictures of one size, as `given_image` takes them.
    descriptors1, descriptors2
        `(H, W, D)` of the images, or pyramids, whose first level counts.
    edges
        As for `interpolate`.
    settings
        Of which `interpolation` and `completion` count; None takes the defaults.

    Returns
    -------
    Completion
        Flow, confidence and occlusion of every pixel, before the refinement.

    Raises
    ------
    PatchBatchError
        When something does not fit, or is not what it should be.

    Examples
    --------
    >>> from flow.matching.stage import judged_matches
    >>> from flow.synthetic import demo_scene
    >>> from patchbatch.models import load_model
    >>> from patchbatch.descriptors.description import describe_pyramid
    >>> net, scene = load_model(), demo_scene(64, 80)
    >>> first, second = (describe_pyramid(image, net) for image in (scene.image1, scene.image2))
    >>> chosen = choose(judged_matches(first, second), scene.image1, scene.image2, first, second)
    >>> chosen.flow.shape, chosen.confidence.shape, chosen.occluded.shape
    ((64, 80, 2), (64, 80), (64, 80))
    """
    if not isinstance(judged, JudgedMatches):
        raise PatchBatchError(f"judged is a {type(judged).__name__}; give what judged_matches returns")
    first, second = load_pair(image1, image2)
    levels = [
        given_pyramid(each, f"descriptors {i}")[0] for i, each in enumerate((descriptors1, descriptors2), 1)
    ]
    for level in levels:
        if tuple(level.shape[:2]) != first.shape[:2]:
            raise PatchBatchError(
                f"the descriptors are of {tuple(level.shape[:2])} px but the images of {first.shape[:2]}; "
                "describe these images"
            )
    borders = None if edges is None else given_edges(edges, first.shape[:2])
    found = Found(judged.matches, False, judged, *levels)
    interpolated, chosen = make_dense(found, first, second, borders, settings or FlowSettings(), Meter())
    return chosen or interpolated
