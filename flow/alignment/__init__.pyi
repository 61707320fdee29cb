from .settings import AlignmentSettings as AlignmentSettings
from .stage import Alignment as Alignment
from .stage import find_alignment as find_alignment
