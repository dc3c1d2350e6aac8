"""What fine-tuning wins back: float, calibrated (naive, selective) and fine-tuned accuracy at W8A8, W4A8 and W4A4.

Every figure comes from run.json of octet's own commands. A cell is a folder OUTPUT/NETWORK/PRECISION/{naive,selective,
qat}; what is finished is not run again, and an interrupted fine-tuning goes on from its checkpoint, so the same command
line continues a table that was stopped. OUTPUT/table.md and OUTPUT/table.json are written after every cell.

Needs python3 alone, and octet beside octet-training (give it with --octet).
"""
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import common

INTERRUPTED = 130
KINDS = ["naive", "selective", "qat"]


@dataclass
class Precision:
    name: str
    recipe: str    # of octet qat
    types: dict    # keys of a recipe for the whole network
    allowed: float  # points below float that the project's goal allows


PRECISIONS = [
    Precision("W8A8", "qat", {}, 0.1),
    Precision("W4A8", "qat_w4a8", {"weights": "int4"}, 0.7),
    Precision("W4A4", "qat_w4a4", {"weights": "int4", "activations": "uint4"}, 1.5),
]


@dataclass
class Network:
    name: str
    model: Path
    data: str  # spec as --data takes it


def known_networks(args):
    raw = "scale=1&mean=0&std=1"  # pixels 0..255; the others have octet's defaults for the kind of data
    cifar, fashion = f"cifar10:{args.cifar10}", f"idx:{args.fashion_mnist}?scale=1/255&mean=0.286&std=0.353"
    return [
        Network("resnet20_fashion_mnist", common.ROOT / "models/resnet20_fashion_mnist.onnx", fashion),
        Network("resnet8_cifar10", args.models / "resnet8_cifar10.onnx", f"{cifar}?{raw}"),
        Network("resnet20_cifar10", args.models / "resnet20_cifar10.onnx", cifar),
        Network("resnet20_cifar10_bn", args.models / "resnet20_cifar10_bn.onnx", cifar),
        Network("resnet56_cifar10", args.models / "resnet56_cifar10.onnx", cifar),
    ]


def own_network(text):
    model, equals, data = text.partition("=")
    if not equals or ":" not in data:
        sys.exit(f"qat: --network takes FILE.onnx=DATA, such as net.onnx=cifar10:cifar?scale=1/255, not '{text}'")
    return Network(Path(model).stem, Path(model), data)


def choose_networks(args):
    own = [own_network(text) for text in args.network]
    known = [] if own and not args.networks else known_networks(args)
    known = [n for n in known if not args.networks or any(part in n.name for part in args.networks)]
    chosen = []
    for network in [*known, *own]:
        data = Path(network.data.split("?")[0].split(":", 1)[1])
        missing = [str(p) for p in (network.model, data) if not p.exists()]
        if missing:
            common.note(f"skipped {network.name}: {' and '.join(missing)} not found (bench/run qat --help)")
        else:
            chosen.append(network)
    if not chosen:
        sys.exit("qat: no network is left; --models, --cifar10 and --fashion-mnist say where they are")
    return chosen


class Stopped(Exception):
    """The job was interrupted; the same command line goes on."""


class Runner:
    """Runs one octet command at a time; Ctrl-C and SIGTERM reach it, so that it can write its checkpoint."""

    def __init__(self):
        self.child = None
        self.stopped = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)

    def stop(self, number, frame):
        self.stopped = True
        self.pass_on()

    def pass_on(self):
        if self.child is not None:
            self.child.send_signal(signal.SIGTERM)

    def run(self, argv, log):
        """The exit code and the last line that the command said. All of its output goes to the file `log`."""
        if self.stopped:
            raise Stopped
        with open(log, "w") as out:
            self.child = subprocess.Popen([str(a) for a in argv], stdout=out, stderr=subprocess.STDOUT,
                                          start_new_session=True)
            if self.stopped:  # while Popen ran, when there was no child to tell
                self.pass_on()
            code = self.child.wait()
        self.child = None
        if self.stopped or code == INTERRUPTED:
            raise Stopped
        lines = [line for line in Path(log).read_text(errors="replace").splitlines() if line.strip()]
        return code, lines[-1] if lines else ""


class Table:
    def __init__(self, args):
        self.args = args
        self.octet = common.need_octet(args)
        training = self.octet.with_name("octet-training")  # octet qat starts it where it is a file of its own
        self.programs = {p.name: file_hash(p) for p in (self.octet, training) if p.exists()}
        self.runner = Runner()
        self.rows = []

    def data(self, network):
        if not self.args.subset:
            return network.data
        return network.data + ("&" if "?" in network.data else "?") + f"subset={self.args.subset}"

    def recipe(self, precision, kind, folder):
        """The recipe of a cell: the one of octet qat, or a file for the naive regime, which takes no rules."""
        chosen = dict(r.split("=", 1) for r in self.args.recipe).get(precision.name, precision.recipe)
        if kind == "qat" or (kind == "selective" and precision.types):
            return chosen
        path = folder / "recipe.yaml"
        keys = {"regime": kind, **(precision.types if kind == "naive" else {})}
        path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
        return str(path)

    def command(self, network, precision, kind, folder):
        """What decides the result, and what does not."""
        args = self.args
        what = [network.model, "--data", self.data(network), "--recipe", self.recipe(precision, kind, folder), "--target",
                args.target]
        how = ["-o", folder, "--json", "-q", "--threads", args.threads]
        if args.calibration_images:
            what += ["--images", args.calibration_images]
        if kind == "qat":
            what += ["--epochs", args.epochs] if args.epochs else []
            return ["qat", *what, *args.qat_option], [*how, "--device", args.device, "--resume"]
        return ["quantize", *what, *(["--regime", "selective"] if kind == "selective" else [])], how

    def cell(self, network, precision, kind):
        """run.json of a finished cell; it is run first unless it is there already."""
        folder = self.args.output / network.name / precision.name / kind
        folder.mkdir(parents=True, exist_ok=True)
        what, how = self.command(network, precision, kind, folder)
        written = folder / "command.json"
        asked = json.dumps([*map(str, what), *recipe_text(what), {**self.programs, "model": file_hash(network.model)}])
        if written.exists() and written.read_text() != asked:
            common.note(f"{network.name} {precision.name} {kind}: other options, network or octet than last time, so it "
                        "begins anew")
            shutil.rmtree(folder)
            folder.mkdir()
            what, how = self.command(network, precision, kind, folder)
        written.write_text(asked)
        report = folder / "run.json"
        if report.exists() and "quantized" in (done := json.loads(report.read_text())):
            return done
        begin = time.monotonic()
        code, last = self.runner.run([self.octet, *what, *how], folder / "log.txt")
        seconds = time.monotonic() - begin
        if code != 0:
            common.note(f"{network.name} {precision.name} {kind}: ended with {code}: {last}")
            return {"error": last or f"ended with {code}"}
        done = json.loads(report.read_text())
        if "quantized" not in done:
            return {"error": "the data has no labels, so no accuracy was measured"}
        common.note(f"{network.name} {precision.name} {kind}: {score(done, 'quantized'):.2f} %, {seconds:.0f} s")
        return done

    def row(self, network, precision):
        cells = {kind: self.cell(network, precision, kind) for kind in KINDS}
        row = {"network": network.name, "data": self.data(network), "precision": precision.name, "target": self.args.target,
               "errors": {kind: c["error"] for kind, c in cells.items() if "error" in c}}
        for kind, cell in cells.items():
            if "error" not in cell:
                row[kind] = score(cell, "quantized")
                row["float"] = score(cell, "float")
                row["images"] = cell["quantized"]["count"]
                row["smaller"] = cell["size_ratio"]
        if "qat" in row:
            epochs = cells["qat"]["epochs"]
            row.update(start=score(cells["qat"], "ptq"), best_epoch=cells["qat"]["best_epoch"], epochs=len(epochs),
                       train_seconds=sum(e["seconds"] for e in epochs), change=row["qat"] - row["float"],
                       goal_met=row["qat"] >= row["float"] - precision.allowed)
        return row

    def write(self):
        header = ["network", "precision", "float", "PTQ naive", "PTQ selective", "QAT from", "QAT", "to float", "goal",
                  "best epoch", "training"]
        text = common.table(header, [cells_of(row) for row in self.rows])
        remarks = ["Top-1 in percent on the test images; INT8 in the engine's integers, 4 bits simulated. QAT from: the "
                   "calibrated network that fine-tuning began with.",
                   "Goals: W8A8 at most 0.1 below float, W4A8 0.7, W4A4 1.5.", f"Target {self.args.target}; device "
                   f"{self.args.device}; {common.machine()}"]
        (self.args.output / "table.md").write_text(text + "\n\n" + "\n".join(remarks) + "\n")
        document = {"machine": common.machine(), "remarks": remarks, "results": self.rows}
        (self.args.output / "table.json").write_text(json.dumps(document, indent=1) + "\n")
        return text

    def fill(self, networks, precisions):
        for network in networks:
            for precision in precisions:
                self.rows.append(self.row(network, precision))
                self.write()


def file_hash(path):
    """16 digits that tell one version of a file from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def recipe_text(what):
    """The text of a recipe file: a cell with another one is another cell."""
    recipe = Path(what[what.index("--recipe") + 1])
    return [recipe.read_text()] if recipe.is_file() else []


def score(report, which):
    entry = report[which]
    return entry["map50"] if entry["task"] == "detection" else entry["top1"]


def cells_of(row):
    def percent(key):
        return f"{row[key]:.2f}" if key in row else "failed" if key in row["errors"] else ""

    tuned = "qat" in row
    return [row["network"], row["precision"], percent("float"), percent("naive"), percent("selective"), percent("start"),
            percent("qat"), f"{row['change']:+.2f}" if tuned else "", ("met" if row["goal_met"] else "missed") if tuned else "",
            f"{row['best_epoch']} of {row['epochs']}" if tuned else "", f"{row['train_seconds']:.0f} s" if tuned else ""]


def parse_arguments():
    p = common.parser(__doc__, tools=False)
    data = common.data_folder()
    p.add_argument("-o", "--output", type=Path, required=True, help="folder of the cells and the table")
    p.add_argument("--networks", nargs="*", default=[], help="only the known networks whose name contains one of these")
    p.add_argument("--network", action="append", default=[], metavar="FILE.onnx=DATA",
                   help="a network of your own and its data, repeatable; instead of the known ones unless --networks is "
                        "given")
    p.add_argument("--precisions", nargs="*", default=[c.name for c in PRECISIONS], choices=[c.name for c in PRECISIONS])
    p.add_argument("--models", type=Path, default=data / "networks", help="folder of the known CIFAR-10 networks")
    p.add_argument("--cifar10", type=Path, default=data / "cifar10", help="folder of CIFAR-10's .bin or .bin.xz files")
    p.add_argument("--fashion-mnist", type=Path, default=Path("/usr/share/datasets/fashion-mnist"),
                   help="folder of Fashion-MNIST's IDX files")
    p.add_argument("--device", default="cpu", help="of fine-tuning: cpu, cuda or cuda:N")
    p.add_argument("--target", default="octet", help="octet, onnxruntime, openvino, tensorrt or a target file")
    p.add_argument("--recipe", action="append", default=[], metavar="PRECISION=RECIPE",
                   help="another recipe for fine-tuning, such as W4A4=my.yaml; repeatable")
    p.add_argument("--epochs", type=int, default=0, help="of fine-tuning, instead of the recipes'")
    p.add_argument("--calibration-images", type=int, default=0, help="default: the recipe's (512)")
    p.add_argument("--subset", type=int, default=0,
                   help="the first N images of each split alone, to see whether everything runs")
    p.add_argument("--qat-option", action="append", default=[], metavar="OPTION",
                   help="passed on to octet qat, repeatable: --qat-option=--distill")
    p.set_defaults(threads=0)  # those that this process may use
    args = p.parse_args()
    for text in args.recipe:
        if text.partition("=")[0] not in [c.name for c in PRECISIONS]:
            p.error(f"--recipe takes PRECISION=RECIPE, such as W4A4=my.yaml, not '{text}'")
    return args


def main():
    args = parse_arguments()
    networks = choose_networks(args)
    args.output.mkdir(parents=True, exist_ok=True)
    table = Table(args)
    try:
        table.fill(networks, [c for c in PRECISIONS if c.name in args.precisions])
    except Stopped:
        common.note("interrupted; the same command line goes on")
        sys.exit(INTERRUPTED)
    print(table.write())
    common.note(f"wrote {args.output}/table.md and {args.output}/table.json")
    if args.json:
        args.json.write_text((args.output / "table.json").read_text())
    sys.exit(1 if any(row["errors"] for row in table.rows) else 0)


if __name__ == "__main__":
    main()
