#include "cli/network_file.h"

#include <fstream>

#include "base/text.h"
#include "cli/explain.h"
#include "octet/onnx.h"

namespace octet::cli {
namespace {

TensorDesc describe(const Value& value) {
  TensorDesc d{value.name, value.dtype, {}};
  if (value.shape)
    for (const Dim& dim : *value.shape) d.dims.push_back(dim.is_static() ? dim.coefficient : -1);
  return d;
}

class OnnxRunnable : public Runnable {
 public:
  OnnxRunnable(const Graph& graph, std::unique_ptr<Executor> executor) : executor_(std::move(executor)) {
    for (ValueId id : graph.inputs) inputs_.push_back(describe(graph.value(id)));
    for (ValueId id : graph.outputs) outputs_.push_back(describe(graph.value(id)));
  }
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs) override { return executor_->run(inputs); }
  Status run_in_place(int64_t, const std::vector<Tensor>& inputs, std::vector<Tensor>* outputs) override {
    OCTET_ASSIGN(*outputs, executor_->run(inputs));
    return Status::ok();
  }
  Result<std::vector<double>> profile(int64_t, const std::vector<Tensor>& inputs, std::vector<Tensor>*) override {
    return executor_->profile(inputs);
  }
  std::vector<Group> groups() const override {
    std::vector<Group> groups;
    for (const std::string& line : executor_->describe()) {  // "Conv+Relu 'name' on kernel"
      const size_t quote = line.find(" '"), on = line.rfind("' on ");
      if (quote == std::string::npos || on == std::string::npos || on < quote + 2)
        groups.push_back({"", line, "", "", 0});
      else
        groups.push_back({line.substr(quote + 2, on - quote - 2), line.substr(0, quote), "", line.substr(on + 5), 0});
    }
    return groups;
  }

 private:
  std::unique_ptr<Executor> executor_;
};

class EngineRunnable : public Runnable {
 public:
  EngineRunnable(std::shared_ptr<const Engine> engine, std::unique_ptr<Session> session)
      : loaded_(std::move(engine)), session_(std::move(session)) {
    engine_ = true;
    inputs_ = loaded_->inputs();
    outputs_ = loaded_->outputs();
  }
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs) override { return session_->run(inputs); }
  Status run_in_place(int64_t batch, const std::vector<Tensor>& inputs, std::vector<Tensor>* outputs) override {
    set_pointers(inputs, outputs);
    return session_->run(images(batch), from_, to_);
  }
  Result<std::vector<double>> profile(int64_t batch, const std::vector<Tensor>& inputs,
                                      std::vector<Tensor>* outputs) override {
    set_pointers(inputs, outputs);
    return session_->profile(images(batch), from_, to_);
  }
  std::vector<Group> groups() const override { return program_groups(loaded_->program()); }
  int64_t memory_bytes() const override { return session_->memory_bytes(); }

 private:
  // An engine of a fixed batch counts it as one image.
  int64_t images(int64_t batch) const { return loaded_->program().batched ? batch : 1; }
  void set_pointers(const std::vector<Tensor>& inputs, std::vector<Tensor>* outputs) {
    from_.clear();
    to_.clear();
    for (const Tensor& t : inputs) from_.push_back(t.raw());
    for (Tensor& t : *outputs) to_.push_back(t.raw());
  }

  std::shared_ptr<const Engine> loaded_;
  std::unique_ptr<Session> session_;
  std::vector<const void*> from_;
  std::vector<void*> to_;
};

}  // namespace

bool is_engine_file(const std::string& path) {
  if (to_lower(path).ends_with(".octet")) return true;
  std::ifstream file(path, std::ios::binary);
  char head[6] = {};
  return file.read(head, sizeof head) && std::string_view(head, sizeof head) == "\x8fOCTET";
}

Result<Graph> load_network(const std::string& path) {
  if (is_engine_file(path))
    return invalid_argument("'" + path + "' is a compiled engine, and this takes an ONNX file; " +
                            "give the network that the engine was compiled from");
  return load_onnx(path);
}

std::vector<InputInfo> Runnable::input_infos() const {
  std::vector<InputInfo> infos;
  for (const TensorDesc& input : inputs_) infos.push_back({input.name, input.dtype, input.dims});
  return infos;
}

Result<std::unique_ptr<Runnable>> Runnable::load(const std::string& path, int threads) {
  if (is_engine_file(path)) {
    OCTET_ASSIGN(std::shared_ptr<const Engine> engine, Engine::load(path));
    OCTET_ASSIGN(std::unique_ptr<Session> session, Session::create(engine, {.threads = threads}));
    return std::unique_ptr<Runnable>(std::make_unique<EngineRunnable>(std::move(engine), std::move(session)));
  }
  OCTET_ASSIGN(const Graph graph, load_onnx(path));
  ExecutorOptions options;
  options.threads = threads;
  OCTET_ASSIGN(std::unique_ptr<Executor> executor, Executor::create(graph, options));
  return std::unique_ptr<Runnable>(std::make_unique<OnnxRunnable>(graph, std::move(executor)));
}

}  // namespace octet::cli
