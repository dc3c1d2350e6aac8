// ONNX Einsum: sums of products over named axes, with repeated labels and "...", for any number of operands.
#include <algorithm>
#include <map>
#include <numeric>

#include "kernels/ref/elementwise.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

// Letters are labels; the axes that "..." covers get labels -1, -2, ... from the right.
using Labels = std::vector<int>;

struct Equation {
  std::vector<std::string> terms;
  std::string output;
  bool explicit_output = false;
};

Result<Equation> parse_equation(const std::string& text) {
  Equation eq;
  eq.terms.emplace_back();
  std::string* current = &eq.terms.back();
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ') continue;
    if (c == ',' && !eq.explicit_output) {
      current = &eq.terms.emplace_back();
    } else if (c == '-' && text.compare(i, 2, "->") == 0 && !eq.explicit_output) {
      eq.explicit_output = true;
      current = &eq.output;
      ++i;
    } else if (c == '.' && text.compare(i, 3, "...") == 0 && current->find('.') == std::string::npos) {
      current->push_back('.');
      i += 2;
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      current->push_back(c);
    } else {
      return invalid_argument("the equation '" + text + "' cannot be understood at position " + std::to_string(i));
    }
  }
  return eq;
}

// One label per axis; "..." covers `covered` axes.
Labels expand(const std::string& term, int covered) {
  Labels labels;
  for (char c : term) {
    if (c != '.') labels.push_back(c);
    else
      for (int i = covered; i > 0; --i) labels.push_back(-i);
  }
  return labels;
}

struct Problem {
  std::vector<Labels> operands;
  Labels output;
  Labels summed;
  std::map<int, int64_t> size;
};

// Sizes must agree, but for axes under "...", which broadcast.
Status add_sizes(Problem& problem, const Labels& labels, const Dims& dims) {
  for (size_t d = 0; d < labels.size(); ++d) {
    const auto [at, fresh] = problem.size.emplace(labels[d], dims[d]);
    if (fresh || at->second == dims[d]) continue;
    if (labels[d] < 0 && (at->second == 1 || dims[d] == 1)) at->second = at->second == 1 ? dims[d] : at->second;
    else
      return invalid_argument("operand of shape " + dims_to_string(dims) + " disagrees with another about a size (" +
                              std::to_string(at->second) + " against " + std::to_string(dims[d]) + ")");
  }
  return Status::ok();
}

// Without "->": the covered axes, then in alphabetical order the letters that occur once.
Labels implicit_output(const Problem& problem, int covered) {
  std::map<int, int> count;
  for (const Labels& labels : problem.operands)
    for (int label : labels) ++count[label];
  Labels out;
  for (int i = covered; i > 0; --i) out.push_back(-i);
  for (const auto& [label, n] : count)
    if (label >= 0 && n == 1) out.push_back(label);
  return out;
}

Result<Problem> make_problem(const OpArgs& args) {
  const std::string text = args.node.attr_string("equation", "");
  OCTET_ASSIGN(const Equation eq, parse_equation(text));
  if (eq.terms.size() != args.inputs.size())
    return invalid_argument("the equation '" + text + "' has " + std::to_string(eq.terms.size()) + " terms for " +
                            std::to_string(args.inputs.size()) + " inputs");
  Problem problem;
  int most = 0;
  for (size_t k = 0; k < eq.terms.size(); ++k) {
    const bool dots = eq.terms[k].find('.') != std::string::npos;
    const int covered = args.in(k).rank() - static_cast<int>(eq.terms[k].size()) + (dots ? 1 : 0);
    if (covered < 0 || (!dots && covered != 0))
      return invalid_argument("term '" + eq.terms[k] + "' of the equation does not fit shape " +
                              dims_to_string(args.in(k).dims()));
    most = std::max(most, covered);
    problem.operands.push_back(expand(eq.terms[k], covered));
    OCTET_RETURN_IF_ERROR(add_sizes(problem, problem.operands.back(), args.in(k).dims()));
  }
  problem.output = eq.explicit_output ? expand(eq.output, most) : implicit_output(problem, most);
  for (size_t i = 0; i < problem.output.size(); ++i) {
    const int label = problem.output[i];
    if (problem.size.count(label) == 0 || std::count(problem.output.begin(), problem.output.end(), label) != 1)
      return invalid_argument("the output of the equation '" + text + "' must name axes of the inputs, each once");
  }
  for (const auto& [label, size] : problem.size)
    if (std::count(problem.output.begin(), problem.output.end(), label) == 0) problem.summed.push_back(label);
  return problem;
}

Dims sizes_of(const Problem& problem, const Labels& labels) {
  Dims dims;
  for (int label : labels) dims.push_back(problem.size.at(label));
  return dims;
}

// Strides of operand k along `labels`: a label that occurs twice walks the diagonal, one that is absent stands still.
Dims strides_along(const Problem& problem, size_t k, const Dims& dims, const Labels& labels) {
  const Dims strides = row_major_strides(dims);
  Dims out(labels.size(), 0);
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t d = 0; d < dims.size(); ++d)
      if (problem.operands[k][d] == labels[i] && dims[d] != 1) out[i] += strides[d];
  return out;
}

template <class T>
OpResult contract(const OpArgs& args, const Problem& problem) {
  OCTET_ASSIGN(Tensor out, Tensor::create(args.in(0).dtype(), sizes_of(problem, problem.output)));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  std::vector<Dims> kept, summed;
  for (size_t k = 0; k < args.inputs.size(); ++k) {
    kept.push_back(strides_along(problem, k, args.in(k).dims(), problem.output));
    summed.push_back(strides_along(problem, k, args.in(k).dims(), problem.summed));
  }
  const StridedLoop outer = make_loop(sizes_of(problem, problem.output), kept);
  const StridedLoop inner = make_loop(sizes_of(problem, problem.summed), summed);
  using Sum = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  for_each_row(outer, [&](int64_t done, const int64_t* base) {
    for (int64_t i = 0; i < outer.dims.back(); ++i) {
      Sum total = 0;
      for_each_row(inner, [&](int64_t, const int64_t* from) {
        for (int64_t j = 0; j < inner.dims.back(); ++j) {
          Sum term = 1;
          for (size_t k = 0; k < args.inputs.size(); ++k)
            term = wrap_mul(term, static_cast<Sum>(args.in(k).data<T>()[base[k] + i * outer.strides[k].back() +
                                                                        from[k] + j * inner.strides[k].back()]));
          total = wrap_add(total, term);
        }
      });
      out.data<T>()[done + i] = static_cast<T>(total);
    }
  });
  return std::vector<Tensor>{out};
}

OpResult einsum_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, std::max<size_t>(1, args.inputs.size())));
  OCTET_RETURN_IF_ERROR(need_same_dtype(args));
  OCTET_ASSIGN(const Problem problem, make_problem(args));
  return dispatch_numeric(args.in(0).dtype(), [&]<class T>() { return contract<T>(args, problem); });
}

constexpr RefOpEntry kOps[] = {{"Einsum", any_width<einsum_op>}};

}  // namespace

std::span<const RefOpEntry> einsum_ops() { return kOps; }

}  // namespace octet
