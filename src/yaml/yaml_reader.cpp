#include "yaml/yaml_reader.h"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>

#include "base/files.h"
#include "base/text.h"

namespace octet {

// Copies yaml-cpp's tree into ours, with limits, so that aliases cannot blow it up.
class YamlBuilder {
 public:
  explicit YamlBuilder(std::shared_ptr<const std::string> source) : source_(std::move(source)) {}

  Result<YamlNode> build(const YAML::Node& node, int depth) {
    constexpr int kDeepest = 64;
    constexpr int kMostNodes = 200000;
    YamlNode out;
    out.source_ = source_;
    out.line_ = node.Mark().line + 1;
    if (depth > kDeepest || ++count_ > kMostNodes) return out.error("the document is nested too deeply or is too large");
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        out.kind_ = YamlNode::Kind::kScalar;
        out.scalar_ = node.Scalar();
        out.quoted_ = node.Tag() == "!";
        break;
      case YAML::NodeType::Sequence:
        out.kind_ = YamlNode::Kind::kSequence;
        for (const auto& item : node) {
          OCTET_ASSIGN(YamlNode child, build(item, depth + 1));
          out.items_.push_back(std::move(child));
        }
        break;
      case YAML::NodeType::Map: {
        out.kind_ = YamlNode::Kind::kMap;
        std::set<std::string> seen;
        for (const auto& pair : node) {
          OCTET_ASSIGN(YamlNode key, build(pair.first, depth + 1));
          if (!key.is_scalar()) return key.error("a key must be plain text");
          if (!seen.insert(key.scalar_).second) return key.error("the key '" + key.scalar_ + "' is given twice");
          OCTET_ASSIGN(YamlNode child, build(pair.second, depth + 1));
          if (child.line_ <= 0) child.line_ = key.line_;
          out.entries_.emplace_back(key.scalar_, std::move(child));
        }
        break;
      }
      default: break;
    }
    return out;
  }

 private:
  std::shared_ptr<const std::string> source_;
  int count_ = 0;
};

std::string YamlNode::place() const {
  const std::string source = source_ ? *source_ : "<yaml>";
  return line_ > 0 ? source + ":" + std::to_string(line_) : source;
}

Status YamlNode::error(const std::string& sentence) const { return invalid_argument(place() + ": " + sentence); }

Result<std::string> YamlNode::as_string() const {
  if (!is_scalar()) return error("expected text here");
  return scalar_;
}

Result<bool> YamlNode::as_bool() const {
  const std::string low = to_lower(scalar_);
  if (is_scalar() && (low == "true" || low == "yes" || low == "on")) return true;
  if (is_scalar() && (low == "false" || low == "no" || low == "off")) return false;
  return error("expected true or false" + (is_scalar() ? ", got '" + scalar_ + "'" : std::string()));
}

Result<int64_t> YamlNode::as_int() const {
  int64_t v = 0;
  const auto [end, code] = std::from_chars(scalar_.data(), scalar_.data() + scalar_.size(), v);
  if (!is_scalar() || code != std::errc() || end != scalar_.data() + scalar_.size())
    return error("expected a whole number" + (is_scalar() ? ", got '" + scalar_ + "'" : std::string()));
  return v;
}

Result<double> YamlNode::as_double() const {
  double v = 0;
  const char* begin = scalar_.data() + (scalar_.starts_with('+') ? 1 : 0);
  const auto [end, code] = std::from_chars(begin, scalar_.data() + scalar_.size(), v);
  if (!is_scalar() || code != std::errc() || end != scalar_.data() + scalar_.size() || !std::isfinite(v))
    return error("expected a number" + (is_scalar() ? ", got '" + scalar_ + "'" : std::string()));
  return v;
}

Result<std::vector<YamlNode>> YamlNode::as_sequence() const {
  if (is_null()) return std::vector<YamlNode>{};
  if (!is_sequence()) return error("expected a list here");
  return items_;
}

Result<std::vector<std::string>> YamlNode::as_strings() const {
  std::vector<std::string> out;
  if (is_scalar()) return std::vector<std::string>{scalar_};
  OCTET_ASSIGN(const std::vector<YamlNode> list, as_sequence());
  for (const YamlNode& item : list) {
    OCTET_ASSIGN(std::string s, item.as_string());
    out.push_back(std::move(s));
  }
  return out;
}

Result<std::vector<double>> YamlNode::as_doubles() const {
  std::vector<double> out;
  const std::vector<YamlNode> one{*this};
  const std::vector<YamlNode>& list = is_scalar() ? one : items_;
  if (!is_scalar() && !is_sequence()) return error("expected a number or a list of numbers");
  for (const YamlNode& item : list) {
    OCTET_ASSIGN(const double v, item.as_double());
    out.push_back(v);
  }
  return out;
}

Result<YamlMap> YamlMap::open(const YamlNode& node, std::string what) {
  YamlMap map;
  map.node_ = node;
  map.what_ = std::move(what);
  if (node.is_null() || node.is_map()) return map;
  return node.error("'" + map.what_ + "' must be a map of keys and values");
}

const YamlNode* YamlMap::find(const std::string& key) {
  known_.insert(key);
  for (const auto& [name, child] : node_.entries())
    if (name == key) return &child;
  return nullptr;
}

namespace {

template <class T, class Read>
Status read_into(const YamlNode* node, T* out, Read read) {
  if (node == nullptr || node->is_null()) return Status::ok();
  auto value = read(*node);
  if (!value.is_ok()) return value.status();
  *out = static_cast<T>(std::move(value).value());
  return Status::ok();
}

}  // namespace

Status YamlMap::read(const std::string& key, std::string* out) {
  return read_into(find(key), out, [](const YamlNode& n) { return n.as_string(); });
}
Status YamlMap::read(const std::string& key, bool* out) {
  return read_into(find(key), out, [](const YamlNode& n) { return n.as_bool(); });
}
Status YamlMap::read(const std::string& key, int64_t* out) {
  return read_into(find(key), out, [](const YamlNode& n) { return n.as_int(); });
}
Status YamlMap::read(const std::string& key, int* out) {
  const YamlNode* node = find(key);
  int64_t wide = *out;
  OCTET_RETURN_IF_ERROR(read_into(node, &wide, [](const YamlNode& n) { return n.as_int(); }));
  if (wide < INT32_MIN || wide > INT32_MAX) return node->error("the number is too large");
  *out = static_cast<int>(wide);
  return Status::ok();
}
Status YamlMap::read(const std::string& key, double* out) {
  return read_into(find(key), out, [](const YamlNode& n) { return n.as_double(); });
}
Status YamlMap::read(const std::string& key, std::vector<std::string>* out) {
  return read_into(find(key), out, [](const YamlNode& n) { return n.as_strings(); });
}
Status YamlMap::read(const std::string& key, std::vector<double>* out) {
  return read_into(find(key), out, [](const YamlNode& n) { return n.as_doubles(); });
}

Status YamlMap::finish() const {
  for (const auto& [name, child] : node_.entries()) {
    if (known_.count(name) != 0) continue;
    const std::vector<std::string> candidates(known_.begin(), known_.end());
    std::string hint = did_you_mean(name, candidates);
    if (hint.empty()) hint = " Known keys: " + join(candidates, ", ") + ".";
    return child.error("unknown key '" + name + "' in " + what_ + "." + hint);
  }
  return Status::ok();
}

Result<YamlNode> parse_yaml(const std::string& text, const std::string& source) {
  constexpr size_t kLargest = size_t{4} << 20;
  if (text.size() > kLargest) return resource_limit(source + ": a YAML file of more than 4 MiB is refused");
  try {
    return YamlBuilder(std::make_shared<const std::string>(source)).build(YAML::Load(text), 0);
  } catch (const YAML::Exception& e) {
    const std::string line = e.mark.is_null() ? "" : ":" + std::to_string(e.mark.line + 1);
    return invalid_argument(source + line + ": this is not valid YAML (" + e.msg + ")");
  } catch (const std::exception& e) {
    return invalid_argument(source + ": this is not valid YAML (" + e.what() + ")");
  }
}

Result<YamlNode> load_yaml(const std::string& path) {
  OCTET_ASSIGN(const std::string text, read_file(path, int64_t{4} << 20));
  return parse_yaml(text, path);
}

}  // namespace octet
