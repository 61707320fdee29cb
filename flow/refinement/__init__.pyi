from .settings import PRESETS as PRESETS
from .settings import TRUSTING_PRESETS as TRUSTING_PRESETS
from .settings import RefinementSettings as RefinementSettings
from .stage import refine as refine
from .table import REFINEMENTS as REFINEMENTS
