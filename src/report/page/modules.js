// Vega's modules are files that ask for each other by require(); this is that function, and Vega put together.
"use strict";
var octetModules = {}, octetLoaded = {};
function octetRequire(name) {
  const stem = name === "vega-selections" ? "vega-selection" : name;  // the file's name in Debian's package
  if (!octetLoaded[stem]) {
    const module = octetLoaded[stem] = {exports: {}};
    if (!octetModules[stem]) throw new Error("chart library: no module " + name);
    octetModules[stem].call({}, module.exports, module, octetRequire);
  }
  return octetLoaded[stem].exports;
}
var octetVegaLoaded = null;
function octetVega() {
  if (octetVegaLoaded) return octetVegaLoaded;
  const transforms = octetRequire("vega-dataflow").transforms;
  for (const part of ["vega-transforms", "vega-view-transforms", "vega-encode"]) {
    const exported = octetRequire(part);
    for (const name of Object.keys(exported)) transforms[name] = exported[name];
  }
  const View = octetRequire("vega-view").View;
  const parse = octetRequire("vega-parser").parse;
  const interpreter = octetRequire("vega-interpreter").expressionInterpreter;
  octetVegaLoaded = {
    // A view without a renderer: it can make SVG text, or be initialized in an element of a page.
    view: (spec, options) => new View(parse(spec, {}, {ast: true}), Object.assign({expr: interpreter}, options)),
  };
  return octetVegaLoaded;
}
