"""A made reference of the original EpicFlow program."""

import json

import cv2
import numpy as np

from patchbatch.data.formats import write_flow

SHAPE = (40, 60)
FRAMES = ["middlebury/other-data/Made/frame10.png", "middlebury/other-data/Made/frame11.png"]


def make_reference(root, shift=(2, 1)):
    """One pair that moves by `shift`; the original's flow is ours for the same input, 0.25 px off in u."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).random((*SHAPE, 3)).astype(np.float32), (0, 0), 1)
    frame = (255 * cv2.normalize(noise, None, 0, 1, cv2.NORM_MINMAX)).astype(np.uint8)
    for name, image in zip(FRAMES, (frame, np.roll(frame, shift[::-1], (0, 1))), strict=True):
        path = root / "flow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    truth = np.broadcast_to(np.array(shift, np.float32), (*SHAPE, 2))
    path = root / "flow/middlebury/other-gt-flow/Made/flow10.flo"
    path.parent.mkdir(parents=True)
    write_flow(path, truth)
    folder = root / "epic_reference" / "Made"
    folder.mkdir(parents=True)
    y, x = np.mgrid[2:36:4, 2:56:4]
    points = np.column_stack([x.ravel(), y.ravel()])
    np.savetxt(folder / "matches.txt", np.column_stack([points, points + shift]), fmt="%d")
    np.savez(folder / "edges.npz", edges=np.zeros(SHAPE, np.float32))
    off = (truth + np.array([0.25, 0], np.float32)).astype(np.float16)
    for name in ("flow_epic_novar.npz", "flow_epic.npz"):
        np.savez(folder / name, flow=off)
    figures = {"frames": FRAMES, "preset": "-middlebury", "sec": {"epic_interp": 0.5, "epic_var": 0.25}}
    (root / "epic_reference/figures.json").write_text(json.dumps({"Made": figures}))
    return root
