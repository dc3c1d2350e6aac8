#include "engine/compiler/emit.h"

#include <algorithm>
#include <set>

#include "engine/compiler/emit_order.h"

namespace octet::engine {
namespace {

class Emitter {
 public:
  Emitter(const Graph& graph, const Units& units, const Needs& needs, bool batched)
      : graph_(graph), index_(graph), units_(units), needs_(needs) {
    draft_.program.name = graph.name;
    draft_.program.batched = batched;
    code_tensor_.assign(units.codes.size(), kNoTensor);
    value_tensor_.assign(graph.value_count(), kNoTensor);
    in_island_.assign(graph.nodes.size(), false);
    read_by_unit_.assign(graph.value_count(), false);
    for (size_t u = 0; u < units.units.size(); ++u)
      if (needs.unit[u] && units.units[u].float_input != kNoValue)
        read_by_unit_[static_cast<size_t>(units.units[u].float_input)] = true;
  }

  Result<Draft> run() {
    for (ValueId id : graph_.inputs) draft_.program.inputs.push_back(value_tensor(id));
    for (const Item& item : items_in_order(graph_, units_, needs_)) emit(item);
    flush_island();
    for (ValueId id : graph_.outputs) {
      if (index_.producer(id) < 0) fail(id, "is an input or a constant and an output at once");
      draft_.program.outputs.push_back(value_tensor(id));
    }
    settle_views();
    if (!status_.is_ok()) return status_;
    return std::move(draft_);
  }

 private:
  void fail(ValueId id, const std::string& what) {
    if (status_.is_ok()) status_ = unsupported("value '" + graph_.value(id).name + "' " + what);
  }

  void emit(const Item& item) {
    if (item.kind == Item::Kind::kNode) {
      join_island(item.index);
      return;
    }
    if (depends_on_island(item)) flush_island();
    if (item.kind == Item::Kind::kUnit) return emit_unit(units_.units[item.index]);
    const auto id = static_cast<ValueId>(item.index);
    OpNote note = {.nodes = graph_.nodes[item.place].name, .precision = "layout"};
    if (item.kind == Item::Kind::kDequantize) {
      note.what = "DequantizeLinear";
      push(DequantizeOp{tensor(units_.coded.at(id)), value_tensor(id)}, note);
    } else {
      const CodeId code = units_.code_of.at(id);
      note.what = "Layout";
      const uint8_t flip = units_.codes[static_cast<size_t>(code)].params.shift != 0 ? 0x80 : 0;
      push(BytesOp{tensor(code), value_tensor(id), flip}, note);
    }
  }

  bool depends_on_island(const Item& item) const {
    if (item.kind != Item::Kind::kUnit) return false;
    const ValueId in = units_.units[item.index].float_input;
    const int64_t p = in == kNoValue ? -1 : index_.producer(in);
    return p >= 0 && in_island_[static_cast<size_t>(p)];
  }

  void join_island(size_t node) {
    if (in_island_[node]) return;
    in_island_[node] = true;
    island_.push_back(node);
  }

  OpNote note_of(const Unit& unit) const {
    OpNote note;
    std::set<std::string> quiet = {"QuantizeLinear", "DequantizeLinear"};
    for (size_t n : unit.nodes) {
      const Node& node = graph_.nodes[n];
      if (quiet.count(node.op_type) != 0 && unit.kind != UnitKind::kQuantize) continue;
      note.nodes += (note.nodes.empty() ? "" : " + ") + node.name;
      note.what += (note.what.empty() ? "" : "+") + node.op_type;
    }
    if (note.what.empty()) note.what = "Requantize";
    if (note.nodes.empty() && !unit.nodes.empty()) note.nodes = graph_.nodes[unit.nodes.back()].name;
    note.precision = unit.kind == UnitKind::kQuantize || unit.kind == UnitKind::kInput ? "layout" : "int8";
    const cpu::ConvGeometry& g = unit.problem.geometry;
    if (unit.kind == UnitKind::kConv) {
      // Channels that only fill up a pixel do not count.
      const int64_t ic = std::min(g.ic, units_.codes[static_cast<size_t>(unit.inputs[0])].channels());
      note.macs = static_cast<double>(g.oh * g.ow * g.oc * g.kh * g.kw) * static_cast<double>(ic / g.groups);
    } else if (unit.kind == UnitKind::kMatMul) {
      note.macs = static_cast<double>(units_.codes[static_cast<size_t>(unit.inputs[1])].dims.back());
      for (int64_t d : units_.codes[static_cast<size_t>(unit.inputs[0])].dims) note.macs *= static_cast<double>(d);
    }
    return note;
  }

  void emit_unit(const Unit& unit) {
    const OpNote note = note_of(unit);
    switch (unit.kind) {
      case UnitKind::kInput: {
        const uint8_t flip = graph_.value(unit.float_input).dtype == DType::kInt8 ? 0x80 : 0;
        push(BytesOp{value_tensor(unit.float_input), tensor(unit.output), flip}, note);
        break;
      }
      case UnitKind::kQuantize: {
        const Code& code = units_.codes[static_cast<size_t>(unit.output)];
        push(QuantizeOp{value_tensor(unit.float_input), tensor(unit.output), {code.params.zero, 0, 255}}, note);
        break;
      }
      case UnitKind::kConv: emit_conv(unit, note); break;
      case UnitKind::kTable: {
        TableOp op{tensor(unit.inputs[0]), tensor(unit.output), !unit.table, unit.table.value_or(CodeTable{})};
        push(op, note);
        break;
      }
      case UnitKind::kBinary: {
        BinaryOp op = unit.binary;
        op.a = tensor(unit.inputs[0]), op.dst = tensor(unit.output);
        if (op.row.empty()) op.b = tensor(unit.inputs[1]);
        op.has_table = unit.table.has_value();
        op.table = unit.table.value_or(CodeTable{});
        push(op, note);
        break;
      }
      case UnitKind::kPool: emit_pool(unit, note); break;
      case UnitKind::kResize:
        push(ResizeOp{tensor(unit.inputs[0]), tensor(unit.output), unit.row_of, unit.column_of}, note);
        break;
      case UnitKind::kConcat: {
        const TensorId whole = tensor(unit.output);
        int64_t channel = 0;
        for (CodeId in : unit.inputs) {
          place(in, whole, channel, note);
          channel += units_.codes[static_cast<size_t>(in)].dims[1];
        }
        break;
      }
      case UnitKind::kPadding: emit_padding(unit, note); break;
      case UnitKind::kSlice: emit_slice(unit, note); break;
      case UnitKind::kReshape: emit_reshape(unit, note); break;
      case UnitKind::kToRows: emit_rows(unit, note); break;
      case UnitKind::kToImage: push(BytesOp{tensor(unit.inputs[0]), tensor(unit.output), 0}, note); break;
      case UnitKind::kTurnView: emit_turn(unit, note); break;
      case UnitKind::kSoftmax: push_rows(unit.softmax, unit, note); break;
      case UnitKind::kLayerNorm: push_rows(unit.norm, unit, note); break;
      case UnitKind::kTranspose: push_rows(unit.transpose, unit, note); break;
      case UnitKind::kMatMul: {
        MatMulOp op = unit.product;
        op.a = tensor(unit.inputs[0]), op.b = tensor(unit.inputs[1]);
        op.dst = unit.output != kNoCode ? tensor(unit.output) : value_tensor(unit.float_output);
        push(op, note);
        break;
      }
    }
  }

  void emit_conv(const Unit& unit, const OpNote& note) {
    ConvOp op;
    op.src = tensor(unit.inputs[0]);
    op.residual = unit.inputs.size() > 1 ? tensor(unit.inputs[1]) : kNoTensor;
    op.problem = unit.problem;
    op.store.store = unit.store;
    TensorId result = kNoTensor;
    if (unit.output != kNoCode) {
      op.dst = tensor(unit.output);
    } else {
      result = op.dst = value_tensor(unit.float_output);
      if (units_.codes[static_cast<size_t>(unit.inputs[0])].image() &&
          draft_.program.tensors[static_cast<size_t>(result)].dims.size() == 4) {
        TensorInfo rows = draft_.program.tensors[static_cast<size_t>(result)];
        rows.name += "_nhwc";
        rows.layout = Layout::kNhwc;
        rows.pixel_stride = rows.dims[1];
        op.dst = add_tensor(std::move(rows));
      }
    }
    draft_.convs.push_back({draft_.program.operations.size(), &unit});
    const TensorId made = op.dst;
    push(std::move(op), note);
    if (result != kNoTensor && made != result)
      push(FloatLayoutOp{made, result}, {.nodes = note.nodes, .what = "Layout", .precision = "layout"});
  }

  void emit_pool(const Unit& unit, const OpNote& note) {
    PoolOp op = unit.pool;
    op.src = tensor(unit.inputs[0]);
    op.dst = tensor(unit.output);
    const Code& code = units_.codes[static_cast<size_t>(unit.output)];
    if (!code.image()) {
      TensorInfo pooled = draft_.program.tensors[static_cast<size_t>(op.dst)];
      const Dims& from = units_.codes[static_cast<size_t>(unit.inputs[0])].dims;
      pooled.dims = {from[0], from[1], 1, 1};
      pooled.layout = Layout::kNhwc;
      pooled.pixel_stride = from[1];
      pooled.name += "_pooled";
      const TensorId image = add_tensor(std::move(pooled));
      solid_.insert(image);
      view_of(image, op.dst, 0);
      op.dst = image;
    }
    push(op, note);
  }

  void emit_padding(const Unit& unit, const OpNote& note) {
    const TensorId whole = tensor(unit.output);
    const Code& out = units_.codes[static_cast<size_t>(unit.output)];
    const Code& in = units_.codes[static_cast<size_t>(unit.inputs[0])];
    place(unit.inputs[0], whole, unit.first_channel, note);
    const int64_t after = unit.first_channel + in.dims[1];
    fill(whole, 0, unit.first_channel, out.params.zero, note);
    fill(whole, after, out.dims[1] - after, out.params.zero, note);
  }

  void fill(TensorId whole, int64_t first, int64_t count, int32_t value, const OpNote& note) {
    if (count > 0) push(FillOp{channel_view(whole, first, count), static_cast<uint8_t>(value)}, note);
  }

  void emit_reshape(const Unit& unit, const OpNote& note) {
    const TensorId src = tensor(unit.inputs[0]), dst = tensor(unit.output);
    const Code& from = units_.codes[static_cast<size_t>(unit.inputs[0])];
    const Code& to = units_.codes[static_cast<size_t>(unit.output)];
    if (to.image() && !from.image() && to.dims[1] < 4) {  // pixels of four bytes from packed rows
      TensorInfo rows = draft_.program.tensors[static_cast<size_t>(src)];
      rows.name += "_rows";
      rows.dims = to.dims;
      const TensorId image = add_tensor(std::move(rows));
      solid_.insert(src);
      view_of(src, image, 0);
      push(BytesOp{image, dst, 0}, note);
      return;
    }
    const bool gap = (from.image() && from.dims[1] < 4) || (to.image() && to.dims[1] < 4);
    if (gap || draft_.program.tensors[static_cast<size_t>(src)].parent != kNoTensor) return emit_rows(unit, note);
    solid_.insert(src);
    view_of(src, dst, 0);
  }

  // A view; narrow ones become images of their own, because convolutions read pixels of at least four bytes.
  void emit_slice(const Unit& unit, const OpNote& note) {
    const TensorId whole = tensor(unit.inputs[0]), part = tensor(unit.output);
    const int64_t channels = units_.codes[static_cast<size_t>(unit.output)].dims[1];
    if (channels >= 4) return view_of(whole, part, unit.first_channel);
    push(TableOp{channel_view(whole, unit.first_channel, channels), part, true, {}}, note);
  }

  template <class Op>
  void push_rows(Op op, const Unit& unit, const OpNote& note) {
    op.src = tensor(unit.inputs[0]);
    op.dst = tensor(unit.output);
    push(std::move(op), note);
  }

  // An image and its pixels as rows: the same bytes, if they lie without gaps and in no other image.
  void emit_turn(const Unit& unit, const OpNote& note) {
    TensorId src = tensor(unit.inputs[0]);
    const TensorInfo& info = draft_.program.tensors[static_cast<size_t>(src)];
    if (info.layout == Layout::kNhwc && info.parent != kNoTensor) {
      TensorInfo copy = info;
      copy.name += "_alone";
      copy.parent = kNoTensor;
      copy.offset = 0;
      copy.pixel_stride = copy.dims[1];
      const TensorId alone = add_tensor(std::move(copy));
      push(TableOp{src, alone, true, {}}, note);
      src = alone;
    }
    solid_.insert(src);
    view_of(src, tensor(unit.output), 0);
  }

  // An image in the order of ONNX, of which the result is a view. Rows are that already.
  void emit_rows(const Unit& unit, const OpNote& note) {
    const TensorId src = tensor(unit.inputs[0]), dst = tensor(unit.output);
    if (draft_.program.tensors[static_cast<size_t>(src)].layout == Layout::kPlain) {
      solid_.insert(src);
      return view_of(src, dst, 0);
    }
    TensorInfo rows = draft_.program.tensors[static_cast<size_t>(src)];
    rows.name += "_rows";
    rows.layout = Layout::kPlain;
    rows.pixel_stride = 0;
    rows.parent = kNoTensor;
    rows.offset = 0;
    const TensorId plain = add_tensor(std::move(rows));
    solid_.insert(plain);
    view_of(plain, dst, 0);
    push(BytesOp{src, plain, 0}, note);
  }

  // Makes the code's tensor a part of `whole`, or copies it there.
  void place(CodeId code, TensorId whole, int64_t channel, const OpNote& note) {
    const TensorId part = tensor(code);
    TensorInfo& info = draft_.program.tensors[static_cast<size_t>(part)];
    const UnitKind made_by = units_.units[static_cast<size_t>(units_.codes[static_cast<size_t>(code)].unit)].kind;
    // These fill whole pixels, so that they cannot write a slice.
    const bool whole_pixels =
        made_by == UnitKind::kQuantize || made_by == UnitKind::kInput || made_by == UnitKind::kToImage;
    if (info.parent == kNoTensor && solid_.count(part) == 0 && info.dims[1] >= 4 && made_by != UnitKind::kReshape &&
        !whole_pixels) {
      view_of(whole, part, channel);
      return;
    }
    TableOp copy{part, channel_view(whole, channel, info.dims[1]), true, {}};
    push(copy, note);
  }

  TensorId channel_view(TensorId whole, int64_t first, int64_t count) {
    TensorInfo info = draft_.program.tensors[static_cast<size_t>(whole)];
    info.name += "_" + std::to_string(first);
    info.dims[1] = count;
    const TensorId view = add_tensor(std::move(info));
    view_of(whole, view, first);
    return view;
  }

  void view_of(TensorId parent, TensorId view, int64_t offset) {
    TensorInfo& info = draft_.program.tensors[static_cast<size_t>(view)];
    info.parent = parent;
    info.offset = offset;
  }

  // A view of a view has the pixels of the outermost image; one of plain rows keeps its own.
  void settle_views() {
    std::vector<TensorInfo>& tensors = draft_.program.tensors;
    for (TensorInfo& t : tensors) {
      if (t.parent == kNoTensor || t.layout != Layout::kNhwc) continue;
      const TensorInfo* image = &t;
      while (image->parent != kNoTensor && tensors[static_cast<size_t>(image->parent)].layout == Layout::kNhwc)
        image = &tensors[static_cast<size_t>(image->parent)];
      t.pixel_stride = image->parent == kNoTensor ? image->pixel_stride : image->dims[1];
    }
  }

  // The size of one image is known, and in a batched program images follow each other.
  bool leads(ValueId id) const {
    const std::optional<Dims> dims = image_dims(graph_, id);
    if (!dims) return false;
    return !draft_.program.batched || (!dims->empty() && !(*graph_.value(id).shape)[0].symbol.empty());
  }

  // Shape arithmetic and the like cannot be a tensor of the program: each island that reads it computes it itself.
  void take_in_small_producers() {
    for (size_t i = 0; i < island_.size(); ++i)
      for (ValueId in : graph_.nodes[island_[i]].inputs) {
        if (in == kNoValue || graph_.is_constant(in) || leads(in)) continue;
        const int64_t p = index_.producer(in);
        if (p >= 0) join_island(static_cast<size_t>(p));
      }
  }

  void flush_island() {
    if (island_.empty()) return;
    take_in_small_producers();
    std::sort(island_.begin(), island_.end());
    std::set<ValueId> made, read;
    IslandOp op;
    OpNote note{.precision = "float32"};
    for (size_t n : island_)
      for (ValueId out : graph_.nodes[n].outputs)
        if (out != kNoValue) made.insert(out);
    std::vector<ValueId> inputs, outputs;
    for (size_t n : island_) {
      const Node& node = graph_.nodes[n];
      note.nodes += (note.nodes.empty() ? "" : " + ") + node.name;
      note.what += (note.what.empty() ? "" : "+") + node.op_type;
      if (const auto it = units_.refusals.find(n); it != units_.refusals.end())
        note.reasons.push_back(node.name + ": " + it->second);
      for (ValueId in : node.inputs)
        if (in != kNoValue && made.count(in) == 0 && !graph_.is_constant(in) && read.insert(in).second)
          inputs.push_back(in);
      for (ValueId out : node.outputs)
        if (out != kNoValue && leaves_island(out)) outputs.push_back(out);
    }
    if (outputs.empty()) {  // shape arithmetic alone, which its readers repeat
      leave_island();
      return;
    }
    for (ValueId id : inputs) op.inputs.push_back(value_tensor(id));
    for (ValueId id : outputs) op.outputs.push_back(value_tensor(id));
    op.graph = extract_subgraph(graph_, island_, inputs, outputs);
    leave_island();
    push(std::move(op), note);
  }

  void leave_island() {
    for (size_t n : island_) in_island_[n] = false;
    island_.clear();
  }

  bool leaves_island(ValueId id) const {
    if (graph_.is_output(id)) return true;
    if (!leads(id)) return false;
    if (read_by_unit_[static_cast<size_t>(id)]) return true;
    for (const GraphIndex::Use& use : index_.uses(id)) {
      for (ValueId out : graph_.nodes[use.node].outputs)
        if (out != kNoValue && !leads(out)) return true;  // another island may repeat that node
      if (!in_island_[use.node] && needs_.node[use.node]) return true;
    }
    return false;
  }

  TensorId tensor(CodeId code) {
    TensorId& id = code_tensor_[static_cast<size_t>(code)];
    if (id != kNoTensor) return id;
    const Code& c = units_.codes[static_cast<size_t>(code)];
    TensorInfo info{
        .name = c.name, .dtype = DType::kUint8, .dims = c.dims, .scale = c.params.scale, .zero = c.params.zero};
    if (c.image()) {
      info.layout = Layout::kNhwc;
      info.pixel_stride = std::max<int64_t>(4, c.dims[1]);
    }
    return id = add_tensor(std::move(info));
  }

  TensorId value_tensor(ValueId value) {
    TensorId& id = value_tensor_[static_cast<size_t>(value)];
    if (id != kNoTensor) return id;
    const std::optional<Dims> dims = image_dims(graph_, value);
    if (!leads(value))
      fail(value,
           "has " + shape_words(value) +
               ", but needs a size that is known for each image of a batch; fix the sizes in the network, or the "
               "batch with --batch");
    const Value& v = graph_.value(value);
    return id = add_tensor({.name = v.name, .dtype = v.dtype, .dims = dims.value_or(Dims{})});
  }

  std::string shape_words(ValueId value) const {
    const std::optional<Shape>& shape = graph_.value(value).shape;
    return shape ? "the shape " + shape_to_string(*shape) : "no known shape";
  }

  TensorId add_tensor(TensorInfo info) {
    draft_.program.tensors.push_back(std::move(info));
    return static_cast<TensorId>(draft_.program.tensors.size() - 1);
  }

  void push(Operation op, const OpNote& note) {
    draft_.program.operations.push_back(std::move(op));
    draft_.program.notes.push_back(note);
  }

  const Graph& graph_;
  GraphIndex index_;
  const Units& units_;
  const Needs& needs_;
  Draft draft_;
  Status status_;
  std::vector<TensorId> code_tensor_, value_tensor_;
  std::vector<size_t> island_;      // nodes that wait to become an IslandOp
  std::vector<bool> in_island_;     // the same, by node
  std::vector<bool> read_by_unit_;  // by value
  std::set<TensorId> solid_;        // another tensor is a plain view of it: it must keep its own bytes
};

}  // namespace

Result<Draft> emit_program(const Graph& graph, const Units& units, const Needs& needs, bool batched) {
  return Emitter(graph, units, needs, batched).run();
}

Graph extract_subgraph(const Graph& graph, const std::vector<size_t>& nodes, const std::vector<ValueId>& inputs,
                       const std::vector<ValueId>& outputs) {
  Graph part;
  part.name = graph.name;
  part.opset = graph.opset;
  part.other_opsets = graph.other_opsets;
  std::vector<ValueId> renumbered(graph.value_count(), kNoValue);
  const auto value = [&](ValueId id) {
    if (id == kNoValue) return kNoValue;
    ValueId& to = renumbered[static_cast<size_t>(id)];
    if (to == kNoValue) {
      const Value& v = graph.value(id);
      to = part.add_value(v.name, v.dtype, v.shape);
      part.value(to).constant = v.constant;
    }
    return to;
  };
  for (ValueId id : inputs) part.inputs.push_back(value(id));
  for (size_t n : nodes) {
    Node node = graph.nodes[n];
    for (ValueId& id : node.inputs) id = value(id);
    for (ValueId& id : node.outputs) id = value(id);
    part.nodes.push_back(std::move(node));
  }
  for (ValueId id : outputs) part.outputs.push_back(value(id));
  return part;
}

}  // namespace octet::engine
