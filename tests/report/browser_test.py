#!/usr/bin/python3
"""A report in headless Chromium: no errors, no requests, the numbers of the artifacts, clicks, keys, a phone's width.

Usage: browser_test.py OCTET. Needs Debian's chromium, chromium-driver and python3-selenium; leaves with 77 without.
"""
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    print("skipped: Debian's python3-selenium is not installed")
    sys.exit(77)
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not CHROMIUM or not DRIVER:
    print("skipped: Debian's chromium and chromium-driver are not installed")
    sys.exit(77)

OCTET = os.path.abspath(sys.argv[1])
NETWORK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../models/resnet20_fashion_mnist.onnx")
HOSTILE = "</script><script>document.title='broken'</script>\"'`<img src=x onerror=alert(1)>&\x01"
failures = []


def check(condition, sentence):
    if not condition:
        failures.append(sentence)
        print("FAILED:", sentence)


def octet(*arguments):
    done = subprocess.run([OCTET, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("octet " + " ".join(arguments) + ": " + done.stderr)
    return done.stdout


def npy(path, shape, values, code, kind):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() +
                struct.pack("<%d%s" % (len(values), code), *values))


def make_run(folder):
    """A quantized, compiled, compared network, on made-up images."""
    n = 24
    npy(folder + "/x.npy", (n, 1, 28, 28), [0.5 + 0.5 * math.sin(0.37 * i * (1 + i // 784)) for i in range(n * 784)], "f", "<f4")
    npy(folder + "/y.npy", (n,), [i % 10 for i in range(n)], "q", "<i8")
    data, out = "npy:%s/x.npy?labels=%s/y.npy" % (folder, folder), folder + "/run"
    octet("quantize", NETWORK, "--data", data, "-o", out, "-q", "--max-drop", "100", "--report")
    octet("compile", out + "/model_int8.onnx", "-o", out + "/model.octet", "--no-timing", "-q", "--report", out)
    octet("bench", out + "/model.octet", NETWORK, "--runs", "3", "-q", "--report", out)
    octet("compare", NETWORK, out + "/model_int8.onnx", "--data", data, "-q", "--report", out)
    with open(out + "/metrics.jsonl", "w") as f:
        for step in range(1, 60):
            f.write(json.dumps({"step": step, "time": step, "train/loss": 3 / step, "train/lr": 0.1 / step}) + "\n")
    shutil.copytree(out, folder + "/other")
    with open(folder + "/other/run.json") as f:
        run = json.load(f)
    run["target"] = "another"
    with open(folder + "/other/run.json", "w") as f:
        json.dump(run, f)
    octet("report", out, folder + "/other", "-o", folder + "/both.html")
    octet("report", out, "--figures", out + "/figures")
    return out


def field(number, payload):
    """A length-delimited field of protobuf."""
    def varint(x):
        out = b""
        while x > 127:
            out, x = out + bytes([x & 127 | 128]), x >> 7
        return out + bytes([x])
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def make_hostile(folder, layers):
    """An ONNX chain of Relu with names that want to be HTML, with a plan and ranges."""
    def value(name):
        dims = b"".join(field(1, field(1, d)) for d in (1, 4))
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))
    names = ["%s/%d%s" % (HOSTILE, i, "long" * 200 if i % 1000 == 0 else "") for i in range(layers)]
    nodes = b"".join(field(1, field(1, "t%d" % i) + field(2, "t%d" % (i + 1)) + field(3, names[i]) + field(4, "Relu"))
                     for i in range(layers))
    graph = nodes + field(2, "g") + field(11, value("t0")) + field(12, value("t%d" % layers))
    os.makedirs(folder)
    with open(folder + "/model_int8.onnx", "wb") as f:
        f.write(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13)))
    reason = "because " + HOSTILE
    with open(folder + "/plan.json", "w") as f:
        json.dump({"nodes": [{"name": n, "op": "Relu", "decision": "float" if i % 7 else "quantized", "why": reason}
                             for i, n in enumerate(names)], "tensors": {}}, f)
    with open(folder + "/ranges.json", "w") as f:
        json.dump({"network": "n", "tensors": {HOSTILE + str(i): {"lo": -1, "hi": 2, "role": "activation", "method": "max"}
                                               for i in range(2000)}}, f)
    begin = time.time()
    octet("report", folder)
    print("report of %d layers: %.1f s, %d bytes" % (layers, time.time() - begin, os.path.getsize(folder + "/report.html")))
    return names


def test_hostile_figures(folder):
    """Names that want to be markup leave the figures well-formed, and stay text in them."""
    make_hostile(folder + "/small", 40)
    octet("report", folder + "/small", "--figures", folder + "/small/figures")
    for name in os.listdir(folder + "/small/figures"):
        if name.endswith(".svg"):
            tags = {e.tag.split("}")[-1] for e in xml.etree.ElementTree.parse(folder + "/small/figures/" + name).iter()}
            check(not tags & {"script", "img", "image"}, name + " has " + str(tags))


def start():
    options = Options()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(service=Service(DRIVER), options=options)


def visit(d, url, allowed):
    """Opens a page, draws all its charts, and looks for errors and requests."""
    d.get(url)
    ms = d.execute_script("return performance.now()")
    check(d.execute_script("return document.body.dataset.ready") == "true", url + " is not ready")
    d.set_script_timeout(120)
    d.execute_async_script("charts.drawAll().then(arguments[0])")
    quiet(d, url, allowed)
    return ms


def quiet(d, url, allowed):
    for entry in d.get_log("browser"):
        check(False, "console of %s: %s" % (url, entry["message"]))
    for entry in d.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked = message["params"]["request"]["url"]
            check(asked.startswith(("data:", "blob:")) or asked.split("#")[0] in allowed, "the page asked for " + asked)


def numbers_in(d, figure):
    return d.execute_script("return [...document.querySelectorAll('#chart-%s svg text')].map(t => t.textContent)" % figure)


def test_charts(d, out):
    url = "file://" + out + "/report.html"
    print("interactive after %.0f ms, %d bytes" % (visit(d, url, [url]), os.path.getsize(out + "/report.html")))
    run, statistics = json.load(open(out + "/run.json")), json.load(open(out + "/statistics.json"))
    undrawn = d.execute_script("return [...document.querySelectorAll('.chart')].filter(c => c.dataset.drawn !== 'true' || "
                               "!c.querySelector('svg path')).map(c => c.id)")
    check(not undrawn, "not drawn: %s" % undrawn)
    sections = d.execute_script("return [...document.querySelectorAll('main section')].map(s => s.id)")
    check(sections == ["overview", "training", "losses", "time", "network", "calibration"], "sections are %s" % sections)
    for key in ("float", "quantized"):
        check("%.2f" % run[key]["top1"] in numbers_in(d, "accuracy"), "the accuracy chart lacks %s" % run[key]["top1"])
    for node, db in statistics["layer_sqnr_db"].items():
        check("%.1f" % db in numbers_in(d, "layer-sqnr"), "the chart of losses lacks %s of %s" % (db, node))
    index, name = d.execute_script("const i = Number(document.querySelector('#calibration figure').id.split('-').pop());"
                                   "return [i, octetDocument.runs[0].tensors[i].name]")
    bins = [n for n in statistics["tensors"][name]["bins"] if n > 0]
    bars = d.execute_script("return document.querySelectorAll('#chart-histogram-%d g.mark-rect')[0].querySelectorAll('path').length" % index)
    check(bars == len(bins), "the histogram of %s has %d bars for %d bins" % (name, bars, len(bins)))
    shown = d.execute_script("const f = document.getElementById('figure-histogram-%d'); f.querySelector('summary').click();"
                             "return new Promise(done => setTimeout(() => done(f.querySelectorAll('tbody tr').length), 200))" % index)
    check(shown >= len(statistics["tensors"][name]["bins"]), "the table behind the histogram has %s rows" % shown)


def test_nodes(d, out):
    plan = {n["name"]: n for n in json.load(open(out + "/plan.json"))["nodes"]}
    d.execute_script("document.getElementById('network').scrollIntoView()")
    time.sleep(0.3)
    d.find_elements(By.CSS_SELECTOR, "#network .network g.mark-rect path")[2].click()
    title = d.find_element(By.CSS_SELECTOR, "#node h3").text
    text = d.find_element(By.ID, "node").text
    check(title in plan and plan[title]["why"] in text and plan[title]["decision"] in text, "a click on %s shows: %s" % (title, text))
    check("dB" in text or plan[title]["decision"] != "quantized", "no SQNR in: " + text)
    marked = d.execute_script("return document.querySelector('#network [aria-current=true]').firstChild.textContent")
    check(marked == title, "the list marks %s" % marked)
    d.execute_script("document.querySelector('#network [aria-current=true]').focus()")
    ActionChains(d).send_keys(Keys.ARROW_DOWN).perform()
    time.sleep(0.3)
    check(d.find_element(By.CSS_SELECTOR, "#node h3").text not in (title, ""), "the arrow key does not move")
    d.find_element(By.ID, "theme").click()
    time.sleep(0.5)
    check(d.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(14, 15, 19)", "not dark")
    quiet(d, "the clicked page", ["file://" + out + "/report.html"])


def test_phone(d, out):
    d.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True})
    url = "file://" + out + "/report.html"
    visit(d, url, [url])
    width = d.execute_script("return document.documentElement.scrollWidth")
    check(width == 390, "the page is %d pixels wide on a phone of 390" % width)
    wide = d.execute_script("return [...document.querySelectorAll('.chart svg')].filter(s => !s.closest('.network') && "
                            "s.getBoundingClientRect().right > 391).map(s => s.parentNode.id)")
    check(not wide, "wider than the phone: %s" % wide)
    d.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile(d, folder):
    names = make_hostile(folder + "/hostile", 10000)
    url = "file://" + folder + "/hostile/report.html"
    ms = visit(d, url, [url])
    print("10,000 layers: interactive after %.0f ms" % ms)
    check(ms < 8000, "a page of 10,000 layers takes %.0f ms" % ms)
    check("broken" not in d.title, "a name ran as a script")
    check(d.execute_script("return document.querySelectorAll('img').length") == 0, "a name became an image")
    begin = time.time()
    d.execute_script("const f = document.querySelector('#network input'); f.value = '/9999'; f.dispatchEvent(new Event('input'));"
                     "document.querySelector('#network .list button').click()")
    title = d.execute_script("return document.querySelector('#node h3').textContent")
    check(title == names[9999].replace("\x01", "\ufffd"), "node 9999 is shown as " + title)
    check("because </script>" in d.execute_script("return document.getElementById('node').textContent"), "no reason")
    check(time.time() - begin < 3, "choosing a node takes %.1f s" % (time.time() - begin))
    quiet(d, url, [url])


def test_serve(d, folder):
    os.makedirs(folder + "/live")
    log = folder + "/live/metrics.jsonl"
    with open(log, "w") as f:
        f.write('{"step": 1, "train/loss": 2}\n')
    server = subprocess.Popen([OCTET, "report", folder + "/live", "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().split()[1]
        visit(d, url, [url, url + "data.json"])
        time.sleep(2.5)
        with open(log, "a") as f:
            f.write('{"step": 2, "train/loss": 1}\n')
        deadline = time.time() + 15
        points = 0
        while points < 2 and time.time() < deadline:
            points = d.execute_script("return document.querySelectorAll('#chart-loss g.mark-symbol path[transform]').length")
            time.sleep(0.2)
        check(points >= 2, "the curve of a running training does not grow")
        quiet(d, url, [url, url + "data.json"])
    finally:
        server.terminate()
        server.wait()


def main():
    folder = tempfile.mkdtemp(prefix="octet-browser-")
    d = start()
    try:
        out = make_run(folder)
        figures = os.listdir(out + "/figures")
        check(len(figures) > 40 and all(f.endswith((".svg", ".csv")) for f in figures), "figures: %d files" % len(figures))
        test_charts(d, out)
        test_nodes(d, out)
        test_phone(d, out)
        both = "file://" + folder + "/both.html"
        visit(d, both, [both])
        check("another" in d.find_element(By.ID, "differences").text, "the changed target is not among the differences")
        test_hostile_figures(folder)
        test_hostile(d, folder)
        test_serve(d, folder)
    finally:
        d.quit()
        shutil.rmtree(folder)
    print("%d failures" % len(failures))
    return 1 if failures else 0


sys.exit(main())
