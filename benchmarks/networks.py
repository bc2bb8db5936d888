"""The papers' networks as people write them in plain torch: what the engines are timed and tested against."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


def plain(arch: str) -> nn.Sequential:
    """`lenet-300-100`, `conv-2`, `-4`, `-6`, `resnet-18`, `vgg-19`; the last two also narrow (`resnet-18-4`)."""
    kind, *sizes = arch.split("-")
    if kind == "lenet":
        return lenet([784, *map(int, sizes)])
    if kind == "conv":
        return conv(int(sizes[0]))
    width = int(sizes[1]) if len(sizes) > 1 else 0
    return resnet(width or 16) if kind == "resnet" else vgg(width or 64)


def lenet(sizes: list[int]) -> nn.Sequential:
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], 10))


def conv(depth: int) -> nn.Sequential:
    """Conv-2, -4, -6 (ICLR Figure 2)."""
    made: list[nn.Module] = []
    before = 3
    for after in (64, 128, 256)[: depth // 2]:
        for channels in (before, after):
            made += [nn.Conv2d(channels, after, 3, padding=1), nn.ReLU()]
        made.append(nn.MaxPool2d(2))
        before = after
    side = 32 >> (depth // 2)
    hidden = nn.Linear(before * side * side, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    return nn.Sequential(*made, nn.Flatten(), *hidden)


class Block(nn.Module):
    """Two convolutions and the way around them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.project = before != after
        if self.project:
            self.shortcut, self.norm = nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        return (y + (self.norm(self.shortcut(x)) if self.project else x)).relu()


def resnet(width: int) -> nn.Sequential:
    """The 20-layer net that the paper calls ResNet-18, at width 16."""
    w = width
    shapes = [(w, w, 1)] * 3 + [(w, 2 * w, 2), *[(2 * w, 2 * w, 1)] * 2, (2 * w, 4 * w, 2), *[(4 * w, 4 * w, 1)] * 2]
    head = [nn.Conv2d(3, w, 3, 1, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU()]
    blocks = [Block(*s) for s in shapes]
    return nn.Sequential(*head, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * w, 10))


def vgg(width: int) -> nn.Sequential:
    """VGG-19 with batch normalisation and one dense layer, at width 64."""
    made: list[nn.Module] = []
    before = 3
    for step in (1, 1, 0, 2, 2, 0, 4, 4, 4, 4, 0, 8, 8, 8, 8, 0, 8, 8, 8, 8):
        if step == 0:
            made.append(nn.MaxPool2d(2))
        else:
            made += [nn.Conv2d(before, width * step, 3, 1, 1, bias=False), nn.BatchNorm2d(width * step), nn.ReLU()]
            before = width * step
    return nn.Sequential(*made, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(before, 10))
