// Integers known up to symbols: what shape arithmetic yields when the batch (or any other dimension) has only a name.
//
// A SymInt is a sum of terms, each a coefficient times a product of symbols: 4*N + 2*H*N - 1. All arithmetic is
// checked; what overflows or grows beyond a few terms is reported as unknown, never wrapped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "octet/graph.h"

namespace octet {

class SymInt {
 public:
  SymInt() = default;
  SymInt(int64_t constant) : constant_(constant) {}  // NOLINT: implicit by design
  // coefficient * symbol, where the symbol may be a product "H*N".
  static SymInt term(int64_t coefficient, std::string symbol);

  bool is_constant() const { return terms_.empty(); }
  int64_t constant() const { return constant_; }
  // Symbolic terms (product of symbols, non-zero coefficient), sorted by product.
  const std::vector<std::pair<std::string, int64_t>>& terms() const { return terms_; }
  bool operator==(const SymInt&) const = default;
  std::string to_string() const;  // "2*H*N-1", without spaces

 private:
  friend std::optional<SymInt> sym_add(const SymInt& a, const SymInt& b);
  int64_t constant_ = 0;
  std::vector<std::pair<std::string, int64_t>> terms_;
};

// An integer that may not be known at all.
using MaybeInt = std::optional<SymInt>;

std::optional<SymInt> sym_add(const SymInt& a, const SymInt& b);
std::optional<SymInt> sym_mul(const SymInt& a, const SymInt& b);
MaybeInt sym_add(const MaybeInt& a, const MaybeInt& b);
MaybeInt sym_sub(const MaybeInt& a, const MaybeInt& b);
MaybeInt sym_mul(const MaybeInt& a, const MaybeInt& b);
// a / b when that is an integer for every value of the symbols.
MaybeInt sym_div_exact(const MaybeInt& a, const MaybeInt& b);

// Names for what a Dim (one coefficient, one symbol) cannot express: the dimension H-1 becomes the symbol "(H-1)",
// and the table remembers its meaning, so that (H-1)+1 is H again. Equal expressions get equal symbols.
class SymbolTable {
 public:
  // Unknown stays unknown; so does a negative constant, which is no size.
  Dim to_dim(const MaybeInt& value);
  MaybeInt from_dim(const Dim& dim) const;
  // floor(a / b) for a positive constant b; symbols stand for sizes. Exact where possible, else a fresh symbol.
  MaybeInt floor_div(const MaybeInt& a, int64_t b);
  MaybeInt ceil_div(const MaybeInt& a, int64_t b);
  // Takes note of a symbol from outside, so that made-up names differ from it. Gives a short name for overlong ones.
  std::string reserve(const std::string& symbol);

 private:
  std::string name_of(const std::string& expression);

  std::map<std::string, SymInt> meaning_;           // symbols that abbreviate a sum
  std::map<std::string, std::string> short_names_;  // long expression -> "d<number>"
  std::set<std::string> reserved_;
  int64_t next_short_name_ = 0;
};

}  // namespace octet
