// The figures of a report: which charts the numbers allow, each with a title, a sentence and its table.
"use strict";

const figure = (section, id, title, about, draw, columns, rows) => ({section, id, title, about, draw, columns, rows});

const stageColor = (theme, stage) => stage === "float" ? theme.float : stage === "calibrated" ? theme.warn : theme.int;

function overviewFigures(run) {
  const list = [], scored = run.variants.filter(v => isNumber(v.score)), sized = run.variants.filter(v => isNumber(v.bytes));
  const table = run.variants.map(v => [v.name, v.source, v.metric, v.score, v.low, v.high, v.second, v.bytes, v.count, v.arithmetic]);
  const columns = ["network", "run", "metric", "score", "95 % low", "95 % high", "top-5 or mAP %", "bytes", "images", "arithmetic"];
  if (scored.length) {
    list.push(figure("overview", "accuracy", "Accuracy", scored[0].metric + (scored.some(v => isNumber(v.low)) ? " with its 95 % interval" : "") +
      ", on " + scored[0].count + " images", (theme, width) => intervalSpec(theme, width, scored.map(v => ({
        label: v.name, value: v.score, low: v.low, high: v.high, text: fixed(v.score, 2), color: stageColor(theme, v.stage),
        tip: v.name + ": " + fixed(v.score, 2) + (isNumber(v.low) ? " (" + fixed(v.low, 2) + " to " + fixed(v.high, 2) + ")" : "")})),
        {title: "Accuracy", unit: scored[0].metric}), columns, table));
  }
  if (sized.length) {
    list.push(figure("overview", "size", "File size", "of the ONNX files", (theme, width) => barSpec(theme, width, sized.map(v => ({
      label: v.name, value: v.bytes / 1e6, text: bytesText(v.bytes), color: stageColor(theme, v.stage), tip: v.name + ": " + v.bytes + " bytes"})),
      {title: "File size", unit: "MB"}), ["network", "bytes"], sized.map(v => [v.name, v.bytes])));
  }
  const timed = run.latency.filter(r => isNumber(r.median));
  if (timed.length) {
    const settings = new Set(timed.map(r => r.threads + "/" + r.batch)).size > 1;
    const label = r => r.model.split("/").pop() + (settings ? ", " + r.threads + (r.threads === 1 ? " thread" : " threads") +
      (r.batch === 1 ? "" : ", batch " + r.batch) : "");
    list.push(figure("overview", "latency", "Time of one run", "median of interleaved runs" + (settings ? "" : ", " + timed[0].threads + (timed[0].threads === 1 ? " thread" : " threads") + ", batch " + timed[0].batch),
      (theme, width) => barSpec(theme, width, timed.map(r => ({
        label: label(r), value: r.median, text: short(r.median, 3) + " ms", color: r.model.endsWith(".octet") ? theme.int : theme.float,
        tip: label(r) + ": median " + short(r.median) + " ms, minimum " + short(r.min) + ", 99 % below " + short(r.p99)})),
        {title: "Time of one run", unit: "ms, median"}),
      ["model", "threads", "batch", "min ms", "median ms", "p99 ms", "images/s", "ratio", "load ms"],
      timed.map(r => [r.model, r.threads, r.batch, r.min, r.median, r.p99, r.images_per_second, r.ratio, r.load_ms])));
  }
  return list;
}

function lossFigures(run) {
  const list = [], layers = run.losses.layers.slice(0, 30), tensors = run.losses.tensors.filter(t => isNumber(t.sqnr));
  if (layers.length) {
    list.push(figure("losses", "layer-sqnr", "What each layer loses by itself",
      "SQNR of its output when it alone is quantized, worst first; below 20 dB deserves a look", (theme, width) =>
        barSpec(theme, width, layers.map(l => ({label: l.node, value: l.sqnr, text: fixed(l.sqnr, 1),
          color: l.sqnr < 20 ? theme.float : theme.int, tip: l.node + ": " + fixed(l.sqnr, 2) + " dB"})),
          {title: "SQNR of each layer", unit: "dB", limit: 20}),
      ["layer", "SQNR dB"], run.losses.layers.map(l => [l.node, l.sqnr])));
  }
  if (tensors.length) {
    list.push(figure("losses", "tensor-sqnr", "Where the two networks differ",
      "SQNR of tensors between both networks, errors of all layers before included, worst first", (theme, width) =>
        barSpec(theme, width, tensors.slice(0, 30).map(t => ({label: t.tensor, value: t.sqnr, text: fixed(t.sqnr, 1),
          color: t.sqnr < 20 ? theme.float : theme.int, tip: t.tensor + " of " + t.op + ": " + fixed(t.sqnr, 2) + " dB"})),
          {title: "SQNR of tensors", unit: "dB", limit: 20}),
      ["tensor", "operator", "SQNR dB", "cosine", "largest difference"],
      run.losses.tensors.map(t => [t.tensor, t.op, t.sqnr, t.cosine, t.max_abs])));
  }
  return list;
}

function tensorFigure(run, t, index) {
  const clips = Object.keys(t.clips || {}).map(m => m + " " + short(t.clips[m][0]) + " to " + short(t.clips[m][1]));
  const range = t.role === "weight" && t.ranges > 1 ? t.ranges + " ranges, one for each channel"
    : isNumber(t.lo) ? "range " + short(t.lo) + " to " + short(t.hi) : "no range: stays in float";
  const parts = [t.type || "float", range];
  if (isNumber(t.step)) parts.push((t.role === "weight" && t.ranges > 1 ? "largest step " : "step ") + short(t.step));
  if (isNumber(t.clipped)) parts.push("clips " + short(100 * t.clipped, 3) + " % of the values");
  if (isNumber(t.zeros) && t.count > 0) parts.push(short(100 * t.zeros / t.count, 3) + " % are zero");
  return figure("calibration", "histogram-" + index, t.name, parts.join(" · "),
    (theme, width) => histogramSpec(theme, width, t), ["from", "to", "values"],
    t.bins.map((n, k) => [t.bin_lo + k * t.bin_width, t.bin_lo + (k + 1) * t.bin_width, n]).concat(
      [["zeros", "", t.zeros], ["minimum", "", t.min], ["maximum", "", t.max]], clips.map(c => ["calibrator", "", c])));
}

const drawable = t => Array.isArray(t.bins) && t.bins.length > 0;

function calibrationFigures(run) {
  const list = [], layers = run.tensors.filter(t => t.channels);
  if (layers.length) {
    list.push(figure("calibration", "channels", "Weights, channel by channel",
      "one row is a layer; orange channels are far larger than the median of their layer, blue ones far smaller",
      (theme, width) => heatSpec(theme, width, layers), ["layer", "cell", "largest weight", "median of the layer"],
      layers.flatMap(t => t.channels.map((x, c) => [t.reader || t.name, c, x, t.channel_median]))));
  }
  run.tensors.forEach((t, i) => { if (drawable(t)) list.push(tensorFigure(run, t, i)); });
  return list;
}

// The first node of a group stands for it.
const groupLabel = g => {
  const nodes = g.nodes.split(" + ");
  return nodes[0] ? nodes[0] + (nodes.length > 1 ? " +" + (nodes.length - 1) : "") : g.what;
};
const groupTime = g => isNumber(g.ms) ? g.ms : g.precision === "float32" ? g.float_ms : g.int8_ms;

function flameBars(theme, groups) {
  const color = g => g.precision === "int8" ? theme.int : g.precision === "float32" ? theme.float : theme.neutral;
  const bars = [];
  let x = 0, part = null;
  for (const g of groups) {
    const ms = groupTime(g);
    if (!isNumber(ms) || ms <= 0) continue;
    bars.push({row: 2, x0: x, x1: x + ms, label: g.what, color: color(g),
               tip: g.what + " (" + g.kernel + "): " + short(ms) + " ms. " + clipName(g.nodes, 160)});
    if (!part || part.precision !== g.precision) {
      part = {row: 1, x0: x, x1: x, precision: g.precision, label: g.precision, color: color(g)};
      bars.push(part);
    }
    part.x1 = x += ms;
    part.tip = part.precision + ": " + short(part.x1 - part.x0) + " ms at a stretch";
  }
  if (x > 0) bars.push({row: 0, x0: 0, x1: x, label: short(x) + " ms", color: theme.neutral, tip: "one inference: " + short(x) + " ms"});
  return bars;
}

function timeFigures(run) {
  const list = [], both = run.groups.filter(g => isNumber(g.int8_ms) && isNumber(g.float_ms));
  const timed = run.groups.filter(g => isNumber(groupTime(g)));
  const columns = ["group", "nodes", "precision", "kernel", "measured ms", "INT8 ms", "float ms", "refused"];
  const table = run.groups.map(g => [g.what, g.nodes, g.precision, g.kernel, g.ms, g.int8_ms, g.float_ms, g.reasons.join("; ")]);
  if (timed.length) {
    list.push(figure("time", "flame", "One inference", "in the order of execution: all, by precision, group by group" +
      (timed.some(g => isNumber(g.ms)) ? "; measured by bench" : "; timed while compiling"),
      (theme, width) => flameSpec(theme, width, flameBars(theme, run.groups), {title: "One inference", unit: "ms"}), columns, table));
  }
  if (both.length) {
    const rows = both.slice().sort((a, b) => b.int8_ms - a.int8_ms).slice(0, 25);
    list.push(figure("time", "groups", "INT8 against float", "the slowest groups, each timed both ways while compiling",
      (theme, width) => pairSpec(theme, width, rows.map(g => ({label: groupLabel(g), a: g.int8_ms, b: g.float_ms,
        tip: g.nodes + ": INT8 " + short(g.int8_ms, 3) + " ms with " + g.kernel + ", float " + short(g.float_ms, 3) + " ms" +
             (g.reasons.length ? ". Refused: " + g.reasons.join("; ") : "")})),
        {title: "Time of each group", unit: "ms", names: ["INT8", "float"]}), columns, table));
  }
  return list;
}

function trainingFigures(run) {
  if (!run.training) return [];
  const list = [], series = run.training.series, columns = ["curve", "step", "value"];
  const add = (id, title, unit, tags, log) => {
    const chosen = series.filter(s => tags(s.tag)).map(s => ({name: s.tag, points: s.steps.map((x, i) => [x, s.values[i]])}))
      .map(s => log ? Object.assign(s, {points: s.points.filter(p => p[1] > 0)}) : s).filter(s => s.points.length);
    if (!chosen.length) return;
    list.push(figure("training", id, title, "", (theme, width) => lineSpec(theme, width, chosen, {title, unit, x: "step", log}),
      columns, chosen.flatMap(s => s.points.map(p => [s.name, p[0], p[1]]))));
  };
  add("loss", "Loss", "loss", tag => tag.endsWith("loss"), false);
  add("training-accuracy", "Accuracy while training", "%", tag => tag === "val/top1" || tag === "val/top5" || tag.startsWith("val/map"), false);
  add("learning-rate", "Learning rate", "lr, log scale", tag => tag.endsWith("/lr"), true);
  const change = s => Math.abs(Math.log(s.values[s.values.length - 1] / s.values[0])) || 0;
  const moved = new Set(series.filter(s => s.tag.startsWith("range/")).sort((a, b) => change(b) - change(a)).slice(0, 8).map(s => s.tag));
  add("ranges", "Learned ranges that moved most", "scale or clip, log scale", tag => moved.has(tag), true);
  return list;
}

function sensitivityFigures(run) {
  const s = run.sensitivity;
  if (!s || !s.layers.length) return [];
  const columns = ["layer", "operator", "output SQNR dB", "KL", "Fisher", "alone", "all but it", "INT8 ms", "float ms"];
  const table = s.layers.map(l => [l.node, l.op, l.sqnr, l.kl, l.fisher, l.alone, l.without, l.int8_ms, l.float_ms]);
  const useKl = s.layers.some(l => isNumber(l.kl)), rows = s.layers.filter(l => isNumber(useKl ? l.kl : l.sqnr)).slice(0, 30);
  const list = [figure("search", "sensitivity", "Sensitivity, worst layer first", useKl
    ? "KL divergence of the network's answers when this layer alone is quantized: longer is worse"
    : "SQNR of the network's outputs when this layer alone is quantized: shorter is worse",
    (theme, width) => barSpec(theme, width, rows.map(l => ({label: l.node, value: useKl ? l.kl : l.sqnr,
      text: useKl ? short(l.kl, 3) : fixed(l.sqnr, 1), color: theme.int, tip: l.node + ": outputs " + fixed(l.sqnr, 1) + " dB" +
        (isNumber(l.kl) ? ", KL " + short(l.kl, 3) : "")})), {title: "Sensitivity", unit: useKl ? "KL, nats" : "dB"}), columns, table)];
  const exact = s.layers.filter(l => isNumber(l.alone) && isNumber(l.without));
  if (exact.length) {
    list.push(figure("search", "in-and-out", "One layer in, one layer out", s.score + ": change from float when the layer alone is " +
      "quantized, against what leaving it in float brings back", (theme, width) => scatterSpec(theme, width, exact.map(l => ({
        x: l.alone - s.float_score, y: l.without - s.quantized_score, color: theme.int, label: "",
        tip: l.node + ": alone " + fixed(l.alone, 2) + ", all but it " + fixed(l.without, 2)})),
        {title: "Leave-one-in against leave-one-out", x: "this layer alone, change from float", y: "all but this layer, change from all"}),
      columns, table));
  }
  return list;
}

function searchFigures(run) {
  const s = run.search;
  if (!s) return [];
  const latency = s.trials.some(t => isNumber(t.latency_ms));
  const cost = t => latency ? t.latency_ms : isNumber(t.bytes) ? t.bytes / 1e6 : null;
  const landmark = i => i === s.best ? "best" : i === s.naive ? "naive" : i === s.selective ? "selective"
    : i === s.best_single_calibrator ? "one calibrator" : "";
  const points = theme => s.trials.map((t, i) => ({x: cost(t), y: t.score, front: t.on_front, label: landmark(i),
    color: t.holds ? theme.good : t.complete ? theme.float : theme.neutral,
    tip: t.name + ": " + short(t.score, 5) + ", " + short(cost(t), 4) + (latency ? " ms" : " MB") + (t.holds ? ", holds the budget" : "")}))
    .concat([{x: latency ? s.float.latency_ms : s.float.bytes / 1e6, y: s.float.score, color: theme.ink, label: "float", front: false, tip: "float"}])
    .filter(p => isNumber(p.x) && isNumber(p.y));
  if (points(chartTheme(false)).length < 2) return [];
  return [figure("search", "pareto", "What the search found", "each point is a recipe; the line joins those that nothing beats; green holds the budget",
    (theme, width) => scatterSpec(theme, width, points(theme), {title: "Pareto front", x: latency ? "ms" : "MB", y: s.score}),
    ["name", "origin", "score", "latency ms", "bytes", "complete", "holds", "on front", "recipe"],
    s.trials.map(t => [t.name, t.origin, t.score, t.latency_ms, t.bytes, t.complete, t.holds, t.on_front, t.recipe]))];
}

function differenceFigures(doc) {
  const d = doc.differences;
  if (!d) return [];
  const changed = d.ranges.filter(r => r.before > 0 && r.after > 0)
    .map(r => Object.assign({change: Math.log2(r.after / r.before)}, r)).filter(r => r.change !== 0)
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change));
  if (!changed.length) return [];
  return [figure("differences", "range-changes", "Ranges that changed most", "of the second run against the first, as powers of 2",
    (theme, width) => barSpec(theme, width, changed.slice(0, 30).map(r => ({label: r.tensor, value: r.change, text: "×" + short(r.after / r.before, 3),
      color: r.change < 0 ? theme.int : theme.float, tip: r.tensor + ": " + short(r.before) + " to " + short(r.after)})),
      {title: "Changes of ranges", unit: "log2 of the ratio"}),
    ["tensor", "before", "after", "method before", "method after"],
    d.ranges.map(r => [r.tensor, r.before, r.after, r.method_before, r.method_after]))];
}

function runFigures(run) {
  return [].concat(overviewFigures(run), lossFigures(run), timeFigures(run), calibrationFigures(run), networkFigures(run),
    sensitivityFigures(run), searchFigures(run), trainingFigures(run));
}

// RFC 4180, and a quote in front of what a spreadsheet would run as a formula.
function csvText(columns, rows) {
  const cell = x => {
    let text = x === null || x === undefined ? "" : String(x);
    if (typeof x === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  };
  return [columns].concat(rows).map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

// All figures of a document, named so that they can be files.
function figures(doc) {
  const all = doc.runs.flatMap((run, i) => runFigures(run).map(f => Object.assign(f, {id: (i === 0 ? "" : "second-") + f.id})));
  return all.concat(differenceFigures(doc));
}

// For octet-figures, which has no browser and no event loop: begins, and then draws one figure at a time. Vega gives SVG
// through a promise; octetDrawn has it when all pending jobs have run.
var octetFigures = [], octetDrawn = null;
function beginFigures(text) {
  octetFigures = figures(JSON.parse(text));
  return octetFigures.length;
}
function drawFigure(index, width) {
  const f = octetFigures[index];
  octetDrawn = null;
  octetVega().view(f.draw(chartTheme(false), width), {renderer: "none"}).toSVG().then(
    svg => { octetDrawn = [f.id, '<?xml version="1.0" encoding="UTF-8"?>\n' + svg + "\n", csvText(f.columns, f.rows)]; },
    error => { octetDrawn = ["", String(error && error.message || error), ""]; });
}
