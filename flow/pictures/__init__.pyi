from .arrows import arrow_picture as arrow_picture
from .descriptors import descriptor_picture as descriptor_picture
from .errors import error_picture as error_picture
from .fields import flow_picture as flow_picture
from .fields import match_picture as match_picture
from .shares import share_picture as share_picture
