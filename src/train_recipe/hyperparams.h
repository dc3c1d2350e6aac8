// The parts of a training recipe that are maps of their own.
#pragma once

#include <string>
#include <vector>

#include "base/text.h"
#include "octet/training_recipe.h"
#include "yaml/yaml_reader.h"

namespace octet {

// Each reads one map into the recipe; keys of the original project without an effect here are added to `unused`.
Status read_hyperparams(const YamlNode& node, TrainingRecipe* recipe, std::vector<std::string>* unused);
Status read_train_loader(const YamlNode& node, TrainingRecipe* recipe, std::vector<std::string>* unused);
Status read_val_loader(const YamlNode& node, TrainingRecipe* recipe, std::vector<std::string>* unused);
Status read_augmentation(const YamlNode& node, AugmentOptions* out);
Status read_batch_norm(const YamlNode& node, BatchNormOptions* out);
Status read_ranges(const YamlNode& node, RangeOptions* out);
Status read_distillation(const YamlNode& node, DistillationOptions* out);

// A key whose value must lie in lo..hi; the default stays when it is absent.
Status read_real(YamlMap& map, const std::string& key, double lo, double hi, double* out);
Status read_whole(YamlMap& map, const std::string& key, int64_t lo, int64_t hi, int64_t* out);
Status read_whole(YamlMap& map, const std::string& key, int64_t lo, int64_t hi, int* out);

// The value of a key among names; several names may mean the same. kInvalidArgument with near misses otherwise.
template <class E>
struct NamedValue {
  const char* name;
  E value;
};
Status unknown_name(const YamlNode& node, const std::string& what, const std::string& given,
                    const std::vector<std::string>& names);
template <class E, size_t N>
Status read_name(YamlMap& map, const std::string& key, const NamedValue<E> (&table)[N], E* out) {
  const YamlNode* node = map.find(key);
  if (node == nullptr || node->is_null()) return Status::ok();
  OCTET_ASSIGN(const std::string given, node->as_string());
  std::vector<std::string> names;
  for (const NamedValue<E>& entry : table) {
    names.emplace_back(entry.name);
    if (to_lower(given) != to_lower(entry.name)) continue;
    *out = entry.value;
    return Status::ok();
  }
  return unknown_name(*node, key, given, names);
}

}  // namespace octet
