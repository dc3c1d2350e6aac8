#include <charconv>
#include <limits>

#include "base/text.h"
#include "graph/text.h"
#include "graph/text_scanner.h"

namespace octet {
namespace {

struct Type {
  DType dtype = DType::kUndefined;
  std::optional<Shape> shape;
};

Result<Dim> parse_dim(Scanner& in) {
  if (in.take("?")) return Dim::unknown();
  Dim dim{1, {}};
  if (in.at_digit()) {
    OCTET_ASSIGN(dim.coefficient, in.integer());
    if (!in.take("*")) return dim;
  }
  OCTET_ASSIGN(dim.symbol, in.symbol());
  return dim;
}

Result<Type> parse_type(Scanner& in) {
  Type type;
  if (!in.take("?")) {
    const std::string word = in.word();
    type.dtype = dtype_from_name(word);
    if (type.dtype == DType::kUndefined) return in.error("'" + word + "' is not a type");
  }
  if (!in.take("[")) return type;
  type.shape.emplace();
  while (!in.take("]")) {
    if (!type.shape->empty() && !in.take(",")) return in.error("expected ',' or ']' in a shape");
    OCTET_ASSIGN(Dim dim, parse_dim(in));
    type.shape->push_back(std::move(dim));
  }
  return type;
}

// Types that use only part of their byte: the elements must fit.
template <class T>
bool holds(DType dtype, T v) {
  if (dtype == DType::kBool) return v == T{0} || v == T{1};
  if (dtype == DType::kInt4) return v >= T(-8) && v <= T(7);
  if (dtype == DType::kUint4) return v <= T(15);
  return true;
}

template <class T>
Status fill(Scanner& in, Tensor& tensor) {
  if (!in.take("[")) return in.error("expected '[' before the elements");
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    if (i != 0 && !in.take(",")) return in.error("expected " + std::to_string(tensor.numel()) + " elements");
    OCTET_ASSIGN(const T v, in.number<T>());
    if (!holds(tensor.dtype(), v))
      return in.error(std::string("an element does not fit ") + dtype_name(tensor.dtype()));
    tensor.data<T>()[i] = v;
  }
  return in.take("]") ? Status::ok() : in.error("expected ']' after " + std::to_string(tensor.numel()) + " elements");
}

Status fill_elements(Scanner& in, Tensor& t) {
  switch (t.dtype()) {
    case DType::kFloat32: return fill<float>(in, t);
    case DType::kFloat64: return fill<double>(in, t);
    case DType::kInt8:
    case DType::kInt4: return fill<int8_t>(in, t);
    case DType::kInt16: return fill<int16_t>(in, t);
    case DType::kInt32: return fill<int32_t>(in, t);
    case DType::kInt64: return fill<int64_t>(in, t);
    case DType::kUint16:
    case DType::kFloat16:
    case DType::kBFloat16: return fill<uint16_t>(in, t);
    case DType::kUint32: return fill<uint32_t>(in, t);
    case DType::kUint64: return fill<uint64_t>(in, t);
    default: return fill<uint8_t>(in, t);
  }
}

Result<Tensor> parse_tensor(Scanner& in, const Type& type) {
  if (type.dtype == DType::kUndefined || !type.shape || !is_static(*type.shape))
    return in.error("a tensor needs a type and a shape of numbers");
  if (in.take("hash")) return in.error("the elements of this tensor were not written out, only their hash");
  auto tensor = Tensor::create(type.dtype, to_dims(*type.shape));
  if (!tensor.is_ok()) return in.error(tensor.status().message());
  OCTET_RETURN_IF_ERROR(fill_elements(in, *tensor));
  return tensor;
}

template <class T, class Read>
Result<Attribute> parse_list(Scanner& in, Read read) {
  std::vector<T> list;
  do {
    auto item = read();
    if (!item.is_ok()) return item.status();
    list.push_back(std::move(item).value());
  } while (in.take(","));
  if (!in.take("]")) return in.error("expected ',' or ']' in a list");
  return Attribute(std::move(list));
}

Result<Attribute> parse_attribute(Scanner& in) {
  if (in.take("ints[]")) return Attribute(std::vector<int64_t>());
  if (in.take("floats[]")) return Attribute(std::vector<float>());
  if (in.take("strings[]")) return Attribute(std::vector<std::string>());
  if (in.take("tensor(")) {
    OCTET_ASSIGN(const Type type, parse_type(in));
    OCTET_ASSIGN(Tensor tensor, parse_tensor(in, type));
    if (!in.take(")")) return in.error("expected ')' after a tensor");
    return Attribute(std::move(tensor));
  }
  const bool list = in.take("[");
  if (in.at("\"")) {
    if (list) return parse_list<std::string>(in, [&] { return in.string(); });
    OCTET_ASSIGN(std::string text, in.string());
    return Attribute(std::move(text));
  }
  if (in.at_float()) {
    if (list) return parse_list<float>(in, [&] { return in.number<float>(); });
    OCTET_ASSIGN(const float v, in.number<float>());
    return Attribute(v);
  }
  if (list) return parse_list<int64_t>(in, [&] { return in.integer(); });
  OCTET_ASSIGN(const int64_t v, in.integer());
  return Attribute(v);
}

// Reads line by line into a graph.
class Parser {
 public:
  Result<Graph> run(const std::string& text) {
    int number = 0;
    for (const std::string& line : split(text, '\n')) {
      Scanner in(line, ++number);
      if (in.at_end() || in.at("//")) continue;
      OCTET_RETURN_IF_ERROR(parse_line(in));
      if (!in.at_end()) return in.error("there is something left at the end of the line");
    }
    return std::move(graph_);
  }

 private:
  Status parse_line(Scanner& in) {
    if (in.take_word("graph")) return parse_header(in);
    if (in.take_word("input")) return parse_input(in);
    if (in.take_word("const")) return parse_constant(in);
    if (in.take_word("output")) {
      OCTET_ASSIGN(const ValueId id, parse_use(in));
      if (id == kNoValue) return in.error("an output cannot be omitted");
      graph_.outputs.push_back(id);
      return Status::ok();
    }
    return parse_node(in);
  }

  Status parse_header(Scanner& in) {
    OCTET_ASSIGN(graph_.name, in.string());
    if (!in.take_word("opset")) return in.error("expected 'opset'");
    OCTET_ASSIGN(const int64_t opset, in.integer());
    if (opset < 1 || opset > 1000) return in.error("the opset is out of range");
    graph_.opset = static_cast<int>(opset);
    while (in.take(",")) {
      const std::string domain = in.word();
      OCTET_ASSIGN(graph_.other_opsets[domain], in.integer());
    }
    return Status::ok();
  }

  // "%name" and, if present, ": type"; a new value.
  Result<ValueId> parse_definition(Scanner& in, Type* type) {
    OCTET_ASSIGN(const std::string name, in.value_name());
    if (graph_.find_value(name) != kNoValue) return in.error("'%" + name + "' is defined twice");
    if (in.take(":")) {
      OCTET_ASSIGN(*type, parse_type(in));
    }
    return graph_.add_value(name, type->dtype, type->shape);
  }

  Status parse_input(Scanner& in) {
    Type type;
    OCTET_ASSIGN(const ValueId id, parse_definition(in, &type));
    graph_.inputs.push_back(id);
    return Status::ok();
  }

  Status parse_constant(Scanner& in) {
    Type type;
    OCTET_ASSIGN(const ValueId id, parse_definition(in, &type));
    if (!in.take("=")) return in.error("expected '=' and the elements");
    OCTET_ASSIGN(graph_.value(id).constant, parse_tensor(in, type));
    return Status::ok();
  }

  Result<ValueId> parse_use(Scanner& in) {
    if (in.take_word("_")) return kNoValue;
    OCTET_ASSIGN(const std::string name, in.value_name());
    const ValueId id = graph_.find_value(name);
    if (id == kNoValue) return in.error("'%" + name + "' is not defined above");
    return id;
  }

  Status parse_node(Scanner& in) {
    Node node;
    std::vector<std::pair<std::string, Type>> outputs;  // added last: a node must not read its own output
    do {
      Type type;
      if (in.take_word("_")) {
        outputs.emplace_back("", type);
        continue;
      }
      OCTET_ASSIGN(std::string name, in.value_name());
      if (in.take(":")) {
        OCTET_ASSIGN(type, parse_type(in));
      }
      outputs.emplace_back(std::move(name), std::move(type));
    } while (in.take(","));
    if (!in.take("=")) return in.error("expected '=' and an operator");
    OCTET_RETURN_IF_ERROR(parse_call(in, node));
    for (auto& [name, type] : outputs) {
      if (!name.empty() && graph_.find_value(name) != kNoValue) return in.error("'%" + name + "' is defined twice");
      node.outputs.push_back(name.empty() ? kNoValue : graph_.add_value(name, type.dtype, std::move(type.shape)));
    }
    node.name = graph_.unique_node_name(node.op_type);
    if (in.take("#")) {
      OCTET_ASSIGN(node.name, in.name());
    }
    graph_.nodes.push_back(std::move(node));
    return Status::ok();
  }

  // "domain::Op(%a, _, %b) {key = value}"
  Status parse_call(Scanner& in, Node& node) {
    node.op_type = in.word();
    const size_t colons = node.op_type.rfind("::");
    if (colons != std::string::npos) {
      node.domain = node.op_type.substr(0, colons);
      node.op_type.erase(0, colons + 2);
    }
    if (node.op_type.empty() || !in.take("(")) return in.error("expected an operator and '('");
    while (!in.take(")")) {
      if (!node.inputs.empty() && !in.take(",")) return in.error("expected ',' or ')' between the inputs");
      OCTET_ASSIGN(const ValueId id, parse_use(in));
      node.inputs.push_back(id);
    }
    if (!in.take("{") || in.take("}")) return Status::ok();
    do {
      const std::string key = in.word();
      if (key.empty() || !in.take("=")) return in.error("expected 'attribute = value'");
      OCTET_ASSIGN(Attribute value, parse_attribute(in));
      if (!node.attributes.emplace(key, std::move(value)).second)
        return in.error("attribute '" + key + "' is given twice");
    } while (in.take(","));
    return in.take("}") ? Status::ok() : in.error("expected ',' or '}' after an attribute");
  }

  Graph graph_;
};

}  // namespace

Result<Graph> parse_text(const std::string& text) { return Parser().run(text); }

}  // namespace octet
