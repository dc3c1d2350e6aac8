// octet run: a network on arrays or images.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/network_file.h"
#include "cli/npy_file.h"
#include "data/datasets.h"
#include "metrics/classification.h"
#include "pipeline/image_runner.h"

namespace octet::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, data, output;
  std::vector<std::string> inputs;
  int64_t images = 0;
  int64_t batch = 1;
};

// Images named on the command line.
class ImageFiles : public ImageSource {
 public:
  explicit ImageFiles(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  Result<Image> image(int64_t i) const override { return read_image_file(paths_[static_cast<size_t>(i)]); }
  std::string name(int64_t i) const override { return paths_[static_cast<size_t>(i)]; }
  std::string describe() const override { return std::to_string(paths_.size()) + " images"; }

 private:
  std::vector<std::string> paths_;
};

bool has_suffix(const std::string& path, const char* suffix) { return to_lower(path).ends_with(suffix); }

// An array file holds the samples along its first axis; images are prepared as --data says, or as image networks of
// the ImageNet family want it.
Result<DatasetPtr> open_inputs(const Options& o, const std::vector<InputInfo>& inputs) {
  if (o.inputs.empty() && o.data.empty())
    return invalid_argument("say what to run on: an .npy or .npz file, images, or --data");
  DataSpec spec;
  if (!o.data.empty()) {
    OCTET_ASSIGN(spec, load_data_spec(o.data));
  }
  if (o.inputs.empty()) return open_dataset(spec, inputs);
  const bool all_images = std::all_of(o.inputs.begin(), o.inputs.end(), has_image_extension);
  if (all_images) return make_image_dataset(spec, std::make_unique<ImageFiles>(o.inputs), inputs);
  const std::string& path = o.inputs[0];
  const bool npy = has_suffix(path, ".npy"), npz = has_suffix(path, ".npz");
  if (o.inputs.size() > 1 || (!npy && !npz))
    return invalid_argument("'" + *std::find_if_not(o.inputs.begin(), o.inputs.end(), has_image_extension) +
                            "' is not an image (.jpg, .png); give images, or one .npy or .npz file");
  if (!o.data.empty()) return invalid_argument("'" + path + "' is fed as it is; --data says how images are prepared");
  spec.kind = npy ? DataKind::kNpy : DataKind::kNpz;
  spec.path = path;
  return open_dataset(spec, inputs);
}

struct Outcome {
  std::vector<std::string> names;     // of the samples
  std::vector<std::string> classes;   // names of the classes, when the data knows them
  std::vector<TensorDesc> described;  // outputs
  std::vector<Tensor> outputs;        // rows of all samples
  std::vector<std::string> files;     // that the outputs went to
};

// Collects the rows of real samples of one output, batch by batch.
class Rows {
 public:
  Status add(const Tensor& part, int64_t rows, int64_t batch, int64_t total) {
    if (part.rank() == 0 || part.dim(0) != batch) {
      if (rows != total)
        return unsupported("an output of shape " + dims_to_string(part.dims()) + " has no row for each of " +
                           std::to_string(batch) + " samples; run them one at a time");
      all_ = part;
      return Status::ok();
    }
    const int64_t bytes = part.nbytes() / batch;
    if (!all_.defined()) {
      Dims dims = part.dims();
      dims[0] = total;
      OCTET_ASSIGN(all_, Tensor::create(part.dtype(), dims));
    }
    if (all_.nbytes() / total != bytes)
      return unsupported("the shape of an output changes from sample to sample, to " + dims_to_string(part.dims()));
    std::memcpy(all_.data<char>() + done_ * bytes, part.raw(), static_cast<size_t>(rows * bytes));
    done_ += rows;
    return Status::ok();
  }
  Tensor take() { return std::move(all_); }

 private:
  Tensor all_;
  int64_t done_ = 0;
};

std::string file_name_of(const std::string& tensor) {
  std::string name = tensor;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-') c = '_';
  return name + ".npy";
}

Status save_outputs(const Options& o, Outcome* out) {
  if (o.output.empty()) return Status::ok();
  if (has_suffix(o.output, ".npy")) {
    if (out->outputs.size() != 1)
      return invalid_argument("the network has " + std::to_string(out->outputs.size()) +
                              " outputs and one .npy file holds one; give a folder with -o");
    out->files.push_back(o.output);
    return write_npy(o.output, out->outputs[0]);
  }
  OCTET_RETURN_IF_ERROR(make_directories(o.output));
  for (size_t i = 0; i < out->outputs.size(); ++i) {
    out->files.push_back(o.output + "/" + file_name_of(out->described[i].name));
    OCTET_RETURN_IF_ERROR(write_npy(out->files.back(), out->outputs[i]));
  }
  return Status::ok();
}

Result<Outcome> run(const Options& o, const Common& common) {
  OCTET_ASSIGN(const std::unique_ptr<Runnable> network, Runnable::load(o.model, resolve_threads(common.threads)));
  const std::vector<InputInfo> inputs = network->input_infos();
  OCTET_ASSIGN(const DatasetPtr data, open_inputs(o, inputs));
  const int64_t count = o.images > 0 ? std::min(o.images, data->size()) : data->size();
  const int64_t fixed = fixed_batch(inputs);
  Outcome out;
  out.classes = data->class_names();
  out.described = network->outputs();
  std::vector<Rows> rows(out.described.size());
  const CancelFlag* cancel = cancel_on_interrupt();
  const ProgressSink progress = progress_sink(common.quiet || common.json || count < 100);
  const int64_t step = fixed > 0 ? fixed : o.batch;
  for (int64_t first = 0; first < count; first += step) {
    if (*cancel) return cancelled("interrupted");
    const int64_t last = std::min(count, first + step);
    std::vector<int64_t> members;
    for (int64_t i = first; i < last; ++i) members.push_back(i);
    const int64_t batch = fixed > 0 ? fixed : last - first;
    OCTET_ASSIGN(const Batch loaded, load_batch(inputs.size(), *data, members, batch));
    OCTET_ASSIGN(const std::vector<Tensor> results, network->run(loaded.inputs));
    for (size_t k = 0; k < rows.size(); ++k)
      OCTET_RETURN_IF_ERROR(rows[k].add(results[k], last - first, batch, count));
    for (const Sample& sample : loaded.samples) out.names.push_back(sample.name);
    if (progress) progress("running", last, count);
  }
  for (Rows& r : rows) out.outputs.push_back(r.take());
  OCTET_RETURN_IF_ERROR(save_outputs(o, &out));
  return out;
}

// True when the first output is one row of class scores for each sample.
bool holds_scores(const Outcome& out) {
  if (out.outputs.empty()) return false;
  const Tensor& t = out.outputs[0];
  return t.dtype() == DType::kFloat32 && t.rank() >= 2 && t.dim(0) == static_cast<int64_t>(out.names.size()) &&
         t.dim(1) > 1 && t.numel() == t.dim(0) * t.dim(1);
}

// The best five classes of a sample.
std::vector<int64_t> best_of(const Tensor& scores, int64_t row) {
  const int64_t classes = scores.dim(1);
  return top_k(scores.data<float>() + row * classes, classes, std::min<int64_t>(5, classes));
}

std::string class_name(const Outcome& out, int64_t id) {
  return static_cast<size_t>(id) < out.classes.size() ? out.classes[static_cast<size_t>(id)] : std::to_string(id);
}

void print_outcome(const Outcome& out) {
  constexpr int64_t kMostRows = 10;
  for (size_t k = 0; k < out.outputs.size(); ++k)
    fmt::print("{}: {} {}{}\n", out.described[k].name, dtype_name(out.outputs[k].dtype()),
               dims_to_string(out.outputs[k].dims()), k < out.files.size() ? " -> " + out.files[k] : "");
  if (!holds_scores(out)) return;
  const Tensor& scores = out.outputs[0];
  Table table({"sample", "<top 5: class (score)"});
  for (int64_t n = 0; n < std::min(scores.dim(0), kMostRows); ++n) {
    std::string line;
    for (int64_t id : best_of(scores, n))
      line += fmt::format("{}{} ({:.3f})", line.empty() ? "" : "  ", class_name(out, id),
                          scores.data<float>()[n * scores.dim(1) + id]);
    table.add({shorten(out.names[static_cast<size_t>(n)], 40), line});
  }
  fmt::print("\n{}", table.to_string());
  if (scores.dim(0) > kMostRows) fmt::print("... {} more\n", scores.dim(0) - kMostRows);
}

void print_json(const Options& o, const Outcome& out) {
  Json j;
  j["model"] = o.model;
  j["count"] = out.names.size();
  j["outputs"] = Json::array();
  for (size_t k = 0; k < out.outputs.size(); ++k) {
    Json entry = {{"name", out.described[k].name},
                  {"type", dtype_name(out.outputs[k].dtype())},
                  {"dims", out.outputs[k].dims()}};
    if (k < out.files.size()) entry["file"] = out.files[k];
    j["outputs"].push_back(std::move(entry));
  }
  if (holds_scores(out)) {
    j["top5"] = Json::array();
    for (int64_t n = 0; n < out.outputs[0].dim(0); ++n)
      j["top5"].push_back({{"sample", out.names[static_cast<size_t>(n)]}, {"classes", best_of(out.outputs[0], n)}});
  }
  fmt::print("{}\n", j.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

void add_run(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("run", "Run an engine or an ONNX network on arrays or images");
  cmd->add_option("MODEL", o->model, ".octet or ONNX file")->required();
  cmd->add_option("INPUT", o->inputs, "an .npy or .npz file with the samples along the first axis, or images");
  cmd->add_option("--data", o->data, "images to run on, or how to prepare the given ones: a YAML file or kind:PATH");
  cmd->add_option("-o,--output", o->output, "an .npy file, or a folder for one .npy file an output");
  cmd->add_option("--images", o->images, "run the first N samples only; 0: all")->check(CLI::NonNegativeNumber);
  cmd->add_option("--batch", o->batch, "samples in a run, where the network leaves it open")
      ->check(CLI::Range(1, 4096));
  cmd->footer(
      "Examples:\n"
      "  octet run model.octet batch.npy -o scores.npy\n"
      "  octet run model.octet cat.jpg dog.png\n"
      "  octet run model.octet cat.jpg --data 'folder:.?resize=stretch&scale=1/255'");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Result<Outcome> out = run(*o, *common);
    if (!out.is_ok()) common->exit = fail(out.status());
    else if (common->json) print_json(*o, *out);
    else print_outcome(*out);
  });
}

}  // namespace octet::cli
