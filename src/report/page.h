// One HTML file from the numbers, the charts' code and the chart library.
#pragma once

#include <string>

#include "report/json_access.h"

namespace octet::report {

// JSON that may stand inside <script>: nothing in it can end the element or begin a comment, all is ASCII.
std::string script_json(const Json& document);

// The text as HTML shows it.
std::string html_text(const std::string& text);

std::string html_page(const Json& document);

// The chart library and the charts alone, as a script that defines `figures(document)`; without a browser.
std::string chart_script();

}  // namespace octet::report
