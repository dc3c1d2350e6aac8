#!/usr/bin/env python3
"""Exports torchvision's ResNet-18, ResNet-50 and MobileNetV2 as float ONNX with an open batch axis.

For speed and memory measurements: the weights are random, so accuracy means nothing, but the batch norms have seen
images, so activations have the spread of a trained network's.

usage: make_networks.py OUT_DIR [resnet18 resnet50 mobilenet_v2]
Needs PyTorch and torchvision (Debian: python3-torch python3-torchvision); it is not run with the peers' Python.
"""
import os
import sys

import torch
import torch.nn.functional as F
import torchvision

NAMES = ("resnet18", "resnet50", "mobilenet_v2")


def smooth_images(count, size, generator):
    x = torch.zeros(count, 3, size, size)
    for grid, weight in ((4, 1.0), (14, 0.7), (56, 0.4), (size, 0.15)):
        noise = torch.randn(count, 3, grid, grid, generator=generator)
        x += weight * F.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False)
    return x.clamp(-2.1, 2.6)


def make(name, path, size=224):
    torch.manual_seed(1)
    network = getattr(torchvision.models, name)(weights=None)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.6, 1.4)
        torch.nn.init.normal_(norm.bias, 0, 0.2)
        norm.momentum = None  # a plain average over the batches below
        norm.reset_running_stats()
    generator = torch.Generator().manual_seed(100)
    with torch.no_grad():
        network.train()
        for _ in range(3):
            network(smooth_images(4, size, generator))
    network.eval()
    torch.onnx.export(network, smooth_images(1, size, generator), path, opset_version=13, input_names=["input"],
                      output_names=["output"], dynamic_axes={"input": {0: "N"}, "output": {0: "N"}})
    print(f"{path}: {os.path.getsize(path) / 1e6:.1f} MB")


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-") or not set(sys.argv[2:]) <= set(NAMES):
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for name in sys.argv[2:] or NAMES:
        make(name, os.path.join(sys.argv[1], name + ".onnx"))


if __name__ == "__main__":
    main()
