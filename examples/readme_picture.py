"""Make `docs/demo.png`, README's picture: `python examples/readme_picture.py`."""

from pathlib import Path

import numpy as np

from flow.outputs import to_bytes
from flow.pictures import share_picture
from flow.synthetic import demo_scene
from flow.visualize import flow_to_color
from patchbatch import estimate_flow
from patchbatch.data import write_image

scene = demo_scene()
result = estimate_flow(scene.image1, scene.image2)
radius = float(np.hypot(*np.moveaxis(scene.flow, -1, 0)).max())
panels = [
    to_bytes(scene.image1),
    to_bytes(scene.image2),
    flow_to_color(scene.flow, max_radius=radius),
    flow_to_color(result.flow, max_radius=radius),
    share_picture(result.confidence, legend=False),
]
gap = np.full((scene.flow.shape[0], 8, 3), 255, np.uint8)
row = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
write_image(Path(__file__).parents[1] / "docs" / "demo.png", row[::2, ::2])
