"""Models: the encoder around open_clip, on-device preprocessing, and checkpoints."""

from gmc_astro.models.checkpoint import (
    Checkpoint,
    read_checkpoint,
    verify_checkpoint,
    write_checkpoint,
)
from gmc_astro.models.contract import ImageContract
from gmc_astro.models.encoder import Encoder
from gmc_astro.models.loading import bundled_folder, load_encoder, open_model
from gmc_astro.models.network import list_architectures

__all__ = [
    "Checkpoint",
    "Encoder",
    "ImageContract",
    "bundled_folder",
    "list_architectures",
    "load_encoder",
    "open_model",
    "read_checkpoint",
    "verify_checkpoint",
    "write_checkpoint",
]
