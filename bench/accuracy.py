"""Accuracy of Octet's INT8 networks: in Octet's own simulation, in ONNX Runtime and in OpenVINO, on the same images.

For every network, regime and target: `octet quantize`, `octet eval`, then the exported file in each engine. A cell of
an engine shows its own score, the difference to Octet's simulation, and how many predictions are equal; for detectors
the last figure is the SQNR of the raw output against Octet's (the largest difference is in the JSON file).
"""
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import common
import engines
import images as im

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


@dataclass
class Network:
    name: str
    model: Path
    octet_data: str       # data spec for octet
    load: object = None   # -> (float32 images, labels); None: a detector, whose images octet_network_io prepares

    @property
    def is_detector(self):
        return self.load is None


def cifar_network(name, folder, raw=False):
    def load():
        pixels, labels = im.cifar10_test(folder / "cifar10")
        if raw:
            return pixels.astype(np.float32), labels
        return im.normalise(pixels, 1 / 255, im.IMAGENET_MEAN, im.IMAGENET_STD), labels

    spec = f"cifar10:{folder / 'cifar10'}" + ("?scale=1&mean=0&std=1" if raw else "")
    return Network(name, folder / "networks" / (name + ".onnx"), spec, load)


def fashion_network():
    def load():
        pixels, labels = im.fashion_mnist_test(FASHION_MNIST)
        return im.normalise(pixels, 1 / 255, 0.2860, 0.3530), labels

    name = "resnet20_fashion_mnist"
    spec = f"idx:{FASHION_MNIST}?scale=1/255&mean=0.286&std=0.353"
    return Network(name, common.ROOT / "models" / (name + ".onnx"), spec, load)


def known_networks(folder):
    detector = f"yolo:{folder / 'coco_val64'}?decoder="
    all_of_them = [
        cifar_network("resnet8_cifar10", folder, raw=True),
        cifar_network("resnet20_cifar10", folder),
        cifar_network("resnet20_cifar10_bn", folder),
        cifar_network("resnet56_cifar10", folder),
        fashion_network(),
        Network("yolox_nano_coco_416", folder / "networks/yolox_nano_coco_416.onnx", detector + "yolox"),
        Network("fastestdet_coco_352", folder / "networks/fastestdet_coco_352.onnx", detector + "fastestdet"),
    ]
    for network in all_of_them:
        if not network.model.exists():
            common.note(f"skipped {network.name}: {network.model} is absent")
    return [n for n in all_of_them if n.model.exists()]


def sqnr_db(reference, test):
    """10 log10(sum r^2 / sum (r - t)^2); None when equal."""
    noise = np.sum((reference.astype(np.float64) - test) ** 2)
    return None if noise == 0 else float(10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / noise))


class Bench:
    def __init__(self, args, network, work):
        self.args, self.network, self.work = args, network, work
        self.octet = common.need_octet(args)
        self.limit = ["--images", args.images] if args.images else []
        if network.is_detector:
            self.io = common.need_tool(args, "octet_network_io")
            self.prepared = work / "prepared.npy"
            self.network_io(network.model, "--inputs", self.prepared)
            self.images = np.load(self.prepared, mmap_mode="r")
        else:
            pixels, labels = network.load()
            self.images, self.labels = (a[:args.images or None] for a in (pixels, labels))

    def network_io(self, model, *arguments):
        return common.measured([self.io, model, "--data", self.network.octet_data, *self.limit, *arguments])[0]

    def octet_eval(self, model):
        """(score, second figure, predictions or raw outputs) of Octet's own run of a file."""
        saved = self.work / ("octet.npy" if self.network.is_detector else "octet.txt")
        arguments = [] if self.network.is_detector else ["--predictions", saved]
        report = common.run_json([self.octet, "eval", model, "--data", self.network.octet_data, "--json", *self.limit,
                                  "--threads", self.args.threads, *arguments])
        if self.network.is_detector:
            self.network_io(model, "--outputs", saved)
            return report["map50"], report["map"], np.load(saved)
        return report["top1"], report["top5"], np.loadtxt(saved, dtype=np.int64)

    def engine_eval(self, engine, model, octet_score, octet_out):
        """Runs one peer on a file and sets it against what Octet got."""
        outputs = engines.run_all(engines.ENGINES[engine][1](model, self.args.threads), self.images)
        if not self.network.is_detector:
            predicted = outputs.reshape(len(outputs), -1).argmax(1)
            score = float(100 * np.mean(predicted == self.labels))
            equal = float(100 * np.mean(predicted == octet_out))
            return {"score": score, "difference": score - octet_score, "equal_percent": equal}
        theirs = self.work / "theirs.npy"
        np.save(theirs, outputs.astype(np.float32))
        scored = json.loads(self.network_io(model, "--score", theirs))
        return {"score": scored["map50"], "map": scored["map"], "difference": scored["map50"] - octet_score,
                "sqnr_db": sqnr_db(octet_out, outputs), "max_abs": float(np.abs(octet_out - outputs).max()),
                "octet_abs_max": float(np.abs(octet_out).max())}

    def engines_eval(self, model, octet_score, octet_out, names):
        results = {}
        for name in names:
            try:
                results[name] = self.engine_eval(name, model, octet_score, octet_out)
            except Exception as e:  # an engine that refuses the file is a result
                results[name] = {"error": f"{type(e).__name__}: {str(e).splitlines()[0][:200]}"}
        return results

    def float_row(self):
        score, second, out = self.octet_eval(self.network.model)
        self.float_score = score
        names = [e for e in self.args.engines if e != "ort-exact"]  # nothing to be exact about
        return {"network": self.network.name, "regime": "float", "target": "", "count": len(self.images),
                "score": score, "second": second,
                "engines": self.engines_eval(self.network.model, score, out, names)}

    def tuned(self, target, folder):
        """octet qat's report: its accuracy is what the exported file must have everywhere."""
        data = self.network.octet_data
        measured_on = []
        if self.args.images:
            first = ("&" if "?" in data else "?") + f"subset={self.args.images}"
            measured_on = ["--eval-data", data + first]
        return common.run_json([self.octet, "qat", self.network.model, "--data", data, *measured_on, "--target",
                                target, "--epochs", self.args.qat_epochs, "--json", "-o", folder, "--threads",
                                self.args.threads, *self.args.qat_option])

    def quantized_row(self, regime, target):
        folder = self.work / f"{regime}_{target}"
        if regime == "qat":
            quantized = self.tuned(target, folder)
        else:
            quantized = common.run_json([self.octet, "quantize", self.network.model, "--data", self.network.octet_data,
                                         "--regime", regime, "--target", target, "--no-eval", "--json", "-o", folder,
                                         "--threads", self.args.threads, *self.args.quantize_option])
        model = folder / "model_int8.onnx"
        score, second, out = self.octet_eval(model)
        row = self.row_of(regime, target, quantized, model, (score, second, out))
        if regime == "qat":
            row["reported"], row["best_epoch"] = quantized["quantized"]["top1"], quantized["best_epoch"]
            row["broken"] = broken_promises(row, target)
        return row

    def row_of(self, regime, target, quantized, model, evaluated):
        score, second, out = evaluated
        return {"network": self.network.name, "regime": regime, "target": target, "count": len(self.images),
                "score": score, "second": second, "change": score - self.float_score,
                "size_ratio": quantized["size_ratio"], "decisions": quantized["decisions"],
                "calibration_images": quantized["calibration_images"],
                "calibration_seconds": quantized["calibration_seconds"],
                "engines": self.engines_eval(model, score, out, self.args.engines)}


def broken_promises(row, target):
    """Where a fine-tuned file does not have the accuracy that octet qat reported: in Octet to the last image, in the
    runtime it was made for within 0.1 points."""
    engine = {"onnxruntime": "ort-exact", "openvino": "openvino"}.get(target)
    result = row["engines"].get(engine, {})
    limits = {"Octet": (row["score"], 0)}
    if "score" in result:
        limits[engine] = (result["score"], 0.1)
    broken = [f"{name} has {score:.2f} % where octet qat reported {row['reported']:.2f} %"
              for name, (score, limit) in limits.items() if abs(score - row["reported"]) > limit + 1e-9]
    return broken + ([f"{engine} failed: {result['error']}"] if "error" in result else [])


def cell(result):
    if result is None:
        return ""
    if "error" in result:
        return "failed: " + result["error"][:60]
    text = f"{result['score']:.2f} ({result['difference']:+.2f}"
    if "equal_percent" in result:
        return text + f", {result['equal_percent']:.2f} %)"
    return text + (", equal)" if result["sqnr_db"] is None else f", {result['sqnr_db']:.1f} dB)")


def table_row(r, engine_names):
    change = f"{r['change']:+.2f}" if "change" in r else ""
    size = f"{r['size_ratio']:.2f}x" if "size_ratio" in r else ""
    return [r["network"], r["regime"], r["target"], f"{r['score']:.2f}", change, size,
            *(cell(r["engines"].get(e)) for e in engine_names)]


def parse_arguments():
    p = common.parser(__doc__)
    p.add_argument("--data", type=Path, default=common.data_folder(),
                   help="folder with networks/, cifar10/, coco_val64/")
    p.add_argument("--networks", nargs="*", default=[], help="only networks whose name contains one of these")
    p.add_argument("--images", type=int, default=0, help="measure on the first N test images; 0: all. Regime qat trains on every training image "
                        "all the same")
    p.add_argument("--regimes", nargs="*", default=["naive", "selective"],
                   help="naive, hybrid, selective; qat: fine-tuned by octet qat (classifiers)")
    p.add_argument("--targets", nargs="*", default=["onnxruntime", "octet"])
    p.add_argument("--engines", nargs="*", default=["ort-exact", "ort", "openvino"], choices=list(engines.ENGINES))
    p.add_argument("--quantize-option", action="append", default=[], metavar="OPTION",
                   help="passed on to octet quantize, repeatable: --quantize-option=--images --quantize-option=256")
    p.add_argument("--qat-epochs", type=int, default=1, help="of regime qat")
    p.add_argument("--qat-option", action="append", default=[], metavar="OPTION",
                   help="passed on to octet qat, repeatable: --qat-option=--device --qat-option=cuda")
    return p.parse_args()


def main():
    args = parse_arguments()
    networks = [n for n in known_networks(args.data)
                if not args.networks or any(part in n.name for part in args.networks)]
    if not networks:
        sys.exit("accuracy: no such network; the README of this folder says where they are looked for")
    results = []
    for network in networks:
        with tempfile.TemporaryDirectory(prefix="octet-accuracy-") as folder:
            bench = Bench(args, network, Path(folder))
            results.append(bench.float_row())
            common.save(args, results)
            for regime in args.regimes:
                for target in args.targets:
                    if regime == "qat" and network.is_detector:
                        continue
                    common.note(f"{network.name} {regime} {target}")
                    try:
                        results.append(bench.quantized_row(regime, target))
                    except common.Failed as e:
                        common.note(f"{network.name} {regime} {target}: {e}")
                        results.append({"network": network.name, "regime": regime, "target": target, "error": str(e)})
                    common.save(args, results)
    header = ["network", "regime", "target", "Octet", "change", "smaller",
              *(engines.ENGINES[e][0] for e in args.engines)]
    rows = [table_row(r, args.engines) for r in results if "error" not in r]
    common.finish(args, results, header, rows, [
        "Scores in percent: top-1, for detectors mAP@0.5 on a few images. Octet: simulation of the exported file.",
        "Engine cells: score (difference to Octet, equal predictions or SQNR of the raw output against Octet's)."])
    broken = [f"{r['network']} {r['target']}: {b}" for r in results for b in r.get("broken", [])]
    for promise in broken:
        common.note(f"accuracy: {promise}")
    sys.exit(1 if broken or any("error" in r for r in results) else 0)


if __name__ == "__main__":
    main()
