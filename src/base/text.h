// Small text helpers shared by all rooms.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace octet {

// Up to `most` candidates that look like `word` (edit distance, shared parts), best first: for "did you mean" hints.
std::vector<std::string> near_misses(std::string_view word, const std::vector<std::string>& candidates,
                                     size_t most = 3);
// " Did you mean 'a', 'b' or 'c'?" or "" when nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

// Shell-style match of a whole string: '*' any run (slashes and dots included), '?' one character, '[abc]' a set.
bool glob_match(std::string_view pattern, std::string_view text);
bool is_glob(std::string_view pattern);

std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string to_lower(std::string_view text);
std::string_view trim(std::string_view text);

}  // namespace octet
