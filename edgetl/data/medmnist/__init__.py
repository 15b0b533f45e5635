"""A MedMNIST .npz becomes a folder of PNG files, so that everything after it works on picture files as for other sets.

Yang et al., "MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image classification",
Scientific Data 2023, https://doi.org/10.1038/s41597-022-01721-8.
"""

from __future__ import annotations

from edgetl.data.medmnist.unpacking import VERSION, identity, unpack

__all__ = ["VERSION", "identity", "unpack"]
