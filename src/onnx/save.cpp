#include "onnx/save.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <exception>
#include <filesystem>
#include <limits>

#include "base/files.h"
#include "graph/shape_inference.h"
#include "graph/verify.h"
#include "octet/onnx.h"
#include "onnx/model_writer.h"
#include "onnx/opset_upgrade.h"
#include "onnx/tensor_codec.h"

namespace octet {
namespace {

constexpr int64_t kLargestMessage = std::numeric_limits<int32_t>::max();
// Room for everything but weights, so that the decision can be made before the model is built.
constexpr int64_t kDefaultExternalLimit = kLargestMessage - (int64_t{64} << 20);

Result<std::string> to_bytes(const onnx::ModelProto& model) {
  const google::protobuf::LogSilencer silencer;
  if (model.ByteSizeLong() > static_cast<size_t>(kLargestMessage))
    return resource_limit(
        "the model has more than 2 GiB; save it to a file, so that the weights can stand beside it");
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    if (!model.SerializeToCodedStream(&coded)) return internal_error("protobuf could not encode the model");
  }
  return bytes;
}

// Calls `write` with the graph at an opset that can express it: the graph itself or an upgraded copy.
template <class Write>
Status with_writable(const Graph& graph, Write write) {
  try {
    OCTET_RETURN_IF_ERROR(verify(graph));
    const int opset = required_opset(graph);
    if (graph.opset >= opset) return write(graph);
    Graph upgraded = graph;
    OCTET_RETURN_IF_ERROR(upgrade_opset(upgraded, opset));
    OCTET_RETURN_IF_ERROR(infer_shapes(upgraded));
    return write(upgraded);
  } catch (const std::bad_alloc&) {
    return resource_limit("there is not enough memory to write the model");
  } catch (const std::exception& e) {
    return internal_error(std::string("writing the model failed: ") + e.what());
  }
}

Status stage_inside(const Graph& graph, const std::string& path, PendingFiles* files) {
  ExternalPlan plan;
  OCTET_ASSIGN(const std::unique_ptr<onnx::ModelProto> model, build_model(graph, plan));
  OCTET_ASSIGN(const std::string bytes, to_bytes(*model));
  return files->add(path, bytes);
}

Status stage_beside(const Graph& graph, const std::string& path, PendingFiles* files) {
  const std::filesystem::path target(path);
  ExternalPlan plan;
  plan.location = target.filename().string() + ".data";
  OCTET_ASSIGN(const std::unique_ptr<onnx::ModelProto> model, build_model(graph, plan));
  OCTET_ASSIGN(const std::string bytes, to_bytes(*model));
  OCTET_ASSIGN(PendingFile data_file, PendingFile::create((target.parent_path() / plan.location).string()));
  std::string scratch;
  for (const ExternalTensor& external : plan.tensors)
    OCTET_RETURN_IF_ERROR(data_file.write_at(external.offset, packed_view(*external.tensor, scratch)));
  OCTET_RETURN_IF_ERROR(data_file.flush());
  files->add(std::move(data_file));
  return files->add(path, bytes);
}

}  // namespace

Status stage_onnx(const Graph& graph, const std::string& path, PendingFiles* files, int64_t limit) {
  return with_writable(graph, [&](const Graph& writable) {
    return constant_bytes(writable) > limit ? stage_beside(writable, path, files)
                                            : stage_inside(writable, path, files);
  });
}

Status stage_onnx(const Graph& graph, const std::string& path, PendingFiles* files) {
  return stage_onnx(graph, path, files, kDefaultExternalLimit);
}

Status save_onnx_with_limit(const Graph& graph, const std::string& path, int64_t limit) {
  PendingFiles files;
  OCTET_RETURN_IF_ERROR(stage_onnx(graph, path, &files, limit));
  return files.commit();
}

Status save_onnx(const Graph& graph, const std::string& path) {
  return save_onnx_with_limit(graph, path, kDefaultExternalLimit);
}

Result<std::string> serialize_onnx(const Graph& graph) {
  std::string bytes;
  OCTET_RETURN_IF_ERROR(with_writable(graph, [&](const Graph& writable) -> Status {
    if (constant_bytes(writable) > kLargestMessage)
      return resource_limit(
          "the weights have more than 2 GiB; save the model to a file, so that they can stand beside it");
    ExternalPlan plan;
    OCTET_ASSIGN(const std::unique_ptr<onnx::ModelProto> model, build_model(writable, plan));
    OCTET_ASSIGN(bytes, to_bytes(*model));
    return Status::ok();
  }));
  return bytes;
}

}  // namespace octet
