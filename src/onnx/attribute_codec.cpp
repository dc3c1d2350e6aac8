#include "onnx/attribute_codec.h"

#include "onnx/tensor_codec.h"

namespace octet {
namespace {

using Proto = onnx::AttributeProto;

// Files older than IR version 2 leave the type out; then the field that is set tells it.
Proto::AttributeType type_of(const Proto& proto) {
  if (proto.type() != Proto::UNDEFINED) return proto.type();
  if (proto.has_f()) return Proto::FLOAT;
  if (proto.has_i()) return Proto::INT;
  if (proto.has_s()) return Proto::STRING;
  if (proto.has_t()) return Proto::TENSOR;
  if (proto.floats_size() != 0) return Proto::FLOATS;
  if (proto.ints_size() != 0) return Proto::INTS;
  if (proto.strings_size() != 0) return Proto::STRINGS;
  return Proto::UNDEFINED;
}

Result<Attribute> decode(Proto& proto, ExternalReader& external) {
  if (!proto.ref_attr_name().empty())
    return data_corrupt("it refers to the attribute of a function, but is not in one");
  switch (type_of(proto)) {
    case Proto::FLOAT: return Attribute(proto.f());
    case Proto::INT: return Attribute(static_cast<int64_t>(proto.i()));
    case Proto::STRING: return Attribute(proto.s());
    case Proto::FLOATS: return Attribute(std::vector<float>(proto.floats().begin(), proto.floats().end()));
    case Proto::INTS: return Attribute(std::vector<int64_t>(proto.ints().begin(), proto.ints().end()));
    case Proto::STRINGS: return Attribute(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
    case Proto::TENSOR: {
      OCTET_ASSIGN(Tensor tensor, decode_tensor(*proto.mutable_t(), external));
      return Attribute(std::move(tensor));
    }
    case Proto::GRAPH:
    case Proto::GRAPHS: return unsupported("operators that contain subgraphs are not supported");
    case Proto::TENSORS:
    case Proto::SPARSE_TENSOR:
    case Proto::SPARSE_TENSORS: return unsupported("sparse tensors and lists of tensors are not supported");
    default: return unsupported("attributes of this type are not supported");
  }
}

struct Encoder {
  Proto& proto;
  void operator()(int64_t v) const {
    proto.set_type(Proto::INT);
    proto.set_i(v);
  }
  void operator()(float v) const {
    proto.set_type(Proto::FLOAT);
    proto.set_f(v);
  }
  void operator()(const std::string& v) const {
    proto.set_type(Proto::STRING);
    proto.set_s(v);
  }
  void operator()(const Tensor& v) const {
    proto.set_type(Proto::TENSOR);
    encode_tensor(v, *proto.mutable_t());
  }
  void operator()(const std::vector<int64_t>& v) const {
    proto.set_type(Proto::INTS);
    proto.mutable_ints()->Add(v.begin(), v.end());
  }
  void operator()(const std::vector<float>& v) const {
    proto.set_type(Proto::FLOATS);
    proto.mutable_floats()->Add(v.begin(), v.end());
  }
  void operator()(const std::vector<std::string>& v) const {
    proto.set_type(Proto::STRINGS);
    for (const std::string& s : v) proto.add_strings(s);
  }
};

template <class T>
Tensor vector_tensor(const std::vector<T>& values) {
  return Tensor::from<T>({static_cast<int64_t>(values.size())}, values);
}

}  // namespace

Result<Attribute> decode_attribute(Proto& proto, ExternalReader& external) {
  return decode(proto, external).at("attribute " + in_quotes(proto.name()));
}

void encode_attribute(const Attribute& attribute, Proto& proto) { std::visit(Encoder{proto}, attribute); }

Result<Tensor> constant_value(const Attributes& attributes) {
  for (const auto& [name, attribute] : attributes) {
    if (name == "value")
      if (const auto* v = std::get_if<Tensor>(&attribute)) return *v;
    if (name == "value_float")
      if (const auto* v = std::get_if<float>(&attribute)) return Tensor::scalar(*v);
    if (name == "value_int")
      if (const auto* v = std::get_if<int64_t>(&attribute)) return Tensor::scalar(*v);
    if (name == "value_floats")
      if (const auto* v = std::get_if<std::vector<float>>(&attribute)) return vector_tensor(*v);
    if (name == "value_ints")
      if (const auto* v = std::get_if<std::vector<int64_t>>(&attribute)) return vector_tensor(*v);
    if (name == "value_string" || name == "value_strings") return unsupported("tensors of strings are not supported");
  }
  return data_corrupt("it has no attribute that carries its value");
}

}  // namespace octet
