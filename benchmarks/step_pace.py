"""How long the study's schedules would take on this processor: a few real steps of edgetl's own loop, one thread.

    OMP_NUM_THREADS=1 python -m benchmarks.step_pace DATA

DATA is the result of a build's data stage. Steps are those of a training: augmentation, forward, backward, optimizer, average;
the networks are untrained, which does not change how long they compute.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.config.recipe import Distil
from edgetl.data.augment import augmentation
from edgetl.data.images import open_images
from edgetl.data.table import DataTable
from edgetl.models import backbones
from edgetl.training.accelerator import make_accelerator
from edgetl.training.allocator import keep_freed_memory
from edgetl.training.batches import TrainingData, epoch_batches
from edgetl.training.distributed import Processes
from edgetl.training.job import Distillation, Job
from edgetl.training.losses import DISTIL_LOSSES
from edgetl.training.run import Run

RESULT = Path(__file__).parent / "results" / "step_pace.json"
