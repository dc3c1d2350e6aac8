// Every operation as plain loops over single elements, each tensor that owns bytes in memory of its own.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/tensors.h"
#include "engine/test_programs.h"
#include "interp/interpreter.h"

namespace octet::test {
namespace {

using namespace octet::engine;  // NOLINT

class SlowProgram {
 public:
  SlowProgram(const ProgramBuilder& builder, const Program& program, int64_t batch)
      : builder_(builder), program_(program), batch_(batch) {
    for (const TensorInfo& t : program.tensors)
      storage_.emplace_back(t.parent == kNoTensor ? static_cast<size_t>(tensor_bytes(t) * batch) : 0);
  }

  std::vector<Tensor> run(const std::vector<Tensor>& inputs) {
    for (size_t i = 0; i < inputs.size(); ++i)
      std::memcpy(bytes(program_.inputs[i]), inputs[i].raw(), static_cast<size_t>(inputs[i].nbytes()));
    for (size_t i = 0; i < program_.operations.size(); ++i) {
      current_ = i;
      std::visit([this](const auto& op) { step(op); }, program_.operations[i]);
    }
    std::vector<Tensor> outputs;
    for (TensorId id : program_.outputs) {
      Tensor out(info(id).dtype, batch_dims(id));
      std::memcpy(out.raw(), bytes(id), static_cast<size_t>(out.nbytes()));
      outputs.push_back(std::move(out));
    }
    return outputs;
  }

 private:
  const TensorInfo& info(TensorId id) const { return program_.tensors[static_cast<size_t>(id)]; }
  Dims batch_dims(TensorId id) const {
    Dims dims = info(id).dims;
    dims[0] *= batch_;
    return dims;
  }
  uint8_t* bytes(TensorId id) {
    const Place place = place_of(program_, id);
    return storage_[static_cast<size_t>(place.root)].data() + place.offset;
  }
  // Element by its place in ONNX's order.
  int64_t offset(TensorId id, int64_t i) const {
    const TensorInfo& t = info(id);
    if (t.layout == Layout::kPlain) return i;
    const int64_t pixels = t.dims[2] * t.dims[3];
    const int64_t image = i / (t.dims[1] * pixels);
    const int64_t channel = i / pixels % t.dims[1];
    return (image * pixels + i % pixels) * t.pixel_stride + channel;
  }
  uint8_t& code(TensorId id, int64_t i) { return bytes(id)[offset(id, i)]; }
  float& real(TensorId id, int64_t i) { return reinterpret_cast<float*>(bytes(id))[offset(id, i)]; }
  int64_t count(TensorId id) const { return element_count(info(id)) * batch_; }
  int64_t index(TensorId id, int64_t n, int64_t c, int64_t y, int64_t x) const {
    const Dims& d = info(id).dims;
    return ((n * d[1] + c) * d[2] + y) * d[3] + x;
  }

  void step(const QuantizeOp& op) {
    for (int64_t i = 0; i < count(op.src); ++i)
      code(op.dst, i) = static_cast<uint8_t>(
          quantize_value(real(op.src, i), info(op.dst).scale, op.grid.zero, op.grid.lo, op.grid.hi));
  }
  void step(const DequantizeOp& op) {
    for (int64_t i = 0; i < count(op.src); ++i)
      real(op.dst, i) = dequantize_value(code(op.src, i), info(op.src).scale, info(op.src).zero);
  }
  void step(const FloatLayoutOp& op) {
    for (int64_t i = 0; i < count(op.src); ++i) real(op.dst, i) = real(op.src, i);
  }
  void step(const BytesOp& op) {
    for (int64_t i = 0; i < count(op.src); ++i) code(op.dst, i) = code(op.src, i) ^ op.flip;
  }
  void step(const TableOp& op) {
    for (int64_t i = 0; i < count(op.src); ++i)
      code(op.dst, i) = op.copy ? code(op.src, i) : op.table[code(op.src, i)];
  }
  void step(const FillOp& op) {
    for (int64_t i = 0; i < count(op.dst); ++i) code(op.dst, i) = op.value;
  }

  void step(const BinaryOp& op) {
    const Dims& d = info(op.dst).dims;
    const int64_t pixels = d.size() == 4 ? d[2] * d[3] : 1;
    for (int64_t i = 0; i < count(op.dst); ++i) {
      const auto a = static_cast<int32_t>(code(op.a, i)) - info(op.a).zero;
      const int64_t channel = info(op.dst).layout == Layout::kNhwc ? i / pixels % d[1] : i % d.back();
      const int32_t b = op.row.empty() ? code(op.b, op.b_per_image ? i / pixels : i) - info(op.b).zero
                                       : op.row[static_cast<size_t>(channel)] - op.row_zero;
      float v = static_cast<float>(a) * op.a_scale + static_cast<float>(b) * op.b_scale;
      if (op.multiply) v = static_cast<float>(a * b) * op.a_scale;
      const auto c = static_cast<uint8_t>(cpu::to_grid(v, op.grid));
      code(op.dst, i) = op.has_table ? op.table[c] : c;
    }
  }

  void step(const SoftmaxOp& op) {
    const int64_t length = info(op.src).dims.back();
    for (int64_t first = 0; first < count(op.src); first += length) {
      const auto number = [&](int64_t i) { return static_cast<double>(op.real[code(op.src, first + i)]); };
      double largest = number(0), sum = 0;
      for (int64_t i = 1; i < length; ++i) largest = std::max(largest, number(i));
      for (int64_t i = 0; i < length; ++i) sum += std::exp(number(i) - largest);
      for (int64_t i = 0; i < length; ++i)
        code(op.dst, first + i) = quantized(op.dst, std::exp(number(i) - largest) / sum, op.grid);
    }
  }
  void step(const LayerNormOp& op) {
    const int64_t length = info(op.src).dims.back();
    for (int64_t first = 0; first < count(op.src); first += length) {
      const auto number = [&](int64_t i) { return static_cast<double>(op.real[code(op.src, first + i)]); };
      double mean = 0, variance = 0;
      for (int64_t i = 0; i < length; ++i) mean += number(i);
      mean /= static_cast<double>(length);
      for (int64_t i = 0; i < length; ++i) variance += (number(i) - mean) * (number(i) - mean);
      variance /= static_cast<double>(length);
      const double factor = 1 / std::sqrt(variance + static_cast<double>(op.epsilon));
      for (int64_t i = 0; i < length; ++i) {
        const auto c = static_cast<size_t>(i);
        double y = (number(i) - mean) * factor * static_cast<double>(op.weight[c]);
        if (!op.bias.empty()) y += static_cast<double>(op.bias[c]);
        code(op.dst, first + i) = quantized(op.dst, y, op.grid);
      }
    }
  }
  uint8_t quantized(TensorId dst, double y, const cpu::Grid& g) const {
    return static_cast<uint8_t>(quantize_value(static_cast<float>(y), info(dst).scale, g.zero, g.lo, g.hi));
  }
  void step(const TransposeOp& op) {
    const Dims from = batch_dims(op.src), to = batch_dims(op.dst);
    for (int64_t i = 0; i < count(op.dst); ++i) {
      Dims at(to.size());
      int64_t rest = i, source = 0;
      for (size_t d = to.size(); d-- > 0; rest /= to[d]) at[static_cast<size_t>(op.perm[d])] = rest % to[d];
      for (size_t d = 0; d < from.size(); ++d) source = source * from[d] + at[d];
      code(op.dst, i) = code(op.src, source);
    }
  }
  void step(const MatMulOp& op) {
    const Dims &a = info(op.a).dims, &b = info(op.b).dims;
    const int64_t m = a[a.size() - 2], k = a.back(), n = b.back();
    for (int64_t i = 0; i < count(op.dst); ++i) {
      const int64_t matrix = i / (m * n), row = i / n % m, column = i % n;
      int32_t sum = 0;
      for (int64_t t = 0; t < k; ++t)
        sum += (code(op.a, (matrix * m + row) * k + t) - info(op.a).zero) *
               (code(op.b, (matrix * k + t) * n + column) - info(op.b).zero);
      const float v = static_cast<float>(sum) * op.scale;
      if (op.to_float) real(op.dst, i) = v;
      else code(op.dst, i) = static_cast<uint8_t>(cpu::to_grid(v, op.grid));
    }
  }

  void step(const ResizeOp& op) {
    const Dims d = batch_dims(op.dst);
    for (int64_t n = 0; n < d[0]; ++n)
      for (int64_t c = 0; c < d[1]; ++c)
        for (int64_t y = 0; y < d[2]; ++y)
          for (int64_t x = 0; x < d[3]; ++x)
            code(op.dst, index(op.dst, n, c, y, x)) = code(
                op.src, index(op.src, n, c, op.row_of[static_cast<size_t>(y)], op.column_of[static_cast<size_t>(x)]));
  }

  void step(const PoolOp& op) {
    const Dims d = batch_dims(op.dst);
    for (int64_t n = 0; n < d[0]; ++n)
      for (int64_t c = 0; c < d[1]; ++c)
        for (int64_t y = 0; y < d[2]; ++y)
          for (int64_t x = 0; x < d[3]; ++x) code(op.dst, index(op.dst, n, c, y, x)) = pool_window(op, n, c, y, x);
  }
  uint8_t pool_window(const PoolOp& op, int64_t n, int64_t c, int64_t oy, int64_t ox) {
    const TensorInfo& src = info(op.src);
    int32_t best = 0, sum = 0, inside = 0;
    for (int64_t ky = 0; ky < op.kh; ++ky)
      for (int64_t kx = 0; kx < op.kw; ++kx) {
        const int64_t y = oy * op.stride_h - op.pad_top + ky * op.dilation_h;
        const int64_t x = ox * op.stride_w - op.pad_left + kx * op.dilation_w;
        if (y < 0 || y >= src.dims[2] || x < 0 || x >= src.dims[3]) continue;
        const int32_t v = code(op.src, index(op.src, n, c, y, x));
        best = std::max(best, v);
        sum += v - src.zero;
        ++inside;
      }
    if (!op.average) return static_cast<uint8_t>(best);
    const float multiplier = op.scale / static_cast<float>(op.count_pad ? op.kh * op.kw : inside);
    return static_cast<uint8_t>(cpu::to_grid(static_cast<float>(sum) * multiplier, op.grid));
  }

  void step(const ConvOp& op) {
    const cpu::ConvGeometry& g = op.problem.geometry;
    const bool image = info(op.src).layout == Layout::kNhwc;
    const int64_t images = image ? batch_ * info(op.src).dims[0] : count(op.src) / g.ic;
    for (int64_t n = 0; n < images; ++n)
      for (int64_t c = 0; c < g.oc; ++c)
        for (int64_t y = 0; y < g.oh; ++y)
          for (int64_t x = 0; x < g.ow; ++x) store(op, n, c, y, x, sum_of(op, n, c, y, x));
  }
  // Rank 4 by its place; rows by row and channel.
  int64_t place(TensorId id, int64_t n, int64_t c, int64_t y, int64_t x) const {
    return info(id).layout == Layout::kNhwc ? index(id, n, c, y, x) : n * info(id).dims.back() + c;
  }
  int64_t sum_of(const ConvOp& op, int64_t n, int64_t oc, int64_t oy, int64_t ox) {
    const cpu::ConvGeometry& g = op.problem.geometry;
    const int64_t group_ic = g.ic / g.groups;
    const std::vector<int8_t>& w = builder_.weights.at(current_);
    int64_t sum = builder_.biases.at(current_)[static_cast<size_t>(oc)];
    for (int64_t c = 0; c < group_ic; ++c)
      for (int64_t ky = 0; ky < g.kh; ++ky)
        for (int64_t kx = 0; kx < g.kw; ++kx) {
          const int64_t y = oy * g.stride_h - g.pad_top + ky * g.dilation_h;
          const int64_t x = ox * g.stride_w - g.pad_left + kx * g.dilation_w;
          if (y < 0 || y >= g.ih || x < 0 || x >= g.iw) continue;
          const int64_t ic = oc / (g.oc / g.groups) * group_ic + c;
          const int64_t weight = w[static_cast<size_t>(((oc * group_ic + c) * g.kh + ky) * g.kw + kx)];
          sum += (code(op.src, place(op.src, n, ic, y, x)) - op.problem.src_zero) * weight;
        }
    return sum;
  }
  void store(const ConvOp& op, int64_t n, int64_t c, int64_t y, int64_t x, int64_t sum) {
    const cpu::Store& s = op.store.store;
    const auto* multiplier = reinterpret_cast<const float*>(program_.constants.data() + op.store.multiplier.offset);
    const auto* addend = reinterpret_cast<const float*>(program_.constants.data() + op.store.addend.offset);
    float v = static_cast<float>(sum) * multiplier[c];
    if (op.store.addend.size != 0) v = v + addend[c];
    float other = 0;
    if (op.residual != kNoTensor)
      other =
          static_cast<float>(code(op.residual, place(op.residual, n, c, y, x)) - s.residual_zero) * s.residual_scale;
    if (s.residual == cpu::Residual::kBeforeFirst) v = v + other;
    if (s.to_float) {
      real(op.dst, place(op.dst, n, c, y, x)) = v;
      return;
    }
    int32_t result = cpu::to_grid(v, s.first);
    if (op.store.table.size != 0) result = program_.constants[op.store.table.offset + static_cast<size_t>(result)];
    if (s.residual == cpu::Residual::kAfterFirst)
      result = cpu::to_grid(static_cast<float>(result - s.table_zero) * s.self_scale + other, s.second);
    code(op.dst, place(op.dst, n, c, y, x)) = static_cast<uint8_t>(result);
  }

  void step(const IslandOp& op) {
    std::vector<Tensor> inputs;
    for (TensorId id : op.inputs) {
      Dims dims = info(id).dims;
      dims[0] *= batch_;
      Tensor x(info(id).dtype, dims);
      std::memcpy(x.raw(), bytes(id), static_cast<size_t>(x.nbytes()));
      inputs.push_back(std::move(x));
    }
    const std::vector<Tensor> outputs = *interpret(op.graph, inputs);
    for (size_t i = 0; i < outputs.size(); ++i)
      std::memcpy(bytes(op.outputs[i]), outputs[i].raw(), static_cast<size_t>(outputs[i].nbytes()));
  }

  const ProgramBuilder& builder_;
  const Program& program_;
  int64_t batch_;
  size_t current_ = 0;
  std::vector<std::vector<uint8_t>> storage_;
};

}  // namespace

std::vector<Tensor> evaluate_slowly(const ProgramBuilder& builder, const Program& program,
                                    const std::vector<Tensor>& inputs, int64_t batch) {
  return SlowProgram(builder, program, batch).run(inputs);
}

}  // namespace octet::test
