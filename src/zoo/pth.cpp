// PyTorch's files: a pickle that describes tensors, and their bytes, in a ZIP archive (since 1.6) or one after the
// other. Source: torch/serialization.py.
#include <algorithm>
#include <map>

#include "data/zip_archive.h"
#include "zoo/pickle.h"
#include "zoo/weight_file.h"

namespace octet::zoo {
namespace {

using Kind = PickleValue::Kind;

constexpr int64_t kLargestPickle = int64_t{64} << 20;

// Where frameworks put the state dict in a checkpoint; smoothed weights first, as timm does.
const char* const kNests[] = {"state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "net"};

// The value of a string key, the last one when there are several; nullptr when absent.
const PickleValue* find(const Pickle& pickle, const PickleValue& dict, const std::string& key) {
  const PickleValue* found = nullptr;
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& k = pickle.at(dict.items[i]);
    if (k.kind == Kind::kString && k.text == key) found = &pickle.at(dict.items[i + 1]);
  }
  return found;
}

Result<const PickleValue*> state_dict(const Pickle& pickle) {
  const PickleValue* dict = &pickle.top();
  if (dict->kind != Kind::kDict)
    return unsupported("it holds no dict of tensors; save one with torch.save(model.state_dict(), FILE)");
  for (const char* key : kNests) {
    const PickleValue* nested = find(pickle, *dict, key);
    if (nested != nullptr && nested->kind == Kind::kDict) return nested;
  }
  return dict;
}

// Entries of a state dict; `windows` has the bytes of every storage.
Result<WeightTable> collect(const Pickle& pickle, std::vector<ByteWindow> windows) {
  OCTET_ASSIGN(const PickleValue* dict, state_dict(pickle));
  std::map<std::string, WeightEntry> by_name;
  for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
    const PickleValue& key = pickle.at(dict->items[i]);
    const PickleValue& value = pickle.at(dict->items[i + 1]);
    if (key.kind != Kind::kString || value.kind != Kind::kTensor) continue;
    const PickledTensor& tensor = pickle.tensors[static_cast<size_t>(value.number)];
    WeightEntry entry{
        key.text, pickle.storages[tensor.storage].dtype, tensor.dims, tensor.strides, tensor.offset, tensor.storage};
    OCTET_RETURN_IF_ERROR(check_extent(entry, windows[entry.storage].length()));
    by_name[key.text] = std::move(entry);
  }
  if (by_name.empty())
    return unsupported("it holds no tensors by name; save them with torch.save(model.state_dict(), FILE)");
  WeightTable table{std::move(windows), {}};
  for (auto& [name, entry] : by_name) table.entries.push_back(std::move(entry));
  return table;
}

int64_t bytes_of(const PickledStorage& storage) {
  int64_t bytes = 0;
  const bool overflows =
      __builtin_mul_overflow(storage.numel, static_cast<int64_t>(dtype_size(storage.dtype)), &bytes);
  return overflows ? -1 : bytes;
}

class ZipReader {
 public:
  explicit ZipReader(ZipArchive archive) : archive_(std::move(archive)) {}

  Result<WeightTable> read() {
    for (const ZipMember& member : archive_.members()) members_[member.name] = &member;
    OCTET_RETURN_IF_ERROR(find_prefix());
    if (const auto found = members_.find(prefix_ + "byteorder"); found != members_.end()) {
      OCTET_ASSIGN(const std::string order, text(prefix_ + "byteorder", 16));
      if (order != "little")
        return unsupported("its numbers are big-endian; save it again on a little-endian machine");
    }
    OCTET_ASSIGN(const std::string bytes, text(prefix_ + "data.pkl", kLargestPickle));
    OCTET_ASSIGN(const Pickle pickle, read_pickle(bytes));
    std::vector<ByteWindow> windows;
    for (const PickledStorage& storage : pickle.storages) {
      OCTET_ASSIGN(ByteWindow all, window(prefix_ + "data/" + storage.key));
      OCTET_ASSIGN(ByteWindow part, all.part(0, bytes_of(storage)));
      windows.push_back(std::move(part));
    }
    return collect(pickle, std::move(windows));
  }

 private:
  // The archive has one folder, named as somebody liked, or none.
  Status find_prefix() {
    for (const auto& [name, member] : members_)
      if (name == "data.pkl" || name.ends_with("/data.pkl")) {
        prefix_ = name.substr(0, name.size() - 8);
        return Status::ok();
      }
    return unsupported("it is a ZIP archive without data.pkl, so PyTorch's torch.save did not write it");
  }
  Result<ByteWindow> window(const std::string& name) const {
    const auto found = members_.find(name);
    if (found == members_.end()) return data_corrupt("its member '" + name + "' is missing");
    if (found->second->deflated)
      return unsupported("its member '" + name + "' is compressed, which PyTorch never does; save it again");
    return archive_.content(*found->second);
  }
  Result<std::string> text(const std::string& name, int64_t limit) const {
    OCTET_ASSIGN(const ByteWindow bytes, window(name));
    if (bytes.length() > limit)
      return resource_limit("its member '" + name + "' has " + std::to_string(bytes.length()) + " bytes, more than " +
                            std::to_string(limit));
    std::string content(static_cast<size_t>(bytes.length()), '\0');
    OCTET_RETURN_IF_ERROR(bytes.read(0, content.data(), bytes.length()));
    return content;
  }

  ZipArchive archive_;
  std::string prefix_;
  std::map<std::string, const ZipMember*> members_;
};

// The fifth pickle: the keys of the storages in the order of their bytes.
Result<std::vector<std::string>> storage_order(const Pickle& keys) {
  std::vector<std::string> order;
  if (keys.top().kind != Kind::kList) return data_corrupt("its list of storages is damaged");
  for (uint32_t id : keys.top().items) {
    if (keys.at(id).kind != Kind::kString) return data_corrupt("its list of storages is damaged");
    order.push_back(keys.at(id).text);
  }
  return order;
}

}  // namespace

Result<WeightTable> read_pth_zip(const std::string& path) {
  OCTET_ASSIGN(ZipArchive archive, ZipArchive::open(path));
  return ZipReader(std::move(archive)).read();
}

// Five pickles (magic number, protocol, system, the object, keys of storages), then for each key the number of
// elements in 8 bytes and the elements.
Result<WeightTable> read_pth_legacy(const ByteWindow& file) {
  std::string head(static_cast<size_t>(std::min(file.length(), kLargestPickle)), '\0');
  OCTET_RETURN_IF_ERROR(file.read(0, head.data(), static_cast<int64_t>(head.size())));
  size_t at = 0;
  Pickle system, object;
  for (Pickle* pickle : {&system, &system, &system, &object}) {
    OCTET_ASSIGN(*pickle, read_pickle(head, at));
    at = pickle->end;
  }
  const PickleValue* little = find(system, system.top(), "little_endian");
  if (system.top().kind != Kind::kDict || little == nullptr || little->kind != Kind::kBool)
    return data_corrupt("its description of the system that wrote it is damaged");
  if (little->number == 0) return unsupported("its numbers are big-endian; save it again on a little-endian machine");
  OCTET_ASSIGN(const Pickle keys, read_pickle(head, at));
  OCTET_ASSIGN(const std::vector<std::string> order, storage_order(keys));

  std::map<std::string, const PickledStorage*> by_key;
  for (const PickledStorage& storage : object.storages) by_key[storage.key] = &storage;
  std::map<std::string, ByteWindow> windows;
  auto begin = static_cast<int64_t>(keys.end);
  for (const std::string& key : order) {
    const auto found = by_key.find(key);
    if (found == by_key.end()) return data_corrupt("it has a storage '" + key + "' that no tensor uses");
    int64_t numel = 0;
    OCTET_RETURN_IF_ERROR(file.read(begin, &numel, sizeof numel));
    if (numel != found->second->numel) return data_corrupt("the size of its storage '" + key + "' is damaged");
    OCTET_ASSIGN(ByteWindow part, file.part(begin + 8, bytes_of(*found->second)));
    begin += 8 + part.length();
    windows.insert_or_assign(key, std::move(part));
  }
  std::vector<ByteWindow> in_order;
  for (const PickledStorage& storage : object.storages) {
    const auto found = windows.find(storage.key);
    if (found == windows.end()) return data_corrupt("the bytes of its storage '" + storage.key + "' are missing");
    OCTET_ASSIGN(ByteWindow part, found->second.part(0, bytes_of(storage)));
    in_order.push_back(std::move(part));
  }
  return collect(object, std::move(in_order));
}

}  // namespace octet::zoo
