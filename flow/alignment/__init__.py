"""Turn an image back that is turned, zoomed or tilted too far for the descriptors."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
