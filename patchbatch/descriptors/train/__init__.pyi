from .loop import Trainer as Trainer
from .samples.sources import PairSource as PairSource
from .settings import ObjectiveSettings as ObjectiveSettings
from .settings import SourceSettings as SourceSettings
from .settings import TrainSettings as TrainSettings
from .warm_start import start_from as start_from
