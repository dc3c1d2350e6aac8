// Comparisons of network outputs that say where they differ.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet::test {

// Same dtypes and shapes; float elements within `relative` times the largest magnitude of the expected tensor (NaN
// only where NaN is expected), other types bit for bit.
::testing::AssertionResult outputs_near(const std::vector<Tensor>& expected, const std::vector<Tensor>& actual,
                                        double relative);
::testing::AssertionResult outputs_identical(const std::vector<Tensor>& expected, const std::vector<Tensor>& actual);

int count_nodes(const Graph& graph, std::string_view op_type);
std::vector<std::string> output_names(const Graph& graph);
// "Conv Relu MaxPool": the operators in order, for short assertions.
std::string operators(const Graph& graph);

// The bytes of all constants, one after the other: equal for networks with the same weights.
std::string constant_bytes(const Graph& graph);

// Folder of real networks and data: $OCTET_DATA, else ../shared/data beside the sources; "" when there is none.
std::string data_folder();

}  // namespace octet::test
