// Any bytes as YAML: parse, then read every node in every way.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "yaml/yaml_reader.h"

namespace {

void walk(const octet::YamlNode& node) {
  (void)node.place();
  (void)node.as_string();
  (void)node.as_bool();
  (void)node.as_int();
  (void)node.as_double();
  (void)node.as_strings();
  (void)node.as_doubles();
  for (const octet::YamlNode& item : node.items()) walk(item);
  for (const auto& [key, value] : node.entries()) walk(value);
  octet::Result<octet::YamlMap> map = octet::YamlMap::open(node, "the document");
  if (!map) return;
  int64_t number = 0;
  (void)map->read("quantize", &number);
  (void)map->finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  octet::Result<octet::YamlNode> document =
      octet::parse_yaml(std::string(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  if (document) walk(*document);
  else if (document.status().message().empty()) std::abort();
  return 0;
}
