from .folder import save_folder as save_folder
from .graphs import ImageGraph as ImageGraph
from .graphs import PatchGraph as PatchGraph
from .programs import save_onnx as save_onnx
from .programs import save_torch_export as save_torch_export
