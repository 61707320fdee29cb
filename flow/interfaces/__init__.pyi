from .calculator import FlowCalculator as FlowCalculator
from .choose import choose as choose
from .flow_model import FlowModel as FlowModel
