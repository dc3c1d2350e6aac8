// What is in a compiled engine, group by group, as tables and JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/network_file.h"
#include "engine/program.h"

namespace octet::cli {

std::vector<Group> program_groups(const engine::Program& program);

struct GroupCounts {
  int int8 = 0, floats = 0, other = 0;  // other: layout changes and copies
};
GroupCounts count_groups(const engine::Program& program);

// One row for each group, and under the table why kernels and fusions were refused.
std::string explain_table(const engine::Program& program);
nlohmann::ordered_json explain_json(const engine::Program& program);

}  // namespace octet::cli
