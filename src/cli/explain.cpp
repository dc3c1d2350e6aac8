#include "cli/explain.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "cli/console.h"

namespace octet::cli {
namespace {

using namespace engine;

// What runs an operation: the name of a convolution kernel, or the loop that its kind has.
std::string kernel_of(const Operation& operation) {
  return std::visit(
      [](const auto& op) -> std::string {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<Op, ConvOp>) return op.kernel;
        else if constexpr (std::is_same_v<Op, QuantizeOp>) return "quantize";
        else if constexpr (std::is_same_v<Op, DequantizeOp>) return "dequantize";
        else if constexpr (std::is_same_v<Op, TableOp>) return op.copy ? "copy" : "table";
        else if constexpr (std::is_same_v<Op, BinaryOp>) return op.multiply ? "multiply" : "add";
        else if constexpr (std::is_same_v<Op, PoolOp>) return op.average ? "average pool" : "max pool";
        else if constexpr (std::is_same_v<Op, ResizeOp>) return "resize";
        else if constexpr (std::is_same_v<Op, IslandOp>) return "node by node";
        else return "bytes";
      },
      operation);
}

const OpNote& note_of(const Program& program, size_t i) {
  static const OpNote kNone;
  return i < program.notes.size() ? program.notes[i] : kNone;
}

std::string milliseconds(double us) { return us > 0 ? fmt::format("{:.3f}", us / 1000) : std::string("-"); }

}  // namespace

std::vector<Group> program_groups(const Program& program) {
  std::vector<Group> groups;
  for (size_t i = 0; i < program.operations.size(); ++i) {
    const OpNote& note = note_of(program, i);
    groups.push_back({note.nodes, note.what, note.precision, kernel_of(program.operations[i]), note.macs});
  }
  return groups;
}

GroupCounts count_groups(const Program& program) {
  GroupCounts counts;
  for (const OpNote& note : program.notes)
    ++(note.precision == "int8" ? counts.int8 : note.precision == "float32" ? counts.floats : counts.other);
  return counts;
}

std::string explain_table(const Program& program) {
  Table table({"group", "<nodes", "<precision", "<kernel", "MACs", "INT8 ms", "float ms"});
  const std::vector<Group> groups = program_groups(program);
  for (size_t i = 0; i < groups.size(); ++i) {
    const OpNote& note = note_of(program, i);
    table.add({shorten(groups[i].what, 36), shorten(groups[i].nodes, 44), groups[i].precision, groups[i].kernel,
               note.macs > 0 ? human_count(static_cast<int64_t>(note.macs)) : "-", milliseconds(note.int8_us),
               milliseconds(note.float_us)});
  }
  std::string text = table.to_string();
  // The same reason often holds for many groups: say it once.
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> groups_of;
  for (size_t i = 0; i < groups.size(); ++i)
    for (const std::string& reason : note_of(program, i).reasons) {
      if (groups_of[reason].empty()) order.push_back(reason);
      groups_of[reason].push_back(groups[i].nodes.empty() ? groups[i].what : groups[i].nodes);
    }
  if (!order.empty()) text += "\nRefused:\n";
  for (const std::string& reason : order) {
    const std::vector<std::string>& where = groups_of[reason];
    text += fmt::format("  {} ({}{})\n", reason, shorten(where[0], 44),
                        where.size() > 1 ? fmt::format(" and {} more", where.size() - 1) : "");
  }
  return text;
}

nlohmann::ordered_json explain_json(const Program& program) {
  auto list = nlohmann::ordered_json::array();
  const std::vector<Group> groups = program_groups(program);
  for (size_t i = 0; i < groups.size(); ++i) {
    const OpNote& note = note_of(program, i);
    nlohmann::ordered_json j;
    j["what"] = groups[i].what;
    j["nodes"] = groups[i].nodes;
    j["precision"] = groups[i].precision;
    j["kernel"] = groups[i].kernel;
    j["macs"] = note.macs;
    if (note.int8_us > 0) j["int8_ms"] = note.int8_us / 1000;
    if (note.float_us > 0) j["float_ms"] = note.float_us / 1000;
    j["reasons"] = note.reasons;
    list.push_back(std::move(j));
  }
  return list;
}

}  // namespace octet::cli
