"""How the network that chooses is taught; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.settings import Settings, setting


@dataclass(frozen=True)
class ChoiceTraining(Settings):
    """How the network is taught.

    Attributes
    ----------
    scenes
        Made ones that are learned from.
    steps
        At most; the learning rate falls to 0 by then.
    minutes
        Of teaching, at most; None: only steps count, and the same seed gives the same weights on a CPU.
    real
        How often a window is of a real pair, where there are some.
    windows
        That are cut from a sample before the next is read.
    rows, columns
        Of a window.
    least_open, least_known
        Windows with fewer nodes that choose, or fewer of these with known truth, are left out.
    rounds
        In which nodes see what their neighbours chose.
    learning_rate
        At its highest.
    seed
        Of scenes, windows and the first weights.
    """

    scenes: int = setting(1000, least=1)
    steps: int = setting(30_000, least=1)
    minutes: float | None = setting(None, above=0)
    real: float = setting(0.3, least=0, most=1)
    windows: int = setting(4, least=1)
    rows: int = setting(56, least=1, unit="nodes")
    columns: int = setting(72, least=1, unit="nodes")
    least_open: int = setting(300, least=1, unit="nodes")
    least_known: int = setting(50, least=1, unit="nodes")
    rounds: int = setting(3, least=1, most=20)
    learning_rate: float = setting(7e-4, above=0)
    seed: int = setting(0, least=0)
