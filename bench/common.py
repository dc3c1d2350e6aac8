"""What the benchmarks share: finding things, measuring a process, tables."""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEASURE = Path(__file__).resolve().with_name("measure.py")


def data_folder():
    """Networks and data that are not part of the project: OCTET_DATA, else ../shared/data beside the checkout."""
    return Path(os.environ.get("OCTET_DATA") or ROOT.parent / "shared" / "data")


def parser(description, tools=True, threads=True):
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--octet", type=Path, default=ROOT / "build/release/octet", help="the octet binary")
    if tools:
        p.add_argument("--tools", type=Path, default=ROOT / "build/bench/bench",
                       help="folder of octet_float_forward and octet_network_io (bench/CMakeLists.txt)")
    p.add_argument("--json", type=Path, help="also write the results to this file")
    if threads:
        p.add_argument("--threads", type=int, default=os.cpu_count(),
                       help="threads of every engine; default: all cores")
    return p


def need(path, how):
    """Ends the program when a file is missing, saying how to get it."""
    if not Path(path).exists():
        sys.exit(f"{Path(sys.argv[0]).stem}: {path} does not exist; {how}")
    return Path(path)


def need_octet(args):
    return need(args.octet, "build it (cmake --preset release && cmake --build --preset release) or give --octet")


def need_tool(args, name):
    return need(args.tools / name, "build it with -DOCTET_BENCH=ON (bench/README.md) or give --tools")


class Failed(Exception):
    """A measured program ended with an error; the text is its last words."""


def measured(argv, memory_limit=0):
    """Runs a program. Returns its stdout and {seconds, cpu_seconds, peak_bytes}; Failed on a non-zero exit.

    memory_limit: bytes of private memory that the program may have, 0 for no limit.
    """
    # The kernel counts the memory of the process that starts a program into the program's own peak: measure.py is a
    # process of a few megabytes in between.
    call = [sys.executable, "-S", "-E", str(MEASURE), str(memory_limit), *map(str, argv)]
    done = subprocess.run(call, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    try:
        report = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise Failed(f"{argv[0]} could not be started: {done.stderr.strip()}") from None
    if report["exit"] != 0:
        raise Failed(f"{Path(argv[0]).name} ended with {report['exit']}: " + " / ".join(filter(None, lines[-4:-1])))
    return done.stdout, report


def run_json(argv):
    """Runs a program that prints one JSON document."""
    return json.loads(measured(argv)[0])


def percentile(values, p):
    """The smallest value that at least p percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * p // 100) - 1))]


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "p99": percentile(values, 99),
            "max": max(values), "count": len(values)}


def mb(count):
    return f"{count / 1e6:,.0f} MB"


def table(header, rows):
    """A markdown table, columns padded so that it also reads well on a terminal."""
    cells = [[str(c).replace("|", "/") for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def machine():
    """One line about this machine and how busy it is, to stand under every table."""
    name = "unknown processor"
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    flags = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f in cpu_flags()]
    return f"{name}, {os.cpu_count()} cores ({' '.join(flags)}), load average {os.getloadavg()[0]:.1f}"


def cpu_flags():
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    return next((set(line.split(":", 1)[1].split()) for line in text.splitlines() if line.startswith("flags")), set())


def note(text):
    print(text, file=sys.stderr, flush=True)


def save(args, results, remarks=()):
    """Writes the JSON file; called as results come in, so that an interrupted run leaves what it had."""
    if args.json:
        document = {"machine": machine(), "remarks": list(remarks), "results": results}
        args.json.write_text(json.dumps(document, indent=1) + "\n")


def finish(args, results, header, rows, remarks=()):
    """Prints the table with its remarks and writes the JSON file."""
    print(table(header, rows))
    print()
    for remark in [*remarks, machine()]:
        print(remark)
    save(args, results, remarks)
