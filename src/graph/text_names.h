// Which names the text form writes as they are, and how it quotes the others.
#pragma once

#include <string>
#include <string_view>

namespace octet {

bool is_name_char(char c);    // letters, digits, _ . / : -
bool is_symbol_char(char c);  // letters, digits, _ . ( ) + * / -
bool is_plain_name(std::string_view name);
// Symbols begin with a letter, an underscore or a parenthesis, so that a leading number is always a coefficient.
bool is_plain_symbol(std::string_view symbol);
// In double quotes, with \" \\ \n and \xHH for other control characters.
std::string quoted(std::string_view text);

}  // namespace octet
