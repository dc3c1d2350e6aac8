// What the commands with --report have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "octet/status.h"

namespace octet::cli {

// --report DIR for commands whose result is a JSON document on stdout.
void add_report_option(CLI::App& command, std::string* folder, const std::string& file);

// The document as FOLDER/NAME.json, and FOLDER/report.html from all that is there. Nothing when the folder is empty.
Status add_to_report(const std::string& folder, const std::string& name, const std::string& json);

// Starts octet-figures, which stands beside this program, with these numbers. kUnsupported when it was not built.
Status write_figures(const std::string& folder, const std::string& data);

}  // namespace octet::cli
