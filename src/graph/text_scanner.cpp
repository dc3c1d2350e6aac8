#include "graph/text_scanner.h"

#include "graph/text_names.h"

namespace octet {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

Status Scanner::error(const std::string& sentence) const {
  return invalid_argument("line " + std::to_string(number_) + ": " + sentence);
}

void Scanner::skip_blanks() {
  while (position_ < line_.size() &&
         (line_[position_] == ' ' || line_[position_] == '\t' || line_[position_] == '\r'))
    ++position_;
}

bool Scanner::at_end() {
  skip_blanks();
  return position_ == line_.size();
}

bool Scanner::at(std::string_view text) {
  skip_blanks();
  return rest().starts_with(text);
}

bool Scanner::at_digit() {
  skip_blanks();
  return position_ < line_.size() && line_[position_] >= '0' && line_[position_] <= '9';
}

bool Scanner::at_float() {
  skip_blanks();
  const std::string_view number = rest().substr(0, rest().find_first_of(",]} )"));
  return number.find_first_of(".en") != std::string_view::npos;  // "inf" and "nan" have an n
}

bool Scanner::take(std::string_view text) {
  if (!at(text)) return false;
  position_ += text.size();
  return true;
}

bool Scanner::take_word(std::string_view text) {
  if (!at(text)) return false;
  const std::string_view after = rest().substr(text.size());
  if (!after.empty() && is_name_char(after[0])) return false;
  return take(text);
}

std::string Scanner::word() {
  skip_blanks();
  size_t n = 0;
  while (n < rest().size() && is_name_char(rest()[n])) ++n;
  // "%x: float32": the colon before a type is not part of the name.
  while (n > 0 && rest()[n - 1] == ':') --n;
  std::string out(rest().substr(0, n));
  position_ += n;
  return out;
}

Result<std::string> Scanner::string() {
  if (!take("\"")) return error("expected a string in double quotes");
  std::string out;
  while (position_ < line_.size()) {
    const char c = line_[position_++];
    if (c == '"') return out;
    if (c != '\\') {
      out += c;
      continue;
    }
    const char escaped = position_ < line_.size() ? line_[position_++] : '\0';
    if (escaped == 'n') {
      out += '\n';
    } else if (escaped == '"' || escaped == '\\') {
      out += escaped;
    } else if (escaped == 'x' && line_.size() - position_ >= 2) {
      const int high = hex_digit(line_[position_]);
      const int low = hex_digit(line_[position_ + 1]);
      if (high < 0 || low < 0) return error("expected two hexadecimal digits after \\x");
      out += static_cast<char>(high * 16 + low);
      position_ += 2;
    } else {
      return error("a backslash must be followed by one of n, x, \" and \\");
    }
  }
  return error("a string is not closed");
}

Result<std::string> Scanner::name() {
  if (at("\"")) return string();
  std::string out = word();
  if (out.empty()) return error("expected a name");
  return out;
}

Result<std::string> Scanner::value_name() {
  if (!take("%")) return error("expected a value, written %name");
  return name();
}

Result<std::string> Scanner::symbol() {
  if (at("\"")) return string();
  size_t n = 0;
  while (n < rest().size() && is_symbol_char(rest()[n])) ++n;
  std::string out(rest().substr(0, n));
  if (!is_plain_symbol(out)) return error("expected a size: a number, a symbol or '?'");
  position_ += n;
  return out;
}

}  // namespace octet
