#!/usr/bin/env python3
"""Trains the small residual network that Octet's quickstart quantizes: models/resnet20_fashion_mnist.onnx.

Needs PyTorch (Debian: python3-torch python3-onnx) and Fashion-MNIST (Debian: dataset-fashion-mnist). A GPU takes about
two minutes, two CPU cores about two hours. Input of the network: N x 1 x 28 x 28, pixels / 255.

usage: train_fashion_mnist.py [--data DIR] [--epochs 60] [--out FILE.onnx]
"""
import argparse
import gzip
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a skip connection, projected by a 1x1 convolution where the shape changes."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet20(nn.Module):
    """He et al. 2016, section 4.2 (n = 3: 16, 32 and 64 channels), with projection shortcuts and one input plane."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        blocks, c_in = [], 16
        for c_out, first_stride in ((16, 1), (32, 2), (64, 2)):
            for i in range(3):
                blocks.append(BasicBlock(c_in, c_out, first_stride if i == 0 else 1))
                c_in = c_out
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn(self.conv(x))))
        return self.fc(torch.flatten(self.pool(x), 1))


def read_idx(path):
    with gzip.open(path, "rb") as f:
        data = f.read()
    rank = data[3]
    dims = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(dims)


def load(folder, split, device):
    images = read_idx(os.path.join(folder, f"{split}-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(folder, f"{split}-labels-idx1-ubyte.gz"))
    x = torch.from_numpy(images.copy()).to(device).float().div(255).unsqueeze(1)
    return x, torch.from_numpy(labels.copy()).to(device).long()


def augment(x):
    """Random horizontal flip, shift by up to two pixels, and one erased square, drawn per image."""
    n, _, h, w = x.shape
    flip = torch.rand(n, device=x.device) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    padded = F.pad(x, (2, 2, 2, 2))
    dy = torch.randint(0, 5, (n, 1, 1), device=x.device) + torch.arange(h, device=x.device)[None, :, None]
    dx = torch.randint(0, 5, (n, 1, 1), device=x.device) + torch.arange(w, device=x.device)[None, None, :]
    x = padded[:, 0][torch.arange(n, device=x.device)[:, None, None], dy, dx].unsqueeze(1)
    side = 8
    top = torch.randint(0, h - side, (n, 1, 1), device=x.device)
    left = torch.randint(0, w - side, (n, 1, 1), device=x.device)
    rows = torch.arange(h, device=x.device)[None, :, None]
    cols = torch.arange(w, device=x.device)[None, None, :]
    hole = (rows >= top) & (rows < top + side) & (cols >= left) & (cols < left + side)
    erase = hole & (torch.rand(n, 1, 1, device=x.device) < 0.5)
    return x.masked_fill(erase.unsqueeze(1), 0.0)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        hits = sum((net(x[i : i + 1000]).argmax(1) == y[i : i + 1000]).sum().item() for i in range(0, len(x), 1000))
    return 100.0 * hits / len(x)


def export(net, path):
    net = net.cpu().eval()
    options = dict(input_names=["image"], output_names=["logits"], opset_version=13,
                   dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
    try:
        torch.onnx.export(net, torch.zeros(1, 1, 28, 28), path, dynamo=False, **options)
    except TypeError:  # PyTorch before 2.5 has no such argument
        torch.onnx.export(net, torch.zeros(1, 1, 28, 28), path, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--out", default="models/resnet20_fashion_mnist.onnx")
    args = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x, y = load(args.data, "train", device)
    x_test, y_test = load(args.data, "t10k", device)
    net = ResNet20().to(device)
    steps = len(x) // args.batch
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps * args.epochs, pct_start=0.1)
    for epoch in range(args.epochs):
        net.train()
        order = torch.randperm(len(x), device=device)
        for i in range(steps):
            batch = order[i * args.batch : (i + 1) * args.batch]
            loss = F.cross_entropy(net(augment(x[batch])), y[batch], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{args.epochs} loss {loss.item():.4f} test top-1 {accuracy(net, x_test, y_test):.2f} %",
              flush=True)
    export(net, args.out)
    print(f"wrote {args.out}: {os.path.getsize(args.out)} bytes, test top-1 {accuracy(net, x_test.cpu(), y_test.cpu()):.2f} %")


if __name__ == "__main__":
    main()
