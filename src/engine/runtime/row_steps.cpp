// Softmax, LayerNormalization, Transpose and products of two activations.
#include "engine/runtime/row_step.h"
#include "engine/tensors.h"
#include "kernels/cpu/matmul_ops.h"
#include "kernels/cpu/row_ops.h"

namespace octet::engine {
namespace {

// How much longer an element of these takes than one that is moved.
constexpr int64_t kFunctionCost = 8;

class SoftmaxStep final : public RowStep {
 public:
  SoftmaxStep(const Program& program, const SoftmaxOp& op) : op_(op), table_(cpu::kSoftmaxTable) {
    const TensorInfo& dst = program.tensors[static_cast<size_t>(op.dst)];
    cpu::fill_softmax_table(op.real.data(), table_.data());
    call_.length = dst.dims.back();
    call_.table = table_.data();
    call_.scale = dst.scale;
    call_.grid = op.grid;
  }
  void resize(const Binding& binding) override {
    const int64_t elements = binding.batch * element_count(binding.tensor(op_.dst));
    share(elements / call_.length, elements * kFunctionCost, binding.threads);
  }
  void bind(const Binding& binding) override {
    call_.src = binding.base(op_.src);
    call_.dst = binding.base(op_.dst);
  }

 private:
  void run_rows(int64_t begin, int64_t end) override { cpu::softmax(call_, begin, end); }

  const SoftmaxOp& op_;
  std::vector<double> table_;
  cpu::SoftmaxCall call_;
};

class LayerNormStep final : public RowStep {
 public:
  LayerNormStep(const Program& program, const LayerNormOp& op) : op_(op) {
    const TensorInfo& dst = program.tensors[static_cast<size_t>(op.dst)];
    call_.length = dst.dims.back();
    call_.real = op.real.data();
    call_.weight = op.weight.data();
    call_.bias = op.bias.empty() ? nullptr : op.bias.data();
    call_.epsilon = op.epsilon;
    call_.scale = dst.scale;
    call_.grid = op.grid;
  }
  void resize(const Binding& binding) override {
    const int64_t elements = binding.batch * element_count(binding.tensor(op_.dst));
    share(elements / call_.length, elements * kFunctionCost, binding.threads);
  }
  void bind(const Binding& binding) override {
    call_.src = binding.base(op_.src);
    call_.dst = binding.base(op_.dst);
  }

 private:
  void run_rows(int64_t begin, int64_t end) override { cpu::layer_norm(call_, begin, end); }

  const LayerNormOp& op_;
  cpu::LayerNormCall call_;
};

class TransposeStep final : public RowStep {
 public:
  explicit TransposeStep(const TransposeOp& op) : op_(op) {}

  void resize(const Binding& binding) override {
    const Dims &src = binding.tensor(op_.src).dims, &dst = binding.tensor(op_.dst).dims;
    const size_t rank = dst.size(), first = cpu::kMostAxes - rank;
    for (size_t d = 0; d < rank; ++d) {
      int64_t stride = 1;
      for (size_t s = static_cast<size_t>(op_.perm[d]) + 1; s < rank; ++s) stride *= src[s];
      call_.size[first + d] = dst[d];
      call_.src_stride[first + d] = stride;
    }
    call_.size[first] *= binding.batch;
    share(cpu::transpose_rows(call_), 2 * binding.batch * element_count(binding.tensor(op_.dst)), binding.threads);
  }
  void bind(const Binding& binding) override {
    call_.src = binding.base(op_.src);
    call_.dst = binding.base(op_.dst);
  }

 private:
  void run_rows(int64_t begin, int64_t end) override { cpu::transpose(call_, begin, end); }

  const TransposeOp& op_;
  cpu::TransposeCall call_;
};

class MatMulStep final : public Step {
 public:
  MatMulStep(const Program& program, const MatMulOp& op) : op_(op) {
    const TensorInfo &a = program.tensors[static_cast<size_t>(op.a)], &b = program.tensors[static_cast<size_t>(op.b)];
    call_.m = a.dims[a.dims.size() - 2];
    call_.k = a.dims.back();
    call_.n = b.dims.back();
    call_.a_zero = a.zero;
    call_.b_zero = b.zero;
    call_.scale = op.scale;
    call_.to_float = op.to_float;
    call_.grid = op.grid;
  }
  void resize(const Binding& binding) override {
    call_.matrices = binding.batch * element_count(binding.tensor(op_.a)) / (call_.m * call_.k);
    rows_ = cpu::matmul_rows(call_);
    // Some 16 products take as long as a byte that is moved.
    const double work = static_cast<double>(call_.matrices * call_.m * call_.n) * static_cast<double>(call_.k) / 16;
    tasks_ = task_count(rows_, static_cast<int64_t>(work), binding.threads);
  }
  void bind(const Binding& binding) override {
    call_.a = binding.base(op_.a);
    call_.b = binding.base(op_.b);
    call_.dst = binding.base(op_.dst);
  }
  void run(int64_t task, uint8_t* scratch) override {
    cpu::matmul(call_, rows_ * task / tasks_, rows_ * (task + 1) / tasks_, scratch);
  }
  int64_t scratch_bytes() const override { return cpu::matmul_scratch_bytes(call_); }

 private:
  const MatMulOp& op_;
  cpu::MatMulCall call_;
  int64_t rows_ = 1;
};

}  // namespace

std::unique_ptr<Step> make_softmax_step(const Program& program, const SoftmaxOp& op) {
  return std::make_unique<SoftmaxStep>(program, op);
}
std::unique_ptr<Step> make_layer_norm_step(const Program& program, const LayerNormOp& op) {
  return std::make_unique<LayerNormStep>(program, op);
}
std::unique_ptr<Step> make_transpose_step(const Program&, const TransposeOp& op) {
  return std::make_unique<TransposeStep>(op);
}
std::unique_ptr<Step> make_matmul_step(const Program& program, const MatMulOp& op) {
  return std::make_unique<MatMulStep>(program, op);
}

}  // namespace octet::engine
