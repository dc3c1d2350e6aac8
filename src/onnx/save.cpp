#include "onnx/save.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

// A file that appears under its name only when commit() is called; removed otherwise.
class PendingFile {
 public:
  static Result<PendingFile> create(const std::string& path) {
    PendingFile file;
    file.path_ = path;
    file.temporary_ = path + ".tmp-XXXXXX";
    file.descriptor_ = ::mkstemp(file.temporary_.data());
    if (file.descriptor_ < 0) return file.failure();
    ::fchmod(file.descriptor_, 0644);
    return file;
  }
  PendingFile(PendingFile&& other) noexcept
      : path_(std::move(other.path_)),
        temporary_(std::move(other.temporary_)),
        descriptor_(std::exchange(other.descriptor_, -1)) {}
  PendingFile& operator=(PendingFile&&) = delete;
  ~PendingFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }

  Status write_at(int64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failure();
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += n;
    }
    return Status::ok();
  }
  Status flush() {
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) return failure();
    return Status::ok();
  }
  Status commit() {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failure();
    ::close(std::exchange(descriptor_, -1));
    return Status::ok();
  }

 private:
  PendingFile() = default;
  Status failure() const { return io_error("cannot write '" + path_ + "': " + std::strerror(errno)); }

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

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

Status save_inside(const Graph& graph, const std::string& path) {
  ExternalPlan plan;
  OCTET_ASSIGN(const std::unique_ptr<onnx::ModelProto> model, build_model(graph, plan));
  OCTET_ASSIGN(const std::string bytes, to_bytes(*model));
  return write_file_atomically(path, bytes);
}

// Both files are complete on disk before either gets its name.
Status save_beside(const Graph& graph, const std::string& path) {
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
  OCTET_ASSIGN(PendingFile model_file, PendingFile::create(path));
  OCTET_RETURN_IF_ERROR(model_file.write_at(0, bytes));
  OCTET_RETURN_IF_ERROR(model_file.flush());
  OCTET_RETURN_IF_ERROR(data_file.commit());
  return model_file.commit();
}

}  // namespace

Status save_onnx_with_limit(const Graph& graph, const std::string& path, int64_t limit) {
  return with_writable(graph, [&](const Graph& writable) {
    return constant_bytes(writable) > limit ? save_beside(writable, path) : save_inside(writable, path);
  });
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
