// Networks as the commands take them: ONNX files and compiled engines, told apart by their first bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "executor/executor.h"
#include "octet/data.h"
#include "octet/graph.h"
#include "octet/runtime.h"

namespace octet::cli {

// True for a file that begins as an engine does, or that is named .octet (so that a damaged one is reported as such).
bool is_engine_file(const std::string& path);

// load_onnx, with a sentence for those who give an engine instead.
Result<Graph> load_network(const std::string& path);

// A part of the network that runs at once, for tables.
struct Group {
  std::string nodes, what, precision, kernel;
  double macs = 0;  // for one image; 0: not known
};

// A loaded network that one caller runs with a number of threads.
class Runnable {
 public:
  static Result<std::unique_ptr<Runnable>> load(const std::string& path, int threads);
  virtual ~Runnable() = default;

  bool is_engine() const { return engine_; }
  const std::vector<TensorDesc>& inputs() const { return inputs_; }
  const std::vector<TensorDesc>& outputs() const { return outputs_; }
  std::vector<InputInfo> input_infos() const;

  virtual Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs) = 0;
  // Reads the inputs where they are and writes `outputs`, made by an earlier run of this batch, in place where the
  // network can; nothing more is copied than it has to.
  virtual Status run_in_place(int64_t batch, const std::vector<Tensor>& inputs, std::vector<Tensor>* outputs) = 0;
  virtual Result<std::vector<double>> profile(int64_t batch, const std::vector<Tensor>& inputs,
                                              std::vector<Tensor>* outputs) = 0;
  virtual std::vector<Group> groups() const = 0;
  virtual int64_t memory_bytes() const { return 0; }  // arena and scratch; 0: not known

 protected:
  bool engine_ = false;
  std::vector<TensorDesc> inputs_, outputs_;
};

}  // namespace octet::cli
