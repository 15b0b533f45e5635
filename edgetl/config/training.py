"""The recipe's networks and their trainings: teacher, student, distillation, pruning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgetl.config import names
from edgetl.config.names import OneOf
from edgetl.config.strict import Epochs, Fraction, Rate, Seed, Strict, Whole

__all__ = ["MOST_TEACHERS", "WEIGHTS", "Distil", "Prune", "Student", "Teacher", "Training"]

MOST_TEACHERS = 8
WEIGHTS = ("package", "hub", "none")
"""What initial weights are by name; everything else is the path of a file."""


class Training(Strict):
    """What every training has: warm-up, then cosine; the last epoch is kept, unless an earlier one leads by more than noise."""

    epochs: Epochs | None = None
    """Passes over the training images; null takes what the network needs: about 4,600 steps from random weights (20 to 300
    epochs), 1,150 from pretrained ones (5 to 100)."""
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 128
    """Images per step; with several processes, of all of them together."""
    learning_rate: Rate = 1e-3
    """Peak of AdamW at this batch size."""
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02
    """Decoupled weight decay; norms and biases have none."""
    warmup_epochs: Annotated[float, Field(ge=0.0)] = 1.0
    """Linear rise to the peak learning rate."""
    layer_decay: Fraction = 1.0
    """Factor of the learning rate from one block to the one below it; below 1 keeps early, pretrained layers."""
    freeze_epochs: Annotated[int, Field(ge=0)] = 0
    """For so many epochs only the classifier learns, and the backbone stays as it is."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better validation score after which the learning rate comes down to zero, over a fifth of the epochs
    so far, and the training ends, never later than planned; null trains to the planned end."""
    progressive: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the epochs, from the first, that train on pictures of about three quarters of the side (Tan and Le, 2021):
    quicker; not for networks of a fixed input size. Validation is always at full size."""
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    """Decay of the exponential moving average of the weights, whose BatchNorm is recalibrated; 0 switches it off."""
    imbalance: Literal["logit_adjust", "weights", "none"] = "logit_adjust"
    """Against rare classes: logit adjustment (Menon et al., 2021), class weights, or nothing."""
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the label that is spread over all classes (Szegedy et al., 2016)."""
    mixup: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Alpha of mixup (Zhang et al., 2018): images and labels are blended in pairs; 0 switches it off."""
    cutmix: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Alpha of CutMix (Yun et al., 2019): a box of one image in another; with mixup too, each batch draws one of both."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Mixed precision of forward and backward pass; auto: bf16 on a GPU that computes in it, else fp32."""
    seed: Seed | None = None
    """Draws initial weights, order and augmentation; null takes the recipe's seed."""


class Teacher(Training):
    """A network that the student learns from: a larger one, or one like it (Furlanello et al., 2018)."""

    backbone: str = "tf_efficientnet_lite0"
    """Name of a timm model."""
    members: Annotated[int, Field(ge=1, le=MOST_TEACHERS), Whole] = 1
    """How many of it, which differ in their seed alone: `seed`, `seed` + 1 and so on. They count as that many teachers."""
    weights: str = "package"
    """package (ImageNet weights from an installed package), hub (timm's download), none, or the path of a file,
    which starts where the command runs or at the recipe's project: .safetensors, .pth or .pt, a checkpoint of the same network
    from timm or torchvision, whose classifier is left out where it has other classes. `edgetl doctor` lists those in caches."""
    image_size: Annotated[int, Field(ge=32, le=1024, multiple_of=8)] | None = None
    """Height and width of the pictures that it sees, resized from the student's crop, for one that takes a single size;
    null: those of the student."""
    learning_rate: Rate = 7e-4
    """Peak of AdamW at this batch size."""


class Student(Strict):
    """The compact network that ships."""

    backbone: str = "mobilenetv3_large_100"
    """Name of a timm model."""
    weights: str = "none"
    """package (ImageNet weights from an installed package), hub (timm's download), none, or the path of a file,
    which starts where the command runs or at the recipe's project: .safetensors, .pth or .pt, a checkpoint of the same network
    from timm or torchvision, whose classifier is left out where it has other classes. `edgetl doctor` lists those in caches."""
    attention: Annotated[str, OneOf(names.ATTENTION, {"none": "takes away what it has"})] | None = None
    """Attention in the blocks where the backbone has squeeze-and-excite, or, where it has none (ResNet, RegNetX, RepVGG,
    MobileOne, ConvNeXt), after the last convolution of each block, before the addition; null keeps what it has. The build says
    where. Transformers and plain stacks (ViT, VGG) have no place for it."""
    activation: Literal["relu", "relu6", "hard_swish", "silu"] | None = None
    """Replaces the backbone's activation (relu6 for NPUs that want pure int8); null keeps it."""


class Distil(Training):
    """How the student learns from labels and teachers."""

    loss: Annotated[str, OneOf(names.DISTIL_LOSSES)] = "dist"
    """What is matched of the teacher's outputs."""
    weights: Annotated[tuple[Annotated[float, Field(ge=0.0, le=100.0)], ...], Field(min_length=1, max_length=8)] = (
        0.0,
        1.0,
    )
    """Candidates for the weight of the teacher's loss beside the label loss; 0 is training alone. Each is tried in a
    short training. The smallest one is chosen that is behind the best on validation by no more than chance explains
    among so many: with 0 among them, a teacher has to show that it helps."""
    hints: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0
    """Weight of the teacher's last feature map, reached through a projection that is thrown away (Romero et al., 2015), beside
    the loss of its outputs; of several teachers the mean of all. Both together have the chosen one of `weights`. 0: none."""
    label_weight: Annotated[float, Field(ge=0.0, le=100.0)] = 1.0
    """Weight of the label loss beside the teacher's; training alone always has 1. With 0 the student learns from its teacher
    alone."""
    trial_epochs: Epochs | None = None
    """Passes over the training images when a candidate is tried; null: a tenth of the student's, at least 5 and at most
    as many as the student's."""
    temperature: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    """Softens both outputs in the teacher's loss. With dist it weighs that loss too: its gradients grow with the square."""
    learning_rate: Rate = 2e-3
    """Peak of AdamW at this batch size."""
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    """Decoupled weight decay; norms and biases have none."""

    @model_validator(mode="after")
    def _something_teaches(self) -> Distil:
        if self.label_weight == 0 and 0 in self.weights:
            raise ValueError(
                "label_weight is 0, and so is one of weights, with which nothing teaches: leave one of them out"
            )
        return self


class Prune(Training):
    """Structured pruning to a share of the multiply-accumulates, after the student's trial; what is left is trained to the
    end."""

    macs: Fraction = 0.6
    """Share of the student's multiply-accumulates to keep."""
    round_to: Annotated[Literal[1, 2, 4, 8, 16, 32], Whole] = 8
    """Channels stay multiples of it."""
    epochs: Epochs | None = None
    """Passes over the training images; null: as many as the student's."""
    learning_rate: Rate = 2e-3
    """Peak of AdamW at this batch size."""
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    """Decoupled weight decay; norms and biases have none."""
    reference: bool = True
    """Also train the unpruned student to the end, equally long; the report compares the two. false spares that time."""
