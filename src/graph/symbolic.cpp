#include "graph/symbolic.h"

#include <algorithm>
#include <numeric>

namespace octet {
namespace {

constexpr size_t kMostTerms = 8;
constexpr size_t kMostFactors = 8;
constexpr size_t kLongestName = 40;

bool checked_add(int64_t a, int64_t b, int64_t* out) { return !__builtin_add_overflow(a, b, out); }
bool checked_mul(int64_t a, int64_t b, int64_t* out) { return !__builtin_mul_overflow(a, b, out); }

// Splits "H*(W-1)*N" at the stars outside parentheses.
std::vector<std::string> factors_of(const std::string& product) {
  std::vector<std::string> factors;
  if (product.empty()) return factors;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= product.size(); ++i) {
    if (i == product.size() || (product[i] == '*' && depth == 0)) {
      factors.push_back(product.substr(begin, i - begin));
      begin = i + 1;
    } else if (product[i] == '(') {
      ++depth;
    } else if (product[i] == ')') {
      --depth;
    }
  }
  return factors;
}

std::string product_of(std::vector<std::string> factors) {
  std::sort(factors.begin(), factors.end());
  std::string product;
  for (const std::string& f : factors) {
    if (!product.empty()) product += '*';
    product += f;
  }
  return product;
}

std::optional<std::string> multiply_products(const std::string& a, const std::string& b) {
  std::vector<std::string> factors = factors_of(a);
  for (std::string& f : factors_of(b)) factors.push_back(std::move(f));
  if (factors.size() > kMostFactors) return std::nullopt;
  return product_of(std::move(factors));
}

// a / b as products, or nothing when b has a factor that a lacks.
std::optional<std::string> divide_products(const std::string& a, const std::string& b) {
  std::vector<std::string> factors = factors_of(a);
  for (const std::string& f : factors_of(b)) {
    auto found = std::find(factors.begin(), factors.end(), f);
    if (found == factors.end()) return std::nullopt;
    factors.erase(found);
  }
  return product_of(std::move(factors));
}

// Every term of the sum, the constant (if any) with an empty product.
std::vector<std::pair<std::string, int64_t>> all_terms(const SymInt& v) {
  auto terms = v.terms();
  if (v.constant() != 0) terms.emplace_back("", v.constant());
  return terms;
}

std::string term_text(const std::string& product, int64_t coefficient) {
  if (product.empty()) return std::to_string(coefficient);
  if (coefficient == 1) return product;
  std::string text = coefficient == -1 ? "-" : std::to_string(coefficient) + "*";
  return text += product;
}

std::string in_parentheses(std::string text) {
  text.insert(text.begin(), '(');
  text.push_back(')');
  return text;
}

// Division towards minus infinity and its remainder in [0, b), for b > 0.
int64_t floor_quotient(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
int64_t floor_remainder(int64_t a, int64_t b) { return a % b < 0 ? a % b + b : a % b; }

// The greatest common divisor of all coefficients; 0 when one of them has no absolute value in int64.
int64_t content_of(const std::vector<std::pair<std::string, int64_t>>& terms) {
  int64_t content = 0;
  for (const auto& [product, coefficient] : terms) {
    if (coefficient == INT64_MIN) return 0;
    content = std::gcd(content, coefficient);
  }
  return content;
}

}  // namespace

SymInt SymInt::term(int64_t coefficient, std::string symbol) {
  SymInt v;
  if (symbol.empty()) v.constant_ = coefficient;
  else if (coefficient != 0) v.terms_.emplace_back(std::move(symbol), coefficient);
  return v;
}

std::string SymInt::to_string() const {
  std::string text;
  for (const auto& [product, coefficient] : all_terms(*this)) {
    if (!text.empty() && coefficient > 0) text += '+';
    text += term_text(product, coefficient);
  }
  return text.empty() ? "0" : text;
}

std::optional<SymInt> sym_add(const SymInt& a, const SymInt& b) {
  SymInt sum;
  if (!checked_add(a.constant_, b.constant_, &sum.constant_)) return std::nullopt;
  size_t i = 0;
  size_t j = 0;
  while (i < a.terms_.size() || j < b.terms_.size()) {
    const bool from_a = j == b.terms_.size() || (i < a.terms_.size() && a.terms_[i].first <= b.terms_[j].first);
    const bool from_b = i == a.terms_.size() || (j < b.terms_.size() && b.terms_[j].first <= a.terms_[i].first);
    const std::string& product = from_a ? a.terms_[i].first : b.terms_[j].first;
    int64_t coefficient = 0;
    if (!checked_add(from_a ? a.terms_[i].second : 0, from_b ? b.terms_[j].second : 0, &coefficient))
      return std::nullopt;
    if (coefficient != 0) sum.terms_.emplace_back(product, coefficient);
    if (from_a) ++i;
    if (from_b) ++j;
  }
  if (sum.terms_.size() > kMostTerms) return std::nullopt;
  return sum;
}

std::optional<SymInt> sym_mul(const SymInt& a, const SymInt& b) {
  std::optional<SymInt> sum = SymInt(0);
  for (const auto& [pa, ca] : all_terms(a)) {
    for (const auto& [pb, cb] : all_terms(b)) {
      int64_t coefficient = 0;
      const auto product = multiply_products(pa, pb);
      if (!product || !checked_mul(ca, cb, &coefficient)) return std::nullopt;
      sum = sym_add(*sum, SymInt::term(coefficient, *product));
      if (!sum) return std::nullopt;
    }
  }
  return sum;
}

MaybeInt sym_add(const MaybeInt& a, const MaybeInt& b) { return a && b ? sym_add(*a, *b) : std::nullopt; }
MaybeInt sym_mul(const MaybeInt& a, const MaybeInt& b) { return a && b ? sym_mul(*a, *b) : std::nullopt; }
MaybeInt sym_sub(const MaybeInt& a, const MaybeInt& b) { return sym_add(a, sym_mul(b, MaybeInt(SymInt(-1)))); }

MaybeInt sym_div_exact(const MaybeInt& a, const MaybeInt& b) {
  if (!a || !b) return std::nullopt;
  const auto divisor = all_terms(*b);
  if (divisor.empty()) return std::nullopt;
  if (*a == *b) return SymInt(1);
  if (divisor.size() != 1) return std::nullopt;
  const auto& [product, coefficient] = divisor[0];
  MaybeInt quotient = SymInt(0);
  for (const auto& [p, c] : all_terms(*a)) {
    if (coefficient == -1 && c == INT64_MIN) return std::nullopt;
    const auto rest = divide_products(p, product);
    if (!rest || c % coefficient != 0) return std::nullopt;
    quotient = sym_add(quotient, MaybeInt(SymInt::term(c / coefficient, *rest)));
  }
  return quotient;
}

std::string SymbolTable::name_of(const std::string& expression) {
  if (expression.size() <= kLongestName) return expression;
  const auto known = short_names_.find(expression);
  if (known != short_names_.end()) return known->second;
  std::string name;
  do name = "d" + std::to_string(next_short_name_++);
  while (reserved_.count(name) != 0);
  short_names_.emplace(expression, name);
  return name;
}

std::string SymbolTable::reserve(const std::string& symbol) {
  constexpr size_t kLongestSymbol = 128;  // every shape that depends on the symbol repeats it
  if (symbol.size() > kLongestSymbol) return name_of(symbol);
  reserved_.insert(symbol);
  return symbol;
}

// c * common * (rest): takes out the common coefficient and the common symbols, names the rest.
Dim SymbolTable::to_dim(const MaybeInt& value) {
  if (!value) return Dim::unknown();
  if (value->is_constant()) return value->constant() >= 0 ? Dim::of(value->constant()) : Dim::unknown();
  const auto terms = all_terms(*value);
  const int64_t content = content_of(terms);
  if (content == 0) return Dim::unknown();
  std::vector<std::string> common = factors_of(terms[0].first);
  for (const auto& [product, coefficient] : terms) {
    std::vector<std::string> kept;
    std::vector<std::string> left = factors_of(product);
    for (const std::string& f : common) {
      auto found = std::find(left.begin(), left.end(), f);
      if (found == left.end()) continue;
      kept.push_back(f);
      left.erase(found);
    }
    common = std::move(kept);
  }
  const std::string common_product = product_of(common);
  if (terms.size() == 1) return terms[0].second > 0 ? Dim{content, common_product} : Dim::unknown();
  const MaybeInt rest = sym_div_exact(value, SymInt::term(content, common_product));
  if (!rest) return Dim::unknown();
  const std::string rest_name = name_of(in_parentheses(rest->to_string()));
  meaning_.try_emplace(rest_name, *rest);
  common.push_back(rest_name);
  return Dim{content, product_of(common)};
}

MaybeInt SymbolTable::from_dim(const Dim& dim) const {
  if (!dim.is_known()) return std::nullopt;
  MaybeInt product = SymInt(dim.coefficient);
  for (const std::string& factor : factors_of(dim.symbol)) {
    const auto known = meaning_.find(factor);
    product = sym_mul(product, known != meaning_.end() ? MaybeInt(known->second) : MaybeInt(SymInt::term(1, factor)));
  }
  return product ? product : MaybeInt(SymInt::term(dim.coefficient, dim.symbol));
}

MaybeInt SymbolTable::floor_div(const MaybeInt& a, int64_t b) {
  if (!a || b <= 0) return std::nullopt;
  MaybeInt quotient = SymInt(floor_quotient(a->constant(), b));
  MaybeInt rest = SymInt(floor_remainder(a->constant(), b));
  for (const auto& [product, coefficient] : a->terms()) {
    quotient = sym_add(quotient, MaybeInt(SymInt::term(floor_quotient(coefficient, b), product)));
    rest = sym_add(rest, MaybeInt(SymInt::term(floor_remainder(coefficient, b), product)));
  }
  if (!quotient || !rest || rest->is_constant()) return quotient;  // a constant rest is below b
  // floor(g*x / (g*h)) = floor(x / h)
  const int64_t common = std::gcd(content_of(all_terms(*rest)), b);
  const MaybeInt reduced = sym_div_exact(rest, MaybeInt(SymInt(common)));
  if (!reduced) return std::nullopt;
  const bool single = reduced->constant() == 0 && reduced->terms().size() == 1;
  const std::string text = single ? reduced->to_string() : in_parentheses(reduced->to_string());
  const std::string name = name_of(in_parentheses(text + "/" + std::to_string(b / common)));
  return sym_add(quotient, MaybeInt(SymInt::term(1, name)));
}

MaybeInt SymbolTable::ceil_div(const MaybeInt& a, int64_t b) {
  return floor_div(sym_add(a, MaybeInt(SymInt(b > 0 ? b - 1 : 0))), b);
}

}  // namespace octet
