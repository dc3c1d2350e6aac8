#include "zoo/pickle_objects.h"

#include <map>
#include <optional>

namespace octet::zoo {
namespace {

using Kind = PickleValue::Kind;

const char* const kOrderedDict = "collections.OrderedDict";
const char* const kRebuildTensor = "torch._utils._rebuild_tensor_v2";
const char* const kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr size_t kMostDimensions = 32;
constexpr size_t kMostArguments = 8;
constexpr size_t kMostCopied = 4'000'000;

DType storage_dtype(const std::string& global) {
  static const std::map<std::string, DType> known = {
      {"torch.FloatStorage", DType::kFloat32}, {"torch.DoubleStorage", DType::kFloat64},
      {"torch.HalfStorage", DType::kFloat16},  {"torch.BFloat16Storage", DType::kBFloat16},
      {"torch.LongStorage", DType::kInt64},    {"torch.IntStorage", DType::kInt32},
      {"torch.ShortStorage", DType::kInt16},   {"torch.CharStorage", DType::kInt8},
      {"torch.ByteStorage", DType::kUint8},    {"torch.BoolStorage", DType::kBool},
  };
  const auto found = known.find(global);
  return found == known.end() ? DType::kUndefined : found->second;
}

Status malformed(const std::string& what) {
  return data_corrupt("its pickle is damaged: " + what + " is not described as PyTorch does it");
}

// A tuple or list of integers.
std::optional<Dims> integers(const Pickle& pickle, uint32_t id) {
  const PickleValue& value = pickle.at(id);
  if ((value.kind != Kind::kTuple && value.kind != Kind::kList) || value.items.size() > kMostDimensions)
    return std::nullopt;
  Dims dims;
  for (uint32_t item : value.items) {
    if (pickle.at(item).kind != Kind::kInt) return std::nullopt;
    dims.push_back(pickle.at(item).number);
  }
  return dims;
}

uint32_t add(Pickle& pickle, PickleValue value) {
  pickle.values.push_back(std::move(value));
  return static_cast<uint32_t>(pickle.values.size() - 1);
}

Result<uint32_t> ordered_dict(Pickle& pickle, const std::vector<uint32_t>& arguments) {
  PickleValue dict;
  dict.kind = Kind::kDict;
  if (arguments.size() > 1) return malformed("an OrderedDict");
  if (arguments.size() == 1) {
    const PickleValue& pairs = pickle.at(arguments[0]);
    if (pairs.kind != Kind::kList && pairs.kind != Kind::kTuple) return malformed("an OrderedDict");
    pickle.copied += pairs.items.size();  // the same list may be asked for again and again
    if (pickle.copied > kMostCopied) return resource_limit("its pickle has too many dict items");
    for (uint32_t id : pairs.items) {
      const PickleValue& pair = pickle.at(id);
      if ((pair.kind != Kind::kList && pair.kind != Kind::kTuple) || pair.items.size() != 2)
        return malformed("an OrderedDict");
      dict.items.insert(dict.items.end(), pair.items.begin(), pair.items.end());
    }
  }
  return add(pickle, std::move(dict));
}

// (storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
Result<uint32_t> rebuild_tensor(Pickle& pickle, const std::vector<uint32_t>& arguments) {
  if (arguments.size() < 4) return malformed("a tensor");
  const PickleValue& storage = pickle.at(arguments[0]);
  const PickleValue& offset = pickle.at(arguments[1]);
  const std::optional<Dims> dims = integers(pickle, arguments[2]), strides = integers(pickle, arguments[3]);
  if (storage.kind != Kind::kStorage || offset.kind != Kind::kInt || !dims || !strides ||
      dims->size() != strides->size())
    return malformed("a tensor");
  PickleValue tensor;
  tensor.kind = Kind::kTensor;
  tensor.number = static_cast<int64_t>(pickle.tensors.size());
  pickle.tensors.push_back({static_cast<size_t>(storage.number), offset.number, *dims, *strides});
  return add(pickle, std::move(tensor));
}

}  // namespace

Status check_global(const std::string& name) {
  if (name == kOrderedDict || name == kRebuildTensor || name == kRebuildParameter ||
      storage_dtype(name) != DType::kUndefined)
    return Status::ok();
  std::string shown;
  for (char c : name.substr(0, 100)) shown += c >= ' ' && c <= '~' ? c : '?';
  return unsupported("it holds a Python object '" + shown +
                     "', and Octet reads tensors only, because such an object could run code; save the state dict "
                     "alone: torch.save(model.state_dict(), FILE)");
}

Result<uint32_t> call_global(Pickle& pickle, uint32_t callable, uint32_t arguments) {
  if (pickle.at(callable).kind != Kind::kGlobal || pickle.at(arguments).kind != Kind::kTuple)
    return malformed("an object");
  const std::string global = pickle.at(callable).text;
  if (pickle.at(arguments).items.size() > kMostArguments) return malformed("an object");
  const std::vector<uint32_t> items = pickle.at(arguments).items;
  if (global == kOrderedDict) return ordered_dict(pickle, items);
  if (global == kRebuildTensor) return rebuild_tensor(pickle, items);
  if (global == kRebuildParameter && !items.empty() && pickle.at(items[0]).kind == Kind::kTensor) return items[0];
  return malformed("an object");
}

Result<PickleValue> make_storage(Pickle& pickle, uint32_t persistent_id) {
  const PickleValue& id = pickle.at(persistent_id);
  if (id.kind != Kind::kTuple || id.items.size() < 5) return malformed("a storage");
  const auto field = [&](size_t i) -> const PickleValue& { return pickle.at(id.items[i]); };
  if (field(0).kind != Kind::kString || field(0).text != "storage" || field(1).kind != Kind::kGlobal ||
      field(2).kind != Kind::kString || field(4).kind != Kind::kInt || field(4).number < 0)
    return malformed("a storage");
  if (id.items.size() > 5 && field(5).kind != Kind::kNone)
    return unsupported(
        "it holds a view of a storage, as PyTorch before 0.4 wrote it; save it again with a newer one");
  PickledStorage storage{field(2).text, storage_dtype(field(1).text), field(4).number};
  if (storage.dtype == DType::kUndefined) return malformed("a storage");
  PickleValue value;
  value.kind = Kind::kStorage;
  value.text = storage.key;
  value.number = static_cast<int64_t>(pickle.storages.size());
  pickle.storages.push_back(std::move(storage));
  return value;
}

}  // namespace octet::zoo
