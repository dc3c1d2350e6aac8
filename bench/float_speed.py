"""Octet's float executor against ONNX Runtime's float path, one batch at a time, all threads on it.

Both engines stay loaded and take turns, a few runs each, so that whatever else the machine does meets both alike.
The ratio is median by median; above 1.00 means that Octet takes longer.
"""
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import common
import engines


class OctetStepper:
    """octet_float_forward --step: one run per line."""

    def __init__(self, tool, model, args):
        self.process = subprocess.Popen(
            [tool, model, "--batch", str(args.batch), "--size", str(args.size), "--threads", str(args.threads), "--step"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"float_speed: octet_float_forward could not run {model}")

    def run_ms(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class PeerStepper:
    def __init__(self, engine, model, args):
        self.engine = engines.OnnxRuntime(model, args.threads) if engine == "ort" else engines.OpenVino(model, args.threads)
        rng = np.random.default_rng(1)
        self.images = rng.standard_normal((self.engine.batch or args.batch, 3, args.size, args.size), dtype=np.float32)
        for _ in range(3):
            self.engine.run(self.images)

    def run_ms(self):
        begin = time.perf_counter()
        self.engine.run(self.images)
        return (time.perf_counter() - begin) * 1e3


def race(octet, peer, args):
    """Milliseconds of both, in turns of args.turn runs; the first of each turn warms up and does not count."""
    ours, theirs, ratios = [], [], []
    for turn in range(args.turns):
        got = {}
        for stepper in (octet, peer) if turn % 2 == 0 else (peer, octet):
            time.sleep(0.05)  # threads of the other engine that still spin go to sleep
            stepper.run_ms()
            got[stepper] = [stepper.run_ms() for _ in range(args.turn)]
        ours += got[octet]
        theirs += got[peer]
        ratios.append(statistics.median(got[octet]) / statistics.median(got[peer]))
    return ours, theirs, ratios


def parse_arguments():
    p = common.parser(__doc__)
    p.add_argument("models", nargs="+", type=Path, help="float ONNX networks with an open batch axis")
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--turns", type=int, default=12)
    p.add_argument("--turn", type=int, default=3, help="timed runs in a turn")
    p.add_argument("--engine", default="ort", choices=["ort", "openvino"])
    return p.parse_args()


def main():
    args = parse_arguments()
    tool = common.need_tool(args, "octet_float_forward")
    results, rows = [], []
    for model in args.models:
        common.need(model, "bench/make_networks.py makes networks")
        common.note(model.stem)
        octet, peer = OctetStepper(tool, model, args), PeerStepper(args.engine, model, args)
        ours, theirs, ratios = race(octet, peer, args)
        octet.close()
        a, b = common.spread(ours), common.spread(theirs)
        ratio = a["median"] / b["median"]
        results.append({"network": model.stem, "octet_ms": a, "peer_ms": b, "ratio_of_medians": ratio,
                        "ratio_of_minima": a["min"] / b["min"], "turn_ratios": ratios})
        rows.append([model.stem, *(f"{s['min']:.1f} / {s['median']:.1f} / {s['p99']:.1f}" for s in (a, b)),
                     f"{ratio:.2f}", f"{a['min'] / b['min']:.2f}",
                     f"{common.percentile(ratios, 25):.2f}..{common.percentile(ratios, 75):.2f}"])
    name = "ONNX Runtime" if args.engine == "ort" else "OpenVINO"
    common.finish(args, results, ["network", "Octet ms min/median/p99", f"{name} ms min/median/p99", "ratio of medians",
                                  "of minima", "middle half of turns"], rows,
                  [f"Batch {args.batch} at {args.size} x {args.size}, {args.threads} threads, {args.turns} turns of "
                   f"{args.turn} runs. Ratio: Octet / {name}, below 1 Octet is faster."])


if __name__ == "__main__":
    main()
