#include "base/text.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace octet {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (std::tolower(a[i - 1]) != std::tolower(b[j - 1]) ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

// Matches one '[...]' set at pattern[p]; moves p past it. A set without its ']' matches a literal '['.
bool match_set(std::string_view pattern, size_t& p, char c) {
  const size_t close = pattern.find(']', p + 1);
  if (close == std::string_view::npos) {
    ++p;
    return c == '[';
  }
  const bool found = pattern.substr(p + 1, close - p - 1).find(c) != std::string_view::npos;
  p = close + 1;
  return found;
}

}  // namespace

std::vector<std::string> near_misses(std::string_view word, const std::vector<std::string>& candidates, size_t most) {
  constexpr size_t kLongest = 256;  // edit distance is quadratic; longer names are cut for the comparison
  std::vector<std::pair<size_t, size_t>> scored;  // (distance, index)
  const std::string_view w = word.substr(0, kLongest);
  for (size_t i = 0; i < candidates.size() && i < 20000; ++i) {
    const std::string_view c = std::string_view(candidates[i]).substr(0, kLongest);
    const bool contains = !w.empty() && !c.empty() &&
                          (c.find(w) != std::string_view::npos || (c.size() > 2 && w.find(c) != std::string_view::npos));
    const size_t distance = edit_distance(w, c);
    if (distance <= std::max<size_t>(2, std::max(w.size(), c.size()) / 3)) scored.emplace_back(distance, i);
    else if (contains) scored.emplace_back(kLongest + distance, i);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<std::string> out;
  for (size_t i = 0; i < scored.size() && i < most; ++i) out.push_back(candidates[scored[i].second]);
  return out;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::vector<std::string> near = near_misses(word, candidates);
  if (near.empty()) return "";
  std::string s = " Did you mean ";
  for (size_t i = 0; i < near.size(); ++i) {
    if (i != 0) s += i + 1 == near.size() ? " or " : ", ";
    s += "'" + near[i] + "'";
  }
  return s + "?";
}

bool is_glob(std::string_view pattern) { return pattern.find_first_of("*?[") != std::string_view::npos; }

// Linear-time matcher with one backtracking point (the last '*'), so hostile patterns cannot blow up.
bool glob_match(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    size_t next = p;
    bool matched = false;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
      continue;
    }
    if (p < pattern.size()) {
      if (pattern[p] == '[') matched = match_set(pattern, next, text[t]);
      else matched = pattern[p] == '?' || pattern[p] == text[t], next = p + 1;
    }
    if (matched) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == separator) {
      parts.emplace_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string s;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) s += separator;
    s += parts[i];
  }
  return s;
}

std::string to_lower(std::string_view text) {
  std::string s(text);
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return s;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

}  // namespace octet
