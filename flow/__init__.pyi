from .pipeline import FlowResult as FlowResult
from .pipeline import estimate_flow as estimate_flow
from .presets import PRESETS as PRESETS
from .settings import FlowSettings as FlowSettings
from .settings import flow_settings as flow_settings
from .settings import read_settings as read_settings
