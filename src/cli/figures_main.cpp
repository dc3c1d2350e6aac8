// octet-figures FOLDER: the figures of a report, whose numbers come as JSON on stdin, as SVG and CSV files. A program
// of its own beside octet, so that nothing else loads a JavaScript engine.
#include <fmt/format.h>

#include "base/files.h"
#include "cli/console.h"
#include "cli/script_engine.h"
#include "report/page.h"

namespace octet::cli {
namespace {

constexpr int kWidth = 800;  // of a figure, in pixels
constexpr int64_t kMostBytes = int64_t{1} << 30;

Status run(const std::string& folder) {
  OCTET_ASSIGN(const std::string data, read_file("/dev/stdin", kMostBytes));
  OCTET_RETURN_IF_ERROR(make_directories(folder));
  OCTET_ASSIGN(const std::unique_ptr<FigureScript> script, FigureScript::load(report::chart_script(), data));
  for (size_t i = 0; i < script->count(); ++i) {
    OCTET_ASSIGN(const DrawnFigure figure, script->draw(i, kWidth));
    OCTET_RETURN_IF_ERROR(write_file_atomically(folder + "/" + figure.name + ".svg", figure.svg));
    OCTET_RETURN_IF_ERROR(write_file_atomically(folder + "/" + figure.name + ".csv", figure.csv));
  }
  fmt::print("wrote {0} figures to {1}, each as SVG and CSV\n", script->count(), folder);
  return Status::ok();
}

}  // namespace
}  // namespace octet::cli

int main(int argc, char** argv) {
  using namespace octet::cli;
  if (argc != 2) return fail(octet::invalid_argument("usage: octet-figures FOLDER < numbers.json"));
  const octet::Status status = run(argv[1]);
  return flushed(status.is_ok() ? static_cast<int>(kSuccess) : fail(status));
}
