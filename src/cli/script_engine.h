// JavaScript without a browser, on SpiderMonkey: what draws the charts of a report to SVG.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "octet/status.h"

namespace octet::cli {

struct DrawnFigure {
  std::string name, svg, csv;
};

// The charts of a report. At most one in a process at a time, on one thread.
class FigureScript {
 public:
  // script: report::chart_script(); data: Report::data. kInternal when the script fails.
  static Result<std::unique_ptr<FigureScript>> load(const std::string& script, const std::string& data);
  ~FigureScript();

  size_t count() const { return count_; }
  Result<DrawnFigure> draw(size_t index, int width);

 private:
  struct Engine;
  FigureScript();

  std::unique_ptr<Engine> engine_;
  size_t count_ = 0;
};

}  // namespace octet::cli
