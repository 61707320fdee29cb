"""How a descriptor network learns: samples, points, losses, schedule; and the command that runs it.

Everything named here is loaded when it is first used: settings are wanted without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
