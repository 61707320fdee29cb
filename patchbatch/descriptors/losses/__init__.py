"""What descriptors learn from: losses of matching and non-matching pairs, and one of similarities.

Everything named here is loaded when it is first used: the table of losses is wanted without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
