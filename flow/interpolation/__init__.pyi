from .settings import PRESETS as PRESETS
from .settings import ROBUST_PRESETS as ROBUST_PRESETS
from .settings import InterpolationSettings as InterpolationSettings
from .settings import interpolation_settings as interpolation_settings
from .stage import interpolate as interpolate
from .table import ESTIMATORS as ESTIMATORS
