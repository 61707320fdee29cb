from .stage import PRESETS as PRESETS
from .stage import TRUSTING_PRESETS as TRUSTING_PRESETS
from .stage import RefinementSettings as RefinementSettings
from .stage import refine as refine
