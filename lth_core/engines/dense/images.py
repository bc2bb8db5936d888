"""Images on a device, handed out as batches: scaled, flipped and cropped by keyed draws."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lth_core.data import Dataset


def keyed_uniform(keys: Tensor, iteration: Tensor, size: int) -> Tensor:
    """`(network, size)` integers in [0, 2^24) that depend on each network's key and the iteration alone, on any device.

    Dropout and augmentation must not draw from a device's own generator: a row would then train differently in another
    cohort. (The mixing is that of SplitMix64.)"""
    z = torch.arange(size, device=keys.device) * -7046029254386353131 + (
        keys + iteration * 1442695040888963407
    ).unsqueeze(1)
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        z = (z ^ ((z >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return (z ^ ((z >> 31) & ((1 << 33) - 1))) & 0xFFFFFF


def flipped_and_cropped(images: Tensor, draws: Tensor, margin: int = 4) -> Tensor:
    """Each image mirrored or not, and cut at random out of itself with a black margin: the papers' augmentation.

    - `images`: `(network, image, channel, y, x)`; the result lies channels last
    - `draws`: `(network, image, 3)` integers: mirror, shift down, shift right
    """
    side, flat = images.shape[-1], images.flatten(0, 1)
    padded = F.pad(flat, [margin] * 4).permute(0, 2, 3, 1)
    mirror, down, right = draws.flatten(0, 1).unbind(1)
    along = torch.arange(side, device=images.device)
    x = torch.where((mirror % 2 == 1).unsqueeze(1), side - 1 - along, along) + (right % (2 * margin + 1)).unsqueeze(1)
    y = along + (down % (2 * margin + 1)).unsqueeze(1)
    which = torch.arange(len(flat), device=images.device)
    cut = padded[which[:, None, None], y[:, :, None], x[:, None, :]]
    return cut.permute(0, 3, 1, 2).unflatten(0, images.shape[:2])


class Images:
    """A data set on the device as uint8, handed out as scaled floats."""

    def __init__(self, data: Dataset, inputs: str, device: torch.device) -> None:
        self.mean, self.sd = 0.0, 255.0
        if inputs == "standard":
            self.mean, self.sd = float(data.pool_images.mean()), float(data.pool_images.std())
        self.images = {
            "pool": torch.from_numpy(data.pool_images).to(device), "test": torch.from_numpy(data.test_images).to(device)
        }  # fmt: skip
        self.labels = {
            "pool": torch.from_numpy(data.pool_labels).long().to(device),
            "test": torch.from_numpy(data.test_labels).long().to(device),
        }

    def take(self, part: str, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(network, image, ...)` float32 and labels `(network, image)` of `index` `(network, image)`."""
        return self.scaled(self.images[part][index]), self.labels[part][index]

    def augmented(self, index: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """The same of the training pool, flipped and cropped."""
        return self.scaled(flipped_and_cropped(self.images["pool"][index], draws)), self.labels["pool"][index]

    def scaled(self, pixels: Tensor) -> Tensor:
        return (pixels.float() - self.mean) / self.sd
