"""Networks: compact backbones with ImageNet weights, their attention, their pruning, and their file format.

    architecture.py   what a network is: a timm body and the recipe that rebuilds it
    backbones.py      create(): from names to a network with weights
    weights.py        where pretrained tensors come from
    torchvision_...   torchvision's checkpoints under timm's names
    norms.py          what norms add to the variance, where a checkpoint wants another number
    attention/        squeeze-and-excite, ECA, CBAM, coordinate attention, inside or behind the backbone's blocks
    activations.py    one activation for the whole network
    prune.py          fewer channels, to a share of the multiply-accumulates
    spec.py           save and load without pickle, also after pruning

Once this package is imported, torchvision, and so timm, can be: every module here may import timm at its top.
"""

from edgetl.models import torchvision_shim

torchvision_shim.install()
