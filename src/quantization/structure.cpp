#include "quantization/structure.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>

#include "base/text.h"

namespace octet {
namespace {

constexpr std::string_view kPhrases =
    "first N [op], last N [op], between A and B, after A, before A, residual adds, detection head, box regression, "
    "depthwise, pointwise, stem, weighted, KxK conv";

// "backbone.stem.conv" of a weight called "backbone.stem.conv.weight"; empty for other names.
std::string module_path(const Network& net, size_t node) {
  const int input = weight_input(net, node);
  if (input < 0) return {};
  constexpr std::string_view kSuffix = ".weight";
  const std::string& name = net.value(net.node(node).inputs[static_cast<size_t>(input)]).name;
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : std::string();
}

using NameTest = std::function<bool(const std::string&)>;

std::vector<size_t> nodes_where(const Network& net, const NameTest& matches) {
  std::vector<size_t> by_name, by_value, by_module;
  for (size_t i = 0; i < net.graph.nodes.size(); ++i) {
    const Node& n = net.node(i);
    if (matches(n.name)) by_name.push_back(i);
    const auto named = [&](ValueId out) { return out != kNoValue && matches(net.value(out).name); };
    if (std::any_of(n.outputs.begin(), n.outputs.end(), named)) by_value.push_back(i);
    const std::string path = module_path(net, i);
    if (!path.empty() && matches(path)) by_module.push_back(i);
  }
  if (!by_name.empty()) return by_name;
  return by_module.empty() ? by_value : by_module;
}

std::vector<size_t> all_nodes(const Network& net) {
  std::vector<size_t> all(net.graph.nodes.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

std::vector<size_t> keep(const std::vector<size_t>& nodes, const std::function<bool(size_t)>& test) {
  std::vector<size_t> kept;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(kept), test);
  return kept;
}

std::vector<size_t> both(const std::vector<size_t>& a, std::vector<size_t> b) {
  std::sort(b.begin(), b.end());
  return keep(a, [&](size_t i) { return std::binary_search(b.begin(), b.end(), i); });
}

std::vector<std::string> op_types(const Network& net) {
  std::set<std::string> types;
  for (const Node& n : net.graph.nodes) types.insert(n.op_type);
  return {types.begin(), types.end()};
}

Result<std::vector<size_t>> nodes_of_op(const Network& net, const std::string& op,
                                        const std::vector<size_t>& candidates) {
  std::string low = to_lower(op);
  auto is_op = [&](size_t i) { return to_lower(net.node(i).op_type) == low; };
  std::vector<size_t> found = keep(candidates, is_op);
  if (found.empty() && low.size() > 1 && low.back() == 's') {
    low.pop_back();
    found = keep(candidates, is_op);
  }
  if (!found.empty()) return found;
  if (low == "weighted" || low == "layer")
    return keep(candidates, [&](size_t i) { return is_weighted(net.node(i)); });
  if (low == "linear")
    return keep(candidates, [&](size_t i) { return net.node(i).is("Gemm") || net.node(i).is("MatMul"); });
  return invalid_argument("the network has no operator '" + op + "' here; it has " + join(op_types(net), ", ") + "." +
                          did_you_mean(op, op_types(net)));
}

// The nodes reached from `starts`, themselves included, along the data (forward) or against it.
std::vector<bool> reached(const Network& net, const std::vector<size_t>& starts, bool forward) {
  std::vector<bool> seen(net.graph.nodes.size(), false);
  for (size_t s : starts) seen[s] = true;
  const size_t n = seen.size();
  for (size_t step = 0; step < n; ++step) {
    const size_t i = forward ? step : n - 1 - step;
    if (!seen[i]) continue;
    if (forward) {
      for (ValueId out : net.node(i).outputs)
        if (out != kNoValue)
          for (const GraphIndex::Use& use : net.index.uses(out)) seen[use.node] = true;
    } else {
      for (ValueId in : net.node(i).inputs)
        if (in != kNoValue && net.index.producer(in) >= 0) seen[static_cast<size_t>(net.index.producer(in))] = true;
    }
  }
  return seen;
}

std::string unquoted(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front())
    text = text.substr(1, text.size() - 2);
  return std::string(text);
}

Result<std::vector<size_t>> require_named(const Network& net, const std::string& name) {
  std::vector<size_t> found = nodes_named(net, name);
  if (found.empty()) return not_found("there is no node '" + name + "'." + did_you_mean(name, known_names(net)));
  return found;
}

Result<std::vector<size_t>> between(const Network& net, std::string_view rest) {
  constexpr std::string_view kAnd = " and ";
  for (size_t at = rest.find(kAnd); at != std::string_view::npos; at = rest.find(kAnd, at + 1)) {
    const std::string from = unquoted(rest.substr(0, at)), to = unquoted(rest.substr(at + kAnd.size()));
    const bool last_chance = rest.find(kAnd, at + 1) == std::string_view::npos;
    const std::vector<size_t> starts = nodes_named(net, from), ends = nodes_named(net, to);
    if ((starts.empty() || ends.empty()) && !last_chance) continue;
    OCTET_ASSIGN(const auto begin, require_named(net, from));
    OCTET_ASSIGN(const auto end, require_named(net, to));
    const std::vector<bool> down = reached(net, begin, true), up = reached(net, end, false);
    std::vector<size_t> path = keep(all_nodes(net), [&](size_t i) { return down[i] && up[i]; });
    if (path.empty()) return invalid_argument("no path leads from '" + from + "' to '" + to + "'");
    return path;
  }
  return invalid_argument("'between' needs two nodes: between A and B");
}

Result<std::vector<size_t>> beside(const Network& net, std::string_view rest, bool after) {
  OCTET_ASSIGN(const auto starts, require_named(net, unquoted(rest)));
  const std::vector<bool> seen = reached(net, starts, after);
  return keep(all_nodes(net),
              [&](size_t i) { return seen[i] && std::find(starts.begin(), starts.end(), i) == starts.end(); });
}

Result<std::vector<size_t>> at_end(const Network& net, std::string_view rest, bool first,
                                   const std::vector<size_t>& candidates) {
  rest = trim(rest);
  size_t count = 0;
  const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
  if (code != std::errc() || count == 0)
    return invalid_argument(std::string("'") + (first ? "first" : "last") +
                            "' needs a number: " + (first ? "first" : "last") + " 2 conv");
  const std::string op(trim(std::string_view(end, static_cast<size_t>(rest.data() + rest.size() - end))));
  std::vector<size_t> nodes = candidates;
  if (!op.empty() || candidates.size() == net.graph.nodes.size()) {
    OCTET_ASSIGN(nodes, nodes_of_op(net, op.empty() ? "weighted" : op, candidates));
  }
  if (nodes.size() <= count) return nodes;
  if (first) return std::vector<size_t>(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(count));
  return std::vector<size_t>(nodes.end() - static_cast<std::ptrdiff_t>(count), nodes.end());
}

std::vector<size_t> stem(const Network& net) {
  std::vector<bool> before(net.graph.value_count(), false);  // reached from an input without a weighted op
  for (ValueId in : net.graph.inputs) before[static_cast<size_t>(in)] = true;
  std::vector<size_t> found;
  for (size_t i = 0; i < net.graph.nodes.size(); ++i) {
    const Node& n = net.node(i);
    const bool fed = std::any_of(n.inputs.begin(), n.inputs.end(),
                                 [&](ValueId v) { return v != kNoValue && before[static_cast<size_t>(v)]; });
    if (!fed) continue;
    if (is_weighted(n)) found.push_back(i);
    else
      for (ValueId out : n.outputs)
        if (out != kNoValue) before[static_cast<size_t>(out)] = true;
  }
  return found;
}

// "3x3 conv", "1x1": convolutions of that kernel. nullopt when the phrase is something else.
std::optional<std::vector<size_t>> by_kernel(const Network& net, const std::string& low) {
  const std::string word = split(low, ' ').front();
  std::vector<int64_t> kernel;
  for (const std::string& part : split(word, 'x')) {
    int64_t k = 0;
    const auto [end, code] = std::from_chars(part.data(), part.data() + part.size(), k);
    if (code != std::errc() || end != part.data() + part.size()) return std::nullopt;
    kernel.push_back(k);
  }
  if (kernel.size() < 2) return std::nullopt;
  return keep(all_nodes(net), [&](size_t i) {
    if (!conv_channels(net, i)) return false;
    const Dims& dims = net.value(net.node(i).inputs[1]).constant->dims();
    return std::equal(dims.begin() + 2, dims.end(), kernel.begin(), kernel.end());
  });
}

std::vector<size_t> residual_adds(const Network& net) {
  return keep(all_nodes(net), [&](size_t i) {
    const auto branches = add_branches(net, i);
    return branches && branches->residual;
  });
}

}  // namespace

std::vector<std::string> known_names(const Network& net) {
  std::vector<std::string> names;
  for (size_t i = 0; i < net.graph.nodes.size(); ++i) {
    names.push_back(net.node(i).name);
    const std::string path = module_path(net, i);
    if (!path.empty()) names.push_back(path);
  }
  return names;
}

std::vector<size_t> nodes_named(const Network& net, const std::string& name) {
  return nodes_where(net, [&](const std::string& candidate) { return candidate == name; });
}

std::vector<size_t> nodes_matching(const Network& net, const std::string& glob) {
  return nodes_where(net, [&](const std::string& candidate) { return glob_match(glob, candidate); });
}

Result<std::vector<size_t>> nodes_by_structure(const Network& net, const std::string& phrase,
                                               const std::vector<size_t>& candidates) {
  const std::string_view text = trim(phrase);
  const std::string low = to_lower(text);
  auto rest = [&](size_t skip) { return text.substr(std::min(skip, text.size())); };
  if (low.starts_with("first ")) return at_end(net, rest(6), true, candidates);
  if (low.starts_with("last ")) return at_end(net, rest(5), false, candidates);
  if (low.starts_with("between ")) return between(net, rest(8));
  if (low.starts_with("after ")) return beside(net, rest(6), true);
  if (low.starts_with("before ")) return beside(net, rest(7), false);
  if (low == "residual adds" || low == "residual add") return residual_adds(net);
  if (low == "detection head") return detection_head(net);
  if (low == "box regression") return box_regression(net);
  if (low == "stem") return stem(net);
  if (low == "weighted") return nodes_of_op(net, low, all_nodes(net));
  if (low == "depthwise") return keep(all_nodes(net), [&](size_t i) { return is_depthwise(net, i); });
  if (const auto kernel = by_kernel(net, low == "pointwise" ? "1x1" : low)) return *kernel;
  return invalid_argument("'" + phrase + "' is not a phrase about structure; known are: " + std::string(kPhrases));
}

namespace {

std::string rule_condition(const QuantizationRule& rule) {
  std::vector<std::string> parts;
  auto say = [&](const char* key, const std::string& text) {
    if (!text.empty()) parts.push_back(std::string(key) + ": " + text);
  };
  say("name", rule.name);
  say("glob", rule.glob);
  say("op", rule.op);
  say("structure", rule.structure);
  return join(parts, ", ");
}

Result<std::vector<size_t>> match_rule(const Network& net, const QuantizationRule& rule) {
  if (rule.name.empty() && rule.glob.empty() && rule.op.empty() && rule.structure.empty())
    return invalid_argument("a rule needs at least one of name, glob, op and structure");
  std::vector<size_t> nodes = all_nodes(net);
  if (!rule.name.empty()) {
    OCTET_ASSIGN(auto found, require_named(net, rule.name));
    nodes = both(nodes, std::move(found));
  }
  if (!rule.glob.empty()) {
    std::vector<size_t> found = nodes_matching(net, rule.glob);
    if (found.empty())
      return not_found("no node matches the glob '" + rule.glob + "'." + did_you_mean(rule.glob, known_names(net)));
    nodes = both(nodes, std::move(found));
  }
  if (!rule.op.empty()) {
    std::vector<size_t> found = keep(all_nodes(net), [&](size_t i) { return net.node(i).op_type == rule.op; });
    if (found.empty())
      return not_found("the network has no operator '" + rule.op + "'; it has " + join(op_types(net), ", ") + "." +
                       did_you_mean(rule.op, op_types(net)));
    nodes = both(nodes, std::move(found));
  }
  if (!rule.structure.empty()) {
    OCTET_ASSIGN(auto found, nodes_by_structure(net, rule.structure, nodes));
    nodes = both(nodes, std::move(found));
  }
  if (nodes.empty()) return not_found("the rule (" + rule_condition(rule) + ") matches no node of this network");
  return nodes;
}

}  // namespace

Result<std::vector<size_t>> nodes_of_rule(const Network& net, const QuantizationRule& rule) {
  auto nodes = match_rule(net, rule);
  if (nodes.is_ok()) return nodes;
  return rule.place.empty() ? nodes.status() : nodes.status().at(rule.place);
}

}  // namespace octet
