"""Pictures for people: what `flow.visualize` paints, with a legend and a caption beneath; arrows and dots."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
