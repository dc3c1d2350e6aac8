#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "octet/zoo.h"
#include "zoo/state_names.h"
#include "zoo/weight_file.h"

namespace octet {
namespace {

using zoo::StateValue;
using zoo::WeightEntry;

constexpr size_t kMostNames = 3;  // of each complaint

// Without what data parallelism and compilation put before every name.
std::string plain_name(std::string name) {
  for (const char* prefix : {"_orig_mod.", "module.", "_orig_mod."})
    if (name.starts_with(prefix)) name.erase(0, std::string_view(prefix).size());
  return name;
}

bool is_kept(const std::string& name, const WeightOptions& options) {
  return std::any_of(options.keep.begin(), options.keep.end(),
                     [&](const std::string& pattern) { return glob_match(pattern, name); });
}

// How many batches a batch norm has seen: nothing that an inference needs.
bool is_counter(const std::string& name) {
  return name == "num_batches_tracked" || name.ends_with(".num_batches_tracked");
}

std::string some(const std::vector<std::string>& names) {
  const size_t n = std::min(kMostNames, names.size());
  std::string text = join({names.begin(), names.begin() + static_cast<std::ptrdiff_t>(n)}, ", ");
  return names.size() > n ? text + " and " + std::to_string(names.size() - n) + " more" : text;
}

struct Match {
  const StateValue* state;
  const WeightEntry* entry;
};

class Matcher {
 public:
  Matcher(const Graph& graph, const std::vector<WeightEntry>& entries, const WeightOptions& options)
      : graph_(graph), options_(options), states_(zoo::state_values(graph)) {
    for (const WeightEntry& entry : entries) by_name_[plain_name(entry.name)] = &entry;
  }

  // All pairs, or the sentence about what does not fit.
  Result<std::vector<Match>> match() {
    OCTET_RETURN_IF_ERROR(check_patterns());
    std::vector<Match> matches;
    std::set<std::string> known;
    for (const StateValue& state : states_) {
      known.insert(state.name);
      if (is_kept(state.name, options_)) continue;
      const auto found = by_name_.find(state.name);
      if (found == by_name_.end()) missing_.push_back(state.name);
      else if (found->second->dims != state.dims) misshapen_.push_back(two_shapes(state, *found->second));
      else matches.push_back({&state, found->second});
    }
    for (const auto& [name, entry] : by_name_)
      if (known.count(name) == 0 && !is_counter(name) && !is_kept(name, options_)) unexpected_.push_back(name);
    if (missing_.empty() && unexpected_.empty() && misshapen_.empty()) return matches;
    return complaint();
  }

 private:
  Status check_patterns() const {
    for (const std::string& pattern : options_.keep) {
      std::vector<std::string> names;
      bool used = false;
      for (const StateValue& state : states_) {
        used = used || glob_match(pattern, state.name);
        names.push_back(state.name);
      }
      for (const auto& [name, entry] : by_name_) used = used || glob_match(pattern, name);
      if (!used) return invalid_argument("no weight is called '" + pattern + "'." + did_you_mean(pattern, names));
    }
    return Status::ok();
  }

  static std::string two_shapes(const StateValue& state, const WeightEntry& entry) {
    return state.name + " (" + dims_to_string(entry.dims) + " in the file, " + dims_to_string(state.dims) +
           " in the network)";
  }

  // The missing names, each with the one of the file that may be meant.
  std::vector<std::string> missing_with_hints() const {
    std::vector<std::string> names = missing_;
    for (size_t i = 0; i < std::min(kMostNames, names.size()); ++i)
      if (const auto near = near_misses(names[i], unexpected_, 1); !near.empty())
        names[i] += " (the file has '" + near[0] + "')";
    return names;
  }

  Status complaint() const {
    std::vector<std::string> parts;
    if (!missing_.empty()) parts.push_back("missing: " + some(missing_with_hints()));
    if (!unexpected_.empty()) parts.push_back("not in the network: " + some(unexpected_));
    if (!misshapen_.empty()) parts.push_back("of another shape: " + some(misshapen_));
    return invalid_argument("these weights do not fit " +
                            (graph_.name.empty() ? "the network" : "'" + graph_.name + "'") + "; " +
                            join(parts, "; ") +
                            "; build the network with the classes, size and channels of the weights, or keep the "
                            "initial values of some");
  }

  const Graph& graph_;
  const WeightOptions& options_;
  std::vector<StateValue> states_;
  std::map<std::string, const WeightEntry*> by_name_;
  std::vector<std::string> missing_, unexpected_, misshapen_;
};

}  // namespace

Status load_weights(Graph& graph, const std::string& path, const WeightOptions& options) {
  OCTET_ASSIGN(const zoo::WeightFile file, zoo::WeightFile::open(path));
  const std::string place = "'" + path + "'";
  Matcher matcher(graph, file.entries(), options);
  Result<std::vector<Match>> matches = matcher.match();
  if (!matches.is_ok()) return matches.status().at(place);
  std::vector<Tensor> tensors;
  for (const Match& match : *matches) {
    Result<Tensor> tensor = file.read(*match.entry);
    if (tensor.is_ok() && match.state->transposed) tensor = zoo::transposed(*tensor);
    if (!tensor.is_ok()) return tensor.status().at(place);
    tensors.push_back(std::move(tensor).value());
  }
  for (size_t i = 0; i < tensors.size(); ++i) graph.value((*matches)[i].state->id).constant = std::move(tensors[i]);
  return Status::ok();
}

}  // namespace octet
