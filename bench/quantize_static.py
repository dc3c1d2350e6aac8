"""`octet quantize` against onnxruntime.quantization.quantize_static: time and peak memory of the whole process.

Both calibrate the same network on the same unlabelled float32 .npy images: percentile 99.99 for activations,
per-channel INT8 weights, UINT8 activations, Q/DQ. The runs alternate and are repeated; the table shows medians.

Methods: percentile is quantize_static as it comes, which keeps the intermediate outputs of all images until the end;
percentile-strided feeds it --stride images at a time through its own option CalibStridedMinMax; minmax is its
cheapest.
"""
import os
import sys
import tempfile
from pathlib import Path

import common

METHODS = {"percentile": ("Percentile", False), "percentile-strided": ("Percentile", True),
           "minmax": ("MinMax", False), "entropy": ("Entropy", False)}


def peer_main(model, data, images, method, stride, out):
    """In a process of its own: one quantize_static."""
    import numpy as np
    import onnx
    from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType,
                                          quantize_static)

    name = onnx.load(model, load_external_data=False).graph.input[0].name
    array = np.load(data, mmap_mode="r")

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.set_range(0, images)

        def __len__(self):
            return images

        def set_range(self, start_index, end_index):
            self.rows = iter(range(start_index, end_index))

        def get_next(self):
            i = next(self.rows, None)
            return None if i is None else {name: np.array(array[i:i + 1])}

    extra = {"CalibPercentile": 99.99} if method == "Percentile" else {}
    if stride:
        extra["CalibStridedMinMax"] = stride
    quantize_static(model, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod[method], extra_options=extra)


class Runs:
    """Results of one competitor over the repeats."""

    def __init__(self):
        self.reports, self.error = [], None

    def add(self, argv, limit=0):
        if self.error:
            return
        try:
            self.reports.append(common.measured(argv, limit)[1])
        except common.Failed as e:
            self.error = str(e)

    def as_dict(self):
        if not self.reports:
            return {"error": self.error}
        keys = ("seconds", "cpu_seconds", "peak_bytes")
        return {**{key: common.spread([r[key] for r in self.reports]) for key in keys}, "runs": self.reports}


class Bench:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.octet = common.need_octet(args)
        self.data = args.data
        if self.data is None:
            import images  # numpy stays out of processes that do not need it

            self.data = work / "images.npy"
            count = max([args.images, *args.growth])
            common.note(f"making {count} smooth random images of {args.size} x {args.size}")
            images.write_smooth_images(self.data, count, args.size)

    def octet_command(self, images):
        return [self.octet, "quantize", self.args.model, "--data", f"npy:{self.data}", "--images", images, "--regime",
                self.args.regime, "--calibrator", self.args.calibrator, "--target", "onnxruntime", "--no-eval",
                "--quiet", "--threads", self.args.threads, "-o", self.work / "octet"]

    def peer_command(self, method):
        name, strided = METHODS[method]
        return [sys.executable, Path(__file__).resolve(), "--peer", self.args.model, self.data, self.args.images,
                name, self.args.stride if strided else 0, self.work / "peer.onnx"]

    def compare(self):
        runs = {"octet quantize": Runs(), **{f"quantize_static {m}": Runs() for m in self.args.methods}}
        forward = []
        for i in range(self.args.repeat):
            common.note(f"round {i + 1} of {self.args.repeat}")
            forward.append(self.forward())
            runs["octet quantize"].add(self.octet_command(self.args.images))
            if i < (self.args.peer_repeat or self.args.repeat):
                for method in self.args.methods:
                    common.note(f"  quantize_static {method}")
                    runs[f"quantize_static {method}"].add(self.peer_command(method), self.args.memory_limit * 10**9)
            so_far = {key: common.spread([f[key] for f in forward]) for key in ("seconds", "cpu_seconds")}
            result = {"forward": so_far, **{name: r.as_dict() for name, r in runs.items()}}
            common.save(self.args, {"compare": result})
        return result

    def forward(self):
        """The float forward passes alone, without loading the network."""
        tool = common.need_tool(self.args, "octet_float_forward")
        return common.run_json([tool, self.args.model, "--data", f"npy:{self.data}", "--images", self.args.images,
                                "--threads", self.args.threads])

    def growth(self):
        peaks = {}
        for images in self.args.growth:
            common.note(f"octet quantize, {images} images")
            peaks[images] = common.measured(self.octet_command(images))[1]
        return peaks


def times(r, key):
    return r[key]["median"]


def compare_rows(result):
    """One row per competitor; times and memory also as multiples of Octet's."""
    forward, octet = result["forward"], result["octet quantize"]
    rows = [["float forward passes alone", f"{times(forward, 'seconds'):.1f}", "", "1.00",
             f"{times(forward, 'cpu_seconds'):.1f}", "", "1.00", "", ""]]
    for name, r in result.items():
        if name == "forward":
            continue
        if "error" in r:
            rows.append([name, "failed: " + r["error"][-70:], *[""] * 7])
            continue
        row = [name]
        for key in ("seconds", "cpu_seconds"):
            ours = "" if "error" in octet else f"{times(r, key) / times(octet, key):.2f}"
            row += [f"{times(r, key):.1f}", ours, f"{times(r, key) / times(forward, key):.2f}"]
        peak = times(r, "peak_bytes")
        rows.append([*row, common.mb(peak), "" if "error" in octet else f"{peak / times(octet, 'peak_bytes'):.2f}"])
    return rows


def parse_arguments():
    p = common.parser(__doc__)
    p.add_argument("model", type=Path, help="float ONNX network")
    p.add_argument("--data", type=Path, help=".npy float32 [N, C, H, W]; without it smooth random images are made")
    p.add_argument("--size", type=int, default=224, help="side of the images that are made")
    p.add_argument("--images", type=int, default=512, help="calibration images; 0: only --growth")
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--peer-repeat", type=int, default=0, help="rounds in which the peer runs too; 0: all")
    p.add_argument("--methods", nargs="*", default=["percentile-strided"], choices=list(METHODS))
    p.add_argument("--stride", type=int, default=16, help="images at a time for percentile-strided; divides --images")
    p.add_argument("--memory-limit", type=int, default=0, metavar="GB",
                   help="private memory that a peer may have; beyond it, it fails instead of the machine; 0: none")
    p.add_argument("--regime", default="naive")
    p.add_argument("--calibrator", default="percentile")
    p.add_argument("--growth", type=lambda s: [int(n) for n in s.split(",")], default=[], metavar="N,N,...",
                   help="also show Octet's peak memory for these numbers of images")
    p.add_argument("--work", type=Path, help="folder for temporary files (the images may take gigabytes)")
    return p.parse_args()


def main():
    if sys.argv[1:2] == ["--peer"]:
        model, data, images, method, stride, out = sys.argv[2:]
        return peer_main(model, data, int(images), method, int(stride), out)
    args = parse_arguments()
    common.need(args.model, "bench/make_networks.py makes networks")
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    with tempfile.TemporaryDirectory(prefix="octet-quantize-", dir=args.work) as folder:
        bench = Bench(args, Path(folder))
        result = {"compare": bench.compare() if args.images else None, "growth": bench.growth()}
    rows = []
    remarks = [f"{args.model.stem}, {args.images} images, {args.threads} threads, regime {args.regime}; "
               f"runs alternate, medians of {args.repeat} (peers {args.peer_repeat or args.repeat})."]
    if result["compare"]:
        rows = compare_rows(result["compare"])
    for images, r in result["growth"].items():
        rows.append([f"octet quantize, {images} images", f"{r['seconds']:.1f}", "", "", f"{r['cpu_seconds']:.1f}", "",
                     "", common.mb(r["peak_bytes"]), ""])
    header = ["run", "wall s", "x Octet", "x forward", "CPU s", "x Octet", "x forward", "peak memory", "x Octet"]
    common.finish(args, result, header, rows, remarks)


if __name__ == "__main__":
    main()
