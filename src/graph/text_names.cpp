#include "graph/text_names.h"

#include <algorithm>

namespace octet {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

}  // namespace

bool is_name_char(char c) { return is_letter(c) || is_digit(c) || is_one_of(c, "_./:-"); }
bool is_symbol_char(char c) { return is_letter(c) || is_digit(c) || is_one_of(c, "_.()+*/-"); }

bool is_plain_name(std::string_view name) {
  // A trailing colon would run into the one before the type; "_" alone means omitted.
  return !name.empty() && name != "_" && name.back() != ':' && std::all_of(name.begin(), name.end(), is_name_char);
}

bool is_plain_symbol(std::string_view symbol) {
  if (symbol.empty() || !(is_letter(symbol[0]) || symbol[0] == '_' || symbol[0] == '(')) return false;
  return std::all_of(symbol.begin(), symbol.end(), is_symbol_char);
}

std::string quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out(1, '"');
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

}  // namespace octet
