#!/usr/bin/env python3
"""Makes the five networks of the speed benchmark, each as float ONNX and as INT8 ONNX with Q/DQ nodes.

ResNet-18, ResNet-50, MobileNetV2 and RepVGG-A0 at 224 x 224, and a SiLU detector in the manner of YOLOv5n at 320 x
320. INT8 in the plainest form that every runtime takes: affine UINT8 activations per tensor, symmetric INT8 weights
per output channel, INT32 biases, one Q/DQ pair behind every operator but those that a runtime fuses. The weights are
random and scaled so that activations spread like a trained network's; accuracy means nothing here.

usage: make_int8_networks.py OUT_DIR [--networks resnet18 ...] [--batch 1] [--ncnn]
Writes NAME_float.onnx and NAME_int8.onnx; with --ncnn also NAME_int8.ncnn.param/.bin and NAME_float.ncnn.param/.bin.
Needs PyTorch, torchvision and onnx (Debian: python3-torch python3-torchvision python3-onnx); not run with the peers'
Python.
"""
import argparse
import os

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from make_networks import smooth_images

CALIBRATION_IMAGES = 6


class Layer:
    """One operator as it was traced: kind, names of inputs and output, and in `extra` attributes and constants."""

    def __init__(self, kind, inputs, output, **extra):
        self.kind, self.inputs, self.output = kind, inputs, output
        self.extra = extra


class Tensor:
    def __init__(self, name, value):
        self.name, self.value = name, value


class Trace:
    """Computes a network on the calibration images while writing down its operators and the range of every tensor.

    Convolutions get random weights that are scaled by what the images do: each output channel leaves with a chosen
    spread and mean, as behind a trained batch normalization that was folded.
    """

    def __init__(self, seed, size):
        self.generator = torch.Generator().manual_seed(seed)
        self.layers, self.ranges, self.outputs = [], {}, []
        self.size = size
        self.input = self._keep("input", smooth_images(CALIBRATION_IMAGES, size, self.generator))

    def _keep(self, name, value):
        self.ranges[name] = (min(0.0, float(value.min())), max(0.0, float(value.max())))
        return Tensor(name, value)

    def _add(self, kind, sources, value, **extra):
        name = f"{kind.lower()}_{len(self.layers)}"
        self.layers.append(Layer(kind, [s.name for s in sources], name, shape=tuple(value.shape[1:]), **extra))
        return self._keep(name, value)

    def conv(self, x, channels, kernel=1, stride=1, groups=1, pad=None):
        pad = kernel // 2 if pad is None else pad
        shape = (channels, x.value.shape[1] // groups, kernel, kernel)
        weight = torch.randn(shape, generator=self.generator)
        value = F.conv2d(x.value, weight, None, stride, pad, 1, groups)
        spread = 0.6 + 0.8 * torch.rand(channels, generator=self.generator)
        gain = spread / value.std((0, 2, 3)).clamp_min(1e-6)
        bias = 0.2 * torch.randn(channels, generator=self.generator) - value.mean((0, 2, 3)) * gain
        weight = weight * gain.view(-1, 1, 1, 1)
        value = value * gain.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
        return self._add("Conv", [x], value, weight=weight, bias=bias, stride=stride, pad=pad, groups=groups)

    def dense(self, x, features):
        weight = torch.randn(features, x.value.shape[1], generator=self.generator) / x.value.shape[1] ** 0.5
        bias = 0.1 * torch.randn(features, generator=self.generator)
        return self._add("Gemm", [x], F.linear(x.value, weight, bias), weight=weight, bias=bias)

    def relu(self, x):
        return self._add("Relu", [x], F.relu(x.value))

    def relu6(self, x):
        return self._add("Clip", [x], x.value.clamp(0, 6), bounds=(0.0, 6.0))

    def silu(self, x):
        gate = self._add("Sigmoid", [x], torch.sigmoid(x.value))
        return self._add("Mul", [x, gate], x.value * gate.value)

    def add(self, a, b):
        return self._add("Add", [a, b], a.value + b.value)

    def concat(self, *parts):
        return self._add("Concat", parts, torch.cat([p.value for p in parts], 1))

    def max_pool(self, x, kernel, stride, pad):
        value = F.max_pool2d(x.value, kernel, stride, pad)
        return self._add("MaxPool", [x], value, kernel=kernel, stride=stride, pad=pad)

    def double(self, x):
        return self._add("Resize", [x], x.value.repeat_interleave(2, 2).repeat_interleave(2, 3))

    def average(self, x):
        return self._add("GlobalAveragePool", [x], x.value.mean((2, 3), keepdim=True))

    def flatten(self, x):
        return self._add("Flatten", [x], x.value.flatten(1))

    def result(self, *tensors):
        self.outputs = [t.name for t in tensors]


# ---- the networks --------------------------------------------------------------------------------------------------

def classifier(t, x):
    t.result(t.dense(t.flatten(t.average(x)), 1000))


def resnet(t, blocks, bottleneck):
    x = t.max_pool(t.relu(t.conv(t.input, 64, 7, 2)), 3, 2, 1)
    for stage, count in enumerate(blocks):
        width = 64 << stage
        out = width * 4 if bottleneck else width
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            if bottleneck:
                y = t.relu(t.conv(t.relu(t.conv(x, width)), width, 3, stride))
                y = t.conv(y, out)
            else:
                y = t.conv(t.relu(t.conv(x, width, 3, stride)), width, 3)
            if stride != 1 or x.value.shape[1] != out:
                x = t.conv(x, out, 1, stride)
            x = t.relu(t.add(y, x))
    classifier(t, x)


def mobilenet_v2(t):
    x = t.relu6(t.conv(t.input, 32, 3, 2))
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
              (6, 320, 1, 1))
    for expand, out, count, first_stride in stages:
        for block in range(count):
            stride = first_stride if block == 0 else 1
            inner = x.value.shape[1] * expand
            y = x if expand == 1 else t.relu6(t.conv(x, inner))
            y = t.conv(t.relu6(t.conv(y, inner, 3, stride, groups=inner)), out)
            x = t.add(x, y) if stride == 1 and x.value.shape[1] == out else y
    classifier(t, t.relu6(t.conv(x, 1280)))


def repvgg_a0(t):
    x = t.input
    for width, count in ((48, 1), (48, 2), (96, 4), (192, 14), (1280, 1)):
        for block in range(count):
            x = t.relu(t.conv(x, width, 3, 2 if block == 0 else 1))
    classifier(t, x)


def yolo_n(t):
    def unit(x, channels, kernel=1, stride=1, pad=None):
        return t.silu(t.conv(x, channels, kernel, stride, pad=pad))

    def csp(x, channels, count, shortcut=True):
        half = channels // 2
        a, b = unit(x, half), unit(x, half)
        for _ in range(count):
            y = unit(unit(a, half), half, 3)
            a = t.add(a, y) if shortcut else y
        return unit(t.concat(a, b), channels)

    def pyramid_pool(x):
        x = unit(x, 128)
        pools = [x]
        for _ in range(3):
            pools.append(t.max_pool(pools[-1], 5, 1, 2))
        return unit(t.concat(*pools), 256)

    x = csp(unit(unit(t.input, 16, 6, 2, pad=2), 32, 3, 2), 32, 1)
    p3 = csp(unit(x, 64, 3, 2), 64, 2)
    p4 = csp(unit(p3, 128, 3, 2), 128, 3)
    p5 = pyramid_pool(csp(unit(p4, 256, 3, 2), 256, 1))
    top = unit(p5, 128)
    middle = unit(csp(t.concat(t.double(top), p4), 128, 1, False), 64)
    fine = csp(t.concat(t.double(middle), p3), 64, 1, False)
    medium = csp(t.concat(unit(fine, 64, 3, 2), middle), 128, 1, False)
    coarse = csp(t.concat(unit(medium, 128, 3, 2), top), 256, 1, False)
    t.result(*(t.conv(x, 255) for x in (fine, medium, coarse)))


NETWORKS = {
    "resnet18": (lambda t: resnet(t, (2, 2, 2, 2), False), 224),
    "resnet50": (lambda t: resnet(t, (3, 4, 6, 3), True), 224),
    "mobilenet_v2": (mobilenet_v2, 224),
    "repvgg_a0": (repvgg_a0, 224),
    "yolo_n": (yolo_n, 320),
}


# ---- ONNX ----------------------------------------------------------------------------------------------------------

SAME_CODES = ("MaxPool", "Flatten", "Resize")  # their output keeps the input's scale
ATTRIBUTES = {
    "Conv": lambda e: dict(kernel_shape=list(e["weight"].shape[2:]), strides=[e["stride"]] * 2, pads=[e["pad"]] * 4,
                           group=e["groups"], dilations=[1, 1]),
    "Gemm": lambda e: dict(transB=1),
    "MaxPool": lambda e: dict(kernel_shape=[e["kernel"]] * 2, strides=[e["stride"]] * 2, pads=[e["pad"]] * 4),
    "Concat": lambda e: dict(axis=1),
    "Flatten": lambda e: dict(axis=1),
    "Resize": lambda e: dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
}


class Scales:
    """Affine UINT8 scale and zero point of every tensor, from its range."""

    def __init__(self, trace):
        self.ranges = trace.ranges
        self.same = {l.output: l.inputs[0] for l in trace.layers if l.kind in SAME_CODES}

    def of(self, name):
        while name in self.same:
            name = self.same[name]
        low, high = self.ranges[name]
        scale = np.float32(max((high - low) / 255, 1e-8))
        return scale, np.uint8(np.clip(round(-low / float(scale)), 0, 255))


def quantized_weight(layer):
    """(INT8 codes, float32 scales): one scale an output channel, symmetric."""
    weight = layer.extra["weight"].numpy()
    largest = np.abs(weight).reshape(len(weight), -1).max(1)
    scale = np.maximum(largest / 127, 1e-9).astype(np.float32)
    codes = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
    return np.clip(codes, -127, 127).astype(np.int8), scale


class OnnxWriter:
    def __init__(self, trace, batch, quantized):
        self.trace, self.batch, self.quantized = trace, batch, quantized
        self.nodes, self.constants = [], []
        self.scales = Scales(trace)
        self.readers = {}
        for layer in trace.layers:
            for name in layer.inputs:
                self.readers.setdefault(name, []).append(layer)
        self.alias = {}  # tensor -> what its readers read: behind its Q/DQ pair

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output + "/" + kind, **attributes))
        return output

    def dequantized(self, name, codes, scale, zero, **attributes):
        parts = [self.constant(name + "_codes", codes), self.constant(name + "_scale", scale),
                 self.constant(name + "_zero", zero)]
        return self.node("DequantizeLinear", parts, name, **attributes)

    def quantize(self, name):
        scale, zero = self.scales.of(name)
        pair = [self.constant(name + "_scale", scale), self.constant(name + "_zero", zero)]
        self.node("QuantizeLinear", [name, *pair], name + "_codes")
        self.alias[name] = self.node("DequantizeLinear", [name + "_codes", *pair], name + "_real")

    def fused_with_next(self, layer):
        """A runtime computes this layer and the activation behind it at once: no rounding between them."""
        readers = self.readers.get(layer.output, [])
        return layer.kind in ("Conv", "Add") and len(readers) == 1 and readers[0].kind in ("Relu", "Clip")

    def weighted_inputs(self, layer):
        weight, bias = layer.output + "_weight", layer.output + "_bias"
        real_bias = layer.extra["bias"].numpy()
        if not self.quantized:
            return [self.constant(weight, layer.extra["weight"].numpy()), self.constant(bias, real_bias)]
        codes, scale = quantized_weight(layer)
        sums = np.float32(self.scales.of(layer.inputs[0])[0]) * scale
        limit = 2.0**31 - 1
        rounded = np.clip(np.rint(real_bias.astype(np.float64) / sums), -limit, limit).astype(np.int32)
        return [self.dequantized(weight, codes, scale, np.zeros(len(scale), np.int8), axis=0),
                self.dequantized(bias, rounded, sums, np.zeros(len(scale), np.int32), axis=0)]

    def add_layer(self, layer):
        inputs = [self.alias.get(name, name) for name in layer.inputs]
        if layer.kind in ("Conv", "Gemm"):
            inputs += self.weighted_inputs(layer)
        if layer.kind == "Clip":
            inputs += [self.constant(f"{layer.output}_{side}", np.float32(v))
                       for side, v in zip(("low", "high"), layer.extra["bounds"])]
        if layer.kind == "Resize":
            inputs += ["", self.constant(layer.output + "_scales", np.array([1, 1, 2, 2], np.float32))]
        self.node(layer.kind, inputs, layer.output, **ATTRIBUTES.get(layer.kind, lambda e: {})(layer.extra))
        if self.quantized and layer.output not in self.trace.outputs and not self.fused_with_next(layer):
            self.quantize(layer.output)

    def model(self):
        if self.quantized:
            self.quantize("input")
        for layer in self.trace.layers:
            self.add_layer(layer)
        shapes = {l.output: l.extra["shape"] for l in self.trace.layers}
        size = self.trace.size


        def described(name, *shape):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [self.batch, *shape])

        graph = helper.make_graph(self.nodes, "network", [described("input", 3, size, size)],
                                  [described(n, *shapes[n]) for n in self.trace.outputs], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 7
        onnx.checker.check_model(model)
        return model


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    p.add_argument("--batch", default="1", help="a number, or N for an open batch")
    p.add_argument("--ncnn", action="store_true", help="also write ncnn's files")
    args = p.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    batch = int(args.batch) if args.batch.isdigit() else args.batch
    for name in args.networks:
        build, size = NETWORKS[name]
        trace = Trace(1, size)
        with torch.no_grad():
            build(trace)
        for kind in ("float", "int8"):
            path = os.path.join(args.folder, f"{name}_{kind}.onnx")
            onnx.save(OnnxWriter(trace, batch, kind == "int8").model(), path)
            print(f"{path}: {os.path.getsize(path) / 1e6:.1f} MB", flush=True)
        if args.ncnn:
            from ncnn_files import write_ncnn
            for kind in ("float", "int8"):
                write_ncnn(trace, quantized_weight, os.path.join(args.folder, f"{name}_{kind}.ncnn"), kind == "int8")


if __name__ == "__main__":
    main()
