#include "report/network_view.h"

#include <algorithm>
#include <map>

#include "report/layout.h"

namespace octet::report {
namespace {

constexpr size_t kSheet = kMostDotNodes;  // nodes on one sheet

// What a node computes with, for its colour.
std::string precision_of(const std::string& decision) {
  if (decision == "quantized" || decision == "integer" || decision == "carries") return "int";
  if (decision == "weight_only") return "weights";
  return decision == "fused" ? "fused" : decision == "float" ? "float" : "unknown";
}

struct PlannedNode {
  std::string op, decision, why;
};

std::map<std::string, PlannedNode> planned_nodes(const Document& plan) {
  std::map<std::string, PlannedNode> nodes;
  for (const Document& n : at(plan, "nodes"))
    nodes[text_of(n, "name")] = {text_of(n, "op"), text_of(n, "decision"), text_of(n, "why")};
  return nodes;
}

// Without a file of the network: the nodes of the plan in their order, and the edges between quantized tensors and
// their readers cannot be known, so that there are none.
DrawnNetwork from_plan(const Document& plan) {
  DrawnNetwork net;
  for (const Document& n : at(plan, "nodes")) net.nodes.push_back({text_of(n, "name"), text_of(n, "op"), "", {}});
  return net;
}

std::map<std::string, double> sqnr_of_tensors(const Document& compare) {
  std::map<std::string, double> sqnr;
  for (const Document& t : at(compare, "tensors"))
    if (const auto db = number_of(t, "sqnr_db")) sqnr[text_of(t, "tensor")] = *db;
  return sqnr;
}

// Numbers texts in the order of their first use: most reasons hold for many nodes.
class Words {
 public:
  size_t operator()(const std::string& text) {
    const auto [it, is_new] = index_.emplace(text, list_.size());
    if (is_new) list_.push_back(text);
    return it->second;
  }
  const Json& list() const { return list_; }

 private:
  std::map<std::string, size_t> index_;
  Json list_ = Json::array();
};

// A fused operator computes as the one in front of it does.
std::vector<std::string> precisions(const DrawnNetwork& net, const std::map<std::string, PlannedNode>& plan) {
  std::vector<std::string> of(net.nodes.size());
  std::vector<size_t> first_source(net.nodes.size(), net.nodes.size());
  for (const DrawnEdge& e : net.edges)
    if (first_source[e.to] == net.nodes.size()) first_source[e.to] = e.from;
  for (size_t i = 0; i < net.nodes.size(); ++i) {
    const auto it = plan.find(net.nodes[i].name);
    of[i] = it == plan.end() ? "unknown" : precision_of(it->second.decision);
    if (of[i] == "fused") of[i] = first_source[i] < i ? of[first_source[i]] : "float";
  }
  return of;
}

// Sheets follow the topological order; an edge to another sheet is not drawn, its ends are counted.
void place(const DrawnNetwork& net, Json* view) {
  Json x = Json::array(), y = Json::array(), sheets = Json::array(), paths = Json::array();
  std::vector<std::string> path_of(net.edges.size());
  for (size_t begin = 0; begin < net.nodes.size(); begin += kSheet) {
    const size_t end = std::min(net.nodes.size(), begin + kSheet);
    std::vector<LayoutEdge> edges;
    std::vector<size_t> which;
    size_t leaving = 0;
    for (size_t e = 0; e < net.edges.size(); ++e) {
      const bool from = net.edges[e].from >= begin && net.edges[e].from < end;
      const bool to = net.edges[e].to >= begin && net.edges[e].to < end;
      leaving += from != to ? 1 : 0;
      if (!from || !to) continue;
      edges.push_back({net.edges[e].from - begin, net.edges[e].to - begin});
      which.push_back(e);
    }
    const Layout layout = lay_out(end - begin, edges);
    for (const auto& [nx, ny] : layout.nodes) x.push_back(std::lround(nx)), y.push_back(std::lround(ny));
    for (size_t i = 0; i < which.size(); ++i) path_of[which[i]] = layout.paths[i];
    sheets.push_back({{"begin", begin},
                      {"end", end},
                      {"width", std::lround(layout.width)},
                      {"height", std::lround(layout.height)},
                      {"leaving", leaving}});
  }
  for (const std::string& path : path_of) paths.push_back(path);
  (*view)["x"] = std::move(x);
  (*view)["y"] = std::move(y);
  (*view)["paths"] = std::move(paths);
  (*view)["sheets"] = std::move(sheets);
}

void add_edges(const DrawnNetwork& net, const std::vector<std::string>& precision, Json* view) {
  Json from = Json::array(), to = Json::array(), kind = Json::array();
  for (const DrawnEdge& e : net.edges) {
    from.push_back(e.from);
    to.push_back(e.to);
    const auto is_int = [&](size_t n) { return precision[n] == "int"; };
    kind.push_back(is_int(e.from) != is_int(e.to) ? "border" : e.coded ? "coded" : "float");
  }
  (*view)["from"] = std::move(from);
  (*view)["to"] = std::move(to);
  (*view)["kind"] = std::move(kind);
}

template <class Map>
Json index_or_null(const Map& map, const std::string& key) {
  const auto it = map.find(key);
  return it == map.end() ? Json() : Json(it->second);
}

}  // namespace

DrawnNetwork draw(const Graph& graph) {
  DrawnNetwork net;
  struct Source {
    ValueId value = kNoValue;  // before Q/DQ
    bool coded = false;
  };
  std::vector<Source> source(graph.value_count());
  for (size_t v = 0; v < source.size(); ++v) source[v].value = static_cast<ValueId>(v);
  std::vector<int64_t> maker(graph.value_count(), -1);
  std::vector<bool> constant(graph.value_count(), false);
  for (size_t v = 0; v < constant.size(); ++v) constant[v] = graph.is_constant(static_cast<ValueId>(v));
  for (const Node& node : graph.nodes) {
    bool all_constant = true;
    for (const ValueId id : node.inputs)
      all_constant = all_constant && (id == kNoValue || constant[static_cast<size_t>(id)]);
    if (all_constant && !node.inputs.empty()) {
      for (const ValueId id : node.outputs)
        if (id != kNoValue) constant[static_cast<size_t>(id)] = true;
      continue;
    }
    const bool converts = node.is("QuantizeLinear") || node.is("DequantizeLinear");
    if (converts && node.has_input(0) && !node.outputs.empty() && node.outputs[0] != kNoValue) {
      source[static_cast<size_t>(node.outputs[0])] = {source[static_cast<size_t>(node.inputs[0])].value, true};
      continue;
    }
    DrawnNode drawn{node.name, node.op_type, "", {}};
    for (const ValueId id : node.inputs) {
      if (id == kNoValue || constant[static_cast<size_t>(id)]) continue;
      const Source& s = source[static_cast<size_t>(id)];
      drawn.inputs.push_back(graph.value(s.value).name);
      if (const int64_t from = maker[static_cast<size_t>(s.value)]; from >= 0)
        net.edges.push_back({static_cast<size_t>(from), net.nodes.size(), s.coded, drawn.inputs.back()});
    }
    for (const ValueId id : node.outputs)
      if (id != kNoValue) {
        if (drawn.tensor.empty()) drawn.tensor = graph.value(id).name;
        maker[static_cast<size_t>(id)] = static_cast<int64_t>(net.nodes.size());
      }
    net.nodes.push_back(std::move(drawn));
  }
  return net;
}

Json network_view(const Artifacts& artifacts, const std::unordered_map<std::string, size_t>& tensor_index,
                  const std::unordered_map<std::string, size_t>& group_index) {
  const std::map<std::string, PlannedNode> plan = planned_nodes(artifacts["plan"]);
  const DrawnNetwork net = artifacts.graph ? draw(*artifacts.graph) : from_plan(artifacts["plan"]);
  if (net.nodes.empty()) return {};
  const Document& layers = at(artifacts["statistics"], "layer_sqnr_db");
  const std::map<std::string, double> compared = sqnr_of_tensors(artifacts["compare"]);
  const std::vector<std::string> precision = precisions(net, plan);
  Words words;
  Json view;
  for (const char* key :
       {"names", "ops", "decisions", "precisions", "why", "sqnr", "layer_sqnr", "tensors", "inputs", "groups"})
    view[key] = Json::array();
  for (size_t i = 0; i < net.nodes.size(); ++i) {
    const DrawnNode& n = net.nodes[i];
    const auto planned = plan.find(n.name);
    view["names"].push_back(n.name);
    view["ops"].push_back(words(n.op));
    view["decisions"].push_back(words(planned == plan.end() ? "" : planned->second.decision));
    view["precisions"].push_back(words(precision[i]));
    view["why"].push_back(words(planned == plan.end() ? "the plan does not name this node" : planned->second.why));
    const auto sqnr = compared.find(n.tensor);
    view["sqnr"].push_back(sqnr == compared.end() ? Json() : Json(rounded(sqnr->second, 4)));
    view["layer_sqnr"].push_back(json_of(number_of(layers, n.name)));
    view["tensors"].push_back(index_or_null(tensor_index, n.tensor));
    Json inputs = Json::array();
    for (const std::string& name : n.inputs)
      if (const Json index = index_or_null(tensor_index, name); !index.is_null()) inputs.push_back(index);
    view["inputs"].push_back(std::move(inputs));
    view["groups"].push_back(index_or_null(group_index, n.name));
  }
  view["words"] = words.list();
  add_edges(net, precision, &view);
  place(net, &view);
  return view;
}

}  // namespace octet::report
