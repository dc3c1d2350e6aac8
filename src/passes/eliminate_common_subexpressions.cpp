#include <cstring>
#include <functional>
#include <map>
#include <string_view>
#include <unordered_map>

#include "passes/graph_editor.h"
#include "passes/operator_traits.h"
#include "passes/rewrites.h"

namespace octet {
namespace {

constexpr int64_t kMergedIntegers = 64;  // shapes, axes, pads; larger integer tensors are quantized weights

bool may_merge_constant(const Tensor& t) {
  return t.numel() <= 1 || (t.numel() <= kMergedIntegers && !dtype_is_float(t.dtype()));
}

size_t tensor_hash(const Tensor& t) {
  const std::string_view bytes(static_cast<const char*>(t.raw()), static_cast<size_t>(t.nbytes()));
  size_t h = std::hash<std::string_view>{}(bytes) ^ static_cast<size_t>(t.dtype());
  for (int64_t d : t.dims()) h = h * 1000003 + static_cast<size_t>(d);
  return h;
}

// For every value the first one of equal content; a value that is not constant stands for itself.
std::vector<ValueId> content_classes(const Graph& graph) {
  std::vector<ValueId> classes(graph.value_count());
  std::unordered_map<size_t, std::vector<ValueId>> by_hash;
  for (size_t i = 0; i < classes.size(); ++i) {
    const auto id = static_cast<ValueId>(i);
    classes[i] = id;
    if (!graph.is_constant(id)) continue;
    const Tensor& tensor = *graph.value(id).constant;
    std::vector<ValueId>& bucket = by_hash[tensor_hash(tensor)];
    for (ValueId other : bucket)
      if (same_bits(*graph.value(other).constant, tensor)) classes[i] = other;
    if (classes[i] == id) bucket.push_back(id);
  }
  return classes;
}

void append(std::string& key, const void* data, size_t size) {
  const auto length = static_cast<uint64_t>(size);
  key.append(reinterpret_cast<const char*>(&length), sizeof length);
  if (size != 0) key.append(static_cast<const char*>(data), size);
}

void append(std::string& key, std::string_view text) { append(key, text.data(), text.size()); }

void append_attribute(std::string& key, const Attribute& attribute) {
  const auto kind = static_cast<char>(attribute.index());
  key.push_back(kind);
  if (const auto* i = std::get_if<int64_t>(&attribute)) append(key, i, sizeof *i);
  else if (const auto* f = std::get_if<float>(&attribute)) append(key, f, sizeof *f);
  else if (const auto* s = std::get_if<std::string>(&attribute)) append(key, *s);
  else if (const auto* is = std::get_if<std::vector<int64_t>>(&attribute))
    append(key, is->data(), is->size() * sizeof(int64_t));
  else if (const auto* fs = std::get_if<std::vector<float>>(&attribute))
    append(key, fs->data(), fs->size() * sizeof(float));
  else if (const auto* ss = std::get_if<std::vector<std::string>>(&attribute)) {
    key += std::to_string(ss->size());
    for (const std::string& s : *ss) append(key, s);
  } else if (const auto* t = std::get_if<Tensor>(&attribute)) {
    append(key, dims_to_string(t->dims()) + dtype_name(t->dtype()));
    append(key, t->raw(), static_cast<size_t>(t->nbytes()));
  }
}

// Equal keys: same operator, attributes, inputs (constants by content) and outputs present.
std::string node_key(const Node& node, const std::vector<ValueId>& classes) {
  std::string key;
  append(key, node.domain);
  append(key, node.op_type);
  std::vector<ValueId> inputs;
  for (ValueId in : node.inputs) inputs.push_back(in == kNoValue ? kNoValue : classes[static_cast<size_t>(in)]);
  append(key, inputs.data(), inputs.size() * sizeof(ValueId));
  for (ValueId out : node.outputs) key.push_back(out == kNoValue ? '0' : '1');
  for (const auto& [name, attribute] : node.attributes) {
    append(key, name);
    append_attribute(key, attribute);
  }
  return key;
}

int merge_constants(GraphEditor& editor, const std::vector<ValueId>& classes) {
  int merged = 0;
  for (size_t n = 0; n < editor.node_count(); ++n)
    for (size_t i = 0; i < editor.node(n).inputs.size(); ++i) {
      const ValueId id = editor.node(n).inputs[i];
      if (id == kNoValue || classes[static_cast<size_t>(id)] == id) continue;
      if (!may_merge_constant(*editor.graph().value(id).constant)) continue;
      editor.set_input(n, i, classes[static_cast<size_t>(id)]);
      ++merged;
    }
  return merged;
}

bool merge_node(GraphEditor& editor, size_t duplicate, size_t original) {
  const std::vector<ValueId> from = editor.node(duplicate).outputs;
  const std::vector<ValueId> to = editor.node(original).outputs;
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] != kNoValue && !editor.can_substitute(from[i], to[i])) return false;
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] != kNoValue) editor.substitute(from[i], to[i]);
  editor.remove(duplicate);
  return true;
}

}  // namespace

Result<int> eliminate_common_subexpressions(Graph& graph, const PassOptions&) {
  const std::vector<ValueId> classes = content_classes(graph);
  GraphEditor editor(graph);
  int rewrites = merge_constants(editor, classes);
  std::unordered_map<std::string, size_t> seen;
  for (size_t i = 0; i < editor.node_count(); ++i) {
    const Node& node = editor.node(i);
    if (node.outputs.empty() || is_random(node) || is_quantize_or_dequantize(node)) continue;
    const auto [it, fresh] = seen.emplace(node_key(node, classes), i);
    if (!fresh && merge_node(editor, i, it->second)) ++rewrites;
  }
  OCTET_RETURN_IF_ERROR(editor.finish());
  return rewrites;
}

}  // namespace octet
