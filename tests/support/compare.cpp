#include "support/compare.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

namespace octet::test {
namespace {

::testing::AssertionResult differ(size_t output) {
  return ::testing::AssertionFailure() << "output " << output << ": ";
}

::testing::AssertionResult same_form(const std::vector<Tensor>& expected, const std::vector<Tensor>& actual) {
  if (expected.size() != actual.size())
    return ::testing::AssertionFailure() << actual.size() << " outputs instead of " << expected.size();
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].dtype() != actual[i].dtype())
      return differ(i) << dtype_name(actual[i].dtype()) << " instead of " << dtype_name(expected[i].dtype());
    if (expected[i].dims() != actual[i].dims())
      return differ(i) << dims_to_string(actual[i].dims()) << " instead of " << dims_to_string(expected[i].dims());
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult floats_near(size_t output, const Tensor& expected, const Tensor& actual, double relative) {
  const float* e = expected.data<float>();
  const float* a = actual.data<float>();
  double largest = 0.0;
  for (int64_t i = 0; i < expected.numel(); ++i)
    if (std::isfinite(e[i])) largest = std::max(largest, std::abs(static_cast<double>(e[i])));
  for (int64_t i = 0; i < expected.numel(); ++i) {
    if (e[i] == a[i] || (std::isnan(e[i]) && std::isnan(a[i]))) continue;
    const double error = std::abs(static_cast<double>(e[i]) - static_cast<double>(a[i]));
    if (!(error <= relative * largest))
      return differ(output) << "element " << i << " is " << a[i] << " instead of " << e[i] << " (largest magnitude "
                            << largest << ", allowed error " << relative * largest << ")";
  }
  return ::testing::AssertionSuccess();
}

}  // namespace

::testing::AssertionResult outputs_near(const std::vector<Tensor>& expected, const std::vector<Tensor>& actual,
                                        double relative) {
  if (auto form = same_form(expected, actual); !form) return form;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].dtype() == DType::kFloat32) {
      if (auto near = floats_near(i, expected[i], actual[i], relative); !near) return near;
    } else if (!same_bits(expected[i], actual[i])) {
      return differ(i) << "other elements";
    }
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult outputs_identical(const std::vector<Tensor>& expected, const std::vector<Tensor>& actual) {
  if (auto form = same_form(expected, actual); !form) return form;
  for (size_t i = 0; i < expected.size(); ++i)
    if (!same_bits(expected[i], actual[i])) return differ(i) << "not the same bits";
  return ::testing::AssertionSuccess();
}

int count_nodes(const Graph& graph, std::string_view op_type) {
  return static_cast<int>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& n) { return n.op_type == op_type; }));
}

std::vector<std::string> output_names(const Graph& graph) {
  std::vector<std::string> names;
  for (ValueId id : graph.outputs) names.push_back(graph.value(id).name);
  return names;
}

std::string operators(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes) text += (text.empty() ? "" : " ") + node.op_type;
  return text;
}

std::string constant_bytes(const Graph& graph) {
  std::string all;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const Value& v = graph.value(static_cast<ValueId>(i));
    if (v.constant) all.append(v.constant->data<char>(), static_cast<size_t>(v.constant->nbytes()));
  }
  return all;
}

std::string data_folder() {
  const char* given = std::getenv("OCTET_DATA");
  const std::filesystem::path folder =
      given != nullptr ? std::filesystem::path(given) : std::filesystem::path(OCTET_SOURCE_DIR) / "../shared/data";
  std::error_code ignored;
  return std::filesystem::is_directory(folder, ignored) ? folder.string() : std::string();
}

}  // namespace octet::test
