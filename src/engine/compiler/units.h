// The network between ONNX and the Program: codes (activations in integers) and the units that make them.
//
// A unit is one integer operation and the nodes it stands for. What no unit makes is computed by float nodes. Units
// are formed wherever the arithmetic allows; which of them run is decided by what the outputs need.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/compiler/compile.h"
#include "engine/compiler/qdq.h"
#include "engine/program.h"

namespace octet::engine {

using CodeId = int32_t;
constexpr CodeId kNoCode = -1;
using CodeTable = std::array<uint8_t, 256>;

struct Code {
  std::string name;
  CodeParams params;
  cpu::Grid grid;      // zero = params.zero; lo..hi are the codes that can occur
  Dims dims;           // of one image, as in ONNX
  int unit = -1;       // that makes it
  bool plain = false;  // of rank 4, but in ONNX's order instead of N,H,W,C: the heads of attention
  bool image() const { return dims.size() == 4 && !plain; }
  int64_t channels() const { return image() ? dims[1] : dims.empty() ? 1 : dims.back(); }
};

enum class UnitKind {
  kQuantize,  // float_input -> output
  kInput,     // a graph input of codes
  kConv,      // inputs[0] -> output or float_output; the residual is inputs[1]
  kTable,     // 256 entries; none: a copy
  kBinary,
  kPool,
  kResize,    // picks rows and columns: Resize nearest, strided Slice
  kConcat,    // channels of all inputs, which have the output's parameters
  kSlice,     // channels from `first_channel`
  kPadding,   // channels of zero before and after
  kReshape,   // equal bytes
  kToRows,    // an image to row-major codes, of another shape perhaps
  kToImage,   // row-major codes of rank 4 to an image
  kTurnView,  // Transpose between row-major N,H,W,C and an image of it: equal bytes
  kSoftmax,   // these four: row-major codes
  kLayerNorm,
  kTranspose,
  kMatMul,  // inputs[0] times inputs[1] -> output or float_output
};

struct Unit {
  UnitKind kind = UnitKind::kTable;
  std::vector<CodeId> inputs;
  ValueId float_input = kNoValue;
  CodeId output = kNoCode;
  ValueId float_output = kNoValue;
  std::vector<size_t> nodes;  // into graph.nodes, in order

  // kConv. Pointers of `store` are null; scales are for real numbers or the output's grid as store.h says.
  cpu::ConvProblem problem;
  cpu::Store store;
  std::vector<int8_t> weights;
  std::vector<int32_t> bias;
  std::vector<float> multiplier, addend;
  // kConv, kTable, kBinary
  std::optional<CodeTable> table;
  BinaryOp binary;
  PoolOp pool;
  bool only_pads = false;  // kPool: a 1x1 window that only adds zeros around; convolutions look through it
  std::vector<int32_t> row_of, column_of;
  SoftmaxOp softmax;
  LayerNormOp norm;
  TransposeOp transpose;
  MatMulOp product;
  int64_t first_channel = 0;
};

struct Units {
  std::vector<Code> codes;
  std::vector<Unit> units;
  std::map<ValueId, CodeId> coded;         // float values that are the dequantized form of a code
  std::map<ValueId, CodeId> code_of;       // INT8/UINT8 values
  std::map<ValueId, int> float_conv;       // float values that a kConv unit could make
  std::map<size_t, std::string> refusals;  // per node: why it did not become an integer operation
};

// Sizes of one image; nullopt when they are not known, or when nothing is in it.
std::optional<Dims> image_dims(const Graph& graph, ValueId id);

Units form_units(const Graph& graph, const CompileOptions& options);

// What the graph's outputs need. Everything else is not computed.
struct Needs {
  std::vector<bool> unit;         // by index into Units::units
  std::vector<int> readers;       // by CodeId: units, conversions and outputs that read the code
  std::vector<bool> node;         // by index into graph.nodes: runs in float
  std::vector<bool> dequantized;  // by ValueId: the float32 form of a coded value
  std::vector<bool> raw;          // by ValueId: an INT8/UINT8 value, row-major
};
Needs find_needs(const Graph& graph, const Units& units);

// Merges tables and residual additions into the stores of the units before them, where nobody else needs the codes in
// between.
void fuse_units(Units& units, Needs& needs);

}  // namespace octet::engine
