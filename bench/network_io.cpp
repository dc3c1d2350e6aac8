// octet_network_io: what Octet feeds a network, what it gets out, and the score of another runtime's outputs.
//
//   octet_network_io NET.onnx --data SPEC --inputs x.npy --outputs y.npy   prepared images, and Octet's first output
//   octet_network_io NET.onnx --data SPEC --score theirs.npy               prints {"map50": ..., "map": ...} of a
//   file
//                                                                          like y.npy; SPEC is a detection data set
//
// Images run one at a time; arrays are float32 with the images along the first axis.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>

#include "data/npy.h"
#include "executor/executor.h"
#include "metrics/detection.h"
#include "octet/onnx.h"
#include "pipeline/image_runner.h"

namespace octet {
namespace {

struct Options {
  std::string model, data, inputs, outputs, score;
  int64_t images = 0;
  int threads = 0;
};

// Rows of equal shape as one .npy array (format version 1, NEP 1).
Status write_npy(const std::string& path, const std::vector<Tensor>& rows) {
  std::string shape = std::to_string(rows.size()) + ",";
  for (int64_t d : rows[0].dims()) shape += " " + std::to_string(d) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (header.size() + 10) % 64, ' ');  // data starts at a multiple of 64
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file.write("\x93NUMPY\x01\x00", 8);
  file.put(static_cast<char>(header.size() & 0xFF)).put(static_cast<char>(header.size() >> 8));
  file << header;
  for (const Tensor& row : rows) {
    if (row.dtype() != DType::kFloat32 || row.dims() != rows[0].dims())
      return unsupported("images with different shapes, or not float32, cannot be written to '" + path + "'");
    file.write(static_cast<const char*>(row.raw()), row.nbytes());
  }
  file.close();
  return file ? Status::ok() : io_error("'" + path + "' could not be written");
}

Tensor without_batch_axis(const Tensor& t) {
  return t.rank() > 0 && t.dim(0) == 1 ? t.reshaped(Dims(t.dims().begin() + 1, t.dims().end())) : t;
}

Status dump(const Options& o, const Graph& graph, const Dataset& data, int64_t count) {
  if (fixed_batch(graph) > 1) return unsupported("'" + o.model + "' has a fixed batch of more than one image");
  OCTET_ASSIGN(const std::unique_ptr<Executor> executor, Executor::create(graph));
  std::vector<Tensor> inputs(static_cast<size_t>(count)), outputs(static_cast<size_t>(count));
  RunOptions run;
  run.threads = o.threads;
  OCTET_RETURN_IF_ERROR(parallel_items(count, run, "running", 1, count, [&](int, int64_t i) -> Status {
    OCTET_ASSIGN(const Batch batch, load_batch(graph, data, {i}, 1));
    inputs[static_cast<size_t>(i)] = without_batch_axis(batch.inputs[0]);
    if (o.outputs.empty()) return Status::ok();
    OCTET_ASSIGN(const std::vector<Tensor> results, executor->run(batch.inputs));
    outputs[static_cast<size_t>(i)] = without_batch_axis(results[0]);
    return Status::ok();
  }));
  if (!o.inputs.empty()) OCTET_RETURN_IF_ERROR(write_npy(o.inputs, inputs));
  return o.outputs.empty() ? Status::ok() : write_npy(o.outputs, outputs);
}

Status score(const Options& o, const DetectionSpec& detection, const Dataset& data, int64_t count) {
  OCTET_ASSIGN(ByteWindow bytes, ByteWindow::open(o.score));
  OCTET_ASSIGN(const NpyArray array, NpyArray::open(std::move(bytes), "'" + o.score + "'"));
  if (array.rows() != count)
    return invalid_argument(fmt::format("'{}' has {} rows for {} images", o.score, array.rows(), count));
  AveragePrecision precision(detection.max_detections);
  for (int64_t i = 0; i < count; ++i) {
    OCTET_ASSIGN(const Sample sample, data.get(i));
    OCTET_ASSIGN(const Tensor output, array.read_row(i));
    OCTET_ASSIGN(const std::vector<Box> boxes, detect(detection, output, sample.placement));
    precision.add_image(boxes, sample.boxes);
  }
  const AveragePrecision::Summary summary = precision.summarize();
  fmt::print("{{\"count\": {}, \"map50\": {:.6f}, \"map\": {:.6f}}}\n", count, 100 * summary.map50,
             100 * summary.map);
  return Status::ok();
}

Status run(const Options& o) {
  OCTET_ASSIGN(const Graph graph, load_onnx(o.model));
  OCTET_ASSIGN(const DataSpec spec, load_data_spec(o.data));
  OCTET_ASSIGN(const std::unique_ptr<Dataset> data, open_dataset(spec, network_inputs(graph)));
  const int64_t count = o.images > 0 ? std::min(o.images, data->size()) : data->size();
  return o.score.empty() ? dump(o, graph, *data, count) : score(o, spec.detection, *data, count);
}

}  // namespace
}  // namespace octet

int main(int argc, char** argv) {
  CLI::App app{"Writes a network's prepared inputs and Octet's outputs as .npy, or scores outputs from elsewhere."};
  octet::Options o;
  app.add_option("MODEL", o.model, "ONNX file")->required();
  app.add_option("--data", o.data, "a YAML file or kind:PATH")->required();
  app.add_option("--inputs", o.inputs, "write the prepared images here");
  app.add_option("--outputs", o.outputs, "write the first output here");
  app.add_option("--score", o.score, "print the average precision of the outputs in this file");
  app.add_option("--images", o.images, "the first N images; 0: all")->check(CLI::NonNegativeNumber);
  app.add_option("--threads", o.threads, "0: one per core")->check(CLI::Range(0, 1024));
  CLI11_PARSE(app, argc, argv);
  const octet::Status status = octet::run(o);
  if (status.is_ok()) return 0;
  fmt::print(stderr, "octet_network_io: {}\n", status.message());
  return 1;
}
