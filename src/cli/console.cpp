#include "cli/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace octet::cli {
namespace {

CancelFlag g_cancel{false};

void on_interrupt(int) {
  g_cancel = true;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

// Display width of UTF-8 text, counting code points; colours have none.
size_t width_of(const std::string& s) {
  size_t width = 0;
  bool escape = false;
  for (const char c : s) {
    if (c == '\x1b') escape = true;
    if (!escape && (c & 0xC0) != 0x80) ++width;
    if (c == 'm') escape = false;
  }
  return width;
}

bool colours() {
  static const bool yes = [] {
    const char *refused = std::getenv("NO_COLOR"), *term = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) != 0 && (refused == nullptr || *refused == '\0') &&
           (term == nullptr || std::strcmp(term, "dumb") != 0);
  }();
  return yes;
}

std::string pad(const std::string& cell, size_t width, bool left) {
  const std::string fill(width - std::min(width, width_of(cell)), ' ');
  return left ? cell + fill : fill + cell;
}

// State of the bar between calls.
struct Bar {
  std::string stage;
  std::chrono::steady_clock::time_point begin, last;
  int64_t last_tenth = -1;
};

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

void draw(const Bar& bar, int64_t done, int64_t total, double elapsed) {
  constexpr int kWidth = 30;
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1.0;
  const int filled = static_cast<int>(share * kWidth);
  std::string cells;
  for (int i = 0; i < kWidth; ++i) cells += i < filled ? "█" : "░";
  const double rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0;
  const double left = rate > 0 ? static_cast<double>(total - done) / rate : 0;
  fmt::print(stderr, "\r{:<14} {} {}/{}  {:.1f}/s  {} left \x1b[K", bar.stage, cells, done, total, rate,
             clock_text(left));
  if (done >= total)
    fmt::print(stderr, "\r{:<14} {} {}  {:.1f}/s  {:.1f} s\x1b[K\n", bar.stage, cells, total, rate, elapsed);
  std::fflush(stderr);
}

}  // namespace

int exit_code(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk: return kSuccess;
    case StatusCode::kInvalidArgument: return kUsage;
    case StatusCode::kNotFound: return kMissing;
    case StatusCode::kUnsupported: return kNotSupported;
    case StatusCode::kDataCorrupt: return kCorrupt;
    case StatusCode::kIoError: return kIo;
    case StatusCode::kResourceLimit: return kTooLarge;
    case StatusCode::kCancelled: return kInterrupted;
    case StatusCode::kInternal: return kInternalFailure;
  }
  return kInternalFailure;
}

int fail(const Status& status) {
  fmt::print(stderr, "octet: {}\n", status.message());
  return exit_code(status);
}

int output_lost(const std::string& reason) {
  std::fprintf(stderr, "octet: the output could not be written: %s\n", reason.c_str());
  return kIo;
}

int flushed(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  return output_lost(errno != 0 ? std::strerror(errno) : "write error");
}

std::string painted(const std::string& text, Ink ink) {
  if (!colours() || text.empty()) return text;
  const char* code = ink == Ink::kGood ? "32" : ink == Ink::kBad ? "31" : "2";
  return "\x1b[" + std::string(code) + "m" + text + "\x1b[0m";
}

std::string sparkline(const std::vector<int64_t>& counts, size_t cells, bool logarithmic) {
  constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  cells = std::min(cells, counts.size());
  std::vector<double> heights(cells, 0);
  for (size_t i = 0; i < counts.size(); ++i) heights[i * cells / counts.size()] += static_cast<double>(counts[i]);
  if (logarithmic)
    for (double& h : heights) h = std::log1p(h);
  const double most = cells == 0 ? 0 : *std::max_element(heights.begin(), heights.end());
  std::string line;
  for (const double h : heights)
    line += h <= 0 ? " " : kBlocks[std::min<size_t>(7, static_cast<size_t>(h / most * 8))];
  return line;
}

std::string Table::to_string() const {
  std::vector<size_t> widths;
  std::vector<bool> left;
  for (size_t c = 0; c < header_.size(); ++c) {
    left.push_back(c == 0 || header_[c].starts_with('<'));
    const std::string title = header_[c].starts_with('<') ? header_[c].substr(1) : header_[c];
    size_t w = width_of(title);
    for (const auto& row : rows_) w = std::max(w, width_of(row[c]));
    widths.push_back(w);
  }
  const auto line = [&](const std::vector<std::string>& cells, bool header) {
    std::string s;
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string text = header && cells[c].starts_with('<') ? cells[c].substr(1) : cells[c];
      s += (c == 0 ? "" : "  ") + pad(text, widths[c], left[c]);
    }
    while (!s.empty() && s.back() == ' ') s.pop_back();
    return s + "\n";
  };
  std::string out = line(header_, true);
  size_t total = 0;
  for (size_t w : widths) total += w + 2;
  for (size_t i = 0; i + 2 < total; ++i) out += "─";
  out += "\n";
  for (const auto& row : rows_) out += line(row, false);
  return out;
}

ProgressSink progress_sink(bool quiet) {
  if (quiet) return {};
  auto bar = std::make_shared<Bar>();
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  return [bar, terminal](const std::string& stage, int64_t done, int64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (bar->stage != stage) *bar = {stage, now, now, -1};
    const double elapsed = std::chrono::duration<double>(now - bar->begin).count();
    if (terminal) {
      if (done < total && now - bar->last < std::chrono::milliseconds(100)) return;
      bar->last = now;
      draw(*bar, done, total, elapsed);
      return;
    }
    const int64_t tenth = total > 0 ? done * 10 / total : 10;
    if (tenth == bar->last_tenth) return;
    bar->last_tenth = tenth;
    const double rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0;
    fmt::print(stderr, "{}: {}/{} ({} %), {:.1f}/s\n", stage, done, total, tenth * 10, rate);
  };
}

const CancelFlag* cancel_on_interrupt() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  return &g_cancel;
}

std::string human_bytes(int64_t bytes) {
  if (bytes >= 10'000'000) return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
  if (bytes >= 1'000'000) return fmt::format("{:.2f} MB", static_cast<double>(bytes) / 1e6);
  if (bytes >= 1000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
  return fmt::format("{} B", bytes);
}

std::string human_count(int64_t n) {
  if (n >= 10'000'000) return fmt::format("{:.1f} M", static_cast<double>(n) / 1e6);
  if (n >= 10'000) return fmt::format("{:.1f} k", static_cast<double>(n) / 1e3);
  return fmt::format("{}", n);
}

std::string shorten(const std::string& text, size_t width) {
  if (width_of(text) <= width || text.size() != width_of(text)) return text;
  const size_t head = (width - 1) / 2;
  return text.substr(0, head) + "…" + text.substr(text.size() - (width - 1 - head));
}

}  // namespace octet::cli
