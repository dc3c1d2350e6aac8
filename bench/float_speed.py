"""Octet's float executor against ONNX Runtime's float path, one batch at a time, all threads on it.

Both engines stay loaded and take turns, a few runs each, so that whatever else the machine does meets both alike.
Above 1.00 means that Octet takes longer. Wall time with several threads says little on a busy machine, because the
engines wait for their threads in different ways; CPU time of all threads does, with --no-spin so that waiting costs
nothing.
"""
import os
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
            [tool, model, "--batch", str(args.batch), "--size", str(args.size), "--threads", str(args.threads),
             "--step"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"} if args.no_spin else None)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"float_speed: octet_float_forward could not run {model}")

    def run(self):
        """(wall, CPU) milliseconds of one run."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return tuple(map(float, self.process.stdout.readline().split()))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class PeerStepper:
    def __init__(self, engine, model, args):
        self.engine = (engines.OnnxRuntime(model, args.threads, spinning=not args.no_spin) if engine == "ort"
                       else engines.OpenVino(model, args.threads))
        rng = np.random.default_rng(1)
        shape = (self.engine.batch or args.batch, 3, args.size, args.size)
        self.images = rng.standard_normal(shape, dtype=np.float32)
        for _ in range(3):
            self.engine.run(self.images)

    def run(self):
        cpu, wall = time.process_time(), time.perf_counter()
        self.engine.run(self.images)
        return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def race(octet, peer, args):
    """(wall, CPU) milliseconds of both, in turns of args.turn runs; the first of each turn warms up, uncounted."""
    ours, theirs, ratios = [], [], []
    for turn in range(args.turns):
        got = {}
        for stepper in (octet, peer) if turn % 2 == 0 else (peer, octet):
            time.sleep(0.05)  # threads of the other engine that still spin go to sleep
            stepper.run()
            got[stepper] = [stepper.run() for _ in range(args.turn)]
        ours += got[octet]
        theirs += got[peer]
        ratios.append(statistics.median(w for w, _ in got[octet]) / statistics.median(w for w, _ in got[peer]))
    return ours, theirs, ratios


def summary(model, ours, theirs, ratios):
    wall = [common.spread([w for w, _ in runs]) for runs in (ours, theirs)]
    cpu = [common.spread([c for _, c in runs]) for runs in (ours, theirs)]
    return {"network": model.stem, "octet_ms": wall[0], "peer_ms": wall[1],
            "octet_cpu_ms": cpu[0], "peer_cpu_ms": cpu[1],
            "ratio_of_medians": wall[0]["median"] / wall[1]["median"],
            "ratio_of_minima": wall[0]["min"] / wall[1]["min"],
            "cpu_ratio_of_medians": cpu[0]["median"] / cpu[1]["median"], "turn_ratios": ratios}


def table_row(r):
    return [r["network"], *("{min:.1f} / {median:.1f} / {p99:.1f}".format(**r[k]) for k in ("octet_ms", "peer_ms")),
            f"{r['ratio_of_medians']:.2f}", f"{r['ratio_of_minima']:.2f}",
            f"{common.percentile(r['turn_ratios'], 25):.2f}..{common.percentile(r['turn_ratios'], 75):.2f}",
            f"{r['octet_cpu_ms']['median']:.1f} / {r['peer_cpu_ms']['median']:.1f}",
            f"{r['cpu_ratio_of_medians']:.2f}"]


def parse_arguments():
    p = common.parser(__doc__)
    p.add_argument("models", nargs="+", type=Path, help="float ONNX networks with an open batch axis")
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--turns", type=int, default=12)
    p.add_argument("--turn", type=int, default=3, help="timed runs in a turn")
    p.add_argument("--no-spin", action="store_true", 
                   help="threads of both engines sleep while they wait (not OpenVINO's)")
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
        results.append(summary(model, *race(octet, peer, args)))
        common.save(args, results)
        octet.close()
        rows.append(table_row(results[-1]))
    name = "ONNX Runtime" if args.engine == "ort" else "OpenVINO"
    header = ["network", "Octet ms min/median/p99", f"{name} ms min/median/p99", "ratio of medians", "of minima",
              "middle half of turns", "CPU ms Octet / other", "CPU ratio"]
    common.finish(args, results, header, rows,
                  [f"Batch {args.batch} at {args.size} x {args.size}, {args.threads} threads, {args.turns} turns of "
                   f"{args.turn} runs. Ratios: Octet / {name}, below 1 Octet is faster."])


if __name__ == "__main__":
    main()
