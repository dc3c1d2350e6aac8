"""Octet's engine against ONNX Runtime, OpenVINO and ncnn: the same files, threads and inputs, all in one process.

Every engine stays loaded. They take turns, a block of runs each, with a pause before it in which the threads of the
last one go to sleep; the first runs of a block are not counted. So whatever else the machine does meets all alike:
compare ratios, never times of two runs made apart. Ratios below 1 mean that Octet is faster; each is to the peer that
is best in that figure.
"""
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import common
import images
import peer_engines


def network_inputs(model, batch):
    """Arrays for the inputs of an ONNX file: smooth images for 3-channel images, small noise for everything else."""
    import onnx

    arrays = []
    graph = onnx.load(str(model), load_external_data=False).graph
    constants = {t.name for t in graph.initializer}
    for value in graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        dims = [d.dim_value for d in tensor.shape.dim]
        dims[0] = dims[0] or batch
        if 0 in dims:
            sys.exit(f"peers: input '{value.name}' of {model} leaves more open than the batch")
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        rng = np.random.default_rng(7)
        if dtype != np.float32:
            arrays.append(rng.integers(0, 2 if dtype.itemsize > 1 else 256, dims).astype(dtype))
        elif len(dims) == 4 and dims[1] == 3 and dims[2] == dims[3]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "images.npy"
                images.write_smooth_images(path, dims[0], dims[2])
                arrays.append(np.load(path))
        else:
            arrays.append(rng.standard_normal(dims, dtype=np.float32))
    return arrays


def compiled(args, model, threads, work):
    """The .octet file of a network for a number of threads, and what the compiler says about it."""
    path = work / f"{model.stem}_{threads}.octet"
    command = [args.octet, "compile", model, "-o", path, "--threads", threads, "--explain", "--json"]
    command += ["--timing-cache", args.timing_cache] if args.timing_cache else []
    report = common.run_json([*command, *args.compile_option])
    groups = [g for g in report["explain"] if g["macs"] > 0]
    int8 = sum(g["precision"] == "int8" for g in groups)
    return path, {"int8": int8, "float": len(groups) - int8}, report


def make_engine(args, name, model, octet_model, threads):
    if name == "octet":
        return peer_engines.OctetEngine(octet_model, threads, args.library)
    return peer_engines.PEERS[name][1](model, threads)


def status_bytes(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return 0


def probe(args):
    """Run as a process of its own: what loading one engine costs. Prints one JSON line."""
    name, model, octet_model, threads = args.probe
    arrays = network_inputs(model, args.batch)
    if name != "octet":  # loading the Python package is no part of loading a network
        {"ort": lambda: __import__("onnxruntime"), "ope": lambda: __import__("openvino"),
         "ncn": lambda: __import__("ncnn")}[name[:3]]()
    before = status_bytes("VmRSS")
    times = []
    for turn in range(args.probe_loads):
        begin = time.perf_counter()
        engine = make_engine(args, name, Path(model), octet_model, int(threads))
        times.append((time.perf_counter() - begin) * 1e3)
        if turn == 0:
            engine.set_inputs(arrays, args.batch)
            begin = time.perf_counter()
            engine.run()
            first_run = (time.perf_counter() - begin) * 1e3
            for _ in range(3):
                engine.run()
            peak = status_bytes("VmHWM")
        engine.close()
        del engine
    print(json.dumps({"load_ms": min(times), "first_load_ms": times[0], "first_run_ms": first_run,
                      "peak_bytes": peak, "growth_bytes": max(0, peak - before)}))


def run_probe(args, name, model, octet_model, threads):
    command = [sys.executable, __file__, "--probe", name, model, octet_model or "-", threads, "--batch", args.batch]
    command += ["--library", args.library] if args.library else []
    try:
        return json.loads(common.measured(command)[0].strip().splitlines()[-1])
    except (common.Failed, ValueError, IndexError) as e:
        return {"error": str(e)}


RATIOS = {"medians": ("ms", "median"), "minima": ("ms", "min"), "CPU medians": ("cpu_ms", "median")}


class Contest:
    """One network at one number of threads."""

    def __init__(self, args, model, threads, octet_model, octet_precision):
        self.args, self.model, self.threads = args, model, threads
        self.octet_model = octet_model
        self.engines, self.precision, self.failed = {}, {"octet": octet_precision}, {}
        self.arrays = network_inputs(model, args.batch)
        for name in ["octet", *args.engines]:
            try:
                engine = make_engine(args, name, model, octet_model, threads)
                engine.set_inputs(self.arrays, args.batch)
                engine.run()
                if name != "octet":
                    self.precision[name] = engine.precision()
                self.engines[name] = engine
            except Exception as e:  # an engine that refuses the network is a result
                self.failed[name] = f"{type(e).__name__}: {str(e).splitlines()[0][:200]}"
        self.samples = {name: [] for name in self.engines}  # (wall, CPU of all threads) in ms

    def block(self, name):
        engine, samples = self.engines[name], self.samples[name]
        time.sleep(self.args.pause)
        for _ in range(2):
            engine.run()
        begin = time.perf_counter()
        counted = 0
        while counted < 3 or time.perf_counter() - begin < self.args.block:
            cpu, wall = time.process_time(), time.perf_counter()
            engine.run()
            samples.append(((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3))
            counted += 1

    def race(self):
        begin = time.perf_counter()
        order = list(self.engines)
        while time.perf_counter() - begin < self.args.seconds * len(order):
            for name in order:
                self.block(name)
            order = order[1:] + order[:1]

    def agreement(self):
        """Each peer's outputs on these inputs against Octet's."""
        def flat(name):
            self.engines[name].run()
            return [np.asarray(o, np.float32).reshape(self.args.batch, -1) for o in self.engines[name].outputs()]

        if "octet" not in self.engines:
            return {}
        ours, result = flat("octet"), {}
        for name in self.engines:
            if name == "octet":
                continue
            theirs = flat(name)
            if [o.shape for o in ours] != [t.shape for t in theirs]:
                result[name] = {"error": "other output shapes"}
                continue
            noise = sum(float(np.sum((o.astype(np.float64) - t) ** 2)) for o, t in zip(ours, theirs))
            signal = sum(float(np.sum(t.astype(np.float64) ** 2)) for t in theirs)
            result[name] = {"max_abs": max(float(np.abs(o - t).max()) for o, t in zip(ours, theirs)),
                            "sqnr_db": None if noise == 0 else 10 * math.log10(max(signal, 1e-300) / noise),
                            "equal_top1_percent": float(100 * np.mean(ours[0].argmax(1) == theirs[0].argmax(1)))}
        return result

    def result(self):
        row = {"network": self.model.stem, "threads": self.threads, "batch": self.args.batch, "failed": self.failed,
               "precision": self.precision,
               "ms": {n: common.spread([w for w, _ in s]) for n, s in self.samples.items()},
               "cpu_ms": {n: common.spread([c for _, c in s]) for n, s in self.samples.items()},
               "agreement": self.agreement()}
        peers = [n for n in self.engines if n != "octet"]
        if peers and "octet" in self.engines:
            for ratio, (times, figure) in RATIOS.items():
                fastest = min(peers, key=lambda n: row[times][n][figure])
                row["ratio_" + ratio] = row[times]["octet"][figure] / row[times][fastest][figure]
                row["fastest_" + ratio] = fastest
        return row

    def close(self):
        for engine in self.engines.values():
            engine.close()
        self.engines.clear()


def title(name):
    return "Octet" if name == "octet" else peer_engines.PEERS[name][0]


def precision_text(p):
    if p is None or p["int8"] + p["float"] == 0:
        return ""
    if p["int8"] == 0 or p["float"] == 0:
        return "float" if p["int8"] == 0 else "INT8"
    return f"INT8, {p['float']} of {p['int8'] + p['float']} float"


def speed_table(results, names):
    header = ["network", "threads", *(title(n) for n in names), "fastest peer", "ratio of medians", "of minima",
              "of CPU medians"]
    rows = []
    for r in results:
        cells = []
        for n in names:
            if n not in r["ms"]:
                cells.append("-")
                continue
            text = "{median:.2f} / {min:.2f}".format(**r["ms"][n])
            kind = precision_text(r["precision"].get(n))
            cells.append(text + (f" ({kind})" if kind not in ("", "INT8") else ""))
        fastest = r.get("fastest_medians")
        ratios = [f"{r['ratio_' + k]:.2f}" if "ratio_" + k in r else "-" for k in RATIOS]
        rows.append([r["network"], r["threads"], *cells, title(fastest) if fastest else "-", *ratios])
    return common.table(header, rows)


def load_table(results, names):
    header = ["load ms / peak memory", *(title(n) for n in names)]
    rows = []
    for r in results:
        if "load" not in r:
            continue
        cell = lambda p: "-" if p is None or "error" in p else f"{p['load_ms']:.1f} / {common.mb(p['growth_bytes'])}"
        rows.append([r["network"], *(cell(r["load"].get(n)) for n in names)])
    return common.table(header, rows) if rows else ""


def agreement_table(results, names):
    header = ["outputs against Octet's", *(title(n) for n in names if n != "octet")]
    rows = []
    for r in results:
        if r["threads"] != results[0]["threads"]:
            continue
        cells = []
        for n in names:
            a = r["agreement"].get(n)
            if n != "octet":
                cells.append("-" if a is None or "error" in a else "equal" if a["sqnr_db"] is None else
                             f"{a['sqnr_db']:.1f} dB, top-1 {a['equal_top1_percent']:.0f} %, max {a['max_abs']:.3g}")
        rows.append([r["network"], *cells])
    return common.table(header, rows)


def geometric_means(results):
    lines = []
    for threads in dict.fromkeys(r["threads"] for r in results):
        for figure in RATIOS:
            ratios = [r["ratio_" + figure] for r in results if r["threads"] == threads and "ratio_" + figure in r]
            if ratios:
                mean = math.exp(statistics.fmean(map(math.log, ratios)))
                lines.append({"threads": threads, "figure": figure, "ratio": mean, "worst": max(ratios)})
    return lines


def parse_arguments():
    p = common.parser(__doc__, tools=False, threads=False)
    p.add_argument("models", nargs="*", type=Path, help="ONNX files, or folders of *_int8.onnx files")
    p.add_argument("--threads", type=lambda s: [int(t) for t in s.split(",")], default=[1, 2], help="such as 1,2,16")
    p.add_argument("--engines", nargs="*", default=["ort", "openvino", "openvino-default", "ncnn"],
                   choices=list(peer_engines.PEERS))
    p.add_argument("--library", type=Path, default=common.ROOT / "build/release/liboctet_runtime.so")
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--seconds", type=float, default=4, help="for each engine, network and number of threads")
    p.add_argument("--block", type=float, default=0.2, help="seconds of one turn")
    p.add_argument("--pause", type=float, default=0.05, help="seconds before a turn")
    p.add_argument("--timing-cache", type=Path, help="of octet compile")
    p.add_argument("--compile-option", action="append", default=[], metavar="OPTION",
                   help="passed on to octet compile, repeatable")
    p.add_argument("--no-load", action="store_true", help="do not measure loading and memory")
    p.add_argument("--probe", nargs=4, metavar=("ENGINE", "MODEL", "OCTET_FILE", "THREADS"),
                   help="measure loading of one engine, in this process (used by the program itself)")
    p.add_argument("--probe-loads", type=int, default=5)
    return p.parse_args()


def model_files(args):
    files = []
    for path in args.models or [common.ROOT / "build/networks"]:
        common.need(path, "bench/make_int8_networks.py makes networks")
        files += sorted(path.glob("*_int8.onnx")) if path.is_dir() else [path]
    if not files:
        sys.exit(f"peers: no *_int8.onnx in {args.models[0]}; bench/make_int8_networks.py makes them")
    return files


def bench(args, work):
    results = []
    for model in model_files(args):
        for threads in args.threads:
            common.note(f"{model.stem}, {threads} threads")
            try:
                octet_model, precision, report = compiled(args, model, threads, work)
            except common.Failed as e:
                common.note(f"{model.stem}: {e}")
                results.append({"network": model.stem, "threads": threads, "error": str(e)})
                continue
            contest = Contest(args, model, threads, octet_model, precision)
            contest.race()
            row = contest.result()
            contest.close()
            row["file_bytes"] = {"octet": report["engine_bytes"], "onnx": report["onnx_bytes"]}
            row["compile_seconds"] = report["compile_seconds"]
            if not args.no_load and threads == args.threads[0]:
                row["load"] = {n: run_probe(args, n, model, octet_model, threads) for n in row["ms"]}
            for name, why in row["failed"].items():
                common.note(f"{model.stem}: {title(name)}: {why}")
            results.append(row)
            common.save(args, results)
    return results


def main():
    args = parse_arguments()
    if args.probe:
        return probe(args)
    common.need_octet(args)
    common.need(args.library, "build it (cmake --build --preset release --target octet_runtime) or give --library")
    with tempfile.TemporaryDirectory(prefix="octet-peers-") as folder:
        results = bench(args, Path(folder))
    good = [r for r in results if "error" not in r]
    names = [n for n in ["octet", *args.engines] if any(n in r["ms"] for r in good)]
    remarks = [f"ms: median / minimum at batch {args.batch}; ratio: Octet / fastest peer. Weighted layers are INT8 "
               "where a cell says nothing else. CPU time is that of all threads: it leaves out the time that other "
               "programs take, and counts threads that spin while they wait."]
    for mean in geometric_means(good):
        remarks.append(f"{mean['threads']} threads, ratio of {mean['figure']}: geometric mean {mean['ratio']:.3f}, "
                       f"worst {mean['worst']:.3f}")
    if good:
        tables = [speed_table(good, names), load_table(good, names), agreement_table(good, names)]
        print("\n\n".join(filter(None, tables)))
        print()
    for remark in [*remarks, common.machine()]:
        print(remark)
    common.save(args, results, remarks)
    sys.exit(0 if good and len(good) == len(results) else 1)


if __name__ == "__main__":
    main()
