"""Attention by name, put where the backbone has squeeze-and-excite, or where it would have it.

kind    what it is                                                             paper
se      squeeze-and-excite: one weight a channel from the pooled channels      https://arxiv.org/abs/1709.01507
eca     one weight a channel from its neighbours, a 1-D convolution            https://arxiv.org/abs/1910.03151
cbam    channel weights from mean and max, then a spatial map                  https://arxiv.org/abs/1807.06521
coord   weights along the height and along the width                           https://arxiv.org/abs/2103.02907
none    taken away
"""

from edgetl.models.attention.layers import KINDS, LAYERS
from edgetl.models.attention.placement import Placement, place

__all__ = ["KINDS", "LAYERS", "Placement", "place"]
