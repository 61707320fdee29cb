"""Two views of a plane brought together: `python examples/register_with_kornia.py IMG1 IMG2 [OUT.png]`.

Matches come from here, the homography from kornia's RANSAC, and so does the warp that checks it.
"""

import sys

import kornia.geometry as KG
import torch

from patchbatch import estimate_flow
from patchbatch.data import load_image, to_rgb, write_image
from patchbatch.data.given.images import given_image

first, second = (to_rgb(load_image(path)) for path in sys.argv[1:3])
matches = estimate_flow(first, second, interpolate=False).matches
sure = matches.select(matches.confidence > 0.8)
points1, points2 = torch.from_numpy(sure.points1), torch.from_numpy(sure.points2)

torch.manual_seed(0)  # RANSAC draws by chance
ransac = KG.RANSAC("homography", inl_th=2.0, batch_size=512, max_iter=10)
homography, inliers = ransac(points1, points2)  # (3, 3): pixels of image 1 to those of image 2
away = (KG.transform_points(homography[None], points1[None])[0] - points2).norm(dim=1)
print(f"{len(sure)} matches, {int(inliers.sum())} fit one homography, {away[inliers].median():.2f} px off")

back_to_1 = torch.linalg.inv(homography)[None]
batch = torch.from_numpy(second).permute(2, 0, 1)[None]
back = KG.warp_perspective(batch, back_to_1, first.shape[:2])
seen = (KG.warp_perspective(torch.ones_like(batch), back_to_1, first.shape[:2]) > 0.99)[0, 0].numpy()
before, after = (abs(given_image(image) - first)[seen].mean() for image in (second, back))
print(f"mean difference of the images {before:.3f} before, {after:.3f} after")
if len(sys.argv) > 3:
    write_image(sys.argv[3], given_image(back))
