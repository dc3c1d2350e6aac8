// The network as a chart: nodes by their precision, edges by what flows on them. One sheet at a time.
"use strict";

const nodeColor = theme => ({int: theme.int, weights: theme.good, float: theme.float, unknown: theme.neutral});

function networkSheet(net, sheet) {
  const nodes = [], edges = [], word = i => net.words[i];
  for (let i = sheet.begin; i < sheet.end; ++i) {
    nodes.push({node: i, x: net.x[i], y: net.y[i], op: word(net.ops[i]), name: clipName(net.names[i].split("/").slice(-2).join("/"), 24),
                precision: word(net.precisions[i]), decision: word(net.decisions[i]),
                tip: net.names[i] + " (" + word(net.ops[i]) + "): " + (word(net.decisions[i]) || "not planned")});
  }
  net.paths.forEach((path, e) => {
    if (path && net.from[e] >= sheet.begin && net.from[e] < sheet.end) {
      edges.push({path, kind: net.kind[e], tip: net.names[net.from[e]] + " → " + net.names[net.to[e]] + ": " + net.kind[e]});
    }
  });
  return {nodes, edges};
}

function networkSpec(theme, net, sheet) {
  const {nodes, edges} = networkSheet(net, sheet);
  const spec = baseSpec(theme, sheet.width, sheet.height, "The network, coloured by precision", {
    autosize: "none", padding: 0,
    signals: [{name: "selected", value: -1}],
    data: [{name: "nodes", values: nodes}, {name: "edges", values: edges}],
    scales: [
      {name: "fill", type: "ordinal", domain: ["int", "weights", "float", "unknown"],
       range: ["int", "weights", "float", "unknown"].map(k => nodeColor(theme)[k])},
      {name: "line", type: "ordinal", domain: ["coded", "float", "border"], range: [theme.int, theme.neutral, theme.float]}],
    marks: [
      {type: "path", interactive: false, from: {data: "edges"}, encode: {update: {
        path: {field: "path"}, stroke: {scale: "line", field: "kind"}, strokeWidth: {signal: "datum.kind === 'border' ? 2.2 : 1.3"}, fill: {value: "transparent"}}}},
      {type: "rect", from: {data: "nodes"}, encode: {update: {
        xc: {field: "x"}, yc: {field: "y"}, width: {value: 150}, height: {value: 30}, cornerRadius: {value: 5},
        fill: {scale: "fill", field: "precision"}, cursor: {value: "pointer"}, tooltip: {field: "tip"},
        opacity: {signal: "datum.decision === 'fused' ? 0.72 : 1"}, stroke: {value: theme.ink},
        strokeWidth: {signal: "datum.node === selected ? 3 : 0"}}}},
      {type: "text", interactive: false, from: {data: "nodes"}, encode: {update: {
        x: {field: "x"}, y: {field: "y", offset: -6}, text: {field: "op"}, align: {value: "center"}, baseline: {value: "middle"},
        fill: {value: theme.onBar}, fontWeight: {value: "bold"}, fontSize: {value: 11}}}},
      {type: "text", interactive: false, from: {data: "nodes"}, encode: {update: {
        x: {field: "x"}, y: {field: "y", offset: 7}, text: {field: "name"}, align: {value: "center"}, baseline: {value: "middle"},
        fill: {value: theme.onBar}, fontSize: {value: 9}, limit: {value: 142}}}}],
  });
  return spec;
}

function networkFigures(run) {
  const net = run.network;
  if (!net) return [];
  const columns = ["node", "operator", "decision", "reason", "layer SQNR dB", "SQNR dB", "INT8 ms", "float ms"];
  const time = (i, key) => net.groups[i] === null ? null : run.groups[net.groups[i]][key];
  return net.sheets.map((sheet, s) => {
    const rows = [];
    for (let i = sheet.begin; i < sheet.end; ++i) {
      rows.push([net.names[i], net.words[net.ops[i]], net.words[net.decisions[i]], net.words[net.why[i]], net.layer_sqnr[i],
                 net.sqnr[i], time(i, "int8_ms"), time(i, "float_ms")]);
    }
    return figure("network", s === 0 ? "network" : "network-" + (s + 1), "Network" + (net.sheets.length > 1 ? ", sheet " + (s + 1) : ""),
      "", theme => networkSpec(theme, net, sheet), columns, rows);
  });
}
