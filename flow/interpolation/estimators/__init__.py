"""Local motion models: one per match, fitted to the vectors of its geodesic neighbours.

Every estimator returns `(M, 2, 3)` models B: at a pixel (x, y) of the cell of the match at (x0, y0) the flow
is `B[:, 0] (x - x0) + B[:, 1] (y - y0) + B[:, 2]`. Coordinates centred on the match keep the normal equations
well conditioned, so they are solved directly, in double precision.

The arguments are the same for all: `points` (N, 2) x then y and `vectors` (N, 2) in px; `index` (M, n) int32
from `nearest_on_graph`, the match itself in column 0, -1 where there is no neighbour; `weights` (M, n)
float32 from `kernel_weights`: what each neighbour counts; and `settings`, the whole stage's
`InterpolationSettings`, None for their defaults. They stand by name in `flow.interpolation.table`.
"""
