// From the numbers of a report to charts: each a function of theme and width to a Vega specification, with the table
// that stands behind it. No browser is needed here: the page and octet-figures share this file.
"use strict";

// Colours after Okabe and Ito, who chose them so that people with any colour vision tell them apart.
function chartTheme(dark) {
  return dark
    ? {ink: "#e8e8ea", muted: "#a3a7b0", grid: "#33363d", surface: "#16181d", int: "#56b4e9", float: "#f0964a",
       good: "#2fc79a", warn: "#f0c24a", other: "#d797c0", neutral: "#7d828c", onBar: "#101216"}
    : {ink: "#1d1f24", muted: "#5c616b", grid: "#e3e5ea", surface: "#ffffff", int: "#0072b2", float: "#d55e00",
       good: "#008a65", warn: "#b27a00", other: "#a8538c", neutral: "#8a8f99", onBar: "#ffffff"};
}

const isNumber = x => typeof x === "number" && isFinite(x);

function fixed(x, digits) {
  return isNumber(x) ? x.toFixed(digits) : "";
}

// A few significant digits, without zeros at the end.
function short(x, digits) {
  if (!isNumber(x)) return "";
  const text = x.toPrecision(digits || 4);
  return text.includes("e") ? text : String(parseFloat(text));
}

function bytesText(n) {
  return !isNumber(n) ? "" : n >= 1e6 ? short(n / 1e6, 3) + " MB" : n >= 1e3 ? short(n / 1e3, 3) + " kB" : n + " B";
}

// What controls of text (C0, C1, direction) would do to a line is nothing that a reader wants, and XML does not take them.
const visible = text => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g, "\ufffd");

// The middle of a long name says least.
function clipName(name, most) {
  const letters = Array.from(visible(name));
  if (letters.length <= most) return letters.join("");
  const head = Math.floor((most - 1) / 3);
  return letters.slice(0, head).join("") + "…" + letters.slice(letters.length - (most - 1 - head)).join("");
}

function baseSpec(theme, width, height, description, parts) {
  const font = "system-ui, 'DejaVu Sans', sans-serif";
  return Object.assign({
    width, height, description: visible(description),
    padding: 5,
    background: theme.surface,
    autosize: {type: "fit", contains: "padding"},
    config: {
      axis: {labelColor: theme.ink, titleColor: theme.muted, gridColor: theme.grid, tickColor: theme.grid,
             domainColor: theme.grid, labelFont: font, titleFont: font, labelFontSize: 11, titleFontSize: 11,
             titleFontWeight: "normal", labelLimit: Math.max(90, width * 0.4)},
      legend: {labelColor: theme.ink, titleColor: theme.muted, labelFont: font, titleFont: font, labelFontSize: 11,
               symbolType: "square", orient: "top", direction: "horizontal", columns: width < 500 ? 2 : 0},
      text: {font, fontSize: 11, fill: theme.ink},
    },
  }, parts);
}

// Labels of a band scale whose domain is row numbers, so that equal names stay two rows.
function rowAxis(theme, extra) {
  return Object.assign({
    scale: "y", orient: "left", ticks: false, domain: false, labelPadding: 6,
    encode: {labels: {update: {text: {signal: "data('rows')[datum.value].label"}}}},
  }, extra);
}

const rowsOf = rows => rows.map((row, i) => Object.assign({i}, row));
const nameLength = width => width < 500 ? 18 : 44;

// Horizontal bars with their values at the end. rows: {label, value, text, color, tip}.
function barSpec(theme, width, rows, options) {
  const data = rowsOf(rows.map(r => Object.assign({}, r, {label: clipName(r.label, nameLength(width))})));
  const marks = [
    {type: "rect", from: {data: "rows"}, encode: {update: {
      x: {scale: "x", value: options.from || 0}, x2: {scale: "x", field: "value"},
      y: {scale: "y", field: "i"}, height: {scale: "y", band: 1}, fill: {field: "color"}, tooltip: {field: "tip"}}}},
    {type: "text", from: {data: "rows"}, encode: {update: {
      x: {scale: "x", field: "value", offset: 5}, y: {scale: "y", field: "i", band: 0.5}, text: {field: "text"},
      baseline: {value: "middle"}, fill: {value: theme.muted}}}}];
  if (isNumber(options.limit)) {
    marks.push({type: "rule", encode: {update: {
      x: {scale: "x", value: options.limit}, y: {value: 0}, y2: {signal: "height"},
      stroke: {value: theme.float}, strokeDash: {value: [4, 3]}}}});
  }
  const values = rows.map(r => r.value).filter(isNumber);
  const most = Math.max(options.limit || 0, ...values, 1e-9), least = Math.min(0, ...values);
  return baseSpec(theme, width, rows.length * (rows.length > 40 ? 16 : 22) + 46, options.title, {
    data: [{name: "rows", values: data}],
    scales: [
      {name: "x", type: "linear", range: "width", nice: true, zero: true, domain: [least, most * (width < 500 ? 1.3 : 1.14)]},
      {name: "y", type: "band", range: "height", domain: {data: "rows", field: "i"}, paddingInner: 0.25}],
    axes: [rowAxis(theme), {scale: "x", orient: "bottom", grid: true, tickCount: 5, title: options.unit}],
    marks,
  });
}

// Two bars for each row. rows: {label, a, b, tip}.
function pairSpec(theme, width, rows, options) {
  const data = rowsOf(rows.map(r => Object.assign({}, r, {label: clipName(r.label, nameLength(width))})));
  const bar = (field, color, half) => ({type: "rect", from: {data: "rows"}, encode: {update: {
    x: {scale: "x", value: 0}, x2: {scale: "x", field}, y: {scale: "y", field: "i", band: half / 2},
    height: {scale: "y", band: 0.5}, fill: {value: color}, tooltip: {field: "tip"}}}});
  const most = Math.max(1e-9, ...rows.map(r => Math.max(r.a || 0, r.b || 0)));
  return baseSpec(theme, width, rows.length * 26 + 74, options.title, {
    data: [{name: "rows", values: data}],
    scales: [
      {name: "x", type: "linear", range: "width", nice: true, domain: [0, most]},
      {name: "y", type: "band", range: "height", domain: {data: "rows", field: "i"}, paddingInner: 0.25},
      {name: "color", type: "ordinal", domain: options.names, range: [theme.int, theme.float]}],
    axes: [rowAxis(theme), {scale: "x", orient: "bottom", grid: true, tickCount: 5, title: options.unit}],
    legends: [{fill: "color"}],
    marks: [bar("a", theme.int, 0), bar("b", theme.float, 1)],
  });
}

// Points with their intervals. rows: {label, value, low, high, text, color, tip}.
function intervalSpec(theme, width, rows, options) {
  const data = rowsOf(rows.map(r => Object.assign({}, r, {
    label: clipName(r.label, nameLength(width)), low: isNumber(r.low) ? r.low : r.value,
    high: isNumber(r.high) ? r.high : r.value})));
  const least = Math.min(...data.map(r => r.low)), most = Math.max(...data.map(r => r.high));
  const margin = Math.max((most - least) * 0.3, 0.05);
  return baseSpec(theme, width, rows.length * 30 + 50, options.title, {
    data: [{name: "rows", values: data}],
    scales: [
      {name: "x", type: "linear", range: "width", zero: false, domain: [least - margin, most + margin]},
      {name: "y", type: "band", range: "height", domain: {data: "rows", field: "i"}, paddingInner: 0.2}],
    axes: [rowAxis(theme), {scale: "x", orient: "bottom", grid: true, tickCount: 5, title: options.unit}],
    marks: [
      {type: "rule", from: {data: "rows"}, encode: {update: {
        x: {scale: "x", field: "low"}, x2: {scale: "x", field: "high"}, y: {scale: "y", field: "i", band: 0.5},
        stroke: {field: "color"}, strokeWidth: {value: 2}, strokeCap: {value: "round"}}}},
      {type: "symbol", from: {data: "rows"}, encode: {update: {
        x: {scale: "x", field: "value"}, y: {scale: "y", field: "i", band: 0.5}, size: {value: 90},
        fill: {field: "color"}, tooltip: {field: "tip"}}}},
      {type: "text", from: {data: "rows"}, encode: {update: {
        x: {scale: "x", field: "value"}, y: {scale: "y", field: "i", band: 0.5, offset: -9}, text: {field: "text"},
        align: {value: "center"}, fontWeight: {value: "bold"}}}}],
  });
}

const clipColors = theme => ({max: theme.neutral, percentile: theme.warn, entropy: theme.other, mse: theme.good});

// The values of a tensor on a logarithmic scale, what its range clips, and where the calibrators would clip.
function histogramSpec(theme, width, t) {
  const bins = [], end = t.bin_lo + t.bin_width * t.bins.length, one = t.role === "weight" && t.ranges > 1;
  t.bins.forEach((n, k) => {
    const x0 = t.bin_lo + k * t.bin_width, x1 = x0 + t.bin_width;
    const out = !one && isNumber(t.hi) && (x0 >= t.hi || x1 <= t.lo) && (t.clipped > 0);
    if (n > 0) bins.push({x0, x1, n, color: out ? theme.float : theme.int,
                          tip: short(x0) + " to " + short(x1) + ": " + n + (out ? " values, clipped" : " values")});
  });
  const lines = [], colors = clipColors(theme);
  Object.keys(t.clips || {}).forEach((method, row) => {
    const chosen = method === t.method;
    for (const x of t.clips[method].slice(0, 2)) {
      if (x === 0) continue;
      lines.push({x, row, color: colors[method], width: chosen ? 2.5 : 1.2, dash: chosen ? [1, 0] : [4, 3],
                  label: method + (chosen ? " (chosen)" : ""), align: x > 0 ? "right" : "left", dx: x > 0 ? -4 : 4,
                  weight: chosen ? "bold" : "normal",
                  tip: method + ": " + short(t.clips[method][0]) + " to " + short(t.clips[method][1]) + ", clips " +
                       short(100 * t.clips[method][2], 3) + " %"});
    }
  });
  if (lines.length === 0 && isNumber(t.lo) && !one) {
    for (const x of [t.lo, t.hi]) {
      if (x !== 0) lines.push({x, row: 0, color: theme.good, width: 2.5, dash: [1, 0], label: t.method || "range",
                               align: x > 0 ? "right" : "left", dx: x > 0 ? -4 : 4, weight: "bold", tip: short(x)});
    }
  }
  const xs = lines.map(l => l.x).concat([t.bin_lo, end]), most = Math.max(2, ...t.bins);
  const domain = [Math.min(...xs), Math.max(...xs)];
  const steps = isNumber(t.step) && t.step > 0 && !one ? [{x0: isNumber(t.lo) ? t.lo : 0, x1: (isNumber(t.lo) ? t.lo : 0) + 16 * t.step}] : [];
  return baseSpec(theme, width, width < 500 ? 260 : 300, "Histogram of " + t.name, {
    padding: {left: 5, right: 12, top: 5, bottom: 5},
    data: [{name: "bins", values: bins}, {name: "lines", values: lines}, {name: "steps", values: steps}],
    scales: [
      {name: "x", type: "linear", range: "width", domain, zero: false, nice: false},
      {name: "y", type: "log", range: "height", domain: [0.5, most * 30]}],
    axes: [
      {scale: "x", orient: "bottom", tickCount: width < 500 ? 4 : 8, title: "value"},
      {scale: "y", orient: "left", grid: true, tickCount: 5, title: "values in a bin, log scale", format: "~s"}],
    marks: [
      {type: "rect", from: {data: "bins"}, encode: {update: {
        x: {scale: "x", field: "x0"}, x2: {scale: "x", field: "x1"}, y: {scale: "y", field: "n"},
        y2: {scale: "y", value: 0.5}, fill: {field: "color"}, tooltip: {field: "tip"}}}},
      {type: "rule", from: {data: "lines"}, encode: {update: {
        x: {scale: "x", field: "x"}, y: {value: 0}, y2: {signal: "height"}, stroke: {field: "color"},
        strokeWidth: {field: "width"}, strokeDash: {field: "dash"}, tooltip: {field: "tip"}}}},
      {type: "text", from: {data: "lines"}, encode: {update: {
        x: {scale: "x", field: "x", offset: {field: "dx"}}, y: {signal: "6 + 14 * datum.row"}, text: {field: "label"},
        align: {field: "align"}, baseline: {value: "middle"}, fill: {field: "color"}, fontWeight: {field: "weight"}}}},
      {type: "rect", from: {data: "steps"}, encode: {update: {
        x: {scale: "x", field: "x0"}, x2: {scale: "x", field: "x1"}, y: {signal: "height - 5"}, height: {value: 5},
        fill: {value: theme.ink}, tooltip: {value: "16 rounding steps of " + short(t.step)}}}}],
  });
}

// Largest weight of every output channel against the median of its layer. layers: tensors with channels.
function heatSpec(theme, width, layers) {
  const cells = [], row = layers.length > 40 ? 12 : 18;
  layers.forEach((t, i) => t.channels.forEach((amax, c) => {
    const ratio = t.channel_median > 0 && amax > 0 ? Math.log2(amax / t.channel_median) : -5;
    cells.push({i, x0: c / t.channels.length, x1: (c + 1) / t.channels.length, ratio: Math.max(-5, Math.min(5, ratio)),
                tip: (t.reader || t.name) + ", " + (t.channels.length < t.channel_count ? "about channel " : "channel ") +
                     Math.floor(c * t.channel_count / t.channels.length) + ": largest weight " + short(amax) + ", " +
                     short(amax / t.channel_median, 3) + " times the median"});
  }));
  return baseSpec(theme, width, layers.length * row + 70, "Largest weights of the channels of each layer", {
    data: [{name: "rows", values: rowsOf(layers.map(t => ({label: clipName(t.reader || t.name, nameLength(width) - 8)})))},
           {name: "cells", values: cells}],
    scales: [
      {name: "x", type: "linear", range: "width", domain: [0, 1]},
      {name: "y", type: "band", range: "height", domain: {data: "rows", field: "i"}, paddingInner: 0.12},
      {name: "color", type: "linear", domain: [-5, 0, 5], clamp: true, range: [theme.int, theme.grid, theme.float]}],
    axes: [rowAxis(theme, {labelFontSize: layers.length > 40 ? 9 : 11}),
           {scale: "x", orient: "bottom", tickCount: 4, format: "%", title: "output channels, first to last"}],
    legends: [{fill: "color", title: "largest weight of a channel, powers of 2 of the layer's median", type: "gradient", titleLimit: 500,
               gradientLength: Math.min(220, width * 0.5)}],
    marks: [{type: "rect", from: {data: "cells"}, encode: {update: {
      x: {scale: "x", field: "x0"}, x2: {scale: "x", field: "x1"}, y: {scale: "y", field: "i"},
      height: {scale: "y", band: 1}, fill: {scale: "color", field: "ratio"}, tooltip: {field: "tip"}}}}],
  });
}

// One inference from left to right. bars: {row, x0, x1, label, color, tip}.
function flameSpec(theme, width, bars, options) {
  const wide = "scale('x', datum.x1) - scale('x', datum.x0)";
  return baseSpec(theme, width, 150, options.title, {
    data: [{name: "bars", values: bars}],
    scales: [
      {name: "x", type: "linear", range: "width", domain: [0, Math.max(1e-9, ...bars.map(b => b.x1))]},
      {name: "y", type: "band", range: "height", domain: [0, 1, 2], paddingInner: 0.08}],
    axes: [{scale: "x", orient: "bottom", title: options.unit, tickCount: 6}],
    marks: [
      {type: "rect", from: {data: "bars"}, encode: {update: {
        x: {scale: "x", field: "x0"}, x2: {scale: "x", field: "x1"}, y: {scale: "y", field: "row"},
        height: {scale: "y", band: 1}, fill: {field: "color"}, stroke: {value: theme.surface},
        strokeWidth: {value: 0.7}, tooltip: {field: "tip"}}}},
      {type: "text", interactive: false, from: {data: "bars"}, encode: {update: {
        x: {scale: "x", field: "x0", offset: 5}, y: {scale: "y", field: "row", band: 0.5}, text: {field: "label"},
        baseline: {value: "middle"}, fill: {value: theme.onBar}, limit: {signal: "max(1, " + wide + " - 8)"},
        opacity: {signal: wide + " > 34 ? 1 : 0"}}}}],
  });
}

// Lines over steps. series: {name, points: [[x, y]]}.
function lineSpec(theme, width, series, options) {
  const points = [], colors = [theme.int, theme.float, theme.good, theme.other, theme.warn, theme.neutral];
  for (const s of series) for (const [x, y] of s.points) points.push({name: s.name, x, y, tip: s.name + ", " + options.x + " " + x + ": " + short(y, 5)});
  return baseSpec(theme, width, 240, options.title, {
    data: [{name: "points", values: points}],
    scales: [
      {name: "x", type: "linear", range: "width", zero: false, domain: {data: "points", field: "x"}},
      {name: "y", type: options.log ? "log" : "linear", range: "height", zero: false, nice: true,
       domain: {data: "points", field: "y"}},
      {name: "color", type: "ordinal", domain: series.map(s => s.name), range: colors}],
    axes: [{scale: "x", orient: "bottom", title: options.x, tickCount: 6},
           {scale: "y", orient: "left", grid: !options.log, title: options.unit, tickCount: 5}],
    legends: [{fill: "color"}],
    marks: [{type: "group", from: {facet: {name: "one", data: "points", groupby: "name"}}, marks: [
      {type: "line", from: {data: "one"}, encode: {update: {
        x: {scale: "x", field: "x"}, y: {scale: "y", field: "y"}, stroke: {scale: "color", field: "name"},
        strokeWidth: {value: 1.8}}}},
      {type: "symbol", from: {data: "one"}, encode: {update: {
        x: {scale: "x", field: "x"}, y: {scale: "y", field: "y"}, fill: {scale: "color", field: "name"},
        size: {value: points.length > 100 ? 6 : 26}, tooltip: {field: "tip"}}}}]}],
  });
}

// Points in a plane; `line` joins those with front: true. points: {x, y, color, label, front, tip}.
function scatterSpec(theme, width, points, options) {
  const marks = [];
  if (options.diagonal) {
    const values = points.flatMap(p => [p.x, p.y]);
    const ends = [Math.min(...values), Math.max(...values)];
    marks.push({type: "rule", encode: {update: {
      x: {scale: "x", value: ends[0]}, y: {scale: "y", value: ends[0]}, x2: {scale: "x", value: ends[1]},
      y2: {scale: "y", value: ends[1]}, stroke: {value: theme.grid}, strokeDash: {value: [4, 3]}}}});
  }
  marks.push(
    {type: "line", from: {data: "front"}, encode: {update: {
      x: {scale: "x", field: "x"}, y: {scale: "y", field: "y"}, stroke: {value: theme.good},
      strokeWidth: {value: 1.5}, interpolate: {value: "step-after"}}}},
    {type: "symbol", from: {data: "points"}, encode: {update: {
      x: {scale: "x", field: "x"}, y: {scale: "y", field: "y"}, fill: {field: "color"},
      size: {signal: "datum.label ? 110 : 50"}, opacity: {value: 0.9}, tooltip: {field: "tip"}}}},
    {type: "text", from: {data: "points"}, encode: {update: {
      x: {scale: "x", field: "x", offset: 8}, y: {scale: "y", field: "y", offset: -8}, text: {field: "label"}}}});
  // Of the points on the front, which may count more than these two figures, those that nothing here beats.
  let best = -Infinity;
  const front = points.filter(p => p.front).sort((a, b) => a.x - b.x || b.y - a.y).filter(p => p.y > best && ((best = p.y), true));
  return baseSpec(theme, width, 320, options.title, {
    data: [{name: "points", values: points}, {name: "front", values: front}],
    scales: [
      {name: "x", type: "linear", range: "width", zero: false, nice: true, domain: {data: "points", field: "x"}},
      {name: "y", type: "linear", range: "height", zero: false, nice: true, domain: {data: "points", field: "y"}}],
    axes: [{scale: "x", orient: "bottom", grid: true, title: options.x, tickCount: 6},
           {scale: "y", orient: "left", grid: true, title: options.y, tickCount: 6}],
    marks,
  });
}
