"""The pipeline as other people's programs call it: torchvision, OpenCV; and its dense stage alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
