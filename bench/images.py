"""Test data as arrays, read and prepared here in numpy: the peers do not see Octet's own preprocessing."""
import gzip
import lzma
from pathlib import Path

import numpy as np

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def cifar10_test(folder):
    """uint8 [N, 3, 32, 32] and labels [N] of the test batch, plain or xz (Krizhevsky 2009: label, then planes)."""
    plain = Path(folder) / "test_batch.bin"
    raw = plain.read_bytes() if plain.exists() else lzma.open(Path(folder) / "test_batch.bin.xz").read()
    records = np.frombuffer(raw, np.uint8).reshape(-1, 1 + 3072)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def _idx(folder, name):
    packed = Path(folder) / (name + ".gz")
    raw = gzip.open(packed).read() if packed.exists() else (Path(folder) / name).read_bytes()
    dims = np.frombuffer(raw, ">i4", raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims)


def fashion_mnist_test(folder):
    """uint8 [N, 1, 28, 28] and labels [N]."""
    images = _idx(folder, "t10k-images-idx3-ubyte")
    return images[:, None], _idx(folder, "t10k-labels-idx1-ubyte").astype(np.int64)


def normalise(pixels, scale, mean=(0,), std=(1,)):
    """(pixel * scale - mean) / std per channel of [N, C, H, W], in double, rounded once to float32."""
    channels = pixels.shape[1]
    mean, std = np.resize(mean, channels), np.resize(std, channels)
    out = np.empty(pixels.shape, np.float32)
    for c in range(channels):
        levels = (np.arange(256, dtype=np.float64) * scale - mean[c]) / std[c]
        out[:, c] = levels.astype(np.float32)[pixels[:, c]]
    return out


def write_smooth_images(path, count, size, seed=0):
    """Random images with the spectrum of photographs, coarse shapes stronger than detail, as .npy float32
    [count, 3, size, size] with values like normalised ImageNet pixels (-2.1 to 2.6)."""
    rng = np.random.default_rng(seed)
    grids = [(n, np.float32(weight), _bilinear(n, size)) for n, weight in ((4, 1.0), (14, 0.7), (56, 0.4))]
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, 3, size, size))
    for i in range(count):
        image = np.float32(0.15) * rng.standard_normal((3, size, size), dtype=np.float32)
        for n, weight, stretch in grids:
            noise = rng.standard_normal((3, n, n), dtype=np.float32)
            image += weight * (stretch @ noise @ stretch.T)
        out[i] = np.clip(image, -2.1, 2.6)
    out.flush()


def _bilinear(n_in, n_out):
    """[n_out, n_in] matrix of linear interpolation with half-pixel centres."""
    at = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    low = np.minimum(at.astype(int), n_in - 2)
    matrix = np.zeros((n_out, n_in), np.float32)
    matrix[np.arange(n_out), low] = 1 - (at - low)
    matrix[np.arange(n_out), low + 1] += at - low
    return matrix
