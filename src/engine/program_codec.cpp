// The fields of a program, in the order in which they are stored.
#include "engine/program_codec.h"

#include "engine/graph_codec.h"
#include "engine/program.h"
#include "engine/program_file.h"

namespace octet::engine {

template <>
struct LastOf<Layout> {
  static constexpr Layout value = Layout::kNhwc;
};
template <>
struct LastOf<cpu::Curve> {
  static constexpr cpu::Curve value = cpu::Curve::kGeluTanh;
};
template <>
struct LastOf<cpu::Residual> {
  static constexpr cpu::Residual value = cpu::Residual::kAfterFirst;
};

// One specialization; the fields in parentheses, `v` is the value.
#define OCTET_FIELDS(Type, ...)     \
  template <>                       \
  struct Fields<Type> {             \
    template <class A, class V>     \
    static void visit(A& a, V& v) { \
      a(__VA_ARGS__);               \
    }                               \
  }

OCTET_FIELDS(Blob, v.offset, v.size);
OCTET_FIELDS(cpu::Grid, v.zero, v.lo, v.hi);
OCTET_FIELDS(cpu::ConvGeometry, v.ih, v.iw, v.ic, v.oh, v.ow, v.oc, v.kh, v.kw, v.stride_h, v.stride_w, v.pad_top,
             v.pad_left, v.dilation_h, v.dilation_w, v.groups);
OCTET_FIELDS(cpu::ConvProblem, v.geometry, v.src_zero, v.src_lo, v.src_hi);
OCTET_FIELDS(cpu::Store, v.to_float, v.curve, v.alpha, v.beta, v.first_divisor, v.first, v.residual, v.residual_zero,
             v.residual_scale, v.table_zero, v.self_scale, v.second);
OCTET_FIELDS(StoreInfo, v.store, v.multiplier, v.addend, v.table);
OCTET_FIELDS(TensorInfo, v.name, v.dtype, v.dims, v.layout, v.pixel_stride, v.scale, v.zero, v.parent, v.offset);
OCTET_FIELDS(ConvOp, v.src, v.dst, v.residual, v.problem, v.store, v.kernel, v.packed);
OCTET_FIELDS(QuantizeOp, v.src, v.dst, v.grid);
OCTET_FIELDS(DequantizeOp, v.src, v.dst);
OCTET_FIELDS(FloatLayoutOp, v.src, v.dst);
OCTET_FIELDS(BytesOp, v.src, v.dst, v.flip);
OCTET_FIELDS(TableOp, v.src, v.dst, v.copy, v.table);
OCTET_FIELDS(BinaryOp, v.a, v.b, v.dst, v.multiply, v.b_per_image, v.a_scale, v.b_scale, v.grid, v.has_table, v.table,
             v.row, v.row_zero);
OCTET_FIELDS(PoolOp, v.src, v.dst, v.average, v.count_pad, v.kh, v.kw, v.stride_h, v.stride_w, v.pad_top, v.pad_left,
             v.dilation_h, v.dilation_w, v.scale, v.grid);
OCTET_FIELDS(ResizeOp, v.src, v.dst, v.row_of, v.column_of);
OCTET_FIELDS(FillOp, v.dst, v.value);
OCTET_FIELDS(IslandOp, v.inputs, v.outputs, v.graph);
OCTET_FIELDS(SoftmaxOp, v.src, v.dst, v.real, v.grid);
OCTET_FIELDS(LayerNormOp, v.src, v.dst, v.real, v.weight, v.bias, v.epsilon, v.grid);
OCTET_FIELDS(TransposeOp, v.src, v.dst, v.perm);
OCTET_FIELDS(MatMulOp, v.a, v.b, v.dst, v.scale, v.to_float, v.grid);
OCTET_FIELDS(OpNote, v.nodes, v.what, v.precision, v.reasons, v.macs, v.int8_us, v.float_us);
OCTET_FIELDS(Program, v.name, v.batched, v.arena_bytes, v.tensors, v.inputs, v.outputs, v.operations, v.notes);

#undef OCTET_FIELDS

std::string encode_program(const Program& program, TensorSink& tensors) {
  Writer writer(&tensors);
  writer(program);
  return writer.take();
}

bool decode_program(std::span<const uint8_t> bytes, TensorSource& tensors, Program& program) {
  Reader reader(bytes.data(), bytes.size(), &tensors);
  reader(program);
  return reader.ok() && reader.left() == 0;
}

}  // namespace octet::engine
