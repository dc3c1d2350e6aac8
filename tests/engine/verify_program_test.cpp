// What verify_program refuses: one change at a time to a program that passes.
#include <gtest/gtest.h>

#include <limits>

#include "engine/test_programs.h"

namespace octet::engine {
namespace {

using Change = std::function<void(Program&)>;

template <class Op>
Op& first(Program& program) {
  for (Operation& operation : program.operations)
    if (auto* op = std::get_if<Op>(&operation)) return *op;
  throw std::logic_error("the test program lacks an operation");
}

TensorInfo& named(Program& program, const std::string& name) {
  for (TensorInfo& t : program.tensors)
    if (t.name == name) return t;
  throw std::logic_error("the test program lacks a tensor");
}

TensorId id_of(const Program& program, const std::string& name) {
  for (size_t i = 0; i < program.tensors.size(); ++i)
    if (program.tensors[i].name == name) return static_cast<TensorId>(i);
  throw std::logic_error("the test program lacks a tensor");
}

void expect_refused(const Change& change, const std::string& words) {
  Program program = test::residual_network().finish();
  change(program);
  const Status status = verify_program(program);
  EXPECT_FALSE(status.is_ok()) << "accepted: " << words;
  EXPECT_NE(status.message().find(words), std::string::npos) << status.message();
}

TEST(VerifyProgram, AcceptsGoodPrograms) {
  EXPECT_EQ(verify_program(test::residual_network().finish()).message(), "");
  EXPECT_EQ(verify_program(test::residual_network("reference", false).finish()).message(), "");
  EXPECT_EQ(verify_program(test::island_network().finish()).message(), "");
  EXPECT_EQ(verify_program(test::attention_network().finish()).message(), "");
}

TEST(VerifyProgram, Tensors) {
  expect_refused([](Program& p) { named(p, "x").dims[1] = -3; }, "size below 1");
  expect_refused([](Program& p) { named(p, "x").pixel_stride = 2; }, "pixel stride");
  expect_refused([](Program& p) { named(p, "x").dims = {1, 3, 143}; }, "rank 4");
  expect_refused([](Program& p) { named(p, "x").dims[2] = int64_t{1} << 40; }, "too large");
  expect_refused([](Program& p) { named(p, "x").scale = std::numeric_limits<float>::quiet_NaN(); }, "scale");
  expect_refused([](Program& p) { named(p, "x").zero = 256; }, "zero point");
  expect_refused([](Program& p) { named(p, "x").offset += 1; }, "multiple of 64");
  expect_refused([](Program& p) { named(p, "x").offset = -64; }, "multiple of 64");
  expect_refused([](Program& p) { named(p, "x").offset = p.arena_bytes; }, "outside of the arena");
  expect_refused([](Program& p) { p.arena_bytes = 64; }, "outside of the arena");
  expect_refused([](Program& p) { p.arena_bytes = -1; }, "arena's size");
}

TEST(VerifyProgram, Views) {
  expect_refused([](Program& p) { named(p, "right").offset = 41; }, "slice");
  expect_refused([](Program& p) { named(p, "left").pixel_stride = 44; }, "slice");
  expect_refused([](Program& p) { named(p, "left").dims[2] = 8; }, "slice");
  expect_refused([](Program& p) { named(p, "row").offset = 1; }, "inside its parent");
  expect_refused([](Program& p) { named(p, "row").dims = {1, 45}; }, "inside its parent");
  expect_refused([](Program& p) { named(p, "row").dtype = DType::kFloat32; }, "type");
  expect_refused([](Program& p) { named(p, "row").parent = 10000; }, "parents");
  expect_refused([](Program& p) { named(p, "joined").parent = id_of(p, "left"); }, "parents");
}

TEST(VerifyProgram, OrderAndBorders) {
  expect_refused(
      [](Program& p) {
        p.operations.erase(p.operations.begin());
        p.notes.pop_back();
      },
      "before anything");
  expect_refused([](Program& p) { p.notes.pop_back(); }, "notes");
  expect_refused([](Program& p) { first<DequantizeOp>(p).dst = p.inputs[0]; }, "writes to the input");
  expect_refused([](Program& p) { first<QuantizeOp>(p).src = 99; }, "does not exist");
  expect_refused([](Program& p) { first<QuantizeOp>(p).dst = kNoTensor; }, "missing");
  expect_refused([](Program& p) { first<BinaryOp>(p).b = kNoTensor; }, "missing");
  expect_refused([](Program& p) { p.outputs.push_back(-7); }, "outputs");
  expect_refused([](Program& p) { p.outputs.clear(); }, "no outputs");
  expect_refused([](Program& p) { p.outputs.push_back(id_of(p, "x")); }, "row-major");
  expect_refused([](Program& p) { p.inputs.push_back(p.inputs[0]); }, "twice");
}

TEST(VerifyProgram, Convolutions) {
  const auto conv = [](auto change) { return [=](Program& p) { change(first<ConvOp>(p)); }; };
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.ih = 14; }), "geometry");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.ih = 9000; }), "output size");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.iw = 10; }), "geometry");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.ic = 5; }), "geometry");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.oc = 21; }), "geometry");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.oh = 15; }), "geometry");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.oh = 1; }), "output size");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.groups = 0; }), "groups");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.groups = 2; }), "groups");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.stride_h = 0; }), "stride");
  expect_refused(conv([](ConvOp& op) { op.problem.geometry.pad_top = -1; }), "padding");
  expect_refused(conv([](ConvOp& op) { op.problem.src_zero = 256; }), "0..255");
  expect_refused(conv([](ConvOp& op) { op.kernel = "fastest"; }), "'fastest'");
  expect_refused(conv([](ConvOp& op) { op.packed.size -= 1; }), "weights");
  expect_refused(conv([](ConvOp& op) { op.packed.offset = uint64_t{1} << 63; }), "weights");
  expect_refused(conv([](ConvOp& op) { op.packed.offset += 8; }), "weights");
  expect_refused(conv([](ConvOp& op) { op.store.multiplier.size = 80; }), "multipliers");
  expect_refused(conv([](ConvOp& op) { op.store.table = {0, 255}; }), "table");
  expect_refused(conv([](ConvOp& op) { op.store.store.first.hi = 256; }), "grids");
  expect_refused(conv([](ConvOp& op) { op.store.store.first_divisor = 0; }), "finite");
  expect_refused(conv([](ConvOp& op) { op.store.store.residual = cpu::Residual::kBeforeFirst; }), "residual");
  expect_refused(conv([](ConvOp& op) { op.residual = op.src; }), "geometry");
  expect_refused(conv([](ConvOp& op) { op.store.store.to_float = true; }), "types");
  expect_refused([](Program& p) { named(p, "y").offset = named(p, "x").offset; }, "overwrites its input");
}

TEST(VerifyProgram, OtherOperations) {
  expect_refused([](Program& p) { first<PoolOp>(p).pad_top = 3; }, "padding");
  expect_refused([](Program& p) { first<PoolOp>(p).pad_top = 40000; }, "out of range");
  expect_refused(
      [](Program& p) {
        first<PoolOp>(p).kh = 9;
        first<PoolOp>(p).stride_h = 9;
      },
      "padding");
  expect_refused([](Program& p) { first<PoolOp>(p).kh = 0; }, "kernel size");
  expect_refused(
      [](Program& p) {
        PoolOp& op = first<PoolOp>(p);
        op.pad_left = 3;
        op.dilation_w = 2;
        op.kw = 2;
      },
      "padding");
  expect_refused([](Program& p) { first<PoolOp>(p).scale = std::numeric_limits<float>::infinity(); }, "finite");
  expect_refused([](Program& p) { first<ResizeOp>(p).row_of[3] = 7; }, "do not exist");
  expect_refused([](Program& p) { first<ResizeOp>(p).row_of[3] = -1; }, "do not exist");
  expect_refused([](Program& p) { first<ResizeOp>(p).column_of.pop_back(); }, "do not exist");
  expect_refused([](Program& p) { first<BinaryOp>(p).b = id_of(p, "y"); }, "shapes");
  expect_refused([](Program& p) { first<BinaryOp>(p).b_per_image = true; }, "one row for each image");
  expect_refused([](Program& p) { first<TableOp>(p).src = id_of(p, "y"); }, "shapes");
  expect_refused([](Program& p) { first<FillOp>(p).dst = id_of(p, "real"); }, "type");
  expect_refused([](Program& p) { first<QuantizeOp>(p).grid.lo = -1; }, "grids");
  expect_refused([](Program& p) { first<DequantizeOp>(p).dst = id_of(p, "codes"); }, "types");
  // Whole pixels, gaps included, into a slice of somebody else's channels.
  expect_refused(
      [](Program& p) {
        const TensorId in = first<QuantizeOp>(p).src;
        TensorInfo wide = named(p, "x");
        wide.dims[1] = wide.pixel_stride = 8;
        wide.offset = p.arena_bytes;
        p.arena_bytes += 4096;
        TensorInfo slice = wide;
        slice.dims[1] = 3;
        slice.parent = static_cast<TensorId>(p.tensors.size());
        slice.offset = 3;
        p.tensors.push_back(wide);
        p.tensors.push_back(slice);
        p.operations.emplace_back(QuantizeOp{in, static_cast<TensorId>(p.tensors.size()) - 1, {}});
        p.notes.emplace_back();
      },
      "beside its slice");
}

TEST(VerifyProgram, Rows) {
  const auto expect_rows = [](const Change& change, const std::string& words) {
    Program program = test::attention_network().finish();
    change(program);
    const Status status = verify_program(program);
    EXPECT_FALSE(status.is_ok()) << "accepted: " << words;
    EXPECT_NE(status.message().find(words), std::string::npos) << status.message();
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect_rows([](Program& p) { first<SoftmaxOp>(p).src = id_of(p, "normal"); }, "shapes differ");
  expect_rows([](Program& p) { first<SoftmaxOp>(p).dst = id_of(p, "mixed"); }, "rows of codes");
  expect_rows([](Program& p) { first<SoftmaxOp>(p).dst = kNoTensor; }, "missing");
  expect_rows([](Program& p) { first<SoftmaxOp>(p).real.pop_back(); }, "256 finite numbers");
  expect_rows([&](Program& p) { first<SoftmaxOp>(p).real[7] = nan; }, "256 finite numbers");
  expect_rows([](Program& p) { first<SoftmaxOp>(p).real[7] = 100; }, "greatest code");
  expect_rows([](Program& p) { first<SoftmaxOp>(p).grid.hi = 256; }, "grids");
  // A batch would make one longer row of the leading dimension.
  expect_rows([](Program& p) { named(p, "scores").dims = named(p, "soft").dims = {9800}; }, "matrices of codes");
  expect_rows([](Program& p) { first<BinaryOp>(p).row.pop_back(); }, "constant row does not fit");
  expect_rows([](Program& p) { first<BinaryOp>(p).row.clear(); }, "missing");
  expect_rows([](Program& p) { first<BinaryOp>(p).b = id_of(p, "scores"); }, "constant row does not fit");
  expect_rows([](Program& p) { first<BinaryOp>(p).row_zero = 256; }, "zero point");
  expect_rows([](Program& p) { first<BinaryOp>(p).a = id_of(p, "normal"); }, "shapes differ");
  expect_rows([](Program& p) { first<LayerNormOp>(p).weight.pop_back(); }, "weights do not fit");
  expect_rows([](Program& p) { first<LayerNormOp>(p).bias.push_back(0); }, "weights do not fit");
  expect_rows([&](Program& p) { first<LayerNormOp>(p).bias[2] = nan; }, "not a finite number");
  expect_rows([&](Program& p) { first<LayerNormOp>(p).epsilon = -1; }, "not a finite number");
  expect_rows([](Program& p) { first<TransposeOp>(p).perm = {0, 1, 3, 3}; }, "permutation");
  expect_rows([](Program& p) { first<TransposeOp>(p).perm = {0, 1, 3, -2}; }, "permutation");
  expect_rows([](Program& p) { first<TransposeOp>(p).perm = {0, 1, 3}; }, "permutation");
  expect_rows([](Program& p) { first<TransposeOp>(p).perm = {1, 0, 3, 2}; }, "permutation");
  expect_rows([](Program& p) { first<TransposeOp>(p).perm = {0, 1, 2, 3}; }, "permutation");
  expect_rows([](Program& p) { named(p, "turned").offset = named(p, "normal").offset; }, "overwrites");
  expect_rows([](Program& p) { first<MatMulOp>(p).b = id_of(p, "normal"); }, "shapes do not fit");
  expect_rows([](Program& p) { first<MatMulOp>(p).b = kNoTensor; }, "missing");
  expect_rows([](Program& p) { first<MatMulOp>(p).to_float = true; }, "matrices of codes");
  expect_rows([&](Program& p) { first<MatMulOp>(p).scale = nan; }, "finite");
  expect_rows([](Program& p) { named(p, "scores").offset = named(p, "normal").offset; }, "overwrites");
  expect_rows(
      [](Program& p) {
        for (const char* name : {"normal", "turned", "scores"})
          named(p, name).dims.erase(named(p, name).dims.begin());
      },
      "shapes differ");
  expect_rows(
      [](Program& p) {  // 255 * 255 * 40000 is more than 2^31
        named(p, "normal").dims = {1, 2, 1, 40000};
        named(p, "turned").dims = {1, 2, 40000, 1};
        named(p, "scores").dims = {1, 2, 1, 1};
        p.operations.erase(p.operations.begin() + 1, p.operations.begin() + 3);
        p.notes.erase(p.notes.begin() + 1, p.notes.begin() + 3);
        p.operations.insert(p.operations.begin() + 1, {FillOp{id_of(p, "normal"), 1}, FillOp{id_of(p, "turned"), 1}});
        p.notes.resize(p.operations.size());
        named(p, "normal").offset = p.arena_bytes;
        named(p, "turned").offset = p.arena_bytes + 100096;
        p.arena_bytes += 300032;
      },
      "32 bits");
}

TEST(VerifyProgram, Islands) {
  const auto expect_island = [](const std::function<void(Program&, IslandOp&)>& change, const std::string& words) {
    Program program = test::island_network().finish();
    change(program, first<IslandOp>(program));
    const Status status = verify_program(program);
    EXPECT_FALSE(status.is_ok());
    EXPECT_NE(status.message().find(words), std::string::npos) << status.message();
  };
  expect_island([](Program&, IslandOp& op) { op.inputs.clear(); }, "not those of its graph");
  expect_island([](Program&, IslandOp& op) { op.outputs.push_back(op.outputs[0]); }, "not those of its graph");
  expect_island([](Program&, IslandOp& op) { op.graph.nodes[0].op_type = "Relux"; }, "does not know");
  expect_island([](Program&, IslandOp& op) { op.graph.nodes[0].inputs[0] = 77; }, "does not exist");
  expect_island(
      [](Program& p, IslandOp&) {
        named(p, "soft").dims = {1, 5, 4, 5};
        p.arena_bytes += 4096;
      },
      "shape");
  expect_island([](Program& p, IslandOp& op) { op.inputs[0] = id_of(p, "x"); }, "row-major");
  expect_island([](Program& p, IslandOp&) { named(p, "soft").offset = named(p, "real").offset; }, "overwrites");
}

TEST(VerifyProgram, InPlaceWhereKernelsAllowIt) {
  Program program = test::residual_network().finish();
  first<TableOp>(program).dst = first<TableOp>(program).src;
  // The slice that the table no longer writes is covered by the rest of its parent.
  EXPECT_EQ(verify_program(program).message(), "");
  expect_refused(
      [](Program& p) {
        // One row further: a table would read what it has just written.
        TensorInfo shifted = named(p, "z");
        shifted.name = "shifted";
        shifted.offset += 64;
        p.arena_bytes += 4096;
        p.tensors.push_back(shifted);
        first<TableOp>(p).dst = static_cast<TensorId>(p.tensors.size()) - 1;
      },
      "overwrites its input");
}

}  // namespace
}  // namespace octet::engine
