"""Transfer: what a learned embedding is worth on new classes, for faces, thumbnails and patches alike.

Everything named here is loaded when it is first used: not all of it needs torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
