#include "search/group_times.h"

#include "engine/compiler/compile.h"

namespace octet {

Result<GroupTimes> time_groups(const Graph& quantized, int threads, double seconds, const std::string& folder) {
  engine::CompileOptions options;
  options.threads = threads;
  options.seconds = seconds;
  if (!folder.empty()) options.timing_cache = folder + "/timings.cache";
  OCTET_ASSIGN(const engine::Program program, engine::compile(quantized, options));
  GroupTimes times;
  for (const engine::OpNote& note : program.notes) {
    const GroupTimes::Group group{note.precision == "int8" ? note.int8_us : 0, note.float_us, note.macs};
    times.int8_us += note.int8_us;
    for (size_t begin = 0; begin < note.nodes.size();) {  // "conv1 + relu1"
      const size_t end = std::min(note.nodes.find(" + ", begin), note.nodes.size());
      times.by_node.emplace(note.nodes.substr(begin, end - begin), group);
      begin = end + 3;
    }
  }
  return times;
}

}  // namespace octet
