"""What can be chosen about a sequence beside the stages; nothing here needs torch or numpy."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.settings import Settings, setting

FLOWS = (".flo", ".png", ".pfm", ".npz")
"""`patchbatch.data.formats.FLOW_SUFFIXES`, which --help is not to wait for."""
MAPS = (".png", ".pfm", ".npy")
"""Of confidences and occlusions, some of `flow.outputs.MAPS`."""
FILMS = (".mp4", ".mkv", ".mov")
DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class SequenceSettings(Settings):
    """What is made of a sequence.

    Attributes
    ----------
    step
        Every so manieth frame is taken; the flow goes from one that is taken to the next.
    both_ways
        Write the flow from each second frame back to the first as well.
    write_as
        Suffix of the flow files.
    occlusion, confidence
        Suffix of those maps; empty: not written.
    between
        How many frames are made between each two.
    """

    step: int = setting(1, least=1, unit="frames")
    both_ways: bool = False
    write_as: str = setting(".flo", choices=FLOWS)
    occlusion: str = setting("", choices=("", *MAPS))
    confidence: str = setting("", choices=("", *MAPS))
    between: int = setting(0, least=0, most=99, unit="frames")

    @property
    def ways(self) -> tuple[str, ...]:
        """What is written: "" for first to second, "backward" for second to first."""
        return ("", "backward") if self.both_ways else ("",)

    def files(self, name: str) -> dict[tuple[str, str], str]:
        """Return the files of a pair, relative to the folder of the sequence.

        Returns
        -------
        dict
            By way, see `ways`, and kind: "flow", "confidence", "occlusion"; frames between by "between" and
            their number, from "1".

        Examples
        --------
        >>> SequenceSettings(occlusion=".png").files("0001")
        {('', 'flow'): 'flow/0001.flo', ('', 'occlusion'): 'occlusion/0001.png'}
        """
        kinds = {"flow": self.write_as, "confidence": self.confidence, "occlusion": self.occlusion}
        found: dict[tuple[str, str], str] = {}
        for way in self.ways:
            for kind, suffix in kinds.items():
                folder = f"{way}-{kind}" if way else kind
                if suffix:
                    found[way, kind] = f"{folder}/{name}{suffix}"
        for number in range(1, self.between + 1):
            found["between", str(number)] = f"between/{name}-{number}.png"
        return found
