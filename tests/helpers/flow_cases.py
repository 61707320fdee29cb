"""Small pairs on which programs for optical flow stumble, made from nothing, with the right answer.

`CASES` names them; `flow_case` makes one. What is expected of each is in `tests/flow/test_cases.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 240, 320
BAR = 30  # rows of black above and below the picture of "letterbox"
Array = NDArray[np.float32]


@dataclass(frozen=True)
class FlowCase:
    """A pair, and the truth where there is one.

    Attributes
    ----------
    image1, image2
        `(H, W, 3)` float32 in [0, 1].
    flow
        `(H, W, 2)` float32, px; None for a pair without anything in common.
    counted
        `(H, W)` bool, where `flow` is asked for: what stays in sight, of pages only the ink.
    """

    image1: Array
    image2: Array
    flow: Array | None = None
    counted: NDArray[np.bool_] | None = None


def texture(seed: int, height: int = 3 * HEIGHT, width: int = 3 * WIDTH) -> Array:
    """Return coloured noise of six octaves, the coarse ones stronger."""
    rng, total = np.random.default_rng(seed), np.zeros((height, width, 3), np.float32)
    for octave in range(1, 7):
        rows, columns = max(2, height >> octave), max(2, width >> octave)
        noise = rng.normal(size=(rows, columns, 3)).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * 0.75**-octave
    return np.clip((total - total.mean()) / (4 * total.std()) + 0.5, 0, 1)


def plane(matrix: NDArray[np.float64], seed: int) -> FlowCase:
    """Look at the middle of a texture twice; what is at p is seen at `matrix @ (p, 1)` the second time."""
    picture = texture(seed)
    middle = np.array([[1, 0, -WIDTH], [0, 1, -HEIGHT], [0, 0, 1]], np.float64)
    first, second = (
        cv2.warpPerspective(picture, view @ middle, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
        for view in (np.eye(3), matrix)
    )
    start = pixels(HEIGHT, WIDTH)
    ahead = np.einsum("ij,hwj->hwi", matrix, np.dstack([start, np.ones((HEIGHT, WIDTH))]))
    flow = (ahead[..., :2] / ahead[..., 2:] - start).astype(np.float32)
    return FlowCase(first, second, flow, lands_inside(flow))


def pixels(height: int, width: int) -> NDArray[np.intp]:
    """Return the place of every pixel, `(H, W, 2)`, x then y."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)


def lands_inside(flow: Array) -> NDArray[np.bool_]:
    """Return which pixels a flow leaves in the image."""
    height, width, _ = flow.shape
    target = pixels(height, width) + flow
    inside: NDArray[np.bool_] = ((target >= 0) & (target <= (width - 1, height - 1))).all(axis=-1)
    return inside


def turned(degrees: float, seed: int = 1) -> FlowCase:
    """Turn a texture about the middle of the image."""
    return plane(about_the_middle(degrees=degrees), seed)


def zoomed(factor: float, seed: int = 2) -> FlowCase:
    """Enlarge a texture about the middle of the image."""
    return plane(about_the_middle(factor=factor), seed)


def about_the_middle(degrees: float = 0, factor: float = 1, shift: tuple[float, float] = (0, 0)) -> Array:
    """Return the `(3, 3)` matrix of a turn and zoom about the middle, followed by a shift in px."""
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, factor)
    matrix[:2, 2] += shift
    return matrix


def tilted() -> FlowCase:
    """Tip a plane away."""
    return plane(np.array([[1.05, 0.1, -8], [0.02, 1.1, -6], [2e-4, 6e-4, 1]]), 3)


def moved(first: Array, dx: int, dy: int, fill: float, counted: NDArray[np.bool_] | None = None) -> FlowCase:
    """Move an image by whole pixels; what comes into sight has one value. Only `counted` pixels are asked."""
    second = np.roll(first, (dy, dx), (0, 1))
    second[: max(dy, 0)] = second[min(dy, 0) or len(second) :] = fill
    second[:, : max(dx, 0)] = second[:, min(dx, 0) or second.shape[1] :] = fill
    flow = np.broadcast_to(np.float32([dx, dy]), (*first.shape[:2], 2)).copy()
    inside = lands_inside(flow)
    return FlowCase(first, second, flow, inside if counted is None else inside & counted)


def page(line: Callable[[int], str], dx: int, dy: int) -> FlowCase:
    """Print a page, number by number of its lines, and move it."""
    sheet = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for number, y in enumerate(range(14, HEIGHT, 14)):
        cv2.putText(sheet, line(number), (6, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    printed = sheet.astype(np.float32) / 255
    return moved(printed, dx, dy, 1.0, printed.mean(axis=-1) < 0.9)


def page_of_like_lines() -> FlowCase:
    """Print lines that differ in one digit."""
    return page(lambda number: f"reading {number % 10} of the meter is within limits", 4, -2)


def page_of_words() -> FlowCase:
    """Print lines of letters drawn at random."""
    rng = np.random.default_rng(5)
    return page(lambda _: "".join(chr(97 + letter) for letter in rng.integers(0, 26, 34)), 25, 10)


def checkerboard() -> FlowCase:
    """Move a board of 8-px squares by less than a square."""
    squares = np.indices((HEIGHT // 8, WIDTH // 8)).sum(axis=0) % 2
    board = np.kron(squares, np.ones((8, 8)))[..., None].repeat(3, axis=2).astype(np.float32)
    return moved(board, 2, 1, 0.5)


def letterbox() -> FlowCase:
    """Move a picture between black bars that stand still."""
    case = plane(about_the_middle(shift=(6, 3)), 7)
    assert case.flow is not None and case.counted is not None
    for array in (case.image1, case.image2, case.flow):
        array[:BAR] = array[-BAR:] = 0
    case.counted[:BAR] = case.counted[-BAR:] = True
    return case


def still(change: Callable[[Array], Array]) -> FlowCase:
    """Change a texture's values, and move nothing."""
    first = texture(6)[:HEIGHT, :WIDTH]
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    return FlowCase(first, change(first), flow, np.ones((HEIGHT, WIDTH), np.bool_))


def scene_cut() -> FlowCase:
    """Show two textures that have nothing to do with each other."""
    return FlowCase(texture(4)[:HEIGHT, :WIDTH], texture(9)[:HEIGHT, :WIDTH])


def out_of_sight() -> FlowCase:
    """Show two parts of one texture that do not overlap."""
    picture = texture(4)
    return FlowCase(picture[:HEIGHT, :WIDTH], picture[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH])


def far() -> FlowCase:
    """Move a wide texture by a quarter of its width."""
    return moved(texture(8, 120, 2400), -600, 0, 0.5)


CASES: dict[str, Callable[[], FlowCase]] = {
    **{f"rotation_{degrees}": partial(turned, degrees) for degrees in (10, 20, 25, 30, 45, 180)},
    **{f"zoom_{factor}": partial(zoomed, factor) for factor in (1.2, 1.4, 1.6, 2, 0.7, 0.5)},
    "tilt": tilted,
    "scene_cut": scene_cut,
    "out_of_sight": out_of_sight,
    "negative": partial(still, lambda first: 1 - first),
    "same": partial(still, lambda first: first),
    "page_of_like_lines": page_of_like_lines,
    "page_of_words": page_of_words,
    "checkerboard": checkerboard,
    "letterbox": letterbox,
    "far": far,
}


def flow_case(name: str) -> FlowCase:
    """Make one of `CASES`."""
    return CASES[name]()
