from flow.pipeline import FlowResult as FlowResult
from flow.pipeline import estimate_flow as estimate_flow

from .errors import PatchBatchError as PatchBatchError
from .models import load_descriptor as load_descriptor
from .models import load_model as load_model
from .models import model_names as model_names

__version__: str
