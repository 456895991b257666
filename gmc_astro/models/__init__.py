"""Models: the encoder around open_clip, towers of timm, preprocessing, and checkpoints."""

from gmc_astro.models.checkpoint import (
    Checkpoint,
    check_folder,
    read_checkpoint,
    verify_checkpoint,
    write_checkpoint,
)
from gmc_astro.models.contract import ImageContract
from gmc_astro.models.encoder import Encoder
from gmc_astro.models.layers import layer_groups
from gmc_astro.models.loading import bundled_folder, load_encoder, open_model
from gmc_astro.models.network import list_architectures
from gmc_astro.models.towers import random_tower, timm_tower, tower_contract

__all__ = [
    "Checkpoint",
    "Encoder",
    "ImageContract",
    "bundled_folder",
    "check_folder",
    "layer_groups",
    "list_architectures",
    "load_encoder",
    "open_model",
    "random_tower",
    "read_checkpoint",
    "timm_tower",
    "tower_contract",
    "verify_checkpoint",
    "write_checkpoint",
]
