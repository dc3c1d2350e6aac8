#include "interp/node_test_data.h"

#include <cmath>
#include <filesystem>

#include "arith/float_formats.h"
#include "base/files.h"
#include "graph/op_table.h"
#include "onnx/tensor_codec.h"

namespace octet::node_tests {
namespace {

std::string foreign_type(const onnx::ValueInfoProto& info) {
  if (!info.type().has_tensor_type()) return "'" + info.name() + "' is not a tensor";
  const int32_t type = info.type().tensor_type().elem_type();
  return dtype_from_onnx(type) == DType::kUndefined ? unsupported_type_name(type) : "";
}

std::string foreign_attribute(const onnx::AttributeProto& attribute) {
  if (attribute.has_g() || attribute.graphs_size() != 0) return "a subgraph";
  if (attribute.has_sparse_tensor()) return "a sparse tensor";
  if (attribute.name() != "to" && attribute.name() != "dtype" && attribute.name() != "output_dtype") return "";
  const auto type = static_cast<int32_t>(attribute.i());
  return dtype_from_onnx(type) == DType::kUndefined ? unsupported_type_name(type) : "";
}

}  // namespace

Result<ModelSummary> summarize_model(const std::string& path) {
  OCTET_ASSIGN(const std::string bytes, read_file(path));
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes)) return data_corrupt(path + " is not an ONNX model");
  ModelSummary summary;
  const auto note = [&](const std::string& what) {
    if (summary.foreign.empty()) summary.foreign = what;
  };
  for (const auto& opset : model.opset_import())
    if (opset.domain().empty() && opset.version() < kOldestOpset) note("opset " + std::to_string(opset.version()));
  for (const auto& node : model.graph().node()) {
    const bool standard = node.domain().empty() || node.domain() == "ai.onnx";
    summary.ops.push_back(standard ? node.op_type() : node.domain() + "::" + node.op_type());
    if (find_op(node.domain(), node.op_type()) == nullptr) note("operator " + summary.ops.back());
    for (const auto& attribute : node.attribute()) note(foreign_attribute(attribute));
  }
  for (const auto& info : model.graph().input()) note(foreign_type(info));
  for (const auto& info : model.graph().output()) note(foreign_type(info));
  return summary;
}

Result<Tensor> read_tensor(const std::string& path) {
  OCTET_ASSIGN(const std::string bytes, read_file(path));
  onnx::TensorProto proto;
  if (!proto.ParseFromString(bytes)) return data_corrupt(path + " is not a TensorProto");
  ExternalReader no_external("");
  return decode_tensor(proto, no_external).at(path);
}

Result<std::vector<Tensor>> read_tensors(const std::string& folder, const std::string& stem) {
  std::vector<Tensor> tensors;
  for (int i = 0;; ++i) {
    const std::string path = folder + "/" + stem + "_" + std::to_string(i) + ".pb";
    if (!std::filesystem::exists(path)) return tensors;
    OCTET_ASSIGN(Tensor tensor, read_tensor(path));
    tensors.push_back(std::move(tensor));
  }
}

namespace {

struct Tolerance {
  double relative, absolute;
};

// ONNX's own runner takes rtol 1e-3; half a unit in the last place is 2^-11 of a float16 and 2^-8 of a bfloat16.
Tolerance tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kFloat64: return {1e-3, 1e-6};
    case DType::kFloat16: return {2e-3, 1e-5};
    case DType::kBFloat16: return {1.6e-2, 1e-5};
    default: return {0, 0};
  }
}

bool agree(double actual, double expected, const Tolerance& tolerance) {
  if (std::isnan(expected)) return std::isnan(actual);
  if (actual == expected) return true;
  if (std::isinf(actual) || std::isinf(expected)) return false;
  return std::fabs(actual - expected) <= tolerance.absolute + tolerance.relative * std::fabs(expected);
}

std::string differing(int64_t i, const std::string& actual, const std::string& expected) {
  return "element " + std::to_string(i) + " is " + actual + " instead of " + expected;
}

std::string float_difference(const Tensor& actual, const Tensor& expected) {
  const Result<Tensor> a = cast_tensor(actual, DType::kFloat64);
  const Result<Tensor> e = cast_tensor(expected, DType::kFloat64);
  if (!a.is_ok() || !e.is_ok()) return "the outputs cannot be compared";
  const Tolerance tolerance = tolerance_of(actual.dtype());
  for (int64_t i = 0; i < actual.numel(); ++i) {
    const double x = a->data<double>()[i], y = e->data<double>()[i];
    if (!agree(x, y, tolerance)) return differing(i, std::to_string(x), std::to_string(y));
  }
  return "";
}

std::string integer_difference(const Tensor& actual, const Tensor& expected) {
  const Result<std::vector<int64_t>> a = to_int64s(actual);
  const Result<std::vector<int64_t>> e = to_int64s(expected);
  if (!a.is_ok() || !e.is_ok()) return "the outputs cannot be compared";
  for (size_t i = 0; i < a->size(); ++i)
    if ((*a)[i] != (*e)[i])
      return differing(static_cast<int64_t>(i), std::to_string((*a)[i]), std::to_string((*e)[i]));
  return "";
}

}  // namespace

std::string difference(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype())
    return std::string("the type is ") + dtype_name(actual.dtype()) + " instead of " + dtype_name(expected.dtype());
  if (actual.dims() != expected.dims())
    return "the shape is " + dims_to_string(actual.dims()) + " instead of " + dims_to_string(expected.dims());
  return dtype_is_float(actual.dtype()) ? float_difference(actual, expected) : integer_difference(actual, expected);
}

}  // namespace octet::node_tests
