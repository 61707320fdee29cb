from .settings import CompletionSettings as CompletionSettings
from .stage import Completion as Completion
from .stage import complete as complete
