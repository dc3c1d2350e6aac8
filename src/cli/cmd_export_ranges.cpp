// octet export-ranges: calibrated ranges in the forms that other tools read.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdio>

#include "base/files.h"
#include "cli/commands.h"

namespace octet::cli {
namespace {

struct Options {
  std::string ranges, format = "csv", output;
};

float amax_of(const TensorRangeEntry& e) {
  float amax = 0;
  for (size_t i = 0; i < e.lo.size(); ++i) amax = std::max({amax, std::fabs(e.lo[i]), std::fabs(e.hi[i])});
  return amax;
}

std::string csv_quoted(const std::string& s) {
  std::string out = "\"";
  for (char c : s) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string to_csv(const Ranges& ranges) {
  std::string out = "tensor,role,channel,lo,hi,method\n";
  for (const auto& [name, e] : ranges.tensors)
    for (size_t i = 0; i < e.lo.size(); ++i)
      out += fmt::format("{},{},{},{:.9g},{:.9g},{}\n", csv_quoted(name), tensor_role_name(e.role),
                         e.lo.size() > 1 ? std::to_string(i) : "", e.lo[i], e.hi[i], e.method);
  return out;
}

// TensorRT's calibration cache: a header line, then "name: hex" with the big-endian bits of the float scale amax /
// 127.
std::string to_tensorrt(const Ranges& ranges) {
  std::string out = "TRT-100100-EntropyCalibration2\n";
  for (const auto& [name, e] : ranges.tensors)
    if (e.role == TensorRole::kActivation)
      out += fmt::format("{}: {:08x}\n", name, std::bit_cast<uint32_t>(amax_of(e) / 127.0f));
  return out;
}

Status run(const Options& o) {
  OCTET_ASSIGN(const Ranges ranges, load_ranges(o.ranges));
  std::string text;
  if (o.format == "csv") text = to_csv(ranges);
  else if (o.format == "tensorrt") text = to_tensorrt(ranges);
  else text = ranges_to_json(ranges);
  if (!o.output.empty()) return write_file_atomically(o.output, text);
  fmt::print("{}", text);
  return Status::ok();
}

}  // namespace

void add_export_ranges(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("export-ranges", "Write calibrated ranges for other tools");
  cmd->add_option("RANGES", o->ranges, "ranges.json of 'octet quantize'")->required();
  cmd->add_option("--format", o->format, "csv, json, or tensorrt (a calibration cache)")
      ->check(CLI::IsMember({"csv", "json", "tensorrt"}));
  cmd->add_option("-o,--output", o->output, "file to write; stdout when absent");
  cmd->footer("Example: octet export-ranges out/ranges.json --format tensorrt -o calibration.cache");
  cmd->callback([o, common] {
    const Status status = run(*o);
    if (!status.is_ok()) common->exit = fail(status);
  });
}

}  // namespace octet::cli
