#!/usr/bin/env python3
"""Octet's zoo against the networks of torchvision and timm: the same random weights, the same images.

usage: compare_torchvision.py OCTET [NETWORK...]

For every network: random weights and batch norm statistics are saved by PyTorch, `octet zoo export --weights` makes
an ONNX file of them, `octet run` computes it, and the outputs must agree with PyTorch's own to 1e-4 of their largest
magnitude; once as trained, once in the form for inference. The checkpoints take turns in their form: ZIP, the old
form, nested with "module." before the names, a newer pickle protocol, safetensors where that package is installed.

Exit code 77: PyTorch or torchvision is not installed (Debian: python3-torch python3-torchvision). timm is optional.
"""
import json
import os
import subprocess
import sys
import tempfile

SYSTEM_PYTHON = "/usr/bin/python3"
try:
    import numpy
    import torch
    import torchvision
except ImportError as error:
    if os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON) and os.path.exists(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON] + sys.argv)
    print(f"skipped: {error}; Debian has python3-torch and python3-torchvision")
    sys.exit(77)
try:
    import timm
except ImportError:
    timm = None
try:
    import safetensors.torch
except ImportError:
    safetensors = None

# name in Octet, in timm (None: torchvision, the same name), size of the images, classes, input channels
NETWORKS = [
    ("resnet18", None, 96, 1000),
    ("resnet34", None, 75, 10),
    ("resnet50", None, 96, 1000),
    ("mobilenet_v2", None, 96, 1000),
    ("mobilenet_v3_small", None, 96, 1000),
    ("mobilenet_v3_large", None, 96, 7),
    ("efficientnet_b0", None, 96, 1000),
    ("vgg11_bn", None, 224, 1000),
    ("vgg16_bn", None, 32, 10),
    ("repvgg_a0", "repvgg_a0", 96, 1000),
    ("vit_tiny", "vit_tiny_patch16_224", 224, 1000),
]


def randomize(network):
    """Statistics and factors as training leaves them; the initial ones would hide a wrong order of operations."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.2)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
        elif isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            fan_in = module.weight[0].numel()
            torch.nn.init.normal_(module.weight, 0, fan_in**-0.5)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, 0, 0.1)


def save(network, form, folder):
    state = network.state_dict()
    path = os.path.join(folder, "weights.pth")
    if form == "zip":
        torch.save(state, path)
    elif form == "protocol 4":
        torch.save(state, path, pickle_protocol=4)
    elif form == "legacy":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif form == "nested":
        torch.save({"state_dict": {"module." + k: v for k, v in state.items()}, "epoch": 3, "acc": 0.5}, path)
    else:
        path = os.path.join(folder, "weights.safetensors")
        safetensors.torch.save_file(state, path)
    return path


def run(arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


def difference(octet, name, network, size, classes, form, folder):
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = network(x).numpy()
    weights = save(network, form, folder)
    images = os.path.join(folder, "x.npy")
    numpy.save(images, x.numpy())
    worst = 0.0
    for extra in ([], ["--deploy"]):
        model, result = os.path.join(folder, "net.onnx"), os.path.join(folder, "y.npy")
        report = json.loads(run([octet, "zoo", "export", name, "--weights", weights, "--size", str(size), "--classes",
                                 str(classes), "-o", model, "--json"] + extra))
        parameters = sum(p.numel() for p in network.parameters())
        if report["parameters"] != parameters:
            sys.exit(f"{name}: Octet counts {report['parameters']} parameters, PyTorch {parameters}")
        run([octet, "run", model, images, "-o", result, "-q"])
        actual = numpy.load(result)
        if actual.shape != expected.shape:
            sys.exit(f"{name}: shape {actual.shape}, PyTorch has {expected.shape}")
        worst = max(worst, float(numpy.abs(actual - expected).max() / numpy.abs(expected).max()))
    return worst


def main():
    octet, wanted = sys.argv[1], sys.argv[2:]
    torch.manual_seed(1)
    forms = ["zip", "legacy", "nested", "protocol 4"] + (["safetensors"] if safetensors else [])
    failed = False
    for i, (name, timm_name, size, classes) in enumerate(NETWORKS):
        if wanted and name not in wanted:
            continue
        if timm_name and timm is None:
            print(f"{name}: skipped, timm is not installed")
            continue
        if timm_name:
            network = timm.create_model(timm_name, num_classes=classes)
        else:
            network = getattr(torchvision.models, name)(weights=None, num_classes=classes)
        network.eval()
        randomize(network)
        form = forms[i % len(forms)]
        with tempfile.TemporaryDirectory() as folder:
            worst = difference(octet, name, network, size, classes, form, folder)
        verdict = "" if worst <= 1e-4 else "  TOO LARGE"
        failed = failed or worst > 1e-4
        print(f"{name}: {form} checkpoint, {size} pixels, relative difference {worst:.1e}{verdict}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
