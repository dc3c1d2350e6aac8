// Pieces of the page. All text goes in as text nodes, so that no name is ever read as HTML.
"use strict";

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

const tip = {
  show(event, text) {
    const box = document.getElementById("tip");
    box.textContent = visible(text);
    box.hidden = false;
    const x = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
    const y = event.clientY + 18 + box.offsetHeight > innerHeight ? event.clientY - box.offsetHeight - 12 : event.clientY + 18;
    box.style.left = Math.max(4, x) + "px";
    box.style.top = y + "px";
  },
  hide() { document.getElementById("tip").hidden = true; },
};

function tooltipHandler(handler, event, item, value) {
  if (value === null || value === undefined || value === "") tip.hide();
  else tip.show(event, value);
}

function dataTable(columns, rows, most) {
  const cell = x => isNumber(x) ? el("td", {class: "number"}, Number.isInteger(x) ? String(x) : short(x, 6)) : el("td", {}, x === null || x === undefined ? "" : visible(x));
  const shown = rows.slice(0, most || 2000);
  const table = el("table", {}, el("thead", {}, el("tr", {}, columns.map(c => el("th", {scope: "col"}, c)))),
                   el("tbody", {}, shown.map(row => el("tr", {}, row.map(cell)))));
  const box = el("div", {class: "table", tabindex: "0"}, table);
  if (shown.length < rows.length) box.append(el("p", {class: "muted"}, rows.length - shown.length + " more rows are in the CSV."));
  return box;
}

function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  const link = el("a", {href: url, download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// Charts are drawn when they come into sight, again when width or theme change, and all of them for printing.
const charts = {
  live: new Set(),
  seen: new IntersectionObserver(entries => entries.forEach(e => { if (e.isIntersecting && e.target.octetDraw) e.target.octetDraw(false); }),
                                 {rootMargin: "600px"}),
  drawAll() { return Promise.all([...this.live].map(box => box.octetDraw(false))); },
  redraw() { for (const box of this.live) if (box.octetDrawn !== undefined) box.octetDraw(true); },
  forget(root) { for (const box of [...this.live]) if (root.contains(box)) { this.seen.unobserve(box); this.live.delete(box); if (box.octetView) box.octetView.finalize(); } },
};

const isDark = () => document.documentElement.dataset.theme === "dark";

function chartBox(f, options) {
  const box = el("div", {class: "chart", id: "chart-" + f.id});
  box.octetDraw = again => {
    const width = Math.max(240, Math.floor(options && options.width ? options.width : box.clientWidth || 600));
    if (!again && box.octetDrawn === width) return Promise.resolve();
    box.octetDrawn = width;
    if (box.octetView) box.octetView.finalize();
    const view = octetVega().view(f.draw(chartTheme(isDark()), width), {renderer: "svg", tooltip: tooltipHandler, hover: false});
    box.octetView = view;
    view.initialize(box);
    if (options && options.onView) options.onView(view, box);
    return view.runAsync().then(() => { box.dataset.drawn = "true"; if (options && options.onDrawn) options.onDrawn(box); });
  };
  charts.live.add(box);
  charts.seen.observe(box);
  return box;
}

// Title, chart, files, and the numbers behind it.
function figureCard(f, options) {
  const box = chartBox(f, options);
  const details = el("details", {}, el("summary", {}, "Numbers"));
  details.addEventListener("toggle", () => { if (details.open && details.childElementCount === 1) details.append(dataTable(f.columns, f.rows)); });
  const svg = () => octetVega().view(f.draw(chartTheme(false), options && options.width || 800), {renderer: "none"}).toSVG()
    .then(text => save(f.id + ".svg", "image/svg+xml", text));
  return el("figure", {class: "card", id: "figure-" + f.id, "aria-label": visible(f.title)},
    el("h3", {}, visible(f.title)), f.about ? el("p", {class: "about"}, visible(f.about)) : null, options && options.before || null, box,
    el("div", {class: "tools"}, el("button", {type: "button", onclick: svg}, "SVG"),
       el("button", {type: "button", onclick: () => save(f.id + ".csv", "text/csv", csvText(f.columns, f.rows))}, "CSV")),
    details);
}

// A list of buttons with a search field; arrow keys move. items: {title, detail, index}.
function picker(label, items, chosen, onPick) {
  const list = el("div", {class: "list", role: "group", "aria-label": label});
  const field = el("input", {type: "search", class: "search", placeholder: "Search " + items.length + " …", "aria-label": "Search " + label});
  const most = 300;
  let current = chosen;
  const fill = () => {
    const wanted = field.value.toLowerCase(), found = items.filter(i => !wanted || (i.title + " " + i.detail).toLowerCase().includes(wanted));
    const at = Math.max(0, found.findIndex(i => i.index === current)), begin = Math.max(0, Math.min(at - most / 2, found.length - most));
    list.replaceChildren(...found.slice(begin, begin + most).map(i => el("button", {type: "button", "data-index": i.index,
      "aria-current": i.index === current ? "true" : null, onclick: () => pick(i.index)}, visible(clipName(i.title, 200)), el("small", {}, visible(i.detail)))));
    if (found.length > most) list.append(el("small", {}, found.length - most + " more: search for them"));
  };
  const mark = index => {
    current = index;
    if (!list.querySelector('[data-index="' + index + '"]')) { field.value = ""; fill(); }
    for (const b of list.querySelectorAll("button")) {
      const on = Number(b.dataset.index) === index;
      if (on) b.setAttribute("aria-current", "true"); else b.removeAttribute("aria-current");
      if (on) list.scrollTop = b.offsetTop - list.offsetTop - list.clientHeight / 2;
    }
  };
  const pick = index => { mark(index); onPick(index); };
  list.addEventListener("keydown", event => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    const buttons = [...list.querySelectorAll("button")], next = buttons[buttons.indexOf(document.activeElement) + step];
    if (next) { next.focus(); pick(Number(next.dataset.index)); }
    event.preventDefault();
  });
  field.addEventListener("input", fill);
  fill();
  return {root: el("div", {}, field, list), mark};
}
