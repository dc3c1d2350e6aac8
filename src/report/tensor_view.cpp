#include "report/tensor_view.h"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace octet::report {
namespace {

constexpr const char* kMethods[] = {"max", "percentile", "entropy", "mse"};
constexpr size_t kMostChannels = 128;  // cells of a layer in the heat map; of more channels each takes the largest

// Which node reads a tensor first, in the order of the plan's nodes.
std::unordered_map<std::string, std::string> first_readers(const Document& plan) {
  std::unordered_map<std::string, size_t> place;
  for (const Document& n : at(plan, "nodes")) place.emplace(text_of(n, "name"), place.size());
  std::unordered_map<std::string, std::string> readers;
  if (!at(plan, "tensors").is_object()) return readers;
  for (const auto& [name, t] : at(plan, "tensors").items()) {
    size_t first = place.size();
    for (const std::string& reader : texts_of(t, "readers")) {
      const std::string node = reader.substr(0, reader.rfind(':'));
      const auto it = place.find(node);
      if (it == place.end() || it->second >= first) continue;
      first = it->second;
      readers[name] = node;
    }
  }
  return readers;
}

// Names of tensors in the order in which the network reads them.
std::vector<std::string> in_network_order(const Document& plan, std::set<std::string> names,
                                          const std::unordered_map<std::string, std::string>& readers) {
  std::unordered_map<std::string, std::vector<std::string>> read_by;
  for (const std::string& name : names)
    if (const auto it = readers.find(name); it != readers.end()) read_by[it->second].push_back(name);
  std::vector<std::string> order;
  for (const Document& n : at(plan, "nodes"))
    for (const std::string& name : read_by[text_of(n, "name")])
      if (names.erase(name) > 0) order.push_back(name);
  order.insert(order.end(), names.begin(), names.end());
  return order;
}

int codes_of(const std::string& type) {
  if (type.ends_with("int4")) return 16;
  if (type.ends_with("int8")) return 256;
  return type.ends_with("int16") ? 65536 : 0;
}

double largest(const std::vector<double>& list) {
  return list.empty() ? 0 : *std::max_element(list.begin(), list.end());
}
double smallest(const std::vector<double>& list) {
  return list.empty() ? 0 : *std::min_element(list.begin(), list.end());
}

void add_range(const Document& range, const Document& plan, Json* t) {
  const std::vector<double> lo = numbers_of(range, "lo"), hi = numbers_of(range, "hi");
  const std::vector<double> scale = numbers_of(plan, "scale");
  const std::string type = text_of(plan, "type");
  (*t)["role"] = text_of(range, "role").empty() ? text_of(plan, "role") : text_of(range, "role");
  (*t)["type"] = type;
  (*t)["codes"] = codes_of(type);
  (*t)["method"] = text_of(range, "method");
  (*t)["why"] = text_of(range, "why").empty() ? text_of(plan, "why") : text_of(range, "why");
  (*t)["ranges"] = lo.size();
  (*t)["lo"] = lo.empty() ? Json() : Json(rounded(smallest(lo), 6));
  (*t)["hi"] = hi.empty() ? Json() : Json(rounded(largest(hi), 6));
  (*t)["step"] = scale.empty() ? Json() : Json(rounded(largest(scale), 5));
  (*t)["min"] = json_of(number_of(range, "min"));
  (*t)["max"] = json_of(number_of(range, "max"));
  (*t)["count"] = json_of(number_of(range, "count"));
}

// The share of values outside [lo, hi], from the bins: one that the border divides counts in part.
double share_outside(const Document& seen, double lo, double hi) {
  const double begin = number_of(seen, "bin_lo").value_or(0), width = number_of(seen, "bin_width").value_or(0);
  const double count = number_of(seen, "count").value_or(0);
  if (!(width > 0) || !(count > 0)) return 0;
  double outside = 0, left = begin;
  for (const double n : numbers_of(seen, "bins")) {
    const double inside = std::clamp(std::min(left + width, hi) - std::max(left, lo), 0.0, width);
    outside += n * (1 - inside / width);
    left += width;
  }
  return outside / count;
}

void add_statistics(const Document& seen, Json* t) {
  if (!seen.is_object()) return;
  (*t)["zeros"] = json_of(number_of(seen, "zeros"));
  (*t)["mean"] = json_of(number_of(seen, "mean"));
  (*t)["bin_lo"] = json_of(number_of(seen, "bin_lo"));
  (*t)["bin_width"] = json_of(number_of(seen, "bin_width"));
  Json bins = Json::array();
  for (const double n : numbers_of(seen, "bins")) bins.push_back(static_cast<int64_t>(std::clamp(n, 0.0, 0x1p53)));
  (*t)["bins"] = std::move(bins);
  Json clips = Json::object();
  for (const char* method : kMethods) {
    const std::vector<double> clip = numbers_of(seen, "clip_" + std::string(method));
    if (clip.size() == 3) clips[method] = {rounded(clip[0]), rounded(clip[1]), rounded(clip[2], 3)};
  }
  (*t)["clips"] = std::move(clips);
  const Json &lo = (*t)["lo"], &hi = (*t)["hi"];
  if (!lo.is_number() || !hi.is_number() || (*t)["role"] == "weight") return;
  // A range that reaches the extremes clips nothing, though the last bin reaches beyond them.
  const bool whole = lo.get<double>() <= number_of(seen, "min").value_or(0) &&
                     hi.get<double>() >= number_of(seen, "max").value_or(0);
  (*t)["clipped"] = whole ? 0 : rounded(share_outside(seen, lo.get<double>(), hi.get<double>()), 3);
}

// From statistics.json, or from a range for every channel.
std::vector<double> channels_of(const Document& seen, const Document& range) {
  std::vector<double> channels = numbers_of(seen, "channels");
  if (!channels.empty()) return channels;
  const std::vector<double> lo = numbers_of(range, "lo"), hi = numbers_of(range, "hi");
  if (lo.size() != hi.size() || lo.size() < 2 || number_of(range, "block_size").value_or(0) > 0) return {};
  for (size_t c = 0; c < lo.size(); ++c) channels.push_back(std::max(std::fabs(lo[c]), std::fabs(hi[c])));
  return channels;
}

void add_channels(const std::vector<double>& channels, Json* t) {
  if (channels.size() < 2) return;
  std::vector<double> sorted = channels;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
  const double median = sorted[sorted.size() / 2];
  const size_t cells = std::min(channels.size(), kMostChannels);
  Json list = Json::array(), outliers = Json::array();
  for (size_t cell = 0; cell < cells; ++cell) {
    const size_t begin = cell * channels.size() / cells, end = (cell + 1) * channels.size() / cells;
    double most = 0;
    for (size_t c = begin; c < end; ++c) most = std::max(most, channels[c]);
    list.push_back(rounded(most, 3));
  }
  for (size_t c = 0; c < channels.size() && outliers.size() < 16; ++c)
    if (median > 0 && channels[c] > kOutlierRatio * median)
      outliers.push_back({c, rounded(channels[c], 4), rounded(channels[c] / median, 3)});
  (*t)["channel_count"] = channels.size();
  (*t)["channel_median"] = rounded(median, 4);
  (*t)["channels"] = std::move(list);
  (*t)["outliers"] = std::move(outliers);
}

}  // namespace

Json tensor_views(const Artifacts& a, std::unordered_map<std::string, size_t>* index) {
  const Document &ranges = at(a["ranges"], "tensors"), &plans = at(a["plan"], "tensors");
  // Statistics of another network, left behind in the folder, do not count.
  const bool same = text_of(a["statistics"], "network") == text_of(a["ranges"], "network");
  static const Document kNothing;
  const Document& statistics = same ? at(a["statistics"], "tensors") : kNothing;
  std::set<std::string> names;
  for (const Document* d : {&ranges, &statistics})
    if (d->is_object())
      for (const auto& [name, value] : d->items()) names.insert(name);
  Json views = Json::array();
  const auto readers = first_readers(a["plan"]);
  for (const std::string& name : in_network_order(a["plan"], std::move(names), readers)) {
    const Document &range = at(ranges, name), &seen = at(statistics, name);
    Json t;
    t["name"] = name;
    const auto reader = readers.find(name);
    t["reader"] = reader == readers.end() ? "" : reader->second;
    add_range(range, at(plans, name), &t);
    if (t["role"] == "" && seen.is_object()) t["role"] = text_of(seen, "role");
    if (!range.is_object())
      for (const char* key : {"min", "max", "count"}) t[key] = json_of(number_of(seen, key));
    add_statistics(seen, &t);
    if (t["role"] == "weight") add_channels(channels_of(seen, range), &t);
    index->emplace(name, views.size());
    views.push_back(std::move(t));
  }
  return views;
}

}  // namespace octet::report
