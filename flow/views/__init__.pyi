from .colmap import write_colmap as write_colmap
from .hloc import write_hloc as write_hloc
from .view_graph import ViewGraph as ViewGraph
