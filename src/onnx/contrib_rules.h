// One rule per operator of ONNX Runtime's domain com.microsoft that says what it is in operators of ai.onnx.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/op_table.h"
#include "onnx/opset_rules.h"

namespace octet {

struct ContribRule {
  OpInfo op;          // op_type is of com.microsoft; every operator here has one output
  uint32_t optional;  // bit i: input i may be left out
  // Turns the node into its equivalent: nodes go into context.before and after. Inputs and attributes are checked.
  Status (*apply)(UpgradeContext& context, Node& node);
};

std::span<const ContribRule> quantized_contrib_rules();
std::span<const ContribRule> fused_contrib_rules();

// Puts a node before the rewritten one and returns its result.
ValueId put_before(UpgradeContext& context, const Node& node, const std::string& what, std::string op_type,
                   std::vector<ValueId> inputs, Attributes attributes = {});
// Lets what `node` and the nodes after it made so far pass through one more operator, whose result gets the name.
void put_after(UpgradeContext& context, Node& node, const std::string& what, std::string op_type,
               std::vector<ValueId> more_inputs, Attributes attributes = {});
// The number of dimensions, which `purpose` needs: "transA" and the like.
Result<int64_t> rank_of(UpgradeContext& context, ValueId id, const std::string& purpose);

}  // namespace octet
