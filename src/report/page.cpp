// Why Vega, and why one description for three places.
//
// A chart is a Vega specification (BSD-3-Clause, from Debian's libjs-vega): data, scales and marks as JSON, made by
// page/charts.js from the numbers. The page draws it in the browser; octet-figures draws the same specification with
// the same library to SVG without a browser. No plotting code of our own, and the figures of a paper are those of the
// page. Vega's expression interpreter takes the place of its compiler, so that the page needs no `eval` and a Content
// Security Policy can forbid it together with every request.
#include "report/page.h"

#include <algorithm>

#include "quantization/embedded_files.h"

namespace octet {
std::span<const EmbeddedFile> embedded_page_files();
std::span<const EmbeddedFile> embedded_vega_files();
}  // namespace octet

namespace octet::report {
namespace {

constexpr const char* kLicence =
    "Vega, Copyright (c) 2015-2023 University of Washington Interactive Data Lab, BSD-3-Clause; with D3, Copyright "
    "2010-2023 Mike Bostock, ISC";

std::string file(const std::string& stem) {
  for (const EmbeddedFile& f : embedded_page_files())
    if (stem == f.name) return std::string(f.text);
  return {};
}

// Vega's modules ask each other by require(); modules.js has that function and the list.
std::string library() {
  std::string text = "/* " + std::string(kLicence) + " */\n" + file("modules");
  for (const EmbeddedFile& f : embedded_vega_files()) {
    std::string_view body = f.text;
    if (const size_t map = body.rfind("//# sourceMappingURL"); map != std::string_view::npos)
      body = body.substr(0, map);
    text += "octetModules[\"" + std::string(f.name) + "\"]=function(exports,module,require){" + std::string(body) +
            "};\n";
  }
  return text;
}

void replace(const std::string& mark, const std::string& text, std::string* page) {
  const size_t place = page->find(mark);
  if (place != std::string::npos) page->replace(place, mark.size(), text);
}

}  // namespace

std::string script_json(const Json& document) {
  std::string text;
  for (const char c : document.dump(-1, ' ', true, Json::error_handler_t::replace)) {
    if (c == '<') text += "\\u003c";
    else if (c == '>') text += "\\u003e";
    else if (c == '&') text += "\\u0026";
    else text += c;
  }
  return text;
}

std::string html_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else if (c == '\'') out += "&#39;";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) out += "\xef\xbf\xbd";  // U+FFFD
    else out += c;
  }
  return out;
}

std::string chart_script() { return library() + file("charts") + file("network_chart") + file("figures"); }

std::string html_page(const Json& document) {
  const bool live = document.contains("live") && document["live"] == true;
  std::string page = file("page");
  // The marks are replaced from the end of the page to its head, so that no inserted text is searched for marks.
  replace("@APP@", file("views") + file("app"), &page);
  replace("@CHARTS@", chart_script(), &page);
  replace("@DATA@", script_json(document), &page);
  replace("@STYLE@", file("style"), &page);
  replace("@CONNECT@", live ? "'self'" : "'none'", &page);
  replace("@TITLE@", html_text(document["title"].get<std::string>()), &page);
  return page;
}

}  // namespace octet::report
