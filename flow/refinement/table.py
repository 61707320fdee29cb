"""The refinements by name."""

from __future__ import annotations

from patchbatch.tables import Entry, Table

REFINEMENTS = Table(
    "refinement",
    [
        Entry(
            "variational",
            "EpicFlow's energy, gradient constancy and smoothness",
            "flow.refinement.stage:refine_variationally",
        ),
        Entry(
            "opencv",
            "cv2.VariationalRefinement, its own energy and weights, quicker",
            "flow.refinement.stage:refine_by_opencv",
        ),
    ],
)
"""Functions `(flow, image1, image2, confidence, settings) -> flow`, see `flow.refinement.stage.refine`."""
