// Pictures of what Octet's commands wrote: one HTML file from the artifacts of a folder (docs/artifacts.md).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "octet/progress.h"
#include "octet/status.h"

namespace octet {

struct ReportOptions {
  std::string folder;  // what quantize, qat, train and the commands with --report wrote; or a folder of such folders
  std::string other;   // not empty: a second run, compared with the first
  bool live = false;   // the page asks "data.json" beside it for news every two seconds
};

struct Report {
  std::string html;                   // complete in itself: opens from disk and asks no network
  std::string data;                   // the numbers in it, as JSON
  std::vector<std::string> problems;  // artifacts that could not be read, one sentence each
};

// The same artifacts give the same bytes. Text from artifacts (names, reasons) appears as text, whatever is in it.
// Errors: kNotFound when a folder does not exist or holds nothing to report; a damaged artifact is a problem instead.
Result<Report> make_report(const ReportOptions& options);

// A report in FOLDER/report.html, from FOLDER.
Status write_report(const std::string& folder);

// Answers browsers of this machine alone (127.0.0.1) until cancelled: the page at "/", its numbers at "/data.json",
// both made anew for every request. `port` 0: any free one. `on_ready` gets the address. Errors: kIoError when the
// port is taken.
Status serve_report(const ReportOptions& options, int port,
                    const std::function<void(const std::string& url)>& on_ready, const CancelFlag* cancel);

}  // namespace octet
