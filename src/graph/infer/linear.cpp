#include "graph/infer/linear.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"

namespace octet {
namespace {

// numpy.matmul: vectors become a row or a column that disappears again, leading axes broadcast.
Result<MaybeShape> matmul_shape(const OpInference& op, size_t a_input, size_t b_input) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, a_input, 1));
  OCTET_RETURN_IF_ERROR(expect_rank(op, b_input, 1));
  if (op.shape(a_input) == nullptr || op.shape(b_input) == nullptr) return MaybeShape();
  Shape a = *op.shape(a_input);
  Shape b = *op.shape(b_input);
  const bool row = a.size() == 1;
  const bool column = b.size() == 1;
  if (row) a.insert(a.begin(), Dim::of(1));
  if (column) b.push_back(Dim::of(1));
  if (!unify(a.back(), b[b.size() - 2]).is_ok())
    return invalid_argument("the inner sizes " + shape_to_string({a.back()}) + " and " +
                            shape_to_string({b[b.size() - 2]}) + " must be equal");
  OCTET_ASSIGN(Shape out, broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2)));
  if (!row) out.push_back(a[a.size() - 2]);
  if (!column) out.push_back(b.back());
  return MaybeShape(out);
}

// One side of an einsum term: its letters, and where "..." stands (-1: nowhere).
struct EinsumTerm {
  std::string letters;
  int64_t ellipsis = -1;
};

Result<EinsumTerm> parse_einsum_term(std::string_view text) {
  EinsumTerm term;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "..." && term.ellipsis < 0) {
      term.ellipsis = static_cast<int64_t>(term.letters.size());
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(text[i])) != 0) {
      term.letters += text[i];
    } else {
      return invalid_argument("the equation contains '" + std::string(1, text[i]) + "' at an unexpected place");
    }
  }
  if (term.letters.size() > kMaxRank) return invalid_argument("the equation has a term of more than 64 letters");
  return term;
}

struct EinsumSizes {
  std::array<std::optional<Dim>, 128> letter;
  std::array<int, 128> count{};
  Shape ellipsis;
  bool has_ellipsis = false;
};

Status read_einsum_operand(const EinsumTerm& term, const Shape& shape, EinsumSizes& sizes) {
  const bool fits = term.ellipsis < 0 ? shape.size() == term.letters.size() : shape.size() >= term.letters.size();
  if (!fits) return invalid_argument("the term '" + term.letters + "' does not match the rank of its input");
  const size_t skipped = shape.size() - term.letters.size();
  const size_t dots = term.ellipsis < 0 ? term.letters.size() : static_cast<size_t>(term.ellipsis);
  for (size_t i = 0; i < term.letters.size(); ++i) {
    const auto c = static_cast<size_t>(term.letters[i]);
    const Dim& d = shape[i < dots ? i : i + skipped];
    ++sizes.count[c];
    if (!sizes.letter[c]) sizes.letter[c] = d;
    auto same = broadcast_dim(*sizes.letter[c], d);
    if (!same.is_ok()) return same.status().at(std::string("letter '") + term.letters[i] + "'");
    sizes.letter[c] = same.value();
  }
  if (term.ellipsis < 0) return Status::ok();
  const auto first = shape.begin() + static_cast<int64_t>(dots);
  OCTET_ASSIGN(sizes.ellipsis, broadcast(sizes.ellipsis, Shape(first, first + static_cast<int64_t>(skipped))));
  sizes.has_ellipsis = true;
  return Status::ok();
}

// Without "->": the letters that occur once, in alphabetical order, after the ellipsis.
EinsumTerm implicit_output(const EinsumSizes& sizes) {
  EinsumTerm out;
  if (sizes.has_ellipsis) out.ellipsis = 0;
  for (size_t c = 0; c < sizes.count.size(); ++c)
    if (sizes.count[c] == 1) out.letters += static_cast<char>(c);
  return out;
}

Result<MaybeShape> einsum_shape(const OpInference& op) {
  std::string equation = op.node.attr_string("equation", "");
  equation.erase(std::remove(equation.begin(), equation.end(), ' '), equation.end());
  const size_t arrow = equation.find("->");
  const std::vector<std::string> terms = split(std::string_view(equation).substr(0, arrow), ',');
  if (terms.size() != op.input_count())
    return invalid_argument("the equation '" + equation + "' has " + std::to_string(terms.size()) + " terms for " +
                            std::to_string(op.input_count()) + " inputs");
  EinsumSizes sizes;
  for (size_t i = 0; i < terms.size(); ++i) {
    OCTET_ASSIGN(const EinsumTerm term, parse_einsum_term(terms[i]));
    if (op.shape(i) == nullptr) return MaybeShape();
    OCTET_RETURN_IF_ERROR(read_einsum_operand(term, *op.shape(i), sizes));
  }
  EinsumTerm output = implicit_output(sizes);
  if (arrow != std::string::npos) {
    OCTET_ASSIGN(output, parse_einsum_term(std::string_view(equation).substr(arrow + 2)));
  }
  Shape out;
  for (size_t i = 0; i <= output.letters.size(); ++i) {
    if (static_cast<int64_t>(i) == output.ellipsis)
      out.insert(out.end(), sizes.ellipsis.begin(), sizes.ellipsis.end());
    if (i == output.letters.size()) break;
    const auto& size = sizes.letter[static_cast<size_t>(output.letters[i])];
    if (!size) return invalid_argument("the output of the equation has a letter that no input has");
    out.push_back(*size);
  }
  return MaybeShape(out);
}

}  // namespace

Status infer_matmul(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  OCTET_ASSIGN(MaybeShape shape, matmul_shape(op, 0, 1));
  op.set(0, dtype, std::move(shape));
  return Status::ok();
}

Status infer_matmul_integer(OpInference& op) {
  OCTET_ASSIGN(MaybeShape shape, matmul_shape(op, 0, 1));
  op.set(0, DType::kInt32, std::move(shape));
  return Status::ok();
}

// Inputs: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point.
Status infer_qlinear_matmul(OpInference& op) {
  OCTET_ASSIGN(MaybeShape shape, matmul_shape(op, 0, 3));
  op.set(0, op.dtype(7), std::move(shape));
  return Status::ok();
}

Status infer_gemm(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 2, 2));
  OCTET_RETURN_IF_ERROR(expect_rank(op, 1, 2, 2));
  const Shape a = op.shape(0) != nullptr ? *op.shape(0) : unknown_shape(2);
  const Shape b = op.shape(1) != nullptr ? *op.shape(1) : unknown_shape(2);
  const size_t ta = op.node.attr_int("transA", 0) != 0 ? 1 : 0;
  const size_t tb = op.node.attr_int("transB", 0) != 0 ? 1 : 0;
  if (!unify(a[1 - ta], b[tb]).is_ok())
    return invalid_argument("the inner sizes " + shape_to_string({a[1 - ta]}) + " and " + shape_to_string({b[tb]}) +
                            " must be equal");
  const Shape out{a[ta], b[1 - tb]};
  if (op.shape(2) != nullptr) {
    OCTET_ASSIGN(const Shape with_bias, broadcast(*op.shape(2), out));
    bool same = with_bias.size() == 2;
    for (size_t i = 0; same && i < 2; ++i) same = unify(with_bias[i], out[i]).is_ok();
    if (!same) return invalid_argument("the bias does not broadcast to the output " + shape_to_string(out));
  }
  op.set(0, dtype, out);
  return Status::ok();
}

Status infer_einsum(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  OCTET_ASSIGN(MaybeShape shape, einsum_shape(op));
  op.set(0, dtype, std::move(shape));
  return Status::ok();
}

}  // namespace octet
