"""Flow between two images, and what came with it: `python examples/flow_of_two_images.py IMG1 IMG2`."""

import sys

from flow.visualize import flow_to_color
from patchbatch import estimate_flow
from patchbatch.data import write_flow, write_image

result = estimate_flow(sys.argv[1], sys.argv[2], model="compact")
u, v = result.flow[..., 0], result.flow[..., 1]  # (H, W) pixels, right and down
print(f"{len(result.matches)} matches; mean motion ({abs(u).mean():.1f}, {abs(v).mean():.1f}) px")
print(f"{100 * (result.confidence > 0.5).mean():.0f} % of the pixels have a confidence above 0.5")
write_flow("flow.npz", result.flow, result.valid, result.confidence)
write_image("flow.png", flow_to_color(result.flow))
