// The page: sections from the document, and what a reader does with them.
"use strict";

let octetDocument = JSON.parse(document.getElementById("data").textContent);
const chosen = {};  // by section and run: what the reader looks at, kept when the page is refreshed

const cards = list => list.map(f => figureCard(f));
const grid = list => el("div", {class: "grid"}, list);

function tile(value, label) {
  return value === "" ? null : el("div", {class: "tile"}, el("b", {}, value), el("span", {}, label));
}

function tilesOf(run) {
  const of = key => isNumber(run.verdict[key]) ? run.variants[run.verdict[key]] : null, base = of("base"), last = of("best");
  const fact = label => (run.facts.find(f => f[0] === label) || ["", ""])[1];
  const fast = run.latency.find(r => r.model.endsWith(".octet"));
  const slow = fast && run.latency.find(r => !r.model.endsWith(".octet") && !r.model.includes("int8") && r.threads === fast.threads && r.batch === fast.batch);
  return el("div", {class: "tiles"},
    last ? tile(fixed(last.score, 2), last.metric + ", INT8") : base ? tile(fixed(base.score, 2), base.metric) : null,
    base && last ? tile((last.score >= base.score ? "+" : "−") + fixed(Math.abs(last.score - base.score), 2), "points against float") : null,
    slow ? tile(short(slow.median / fast.median, 3) + "×", "faster than float") : null,
    fast ? tile(short(fast.median, 3) + " ms", "a run, " + fast.threads + (fast.threads === 1 ? " thread" : " threads")) : null,
    isNumber(run.int8_share) ? tile(fixed(100 * run.int8_share, 0) + " %", "of the time in INT8") : null,
    tile(fact("file") ? fact("file").replace(" times smaller", "×") : "", "smaller file"));
}

function overview(run, prefix) {
  const facts = el("dl", {}, run.facts.flatMap(([label, value]) => [el("dt", {}, visible(label)), el("dd", {}, visible(value))]));
  const notes = run.notes.map(n => el("li", {}, visible(n)));
  return [
    el("p", {class: "card verdict " + run.verdict.level, id: prefix + "verdict"}, visible(run.verdict.text)),
    tilesOf(run),
    run.problems.length ? el("div", {class: "card"}, el("h3", {}, "Could not be read"), el("ul", {}, run.problems.map(p => el("li", {}, visible(p))))) : null,
    grid(cards(run.figures.filter(f => f.section === "overview"))),
    el("details", {class: "card"}, el("summary", {}, "The job" + (notes.length ? " and " + notes.length + " notes" : "")), facts, el("ul", {}, notes)),
  ];
}

// One tensor at a time, chosen from a list.
function calibration(run, prefix) {
  const own = run.figures.filter(f => f.section === "calibration"), heat = own.filter(f => f.rawId === "channels");
  const histograms = own.filter(f => f.rawId.startsWith("histogram-"));
  const outliers = run.tensors.filter(t => t.outliers && t.outliers.length);
  const parts = [];
  if (histograms.length) {
    const place = el("div", {}), key = prefix + "tensor";
    const show = index => {
      chosen[key] = index;
      const f = histograms[index], t = run.tensors[Number(f.rawId.slice(10))];
      charts.forget(place);
      place.replaceChildren(figureCard(f), el("p", {class: "about"}, visible(t.why || "")));
    };
    const items = histograms.map((f, index) => {
      const t = run.tensors[Number(f.rawId.slice(10))];
      return {index, title: t.name, detail: [t.role, t.type, t.method, t.clipped > 0 ? "clips " + short(100 * t.clipped, 2) + " %" : ""].filter(x => x).join(" · ")};
    });
    const first = Math.min(chosen[key] || Math.max(0, items.findIndex(i => i.detail.startsWith("activation"))), items.length - 1);
    const list = picker("tensors", items, first, show);
    parts.push(el("div", {class: "split"}, el("div", {class: "card"}, list.root), place));
    show(first);
  }
  parts.push(...cards(heat));
  if (outliers.length) {
    parts.push(el("div", {class: "card"}, el("h3", {}, "Outlier channels"), el("p", {class: "about"}, "whose largest weight is more than eight times the median of their layer"),
      dataTable(["weights", "channel", "largest weight", "times the median"], outliers.flatMap(t => t.outliers.map(o => [t.reader || t.name].concat(o))))));
  }
  return parts;
}

function nodeDetails(run, i) {
  const net = run.network, word = k => net.words[k], rows = [];
  const add = (label, value) => { if (value !== "" && value !== null && value !== undefined) rows.push(el("dt", {}, label), el("dd", {}, visible(value))); };
  add("operator", word(net.ops[i]));
  add("decision", word(net.decisions[i]));
  add("reason", word(net.why[i]));
  if (isNumber(net.layer_sqnr[i])) add("SQNR by itself", fixed(net.layer_sqnr[i], 2) + " dB");
  if (isNumber(net.sqnr[i])) add("SQNR of its output", fixed(net.sqnr[i], 2) + " dB, layers before included");
  const g = net.groups[i] === null ? null : run.groups[net.groups[i]];
  if (g) {
    add("runs as", g.what + " (" + g.precision + ", kernel " + g.kernel + ")");
    add("with", g.nodes);
    add("time", [isNumber(g.ms) ? short(g.ms) + " ms measured" : "", isNumber(g.int8_ms) ? "INT8 " + short(g.int8_ms) + " ms" : "",
                 isNumber(g.float_ms) ? "float " + short(g.float_ms) + " ms" : ""].filter(x => x).join(", "));
    add("refused", g.reasons.join("; "));
  }
  const tensor = (label, index) => {
    if (index === null) return;
    const t = run.tensors[index];
    add(label, t.name + ": " + [t.type, isNumber(t.lo) ? short(t.lo) + " to " + short(t.hi) : "", isNumber(t.step) ? "step " + short(t.step) : "", t.method].filter(x => x).join(", "));
    if (isNumber(t.min)) add("seen", short(t.min) + " to " + short(t.max) + (isNumber(t.clipped) ? ", clipped " + short(100 * t.clipped, 3) + " %" : ""));
  };
  net.inputs[i].forEach(index => tensor("reads", index));
  tensor("gives", net.tensors[i]);
  return el("div", {class: "card", id: "node", "aria-live": "polite"}, el("h3", {}, visible(net.names[i])), el("dl", {}, rows));
}

function network(run, prefix) {
  const net = run.network, key = prefix + "node", place = el("div", {}), canvas = el("div", {class: "network", tabindex: "0", "aria-label": "The network"});
  const sheets = run.figures.filter(f => f.section === "network");
  let sheet = -1, box = null, zoom = 1, view = null;
  const resize = () => {
    const svg = canvas.querySelector("svg"), s = net.sheets[sheet];
    if (svg) { svg.setAttribute("viewBox", "0 0 " + s.width + " " + s.height); svg.setAttribute("width", s.width * zoom); svg.setAttribute("height", s.height * zoom); }
  };
  const open = index => {
    if (index === sheet) return Promise.resolve();
    sheet = index;
    if (box) charts.forget(canvas);
    box = chartBox(sheets[sheet], {width: net.sheets[sheet].width, onView: v => {
      view = v;
      v.signal("selected", chosen[key] === undefined ? -1 : chosen[key]);
      v.addEventListener("click", (event, item) => { if (item && item.datum && isNumber(item.datum.node)) { pick(item.datum.node, false); list.mark(item.datum.node); } });
    }, onDrawn: resize});
    canvas.replaceChildren(box);
    number.textContent = "sheet " + (sheet + 1) + " of " + net.sheets.length + ", nodes " + (net.sheets[sheet].begin + 1) + " to " + net.sheets[sheet].end;
    return Promise.resolve();
  };
  const pick = (i, scroll) => {
    chosen[key] = i;
    place.replaceChildren(nodeDetails(run, i));
    open(net.sheets.findIndex(s => i >= s.begin && i < s.end)).then(() => box.octetDraw(false)).then(() => {
      view.signal("selected", i).runAsync().then(resize);
      if (scroll) { canvas.scrollTop = net.y[i] * zoom - canvas.clientHeight / 2; canvas.scrollLeft = net.x[i] * zoom - canvas.clientWidth / 2; }
    });
  };
  const number = el("span", {class: "muted"});
  const list = picker("nodes", net.names.map((name, index) => ({index, title: name,
    detail: net.words[net.ops[index]] + " · " + (net.words[net.decisions[index]] || "not planned")})), chosen[key], i => pick(i, true));
  const theme = chartTheme(isDark()), keyOf = (color, text) => el("span", {}, el("i", {style: "background:" + color}), text);
  const move = step => open(Math.max(0, Math.min(net.sheets.length - 1, sheet + step)));
  const scale = by => { zoom = Math.max(0.25, Math.min(3, zoom * by)); resize(); };
  const tools = el("div", {class: "tools"}, el("button", {type: "button", "aria-label": "Larger", onclick: () => scale(1.25)}, "+"),
    el("button", {type: "button", "aria-label": "Smaller", onclick: () => scale(0.8)}, "−"),
    net.sheets.length > 1 ? [el("button", {type: "button", onclick: () => move(-1)}, "earlier"), el("button", {type: "button", onclick: () => move(1)}, "later"), number] : null,
    el("button", {type: "button", onclick: () => octetVega().view(sheets[sheet].draw(chartTheme(false), 0), {renderer: "none"}).toSVG().then(t => save(sheets[sheet].id + ".svg", "image/svg+xml", t))}, "SVG"),
    el("button", {type: "button", onclick: () => save(sheets[sheet].id + ".csv", "text/csv", csvText(sheets[sheet].columns, sheets[sheet].rows))}, "CSV"));
  const details = el("details", {}, el("summary", {}, "Numbers"));
  details.addEventListener("toggle", () => { if (details.open && details.childElementCount === 1) details.append(dataTable(sheets[0].columns, sheets.flatMap(f => f.rows))); });
  place.append(el("p", {class: "muted"}, "Choose a node in the picture or in the list: its statistics, decision, reason, SQNR and time appear here."));
  const root = el("div", {class: "split"}, el("div", {class: "card"}, list.root),
    el("div", {}, el("div", {class: "card"}, el("div", {class: "keys"}, keyOf(theme.int, "integers"), keyOf(theme.good, "integer weights only"), keyOf(theme.float, "float"),
      el("span", {}, "blue line: Q/DQ stands on it"), el("span", {}, "orange line: precision changes"), el("span", {}, "pale: fused into the node before")), canvas, tools, details), place));
  open(chosen[key] === undefined ? 0 : net.sheets.findIndex(s => chosen[key] >= s.begin && chosen[key] < s.end));
  if (chosen[key] !== undefined) place.replaceChildren(nodeDetails(run, chosen[key]));
  return [root];
}

function search(run) {
  const parts = cards(run.figures.filter(f => f.section === "search")), s = run.search;
  if (!s) return parts;
  const copy = text => el("button", {type: "button", onclick: event => navigator.clipboard.writeText(text).then(() => { event.target.textContent = "copied"; })}, "copy");
  const front = s.trials.map((t, i) => Object.assign({i}, t)).filter(t => t.on_front || t.i === s.best);
  parts.push(el("div", {class: "card"}, el("h3", {}, s.holds ? "The budget holds" : "The budget does not hold"),
    el("ul", {}, s.advice.concat(s.notes).map(a => el("li", {}, visible(a)))),
    front.map(t => el("details", {}, el("summary", {}, visible(t.name) + (t.i === s.best ? " (best)" : "") + ": " + short(t.score, 5)), el("pre", {}, visible(t.recipe)), copy(t.recipe)))));
  return parts;
}

function differences(doc) {
  const d = doc.differences, list = (title, columns, rows) => rows.length ? el("div", {class: "card"}, el("h3", {}, title), dataTable(columns, rows)) : null;
  const parts = [list("Results", ["what", doc.runs[0].name, doc.runs[1].name], d.results.map(r => [r.what, r.before, r.after])),
    list("Settings", ["setting", doc.runs[0].name, doc.runs[1].name], d.settings.map(r => [r.key, r.before, r.after])),
    ...cards(doc.differenceFigures),
    list("Decisions", ["node", doc.runs[0].name, doc.runs[1].name, "reason"], d.decisions.map(r => [r.node, r.before, r.after, r.why])),
    list("Ranges", ["tensor", doc.runs[0].name, doc.runs[1].name, "method", "method then"], d.ranges.map(r => [r.tensor, r.before, r.after, r.method_before, r.method_after]))];
  return parts.some(p => p) ? parts : [el("p", {class: "card"}, "Both runs are alike in settings, results, ranges and decisions.")];
}

function sectionsOf(run, prefix) {
  const has = section => run.figures.some(f => f.section === section);
  return [
    ["overview", "Overview", true, () => overview(run, prefix)],
    ["training", run.training && run.training.running ? "Training (running)" : "Training", has("training"), () => [grid(cards(run.figures.filter(f => f.section === "training")))]],
    ["losses", "Where accuracy is lost", has("losses"), () => [grid(cards(run.figures.filter(f => f.section === "losses")))]],
    ["time", "Where the time goes", has("time"), () => cards(run.figures.filter(f => f.section === "time"))],
    ["network", "Network", Boolean(run.network), () => network(run, prefix)],
    ["calibration", "Calibration", has("calibration"), () => calibration(run, prefix)],
    ["search", "Sensitivity and search", has("search") || Boolean(run.search), () => search(run)],
  ].filter(s => s[2]);
}

function renderRun(run, index, main, nav, many) {
  const prefix = index === 0 ? "" : "second-";
  run.figures = runFigures(run).map(f => Object.assign(f, {rawId: f.id, id: prefix + f.id}));
  if (many) main.append(el("h1", {}, visible(run.name)));
  for (const [id, title, , build] of sectionsOf(run, prefix)) {
    const section = el("section", {id: prefix + id, "aria-labelledby": prefix + id + "-title"}, el("h2", {id: prefix + id + "-title"}, title));
    main.append(section);
    section.append(...build().filter(p => p));
    if (index === 0) nav.append(el("a", {href: "#" + id}, title));
  }
}

function render(doc) {
  const main = document.getElementById("main"), nav = document.getElementById("nav"), many = doc.runs.length > 1;
  charts.forget(main);
  main.replaceChildren();
  nav.replaceChildren();
  document.getElementById("title").textContent = visible(doc.title);
  if (doc.differences) {
    doc.differenceFigures = differenceFigures(doc);
    main.append(el("section", {id: "differences"}, el("h2", {}, "Differences"), ...differences(doc).filter(p => p)));
    nav.append(el("a", {href: "#differences"}, "Differences"));
  }
  doc.runs.forEach((run, i) => renderRun(run, i, main, nav, many));
  document.getElementById("foot").textContent = "Made by Octet from " + doc.runs.map(r => visible(r.folder) + " (" + r.files.map(visible).join(", ") + ")").join(" and ") + ".";
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  charts.redraw();
}

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
setTheme(prefersDark.matches);
prefersDark.addEventListener("change", event => setTheme(event.matches));
document.getElementById("theme").addEventListener("click", () => setTheme(!isDark()));
let lastWidth = innerWidth, resizing = 0;
addEventListener("resize", () => {
  if (innerWidth === lastWidth) return;
  lastWidth = innerWidth;
  clearTimeout(resizing);
  resizing = setTimeout(() => charts.redraw(), 150);
});
addEventListener("beforeprint", () => { if (isDark()) setTheme(false); charts.drawAll(); });
render(octetDocument);
document.body.dataset.ready = "true";

// `octet report --serve`: news every two seconds, drawn only when there are any.
if (octetDocument.live) {
  let last = "";
  const ask = () => fetch("data.json").then(r => r.ok ? r.text() : "").then(text => {
    if (text && last && text !== last) { const y = scrollY; octetDocument = JSON.parse(text); render(octetDocument); scrollTo(0, y); }
    if (text) last = text;
  }).catch(() => {}).then(() => setTimeout(ask, 2000));
  ask();
}
