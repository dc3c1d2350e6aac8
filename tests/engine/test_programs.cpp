#include "engine/test_programs.h"

#include <cstdlib>
#include <cstring>

namespace octet::test {
namespace {

using namespace octet::engine;  // NOLINT: every line here is about programs

std::shared_ptr<uint8_t> aligned_copy(const std::vector<uint8_t>& bytes) {
  const size_t size = (bytes.size() + static_cast<size_t>(cpu::kReadSlack) + 63) / 64 * 64;
  std::shared_ptr<uint8_t> copy(static_cast<uint8_t*>(std::aligned_alloc(64, size)),
                                [](uint8_t* p) { std::free(p); });
  std::memset(copy.get(), 0, size);
  if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
  return copy;
}

}  // namespace

TensorId ProgramBuilder::add_tensor(TensorInfo info) {
  if (info.parent == kNoTensor) {
    info.offset = program.arena_bytes;
    program.arena_bytes += (tensor_bytes(info) + 63) / 64 * 64;
  }
  program.tensors.push_back(std::move(info));
  return static_cast<TensorId>(program.tensors.size()) - 1;
}

TensorId ProgramBuilder::plain(const std::string& name, DType dtype, const Dims& dims, float scale, int32_t zero) {
  return add_tensor({.name = name, .dtype = dtype, .dims = dims, .scale = scale, .zero = zero});
}

TensorId ProgramBuilder::image(const std::string& name, const Dims& dims, float scale, int32_t zero, int64_t stride,
                               DType dtype) {
  return add_tensor({.name = name,
                     .dtype = dtype,
                     .dims = dims,
                     .layout = Layout::kNhwc,
                     .pixel_stride = stride == 0 ? dims[1] : stride,
                     .scale = scale,
                     .zero = zero});
}

TensorId ProgramBuilder::slice(const std::string& name, TensorId parent, int64_t first, int64_t count) {
  TensorInfo info = tensor(parent);
  info.name = name;
  info.dims[1] = count;
  info.parent = parent;
  info.offset = first;
  return add_tensor(info);
}

TensorId ProgramBuilder::reshaped(const std::string& name, TensorId parent, const Dims& dims) {
  TensorInfo info = tensor(parent);
  info.name = name;
  info.dims = dims;
  info.layout = Layout::kPlain;
  info.parent = parent;
  info.offset = 0;
  return add_tensor(info);
}

TensorId ProgramBuilder::input(TensorId id) {
  program.inputs.push_back(id);
  return id;
}

TensorId ProgramBuilder::output(TensorId id) {
  program.outputs.push_back(id);
  return id;
}

Blob ProgramBuilder::blob(const void* data, size_t size) {
  constants_.resize((constants_.size() + 63) / 64 * 64);
  const Blob blob{constants_.size(), size};
  const auto* bytes = static_cast<const uint8_t*>(data);
  constants_.insert(constants_.end(), bytes, bytes + size);
  return blob;
}

bool ProgramBuilder::conv(TensorId src, TensorId dst, const ConvSettings& settings, uint32_t seed) {
  const TensorInfo& from = tensor(src);
  const TensorInfo& to = tensor(dst);
  ConvOp op;
  op.src = src;
  op.dst = dst;
  op.residual = settings.residual;
  cpu::ConvGeometry& g = op.problem.geometry;
  if (from.layout == Layout::kNhwc) {
    g = {.ih = from.dims[2],
         .iw = from.dims[3],
         .ic = from.dims[1],
         .oh = to.dims[2],
         .ow = to.dims[3],
         .oc = to.dims[1],
         .kh = settings.kernel,
         .kw = settings.kernel,
         .stride_h = settings.stride,
         .stride_w = settings.stride,
         .pad_top = settings.pad,
         .pad_left = settings.pad,
         .groups = settings.groups};
  } else {
    g.ic = from.dims.back();
    g.oc = to.dims.back();
  }
  op.problem.src_zero = from.zero;
  std::mt19937 random(seed);
  const auto size = static_cast<size_t>(g.oc * (g.ic / g.groups) * g.kh * g.kw);
  std::vector<int8_t> w(size);
  for (int8_t& v : w) v = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
  std::vector<int32_t> bias(static_cast<size_t>(g.oc));
  for (int32_t& v : bias) v = static_cast<int32_t>(random() % 20001) - 10000;
  const cpu::ConvKernel* kernel = cpu::find_conv_kernel(settings.kernel_name);
  if (kernel == nullptr || !kernel->reject(op.problem, w.data()).empty()) return false;

  const size_t rounded = static_cast<size_t>(g.oc + 15) / 16 * 16;
  std::vector<float> multiplier(rounded), addend(rounded);
  for (size_t c = 0; c < static_cast<size_t>(g.oc); ++c) {
    multiplier[c] = 4e-4f + 1e-6f * static_cast<float>(random() % 100);
    addend[c] = static_cast<float>(random() % 64) - 32.0f;
  }
  op.store.multiplier = blob(multiplier.data(), rounded * 4);
  op.store.addend = blob(addend.data(), rounded * 4);
  cpu::Store& store = op.store.store;
  store.to_float = to.dtype == DType::kFloat32;
  store.first = {.zero = to.zero, .lo = 3, .hi = 251};
  if (settings.residual != kNoTensor) {
    store.residual = settings.order;
    store.residual_zero = tensor(settings.residual).zero;
    store.residual_scale = 0.37f;
    store.table_zero = to.zero;
    store.self_scale = 0.81f;
    store.second = {.zero = to.zero, .lo = 0, .hi = 255};
  }
  if (settings.table) {
    uint8_t table[256];
    for (int i = 0; i < 256; ++i) table[i] = static_cast<uint8_t>(i * i / 255);
    op.store.table = blob(table, sizeof(table));
  }
  op.kernel = settings.kernel_name;
  program.features |= kernel->features();
  auto packed = aligned_copy(std::vector<uint8_t>(kernel->packed_bytes(op.problem)));
  kernel->pack(op.problem, w.data(), bias.data(), packed.get());
  op.packed = blob(packed.get(), kernel->packed_bytes(op.problem));
  const size_t index = add(std::move(op));
  weights[index] = std::move(w);
  biases[index] = std::move(bias);
  return true;
}

Program ProgramBuilder::finish() {
  Program result = program;
  const std::shared_ptr<uint8_t> memory = aligned_copy(constants_);
  result.constants = {memory.get(), constants_.size()};
  result.keep_alive = memory;
  return result;
}

ProgramBuilder residual_network(const std::string& kernel, bool batched) {
  ProgramBuilder b;
  b.program.name = "residual";
  b.program.batched = batched;
  const TensorId in = b.input(b.plain("image", DType::kFloat32, {1, 3, 13, 11}));
  const TensorId x = b.image("x", {1, 3, 13, 11}, 0.02f, 120, 4);
  b.add(QuantizeOp{in, x, {.zero = 120, .lo = 0, .hi = 255}});
  const auto conv = [&](TensorId src, TensorId dst, ProgramBuilder::ConvSettings settings, uint32_t seed) {
    settings.kernel_name = kernel;
    if (b.conv(src, dst, settings, seed)) return;
    settings.kernel_name = "reference";
    b.conv(src, dst, settings, seed);
  };
  const TensorId y = b.image("y", {1, 20, 13, 11}, 0.1f, 100);
  conv(x, y, {}, 1);
  const TensorId pooled = b.image("pooled", {1, 20, 7, 6}, 0.1f, 100);
  b.add(PoolOp{.src = y,
               .dst = pooled,
               .kh = 3,
               .kw = 3,
               .stride_h = 2,
               .stride_w = 2,
               .pad_top = 1,
               .pad_left = 1,
               .grid = {.zero = 100}});
  // Its own residual: dst is written over it.
  conv(pooled, b.image("z", {1, 20, 7, 6}, 0.1f, 90), {.kernel = 1, .pad = 0, .table = true, .residual = pooled}, 2);
  const TensorId z = static_cast<TensorId>(b.program.tensors.size()) - 1;
  const TensorId joined = b.image("joined", {1, 44, 7, 6}, 0.2f, 110, 48);
  const TensorId left = b.slice("left", joined, 0, 20);
  const TensorId middle = b.slice("middle", joined, 20, 20);
  const TensorId right = b.slice("right", joined, 40, 4);
  b.add(BinaryOp{.a = z, .b = pooled, .dst = left, .a_scale = 0.5f, .b_scale = 0.6f, .grid = {.zero = 110}});
  TableOp table{z, middle};
  for (int i = 0; i < 256; ++i) table.table[static_cast<size_t>(i)] = static_cast<uint8_t>(255 - i);
  b.add(table);
  b.add(FillOp{right, 110});
  const TensorId depth = b.image("depth", {1, 20, 7, 6}, 0.3f, 77);
  conv(middle, depth, {.groups = 20, .residual = left, .order = cpu::Residual::kAfterFirst}, 3);
  const TensorId large = b.image("large", {1, 44, 14, 9}, 0.2f, 110);
  ResizeOp resize{joined, large};
  for (int32_t r = 0; r < 14; ++r) resize.row_of.push_back(r / 2);
  for (int32_t c = 0; c < 9; ++c) resize.column_of.push_back(c * 6 / 9);
  b.add(resize);
  const TensorId mean = b.image("mean", {1, 44, 1, 1}, 0.15f, 60);
  b.add(PoolOp{
      .src = large, .dst = mean, .average = true, .kh = 14, .kw = 9, .scale = 0.2f / 0.15f, .grid = {.zero = 60}});
  const TensorId scaled = b.image("scaled", {1, 44, 14, 9}, 0.2f, 20);
  b.add(BinaryOp{.a = large,
                 .b = mean,
                 .dst = scaled,
                 .multiply = true,
                 .b_per_image = true,
                 .a_scale = 0.02f,
                 .grid = {.zero = 20}});
  b.add(DequantizeOp{scaled, b.output(b.plain("real", DType::kFloat32, {1, 44, 14, 9}))});
  b.add(BytesOp{depth, b.output(b.plain("codes", DType::kInt8, {1, 20, 7, 6})), 0x80});
  const TensorId logits = b.output(b.plain("logits", DType::kFloat32, {1, 10}));
  conv(b.reshaped("row", mean, {1, 44}), logits, {}, 4);
  return b;
}

ProgramBuilder island_network(bool heavy) {
  ProgramBuilder b;
  b.program.name = "island";
  b.program.batched = true;
  const TensorId in = b.input(b.plain("image", DType::kUint8, {1, 5, 4, 4}, 0.1f, 30));
  const TensorId x = b.image("x", {1, 5, 4, 4}, 0.1f, 30);
  b.add(BytesOp{in, x, 0});
  const TensorId real = b.plain("real", DType::kFloat32, {1, 5, 4, 4});
  b.add(DequantizeOp{x, real});
  const TensorId soft = b.plain("soft", DType::kFloat32, {1, 5, 4, 4});
  IslandOp island{{real}, {soft}, {}};
  Graph& g = island.graph;
  g.name = "softmax";
  const ValueId from =
      g.add_value("real", DType::kFloat32, Shape{Dim::named("N"), Dim::of(5), Dim::of(4), Dim::of(4)});
  g.inputs = {from};
  ValueId value = from;
  if (heavy) {
    const ValueId w =
        g.add_constant("w", Tensor::from<float>({4, 4}, {1, 2, 3, 4, 0, 1, 0, 1, 2, 2, 1, 1, 0, 3, 0, 3}));
    value = g.nodes[g.add_node("MatMul", {value, w}, {"product"})].outputs[0];
  }
  value = g.nodes[g.add_node("Relu", {value}, {"relu"})].outputs[0];
  std::vector<float> shift(5 * 4 * 4 * 8, 0.25f);  // large enough for the file's data part
  const ValueId constant = g.add_constant("shift", Tensor::from<float>({8, 5, 4, 4}, shift));
  const ValueId first = g.nodes[g.add_node("ReduceMax", {constant}, {"first"},
                                           {{"axes", std::vector<int64_t>{0}}, {"keepdims", int64_t{1}}})]
                            .outputs[0];
  value = g.nodes[g.add_node("Add", {value, first}, {"moved"})].outputs[0];
  value = g.nodes[g.add_node("Softmax", {value}, {"soft"}, {{"axis", int64_t{1}}})].outputs[0];
  g.outputs = {value};
  b.add(std::move(island));
  const TensorId codes = b.image("codes", {1, 5, 4, 4}, 1.0f / 255, 0);
  b.add(QuantizeOp{soft, codes, {}});
  b.add(BytesOp{codes, b.output(b.plain("result", DType::kUint8, {1, 5, 4, 4})), 0});
  return b;
}

ProgramBuilder attention_network() {
  ProgramBuilder b;
  b.program.name = "attention";
  b.program.batched = true;
  const auto codes = [&](const char* name, const Dims& dims, float scale, int32_t zero) {
    return b.plain(name, DType::kUint8, dims, scale, zero);
  };
  const auto real = [](float scale, int zero) {
    std::vector<float> numbers;
    for (int q = 0; q < 256; ++q) numbers.push_back(static_cast<float>(q - zero) * scale);
    return numbers;
  };
  const TensorId in = b.input(b.plain("tokens", DType::kInt8, {1, 2, 70, 9}, 0.02f, 0));
  const TensorId x = codes("x", {1, 2, 70, 9}, 0.02f, 128);
  b.add(BytesOp{in, x, 0x80});
  const TensorId normal = codes("normal", {1, 2, 70, 9}, 0.03f, 120);
  LayerNormOp norm{x, normal, real(0.02f, 128)};
  for (int i = 0; i < 9; ++i) norm.weight.push_back(0.5f + 0.1f * static_cast<float>(i));
  norm.bias = {0, 0.1f, -0.1f, 0.2f, 0, 0, -0.3f, 0, 0.5f};
  norm.grid = {120, 0, 255};
  b.add(norm);
  const TensorId turned = codes("turned", {1, 2, 9, 70}, 0.03f, 120);
  b.add(TransposeOp{normal, turned, {0, 1, 3, 2}});
  const TensorId scores = codes("scores", {1, 2, 70, 70}, 0.05f, 130);
  b.add(MatMulOp{normal, turned, scores, 0.03f * 0.03f / 0.05f, false, {130, 0, 255}});
  const TensorId soft = codes("soft", {1, 2, 70, 70}, 1.0f / 256, 0);
  BinaryOp shift{.a = scores, .dst = codes("shifted", {1, 2, 70, 70}, 0.05f, 130), .a_scale = 1, .b_scale = 0.4f};
  for (int i = 0; i < 70; ++i) shift.row.push_back(static_cast<uint8_t>(3 * i));
  shift.row_zero = 100;
  shift.grid = {130, 0, 255};
  const TensorId shifted = shift.dst;
  b.add(shift);
  b.add(SoftmaxOp{shifted, soft, real(0.05f, 130), {0, 0, 255}});
  const TensorId mixed = b.output(b.plain("mixed", DType::kFloat32, {1, 2, 70, 9}));
  b.add(MatMulOp{soft, normal, mixed, 0.03f / 256, true, {}});
  return b;
}

std::vector<Tensor> random_inputs(const Program& program, int64_t batch, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Tensor> inputs;
  for (TensorId id : program.inputs) {
    const TensorInfo& t = program.tensors[static_cast<size_t>(id)];
    Dims dims = t.dims;
    dims[0] *= batch;
    Tensor x(t.dtype, dims);
    for (int64_t i = 0; i < x.numel(); ++i) {
      if (t.dtype == DType::kFloat32) x.data<float>()[i] = static_cast<float>(random() % 2001) / 250.0f - 4.0f;
      else x.data<uint8_t>()[i] = static_cast<uint8_t>(random());
    }
    inputs.push_back(std::move(x));
  }
  return inputs;
}

}  // namespace octet::test
