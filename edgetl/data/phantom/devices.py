"""Two dermatoscopes that see the same skin differently.

"alpha" is a contact dermatoscope: gel, warm light, a dark rim, sharp. "beta" is a polarized one on a phone: cooler,
softer, more contrast and noise. A network that only ever saw one of them should lose something on the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Device:
    """A camera with its light.

    share: how often it is used.
    response: sensor colours from scene colours, [3, 3], linear light.
    blur: standard deviation of its point spread, half fields of view.
    noise: standard deviation of the grain at mid grey, of 255.
    vignette: loss of light in the corners, 0..1.
    rim: chance that the round edge of the tube shows.
    gel: chance of bubbles in the contact fluid.
    contrast: exponent on linear light (1 is neutral).
    """

    share: float
    response: NDArray[np.float32]
    blur: float
    noise: float
    vignette: float
    rim: float
    gel: float
    contrast: float


DEVICES: Mapping[str, Device] = {
    "alpha": Device(
        share=0.65,
        response=np.array([[1.04, 0.02, 0.00], [0.02, 0.97, 0.01], [0.01, 0.03, 0.88]], np.float32),
        blur=0.004,
        noise=2.0,
        vignette=0.22,
        rim=0.22,
        gel=0.35,
        contrast=1.0,
    ),
    "beta": Device(
        share=0.35,
        response=np.array([[0.95, 0.04, 0.01], [0.00, 0.98, 0.04], [0.00, 0.02, 1.06]], np.float32),
        blur=0.008,
        noise=3.5,
        vignette=0.08,
        rim=0.0,
        gel=0.0,
        contrast=1.15,
    ),
}
