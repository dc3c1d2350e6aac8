#include "cli/explain.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/text.h"
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
        else if constexpr (std::is_same_v<Op, SoftmaxOp>) return "softmax";
        else if constexpr (std::is_same_v<Op, LayerNormOp>) return "layer norm";
        else if constexpr (std::is_same_v<Op, TransposeOp>) return "transpose";
        else if constexpr (std::is_same_v<Op, MatMulOp>) return "products of codes";
        else return "bytes";
      },
      operation);
}

const OpNote& note_of(const Program& program, size_t i) {
  static const OpNote kNone;
  return i < program.notes.size() ? program.notes[i] : kNone;
}

std::string milliseconds(double us) { return us > 0 ? fmt::format("{:.3f}", us / 1000) : std::string("-"); }

// The reason without its numbers ("vnni: 415 us here"), which differ from group to group.
std::string without_numbers(const std::string& reason) {
  std::string kind;
  for (const std::string& word : split(reason, ' '))
    kind += word.find_first_not_of("0123456789.,") == std::string::npos ? "# " : word + " ";
  return kind;
}

// The same reason often holds for many groups: it is said once, with the numbers of the first.
std::string refusals_text(const Program& program, const std::vector<Group>& groups) {
  struct Refusal {
    std::string reason, where;
    size_t count = 0;
  };
  std::vector<Refusal> refusals;
  std::map<std::string, size_t> place_of;
  for (size_t i = 0; i < groups.size(); ++i)
    for (const std::string& reason : note_of(program, i).reasons) {
      const auto [it, is_new] = place_of.emplace(without_numbers(reason), refusals.size());
      if (is_new) refusals.push_back({reason, groups[i].nodes.empty() ? groups[i].what : groups[i].nodes});
      ++refusals[it->second].count;
    }
  std::string text = refusals.empty() ? "" : "\nRefused, each reason once (--json: for every group):\n";
  for (const Refusal& r : refusals)
    text += fmt::format("  {} ({}{})\n", r.reason, shorten(r.where, 44),
                        r.count > 1 ? fmt::format(" and {} more alike", r.count - 1) : "");
  return text;
}

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
  return table.to_string() + refusals_text(program, groups);
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
