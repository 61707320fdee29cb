from .gradient import gradient_edges as gradient_edges
from .gradient import saliency as saliency
from .network import network_edges as network_edges
