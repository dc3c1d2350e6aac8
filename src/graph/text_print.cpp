#include <charconv>
#include <cmath>
#include <cstring>

#include "graph/text.h"
#include "graph/text_names.h"

namespace octet {
namespace {

constexpr int64_t kMostInline = 256;

template <class T>
std::string number(T v) {
  char buffer[64];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, v);
  return code == std::errc() ? std::string(buffer, end) : "0";
}

// The shortest text that reads back as the same float, always recognisable as one.
template <class T>
std::string float_text(T v) {
  std::string text = number(v);
  if (std::isfinite(v) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

template <class T>
std::string element_list(const Tensor& t) {
  std::string out = "[";
  const T* data = t.data<T>();
  for (int64_t i = 0; i < t.numel(); ++i) {
    if (i != 0) out += ", ";
    if constexpr (std::is_floating_point_v<T>) out += float_text(data[i]);
    else out += number(data[i]);
  }
  return out + "]";
}

std::string elements(const Tensor& t) {
  switch (t.dtype()) {
    case DType::kFloat32: return element_list<float>(t);
    case DType::kFloat64: return element_list<double>(t);
    case DType::kInt8:
    case DType::kInt4: return element_list<int8_t>(t);
    case DType::kInt16: return element_list<int16_t>(t);
    case DType::kInt32: return element_list<int32_t>(t);
    case DType::kInt64: return element_list<int64_t>(t);
    case DType::kUint16:
    case DType::kFloat16:
    case DType::kBFloat16: return element_list<uint16_t>(t);
    case DType::kUint32: return element_list<uint32_t>(t);
    case DType::kUint64: return element_list<uint64_t>(t);
    default: return element_list<uint8_t>(t);
  }
}

// FNV-1a, 64 bits: tells tensors apart in a diff, nothing more.
std::string hash_text(const Tensor& t) {
  uint64_t h = 14695981039346656037ULL;
  const auto* bytes = static_cast<const unsigned char*>(t.raw());
  for (int64_t i = 0; i < t.nbytes(); ++i) h = (h ^ bytes[i]) * 1099511628211ULL;
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, h, 16).ptr;
  return "hash " + std::string(buffer, end);
}

std::string tensor_content(const Tensor& t) { return t.numel() > kMostInline ? hash_text(t) : elements(t); }

std::string dim_text(const Dim& d) {
  if (!d.is_known()) return "?";
  if (d.symbol.empty()) return number(d.coefficient);
  const std::string symbol = is_plain_symbol(d.symbol) ? d.symbol : quoted(d.symbol);
  return d.coefficient == 1 ? symbol : number(d.coefficient) + "*" + symbol;
}

std::string type_text(DType dtype, const std::optional<Shape>& shape) {
  std::string out = dtype == DType::kUndefined ? "?" : dtype_name(dtype);
  if (!shape) return out;
  out += '[';
  for (size_t i = 0; i < shape->size(); ++i) out += (i != 0 ? ", " : "") + dim_text((*shape)[i]);
  return out + "]";
}

template <class T, class Print>
std::string list_text(const std::vector<T>& list, const char* empty, Print print) {
  if (list.empty()) return empty;
  std::string out = "[";
  for (size_t i = 0; i < list.size(); ++i) out += (i != 0 ? ", " : "") + print(list[i]);
  return out + "]";
}

struct AttributeText {
  std::string operator()(int64_t v) const { return number(v); }
  std::string operator()(float v) const { return float_text(v); }
  std::string operator()(const std::string& v) const { return quoted(v); }
  std::string operator()(const Tensor& v) const {
    return "tensor(" + type_text(v.dtype(), static_shape(v.dims())) + " " + tensor_content(v) + ")";
  }
  std::string operator()(const std::vector<int64_t>& v) const {
    return list_text(v, "ints[]", [](int64_t x) { return number(x); });
  }
  std::string operator()(const std::vector<float>& v) const {
    return list_text(v, "floats[]", [](float x) { return float_text(x); });
  }
  std::string operator()(const std::vector<std::string>& v) const {
    return list_text(v, "strings[]", [](const std::string& x) { return quoted(x); });
  }
};

std::string value_name(const Graph& graph, ValueId id) {
  if (id == kNoValue) return "_";
  const std::string& name = graph.value(id).name;
  return "%" + (is_plain_name(name) ? name : quoted(name));
}

std::string typed_value(const Graph& graph, ValueId id) {
  std::string out = value_name(graph, id);
  if (id == kNoValue) return out;
  const Value& v = graph.value(id);
  if (v.dtype != DType::kUndefined || v.shape) out += ": " + type_text(v.dtype, v.shape);
  return out;
}

std::string node_text(const Graph& graph, const Node& node) {
  std::string out;
  for (size_t i = 0; i < node.outputs.size(); ++i) out += (i != 0 ? ", " : "") + typed_value(graph, node.outputs[i]);
  out += " = ";
  if (!node.domain.empty()) out += node.domain + "::";
  out += node.op_type + "(";
  for (size_t i = 0; i < node.inputs.size(); ++i) out += (i != 0 ? ", " : "") + value_name(graph, node.inputs[i]);
  out += ")";
  bool first = true;
  for (const auto& [name, attribute] : node.attributes) {
    out += (first ? " {" : ", ") + name + " = " + std::visit(AttributeText{}, attribute);
    first = false;
  }
  if (!first) out += "}";
  return out + " # " + (is_plain_name(node.name) ? node.name : quoted(node.name));
}

}  // namespace

std::string to_text(const Graph& graph) {
  std::string out = "graph " + quoted(graph.name) + " opset " + std::to_string(graph.opset);
  for (const auto& [domain, version] : graph.other_opsets) out += ", " + domain + " " + std::to_string(version);
  out += '\n';
  for (ValueId id : graph.inputs) out += "input " + typed_value(graph, id) + "\n";
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    const Value& v = graph.value(id);
    if (!v.constant) continue;
    out += "const " + value_name(graph, id) + ": " +
           type_text(v.constant->dtype(), static_shape(v.constant->dims())) + " = " + tensor_content(*v.constant) +
           "\n";
  }
  for (const Node& node : graph.nodes) out += node_text(graph, node) + "\n";
  for (ValueId id : graph.outputs) out += "output " + value_name(graph, id) + "\n";
  return out;
}

}  // namespace octet
