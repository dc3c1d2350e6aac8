// Reads the pieces of one line of the text form; errors carry the line number.
#pragma once

#include <charconv>
#include <string>
#include <string_view>

#include "octet/status.h"

namespace octet {

class Scanner {
 public:
  Scanner(std::string_view line, int number) : line_(line), number_(number) {}

  Status error(const std::string& sentence) const;
  // All of these skip blanks first.
  bool at_end();
  bool at(std::string_view text);
  bool at_digit();
  bool at_float();                        // a number with '.', 'e', "inf" or "nan" in it
  bool take(std::string_view text);       // moves on when `text` comes next
  bool take_word(std::string_view text);  // same, but not when it is only the beginning of a longer word
  std::string word();                     // letters, digits and _ . / : -; may be empty
  Result<std::string> string();           // "..."
  Result<std::string> name();             // a word or a string
  Result<std::string> value_name();       // '%' and a name
  Result<std::string> symbol();           // of a dimension
  Result<int64_t> integer() { return number<int64_t>(); }
  template <class T>
  Result<T> number();

 private:
  void skip_blanks();
  std::string_view rest() const { return line_.substr(position_); }

  std::string_view line_;
  size_t position_ = 0;
  int number_;
};

template <class T>
Result<T> Scanner::number() {
  skip_blanks();
  T value{};
  const auto [end, code] = std::from_chars(line_.data() + position_, line_.data() + line_.size(), value);
  if (code == std::errc::result_out_of_range) return error("a number is out of range");
  if (code != std::errc()) return error("expected a number");
  position_ = static_cast<size_t>(end - line_.data());
  return value;
}

}  // namespace octet
