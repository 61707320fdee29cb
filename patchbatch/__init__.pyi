from flow.interfaces.calculator import FlowCalculator as FlowCalculator
from flow.interfaces.choose import choose as choose
from flow.interfaces.flow_model import FlowModel as FlowModel
from flow.interpolation.stage import interpolate as interpolate
from flow.matching.stage import judged_matches as judged_matches
from flow.matching.stage import match as match
from flow.pipeline import estimate_flow as estimate_flow
from flow.refinement.stage import refine as refine
from flow.results.result import FlowResult as FlowResult

from . import data as data
from . import descriptors as descriptors
from . import training as training
from . import transfer as transfer
from .descriptors.description import describe as describe
from .descriptors.description import describe_points as describe_points
from .descriptors.description import describe_pyramid as describe_pyramid
from .errors import PatchBatchError as PatchBatchError
from .models import load_descriptor as load_descriptor
from .models import load_model as load_model
from .models import model_names as model_names

__version__: str
