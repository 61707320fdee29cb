"""Networks for other programs: ONNX, torch.export, folders of weights as on Hugging Face."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
