#include "engine/runtime/step.h"

#include <algorithm>
#include <new>

#include "engine/runtime/row_step.h"
#include "engine/tensors.h"

namespace octet::engine {
namespace {

constexpr double kSmallConv = 2e5;  // multiply-adds; sharing fewer costs more than it saves

// Rows of a tensor without a layout of its own: one row is a run of elements of about this many bytes.
constexpr int64_t kRunBytes = 4096;

struct Rows {
  int64_t rows = 1, elements = 1;
};

// The elements of a whole batch as rows: the innermost dimensions together, as far as they make a fair row.
Rows rows_of(const TensorInfo& t, int64_t batch, int64_t element_size) {
  Rows r{batch, 1};
  size_t d = t.dims.size();
  for (; d > 0 && r.elements * element_size < kRunBytes; --d) r.elements *= t.dims[d - 1];
  for (; d > 0; --d) r.rows *= t.dims[d - 1];
  return r;
}

bool is_image(const TensorInfo& t) { return t.layout == Layout::kNhwc; }
int64_t pixels_of(const TensorInfo& t) { return t.dims[2] * t.dims[3]; }

class ConvStep final : public Step {
 public:
  ConvStep(const Program& program, const ConvOp& op) : op_(op), kernel_(cpu::find_conv_kernel(op.kernel)) {
    const uint8_t* constants = program.constants.data();
    const StoreInfo& s = op.store;
    call_.problem = &op.problem;
    call_.packed = constants + op.packed.offset;
    call_.store = s.store;
    call_.store.multiplier = reinterpret_cast<const float*>(constants + s.multiplier.offset);
    call_.store.addend = s.addend.size == 0 ? nullptr : reinterpret_cast<const float*>(constants + s.addend.offset);
    call_.store.table = s.table.size == 0 ? nullptr : constants + s.table.offset;
    const cpu::ConvGeometry& g = op.problem.geometry;
    call_.src_pixel_stride = stride(program, op.src, g.ic);
    call_.dst_pixel_stride = stride(program, op.dst, g.oc);
    if (op.residual != kNoTensor) call_.residual_pixel_stride = stride(program, op.residual, g.oc);
  }

  void resize(const Binding& binding) override {
    const cpu::ConvGeometry& g = op_.problem.geometry;
    const TensorInfo& src = binding.tensor(op_.src);
    const int64_t images = is_image(src) ? src.dims[0] : element_count(src) / (g.ih * g.iw * g.ic);
    call_.batch = binding.batch * images;
    const double macs =
        static_cast<double>(call_.batch * g.oh * g.ow * g.oc) * static_cast<double>(g.kh * g.kw * (g.ic / g.groups));
    parts_ = kernel_->tasks(op_.problem, call_.batch, binding.threads);
    whole_ = binding.threads == 1 || macs < kSmallConv;
    tasks_ = whole_ ? 1 : parts_;
  }

  void bind(const Binding& binding) override {
    call_.src = binding.base(op_.src);
    call_.dst = binding.base(op_.dst);
    call_.residual = op_.residual == kNoTensor ? nullptr : binding.base(op_.residual);
  }

  void run(int64_t task, uint8_t* scratch) override {
    if (!whole_) return kernel_->run(call_, task, parts_, scratch);
    for (int64_t part = 0; part < parts_; ++part) kernel_->run(call_, part, parts_, scratch);
  }

  int64_t scratch_bytes() const override { return static_cast<int64_t>(kernel_->scratch_bytes(op_.problem)); }

 private:
  static int64_t stride(const Program& program, TensorId id, int64_t channels) {
    const TensorInfo& t = program.tensors[static_cast<size_t>(id)];
    return is_image(t) ? t.pixel_stride : channels;
  }

  const ConvOp& op_;
  const cpu::ConvKernel* kernel_;
  cpu::ConvCall call_;
  int64_t parts_ = 1;
  bool whole_ = false;
};

// Quantize, Dequantize, FloatLayout and Bytes: a row-major tensor on one side, N,H,W,C or again row-major on the
// other.
class LayoutStep final : public RowStep {
 public:
  enum class Kind { kQuantize, kDequantize, kFloats, kBytesIn, kBytesOut };

  LayoutStep(Kind kind, TensorId src, TensorId dst, TensorId image, const TensorInfo& t, uint8_t flip = 0)
      : kind_(kind), src_(src), dst_(dst), image_(image), flip_(flip) {
    call_.scale = t.scale;
    call_.grid.zero = t.zero;
  }
  void set_grid(const cpu::Grid& grid) { call_.grid = grid; }

  void resize(const Binding& binding) override {
    const TensorInfo& t = binding.tensor(image_);
    if (is_image(t)) {
      call_.batch = binding.batch * t.dims[0];
      call_.channels = t.dims[1];
      call_.pixels = pixels_of(t);
      call_.pixel_stride = t.pixel_stride;
    } else {
      call_.batch = 1;
      call_.channels = 1;
      call_.pixels = binding.batch * element_count(t);
      call_.pixel_stride = 1;
    }
    const int64_t bytes = tensor_bytes(binding.tensor(src_)) + tensor_bytes(binding.tensor(dst_));
    share(cpu::layout_rows(call_), bytes * binding.batch, binding.threads);
  }

  void bind(const Binding& binding) override {
    call_.src = binding.base(src_);
    call_.dst = binding.base(dst_);
  }

 private:
  void run_rows(int64_t begin, int64_t end) override {
    switch (kind_) {
      case Kind::kQuantize: return cpu::quantize_to_nhwc(call_, begin, end);
      case Kind::kDequantize: return cpu::dequantize_to_nchw(call_, begin, end);
      case Kind::kFloats: return cpu::floats_to_nchw(call_, begin, end);
      case Kind::kBytesIn: return cpu::bytes_to_nhwc(call_, flip_, begin, end);
      case Kind::kBytesOut: return cpu::bytes_to_nchw(call_, flip_, begin, end);
    }
  }

  Kind kind_;
  TensorId src_, dst_, image_;
  uint8_t flip_;
  cpu::LayoutCall call_;
};

// Table, copy and Fill.
class TableStep final : public RowStep {
 public:
  TableStep(TensorId src, TensorId dst, const uint8_t* table) : src_(src), dst_(dst) { call_.table = table; }

  // A table that is the same everywhere.
  TableStep(TensorId dst, uint8_t value) : src_(dst), dst_(dst) {
    fill_.fill(value);
    call_.table = fill_.data();
  }

  void resize(const Binding& binding) override {
    const TensorInfo& src = binding.tensor(src_);
    const TensorInfo& dst = binding.tensor(dst_);
    if (is_dense(src) && is_dense(dst)) {
      const auto size = static_cast<int64_t>(dtype_size(src.dtype));
      const Rows r = rows_of(src, binding.batch, size);
      call_.rows = r.rows;
      call_.channels = call_.src_stride = call_.dst_stride = r.elements * size;
    } else {
      call_.rows = binding.batch * dst.dims[0] * pixels_of(dst);
      call_.channels = dst.dims[1];
      call_.src_stride = src.pixel_stride;
      call_.dst_stride = dst.pixel_stride;
    }
    share(call_.rows, 2 * call_.rows * call_.channels, binding.threads);
  }

  void bind(const Binding& binding) override {
    call_.src = binding.base(src_);
    call_.dst = binding.base(dst_);
  }

 private:
  void run_rows(int64_t begin, int64_t end) override { cpu::apply_table(call_, begin, end); }

  TensorId src_, dst_;
  std::array<uint8_t, 256> fill_{};
  cpu::TableCall call_;
};

class BinaryStep final : public RowStep {
 public:
  BinaryStep(const Program& program, const BinaryOp& op) : op_(op) {
    call_.multiply = op.multiply;
    call_.b_per_image = op.b_per_image;
    call_.a_zero = program.tensors[static_cast<size_t>(op.a)].zero;
    call_.b_zero = op.row.empty() ? program.tensors[static_cast<size_t>(op.b)].zero : op.row_zero;
    call_.a_scale = op.a_scale;
    call_.b_scale = op.b_scale;
    call_.grid = op.grid;
    call_.table = op.has_table ? op.table.data() : nullptr;
  }

  void resize(const Binding& binding) override {
    const TensorInfo& a = binding.tensor(op_.a);
    const TensorInfo& b = binding.tensor(op_.row.empty() ? op_.b : op_.a);
    const TensorInfo& dst = binding.tensor(op_.dst);
    if (!op_.row.empty() && !is_image(dst)) {
      call_.batch = 1;
      call_.channels = call_.a_stride = call_.dst_stride = dst.dims.back();
      call_.pixels = binding.batch * element_count(dst) / call_.channels;
    } else if (op_.row.empty() && !op_.b_per_image && is_dense(a) && is_dense(b) && is_dense(dst)) {
      const Rows r = rows_of(dst, binding.batch, 1);
      call_.batch = 1;
      call_.pixels = r.rows;
      call_.channels = call_.a_stride = call_.b_stride = call_.dst_stride = r.elements;
    } else {
      call_.batch = binding.batch * dst.dims[0];
      call_.pixels = pixels_of(dst);
      call_.channels = dst.dims[1];
      call_.a_stride = a.pixel_stride;
      call_.b_stride = is_image(b) ? b.pixel_stride : dst.dims[1];
      call_.dst_stride = dst.pixel_stride;
    }
    if (!op_.row.empty()) call_.b_stride = 0;  // the same row for all
    const int64_t rows = call_.batch * call_.pixels;
    share(rows, 3 * rows * call_.channels, binding.threads);
  }

  void bind(const Binding& binding) override {
    call_.a = binding.base(op_.a);
    call_.b = op_.row.empty() ? binding.base(op_.b) : op_.row.data();
    call_.dst = binding.base(op_.dst);
  }

 private:
  void run_rows(int64_t begin, int64_t end) override { cpu::binary(call_, begin, end); }

  const BinaryOp& op_;
  cpu::BinaryCall call_;
};

class PoolStep final : public RowStep {
 public:
  PoolStep(const Program& program, const PoolOp& op) : op_(op) {
    const TensorInfo& src = program.tensors[static_cast<size_t>(op.src)];
    const TensorInfo& dst = program.tensors[static_cast<size_t>(op.dst)];
    call_ = {.average = op.average,
             .count_pad = op.count_pad,
             .channels = src.dims[1],
             .ih = src.dims[2],
             .iw = src.dims[3],
             .oh = dst.dims[2],
             .ow = dst.dims[3],
             .kh = op.kh,
             .kw = op.kw,
             .stride_h = op.stride_h,
             .stride_w = op.stride_w,
             .pad_top = op.pad_top,
             .pad_left = op.pad_left,
             .dilation_h = op.dilation_h,
             .dilation_w = op.dilation_w,
             .src_stride = src.pixel_stride,
             .dst_stride = dst.pixel_stride,
             .src_zero = src.zero,
             .scale = op.scale,
             .grid = op.grid};
  }

  void resize(const Binding& binding) override {
    call_.batch = binding.batch * binding.tensor(op_.src).dims[0];
    const int64_t rows = call_.batch * call_.oh;
    share(rows, rows * call_.ow * call_.channels * (1 + call_.kh * call_.kw), binding.threads);
  }

  void bind(const Binding& binding) override {
    call_.src = binding.base(op_.src);
    call_.dst = binding.base(op_.dst);
  }

 private:
  void run_rows(int64_t begin, int64_t end) override { cpu::pool(call_, begin, end); }

  const PoolOp& op_;
  cpu::PoolCall call_;
};

class ResizeStep final : public RowStep {
 public:
  ResizeStep(const Program& program, const ResizeOp& op) : op_(op) {
    const TensorInfo& src = program.tensors[static_cast<size_t>(op.src)];
    const TensorInfo& dst = program.tensors[static_cast<size_t>(op.dst)];
    call_ = {.channels = src.dims[1],
             .ih = src.dims[2],
             .iw = src.dims[3],
             .oh = dst.dims[2],
             .ow = dst.dims[3],
             .src_stride = src.pixel_stride,
             .dst_stride = dst.pixel_stride,
             .row_of = op.row_of.data(),
             .column_of = op.column_of.data()};
  }

  void resize(const Binding& binding) override {
    call_.batch = binding.batch * binding.tensor(op_.src).dims[0];
    const int64_t rows = call_.batch * call_.oh;
    share(rows, 2 * rows * call_.ow * call_.channels, binding.threads);
  }

  void bind(const Binding& binding) override {
    call_.src = binding.base(op_.src);
    call_.dst = binding.base(op_.dst);
  }

 private:
  void run_rows(int64_t begin, int64_t end) override { cpu::resize_nearest(call_, begin, end); }

  const ResizeOp& op_;
  cpu::ResizeCall call_;
};

// One overload for each kind of operation.
struct MakeStep {
  const Program& program;
  using Made = std::unique_ptr<Step>;
  using Kind = LayoutStep::Kind;

  const TensorInfo& tensor(TensorId id) const { return program.tensors[static_cast<size_t>(id)]; }

  Made operator()(const ConvOp& op) const { return std::make_unique<ConvStep>(program, op); }
  Made operator()(const QuantizeOp& op) const {
    auto step = std::make_unique<LayoutStep>(Kind::kQuantize, op.src, op.dst, op.dst, tensor(op.dst));
    step->set_grid(op.grid);
    return step;
  }
  Made operator()(const DequantizeOp& op) const {
    return std::make_unique<LayoutStep>(Kind::kDequantize, op.src, op.dst, op.src, tensor(op.src));
  }
  Made operator()(const FloatLayoutOp& op) const {
    return std::make_unique<LayoutStep>(Kind::kFloats, op.src, op.dst, op.src, tensor(op.src));
  }
  Made operator()(const BytesOp& op) const {
    const bool out = is_image(tensor(op.src));
    const TensorId image = out ? op.src : op.dst;
    return std::make_unique<LayoutStep>(out ? Kind::kBytesOut : Kind::kBytesIn, op.src, op.dst, image, tensor(image),
                                        op.flip);
  }
  Made operator()(const TableOp& op) const {
    return std::make_unique<TableStep>(op.src, op.dst, op.copy ? nullptr : op.table.data());
  }
  Made operator()(const BinaryOp& op) const { return std::make_unique<BinaryStep>(program, op); }
  Made operator()(const PoolOp& op) const { return std::make_unique<PoolStep>(program, op); }
  Made operator()(const ResizeOp& op) const { return std::make_unique<ResizeStep>(program, op); }
  Made operator()(const FillOp& op) const { return std::make_unique<TableStep>(op.dst, op.value); }
  Made operator()(const SoftmaxOp& op) const { return make_softmax_step(program, op); }
  Made operator()(const LayerNormOp& op) const { return make_layer_norm_step(program, op); }
  Made operator()(const TransposeOp& op) const { return make_transpose_step(program, op); }
  Made operator()(const MatMulOp& op) const { return make_matmul_step(program, op); }
  Made operator()(const IslandOp&) const { return nullptr; }
};

}  // namespace

Result<std::unique_ptr<Step>> make_step(const Program& program, size_t operation, int threads,
                                        IslandRunners& islands) {
  const Operation& op = program.operations[operation];
  if (const auto* island = std::get_if<IslandOp>(&op)) return make_island_step(*island, threads, islands);
  return std::visit(MakeStep{program}, op);
}

}  // namespace octet::engine
