"""Settings of the searches for matches; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting

MOST_PENALTY = 200.0  # median costs; what the sums of eight directions have room for in 16 bits


@dataclass(frozen=True)
class CoarseToFineSettings(Settings):
    """Settings of the coarse-to-fine search.

    Attributes
    ----------
    step
        Pixels of the full image between seeds; time falls with its square.
    hypotheses
        Distinct vectors that a seed carries from level to level; 1 is plain coarse-to-fine matching.
    separation
        Vectors closer than this on both axes are one hypothesis.
    strides
        One pass on every level for each: how far away the eight seeds are whose vectors are tried.
    search_radii
        In each pass, one random offset to the best vector for each radius; empty for no random search.
    smoothness
        Price of one px of difference between seeds next to each other, in median costs. It decides which
        of its hypotheses a seed believes; 0 leaves that to the cost alone.
    smoothness_limit
        Difference beyond which the price rises no more.
    smoothness_rounds
        How far, in seeds, the neighbourhood reaches that has a say.
    motion_price
        Price of one px of motion when the finest level decides among what costs nearly the same, as a share
        of the mean distance of descriptors; 0 for no such choice.
    price_limit
        Motion beyond which the price rises no more.
    small_motion
        Radius of a search around no motion on the half image, whose best vector takes part in that choice.
    local_radius
        Radius of the full search at the end, around the best vector on the finest level; 0 for none.
    rival_distance
        A match at least this far from the best one, on either axis, counts as its rival.
    top_megabytes
        MB that one block of distances at the top level may take.
    seed
        Of the random search; the same seed gives the same matches.
    """

    step: int = setting(3, least=1, unit="px")
    hypotheses: int = setting(3, least=1)
    separation: int = setting(1, least=1, unit="px of the level")
    strides: tuple[int, ...] = setting((1, 2, 1), least=1, unit="seeds")
    search_radii: tuple[int, ...] = setting((4, 2, 1), least=1, unit="px of the level")
    smoothness: float = setting(0.1, least=0, unit="median costs per px of the level")
    smoothness_limit: float = setting(10.0, least=0, unit="px of the level")
    smoothness_rounds: int = setting(5, least=0)
    motion_price: float = setting(0.002, least=0, unit="mean distances per px")
    price_limit: float = setting(16.0, least=0, unit="px")
    small_motion: int = setting(3, least=0, unit="px of the half image")
    local_radius: int = setting(1, least=0, unit="px")
    rival_distance: int = setting(4, least=1, unit="px")
    top_megabytes: float = setting(4.0, above=0, unit="MB")
    seed: int = setting(0, least=0)


@dataclass(frozen=True)
class SemiGlobalSettings(Settings):
    """Settings of the semi-global search.

    Attributes
    ----------
    step
        Pixels of the full image between seeds.
    max_motion
        Pixels of the full image, on each axis, that the volume reaches.
    volume_level
        Level of the volume: 2 for a quarter of the image, as DCFlow has it; None for the coarsest there is.
    grid_level
        Finest level that is aggregated: 1, 2, 3 for a half, a quarter, an eighth of the image. Finer sees
        thinner things and takes four times as long a level.
    directions
        Of the aggregation: 4, or 8 for twice the time and fewer streaks.
    small_penalty, large_penalty
        Price of a step to a label beside, and highest price of a change, in median costs; more is smoother.
    labels
        In the lists of the levels below the volume; time grows with the square.
    list_radius
        Of the square around each vector from above that the lists are filled from, px of the level.
    hypotheses
        Distinct vectors that go on from level to level.
    search_radius
        Of the exact search in the full image, px.
    strides
        One more pass over the seeds for each: how far away the eight seeds are whose vectors are tried.
    smoothness, smoothness_limit, smoothness_rounds
        Of the choice among the last hypotheses, see `CoarseToFineSettings`.
    rival_distance
        A match at least this far from the best one, on either axis, counts as its rival.
    volume_mb
        MB that the volume and its sums may take; a larger one is made in bands of rows.
    """

    step: int = setting(3, least=1, unit="px")
    max_motion: int = setting(256, least=1, unit="px")
    volume_level: int | None = setting(None, least=0)
    grid_level: int = setting(2, least=0)
    directions: int = setting(8, choices=(4, 8))
    small_penalty: float = setting(0.1, least=0, most=MOST_PENALTY, unit="median costs")
    large_penalty: float = setting(1.0, least=0, most=MOST_PENALTY, unit="median costs")
    labels: int = setting(24, least=1)
    list_radius: int = setting(2, least=0, unit="px of the level")
    hypotheses: int = setting(3, least=1)
    search_radius: int = setting(4, least=0, unit="px")
    strides: tuple[int, ...] = setting((1, 2), least=1, unit="seeds")
    smoothness: float = setting(0.1, least=0, unit="median costs per px")
    smoothness_limit: float = setting(10.0, least=0, unit="px")
    smoothness_rounds: int = setting(5, least=0, unit="seeds")
    rival_distance: int = setting(4, least=1, unit="px")
    volume_mb: float = setting(512.0, above=0, unit="MB")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.small_penalty > self.large_penalty:
            raise PatchBatchError(
                f"small_penalty is {self.small_penalty}, more than large_penalty ({self.large_penalty}); "
                "give small <= large"
            )


@dataclass(frozen=True)
class ExactSettings(Settings):
    """Settings of the exact search.

    Attributes
    ----------
    window
        Pixels on both axes between a point and the farthest match it may have; None searches everywhere.
        Time falls with its square.
    step
        Pixels between the points of image 1 that are matched, the grid of `flow.matching.seeds`; 1 takes
        every pixel, time falls with its square. Image 2 is always whole.
    precision
        Type of the products (see `patchbatch.devices`). The answer is that of float32 either way.
    memory_mb
        MB that the search may take beyond the descriptors, its answer (8 bytes a pixel) included. It always
        takes some 32 MB to work with.
    """

    window: int | None = setting(None, least=0, unit="px")
    step: int = setting(1, least=1, unit="px")
    precision: str = setting("auto", choices=("auto", "float32", "bfloat16", "float16"))
    memory_mb: float = setting(256.0, above=0, unit="MB")


@dataclass(frozen=True)
class SeedGridSettings(Settings):
    """What a search for nearest neighbours needs besides to serve as a matcher.

    Attributes
    ----------
    step
        Pixels between the seeds, the pixels whose matches are kept.
    rival_distance
        A neighbour's vector at least this far from a match, on either axis, counts as its rival.
    """

    step: int = setting(3, least=1, unit="px")
    rival_distance: int = setting(4, least=1, unit="px")


@dataclass(frozen=True)
class ExactMatcherSettings(SeedGridSettings, ExactSettings):
    """Settings of the exact search as a matcher; of both images the seeds alone are matched.

    Attributes
    ----------
    window, precision, memory_mb
        See `ExactSettings`.
    step, rival_distance
        See `SeedGridSettings`.
    """


@dataclass(frozen=True)
class PatchMatchSettings(Settings):
    """Settings of PatchMatch; the defaults search the whole image and come near the exact answer.

    Attributes
    ----------
    passes
        Times that every pixel is visited; each is a chance for good matches to spread, back and forth.
    search_radius
        Largest random step from the best match; halved after each try while it is at least 1 px. Below
        1 there is no random search; None takes the larger side of the images.
    start_x, start_y
        Largest random displacement at the start, along and across rows; None for the images' size.
    seed
        Of the random start and search; the same seed gives the same matches.
    """

    passes: int = setting(10, least=0)
    search_radius: float | None = setting(None, least=0, unit="px")
    start_x: int | None = setting(None, least=0, unit="px")
    start_y: int | None = setting(None, least=0, unit="px")
    seed: int = setting(0, least=0)


@dataclass(frozen=True)
class PatchMatchMatcherSettings(SeedGridSettings, PatchMatchSettings):
    """Settings of PatchMatch as a matcher; all pixels are searched, seeds are kept.

    Attributes
    ----------
    passes, search_radius, start_x, start_y, seed
        See `PatchMatchSettings`.
    step, rival_distance
        See `SeedGridSettings`.
    """


@dataclass(frozen=True)
class JumpFloodingSettings(Settings):
    """Settings of jump flooding; the defaults come near the exact answer.

    Attributes
    ----------
    rounds
        Times through all jumps; time rises with it.
    first_jump
        Distance of the farthest pixels asked in a round; the next ones are half as far, down to 1.
    search_radius
        Largest random step from the best match, halved down to 1 px; None takes the larger side of the
        other image, below 1 there is no random search.
    start_x, start_y
        Largest random displacement at the start; None for anywhere in the other image.
    seed
        Of the random start and search; the same seed gives the same matches on the same device.
    """

    rounds: int = setting(8, least=0)
    first_jump: int = setting(8, least=0, unit="px")
    search_radius: float | None = setting(None, least=0, unit="px")
    start_x: int | None = setting(None, least=0, unit="px")
    start_y: int | None = setting(None, least=0, unit="px")
    seed: int = setting(0, least=0)


@dataclass(frozen=True)
class JumpFloodingMatcherSettings(SeedGridSettings, JumpFloodingSettings):
    """Settings of jump flooding as a matcher; all pixels are searched, seeds are kept.

    Attributes
    ----------
    rounds, first_jump, search_radius, start_x, start_y, seed
        See `JumpFloodingSettings`.
    step, rival_distance
        See `SeedGridSettings`.
    """
