// load_onnx and parse_onnx: bytes -> checked Graph.
#include <google/protobuf/stubs/logging.h>

#include <exception>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>

#include "base/files.h"
#include "graph/shape_inference.h"
#include "graph/verify.h"
#include "octet/onnx.h"
#include "onnx/contrib_operators.h"
#include "onnx/file_check.h"
#include "onnx/graph_reader.h"
#include "onnx/name_check.h"
#include "onnx/opset_upgrade.h"

namespace octet {
namespace {

constexpr int64_t kLargestMessage = std::numeric_limits<int32_t>::max();  // protobuf counts in 32 bits

Status too_large() {
  return resource_limit("an ONNX file may have at most 2 GiB; save the weights as external data beside the model");
}

Result<std::unique_ptr<onnx::ModelProto>> parse_model(std::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > kLargestMessage) return too_large();
  OCTET_RETURN_IF_ERROR(check_onnx_file(bytes));
  const google::protobuf::LogSilencer silencer;
  auto model = std::make_unique<onnx::ModelProto>();
  if (!model->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return data_corrupt("the file is damaged: its fields cannot be decoded; get it again");
  return model;
}

Result<Graph> build_graph(onnx::ModelProto& model, const std::string& folder) {
  OCTET_RETURN_IF_ERROR(check_names(model));
  ExternalReader external(folder);
  GraphReader reader(model, external);
  OCTET_ASSIGN(Graph graph, reader.read());
  OCTET_RETURN_IF_ERROR(rewrite_contrib_operators(graph));
  if (graph.opset < kOldestWrittenOpset) OCTET_RETURN_IF_ERROR(upgrade_opset(graph, kOldestWrittenOpset));
  OCTET_RETURN_IF_ERROR(verify(graph));
  OCTET_RETURN_IF_ERROR(infer_shapes(graph));
  return graph;
}

// Nothing but a Status leaves this room.
template <class Function>
Result<Graph> guarded(Function function) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return resource_limit("there is not enough memory to load the model");
  } catch (const std::exception& e) {
    return internal_error(std::string("loading the model failed: ") + e.what());
  }
}

}  // namespace

Result<Graph> load_onnx(const std::string& path) {
  return guarded([&]() -> Result<Graph> {
    std::error_code error;
    const uintmax_t size = std::filesystem::file_size(path, error);
    if (!error && size > static_cast<uintmax_t>(kLargestMessage)) return too_large().at(path);
    OCTET_ASSIGN(std::string bytes, read_file(path, kLargestMessage));
    OCTET_ASSIGN(std::unique_ptr<onnx::ModelProto> model, parse_model(bytes).at(path));
    std::string().swap(bytes);
    const std::string folder = std::filesystem::path(path).parent_path().string();
    return build_graph(*model, folder.empty() ? "." : folder).at(path);
  });
}

Result<Graph> parse_onnx(std::string_view bytes, const std::string& folder) {
  return guarded([&]() -> Result<Graph> {
    OCTET_ASSIGN(std::unique_ptr<onnx::ModelProto> model, parse_model(bytes));
    return build_graph(*model, folder);
  });
}

Result<int64_t> onnx_bytes(const std::string& path) {
  OCTET_ASSIGN(const std::string bytes, read_file(path, kLargestMessage));
  OCTET_ASSIGN(const std::unique_ptr<onnx::ModelProto> model, parse_model(bytes).at(path));
  std::set<std::string> locations;
  for (const auto& tensor : model->graph().initializer())
    for (const auto& entry : tensor.external_data())
      if (entry.key() == "location") locations.insert(entry.value());
  auto total = static_cast<int64_t>(bytes.size());
  for (const std::string& location : locations) {
    std::error_code error;
    const uintmax_t size = std::filesystem::file_size(std::filesystem::path(path).parent_path() / location, error);
    if (!error) total += static_cast<int64_t>(size);
  }
  return total;
}

}  // namespace octet
