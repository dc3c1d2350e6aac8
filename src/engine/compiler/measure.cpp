#include "engine/compiler/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>
#include <variant>

namespace octet::engine {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// The step that quantizes a float input; null: none does.
const QuantizeOp* quantizer_of(const Program& program, TensorId input) {
  for (const Operation& operation : program.operations)
    if (const auto* op = std::get_if<QuantizeOp>(&operation); op != nullptr && op->src == input) return op;
  return nullptr;
}

// A number in [-1, 1] for every element, the same in every run. Images are smooth, as photographs are: white noise
// would drive a network into activations that it never has. All else is noise with few large values.
class Pattern {
 public:
  explicit Pattern(const TensorInfo& t) : image_(t.dims.size() == 4 && t.dims[2] > 1 && t.dims[3] > 1) {
    if (image_) height_ = t.dims[2], width_ = t.dims[3];
  }

  double next() {
    if (!image_) return (uniform_(random_) + uniform_(random_) + uniform_(random_)) / 3;
    const int64_t plane = at_ / (height_ * width_), y = at_ / width_ % height_, x = at_ % width_;
    ++at_;
    const double v = static_cast<double>(y) / static_cast<double>(height_);
    const double u = static_cast<double>(x) / static_cast<double>(width_);
    const double phase = static_cast<double>(plane);
    return 0.5 * std::sin(9 * u + 4 * v + phase) + 0.3 * std::sin(17 * v - 5 * u + 2 * phase) +
           0.2 * uniform_(random_);
  }

 private:
  bool image_;
  int64_t height_ = 1, width_ = 1, at_ = 0;
  std::minstd_rand random_{1};
  std::uniform_real_distribution<double> uniform_{-1, 1};
};

// Spread over the input's quantization range: kernels that repair rare sums take the longer the larger the codes are.
// Integers of more than 8 bits stay 0: they may be indices.
void fill_input(const Program& program, TensorId id, Tensor& tensor) {
  Pattern pattern(program.tensors[static_cast<size_t>(id)]);
  if (tensor.dtype() == DType::kUint8 || tensor.dtype() == DType::kInt8) {
    const double middle = tensor.dtype() == DType::kUint8 ? 127.5 : -0.5;
    auto* codes = static_cast<uint8_t*>(tensor.raw());
    for (int64_t i = 0; i < tensor.nbytes(); ++i)
      codes[i] = static_cast<uint8_t>(std::lround(middle + 127 * pattern.next()));
  } else if (tensor.dtype() == DType::kFloat32) {
    double lowest = -1, highest = 1;
    if (const QuantizeOp* op = quantizer_of(program, id); op != nullptr) {
      const TensorInfo& codes = program.tensors[static_cast<size_t>(op->dst)];
      lowest = static_cast<double>(op->grid.lo - codes.zero) * codes.scale;
      highest = static_cast<double>(op->grid.hi - codes.zero) * codes.scale;
    }
    auto* values = static_cast<float*>(tensor.raw());
    for (int64_t i = 0; i < tensor.nbytes() / static_cast<int64_t>(sizeof(float)); ++i)
      values[i] = static_cast<float>((lowest + highest) / 2 + (highest - lowest) / 2 * pattern.next());
  }
}

}  // namespace

Result<Rehearsal> Rehearsal::create(Program program, int threads) {
  Rehearsal r;
  OCTET_ASSIGN(r.engine_, Engine::from_program(std::move(program)));
  OCTET_ASSIGN(r.session_, Session::create(r.engine_, {.threads = threads}));
  const Program& made = r.engine_->program();
  const auto add = [&](TensorId id) -> Result<void*> {
    const TensorInfo& t = made.tensors[static_cast<size_t>(id)];
    OCTET_ASSIGN(Tensor zeros, Tensor::create(t.dtype, t.dims));
    std::memset(zeros.raw(), 0, static_cast<size_t>(zeros.nbytes()));
    r.held_.push_back(std::move(zeros));
    return static_cast<void*>(r.held_.back().raw());
  };
  for (TensorId id : made.inputs) {
    OCTET_ASSIGN(void* const data, add(id));
    r.inputs_.push_back(data);
    fill_input(made, id, r.held_.back());
  }
  for (TensorId id : made.outputs) {
    OCTET_ASSIGN(void* const data, add(id));
    r.outputs_.push_back(data);
  }
  return r;
}

Result<std::vector<double>> Rehearsal::time_operations(double seconds) {
  std::vector<double> best;
  const auto begin = Clock::now();
  for (int run = 0; run < 200; ++run) {
    OCTET_ASSIGN(const std::vector<double> ms, session_->profile(1, inputs_, outputs_));
    if (best.empty()) best = ms;
    for (size_t i = 0; i < ms.size(); ++i) best[i] = std::min(best[i], ms[i]);
    if (run >= 4 && seconds_since(begin) > seconds) break;
  }
  for (double& time : best) time *= 1000;
  return best;
}

Result<double> Rehearsal::time_once() {
  const auto begin = Clock::now();
  OCTET_RETURN_IF_ERROR(session_->run(1, inputs_, outputs_));
  return seconds_since(begin) * 1e6;
}

}  // namespace octet::engine
