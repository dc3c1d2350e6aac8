"""Writes a network of make_int8_networks.py in ncnn's own format, float or INT8, fused as ncnn's converters would.

ncnn reads no Q/DQ ONNX, so it gets the same network with its own kind of INT8: symmetric activations per tensor,
symmetric weights per output channel. An .param file lists layers ("type name inputs outputs blobs... key=value..."),
the .bin file holds their weights in the same order; both are described in ncnn's wiki, "param and model file
structure" and "operators".
"""
import numpy as np

INT8_TAG = np.uint32(0x000D4B38)  # in front of INT8 weights; 0 stands in front of float32


class Step:
    def __init__(self, kind, name, inputs, params=None, blobs=(), layer=None):
        self.kind, self.name, self.inputs = kind, name, list(inputs)
        self.params, self.blobs, self.layer = dict(params or {}), list(blobs), layer


def padded(codes):
    data = codes.tobytes()
    return data + b"\0" * (-len(data) % 4)


class NcnnWriter:
    def __init__(self, trace, quantized_weight, int8):
        self.trace, self.quantized_weight, self.int8 = trace, quantized_weight, int8
        self.readers = {}
        for layer in trace.layers:
            for name in layer.inputs:
                self.readers.setdefault(name, []).append(layer)
        self.blob = {"input": "input"}  # traced tensor -> blob
        self.steps = []

    def activation_scale(self, name):
        low, high = self.trace.ranges[name]
        return np.float32(127 / max(-low, high, 1e-6))

    def weighted(self, layer):
        extra = layer.extra
        weight, bias = extra["weight"].numpy(), extra["bias"].numpy()
        if layer.kind == "Gemm":
            kind, params = "InnerProduct", {0: len(weight), 1: 1, 2: weight.size}
        else:
            kind = "Convolution" if extra["groups"] == 1 else "ConvolutionDepthWise"
            params = {0: len(weight), 1: weight.shape[3], 3: extra["stride"], 4: extra["pad"], 5: 1, 6: weight.size}
            if extra["groups"] > 1:
                params[7] = extra["groups"]
        if not self.int8:
            blobs = [np.uint32(0).tobytes(), weight.tobytes(), bias.tobytes()]
        else:
            codes, scale = self.quantized_weight(layer)
            params[8] = 1 if kind == "ConvolutionDepthWise" else 2
            blobs = [INT8_TAG.tobytes(), padded(codes), bias.tobytes(), (1 / scale).astype(np.float32).tobytes(),
                     self.activation_scale(layer.inputs[0]).tobytes()]
        return Step(kind, layer.output, [self.blob[layer.inputs[0]]], params, blobs, layer)

    def only_reader(self, name):
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 else None

    def add(self, step, output):
        self.steps.append(step)
        self.blob[output] = step.name

    def add_layer(self, layer):
        sources = [self.blob.get(name) for name in layer.inputs]
        if layer.kind in ("Conv", "Gemm"):
            self.add(self.weighted(layer), layer.output)
        elif layer.kind in ("Relu", "Clip"):
            maker = self.steps[-1]
            if maker.layer is not None and maker.name == sources[0] and self.only_reader(layer.inputs[0]) is layer:
                maker.params[9] = 1 if layer.kind == "Relu" else 3
                if layer.kind == "Clip":
                    maker.params[-23310] = "2,{:.6e},{:.6e}".format(*layer.extra["bounds"])
                self.blob[layer.output] = maker.name
            elif layer.kind == "Relu":
                self.add(Step("ReLU", layer.output, sources), layer.output)
            else:
                self.add(Step("Clip", layer.output, sources, dict(enumerate(layer.extra["bounds"]))), layer.output)
        elif layer.kind == "Sigmoid":
            pass  # the Mul behind it makes a Swish of both
        elif layer.kind == "Mul":
            self.add(Step("Swish", layer.output, [self.blob[layer.inputs[0]]]), layer.output)
        elif layer.kind == "Add":
            self.add(Step("BinaryOp", layer.output, sources, {0: 0}), layer.output)
        elif layer.kind == "Concat":
            self.add(Step("Concat", layer.output, sources, {0: 0}), layer.output)
        elif layer.kind == "MaxPool":
            e = layer.extra
            params = {0: 0, 1: e["kernel"], 2: e["stride"], 3: e["pad"], 5: 1}
            self.add(Step("Pooling", layer.output, sources, params), layer.output)
        elif layer.kind == "Resize":
            self.add(Step("Interp", layer.output, sources, {0: 1, 1: 2.0, 2: 2.0}), layer.output)
        elif layer.kind == "GlobalAveragePool":
            self.add(Step("Pooling", layer.output, sources, {0: 1, 4: 1}), layer.output)
        elif layer.kind == "Flatten":
            self.blob[layer.output] = sources[0]  # an inner product flattens by itself
        else:
            raise ValueError(f"ncnn_files does not know {layer.kind}")

    def fuse_requantize(self):
        """A convolution that only INT8 convolutions read writes INT8 codes itself, as ncnn2int8 has it."""
        readers = {}
        for step in self.steps:
            for blob in step.inputs:
                readers.setdefault(blob, []).append(step)
        convolutions = ("Convolution", "ConvolutionDepthWise")
        for step in self.steps:
            users = readers.get(step.name, [])
            if step.kind in convolutions and users and all(u.kind in convolutions for u in users):
                step.params[8] += 100
                step.blobs.append(self.activation_scale(users[0].layer.inputs[0]).tobytes())

    def with_splits(self):
        """ncnn wants every blob read once: a Split layer stands behind those that are read more often."""
        counts = {}
        for step in self.steps:
            for blob in step.inputs:
                counts[blob] = counts.get(blob, 0) + 1
        lines, copies, blobs = [], {}, 0

        def emit(kind, name, inputs, outputs, params=""):
            nonlocal blobs
            blobs += len(outputs)
            words = [kind, name, len(inputs), len(outputs), *inputs, *outputs, params]
            lines.append(" ".join(map(str, words)).rstrip())
            for blob in outputs:
                if counts.get(blob, 0) > 1:
                    copies[blob] = [f"{blob}_{i}" for i in range(counts[blob])]
                    emit("Split", "split_" + blob, [blob], list(copies[blob]))

        emit("Input", "input", [], ["input"])
        for step in self.steps:
            inputs = [copies[b].pop(0) if b in copies else b for b in step.inputs]
            params = " ".join(f"{k}={v}" for k, v in sorted(step.params.items(), key=lambda kv: abs(kv[0])))
            emit(step.kind, step.name, inputs, [step.name], params)
        return lines, blobs

    def write(self, path):
        for layer in self.trace.layers:
            self.add_layer(layer)
        if self.int8:
            self.fuse_requantize()
        lines, blobs = self.with_splits()
        with open(path + ".param", "w") as f:
            f.write(f"7767517\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n")
        with open(path + ".bin", "wb") as f:
            for step in self.steps:
                f.writelines(step.blobs)


def write_ncnn(trace, quantized_weight, path, int8):
    NcnnWriter(trace, quantized_weight, int8).write(path)
