// What the commands share on the terminal: tables, a progress bar, errors.
#pragma once

#include <string>
#include <vector>

#include "octet/pipeline.h"
#include "octet/status.h"

namespace octet::cli {

// Exit codes, as `octet --help` documents them.
enum ExitCode {
  kSuccess = 0,
  kInternalFailure = 1,
  kUsage = 2,          // the command line or a recipe is wrong
  kMissing = 3,        // a file, tensor or node does not exist
  kNotSupported = 4,   // a valid network that Octet cannot handle
  kCorrupt = 5,        // a damaged file
  kIo = 6,             // the system refused to read or write
  kTooLarge = 7,       // a memory limit
  kBudgetMissed = 10,  // --max-drop does not hold
  kInterrupted = 130,
};
int exit_code(const Status& status);

// Prints "octet: <sentence>" to stderr and returns the exit code.
int fail(const Status& status);

// The exit code of a command whose results went to stdout: `code`, unless they did not arrive.
int flushed(int code);
int output_lost(const std::string& reason);

// Colour on a terminal; plain text when stdout is none, when NO_COLOR is set (no-color.org) or TERM is dumb.
enum class Ink { kGood, kBad, kFaint };
std::string painted(const std::string& text, Ink ink);

// A histogram in one line: counts joined to at most `cells` blocks of eight heights, the largest full; by their
// logarithm where a few counts are far larger than the others. Empty cells stay blank.
std::string sparkline(const std::vector<int64_t>& counts, size_t cells, bool logarithmic = false);

// Left-aligned first column, right-aligned others unless a column's header begins with '<'; fits the widest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  size_t size() const { return rows_.size(); }
  std::string to_string() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// A bar with rate and time left on a terminal, a line every ten percent otherwise; nothing when quiet. To stderr.
ProgressSink progress_sink(bool quiet);

// Set by Ctrl-C (SIGINT) and by SIGTERM, which schedulers send; the second signal ends the process at once.
const CancelFlag* cancel_on_interrupt();

std::string human_bytes(int64_t bytes);  // "1.1 MB"
std::string human_count(int64_t n);      // "272 k"
// Shortens long names in the middle so that tables stay readable.
std::string shorten(const std::string& text, size_t width);

}  // namespace octet::cli
