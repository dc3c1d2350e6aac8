#include "octet/report.h"

#include "base/files.h"
#include "report/artifacts.h"
#include "report/document.h"
#include "report/page.h"

namespace octet {

using namespace report;

Result<Report> make_report(const ReportOptions& options) {
  OCTET_ASSIGN(const Artifacts first, read_artifacts(options.folder));
  Json document = {{"title", "Octet: " + first.name}, {"live", options.live}, {"runs", Json::array()}};
  document["runs"].push_back(run_view(first));
  Report out;
  out.problems = first.problems;
  document["differences"] = nullptr;
  if (!options.other.empty()) {
    OCTET_ASSIGN(const Artifacts second, read_artifacts(options.other));
    document["title"] = "Octet: " + first.name + " and " + second.name;
    document["differences"] = difference_view(first, second);
    document["runs"].push_back(run_view(second));
    out.problems.insert(out.problems.end(), second.problems.begin(), second.problems.end());
  }
  out.data = script_json(document);
  out.html = html_page(document);
  return out;
}

Status write_report(const std::string& folder) {
  OCTET_ASSIGN(const Report made, make_report({folder, "", false}));
  return write_file_atomically(folder + "/report.html", made.html);
}

}  // namespace octet
