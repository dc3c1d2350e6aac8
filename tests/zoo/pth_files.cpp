#include "zoo/pth_files.h"

#include <cstring>

namespace octet::test {
namespace {

template <class T>
std::string little(T v) {
  std::string bytes(sizeof v, '\0');
  std::memcpy(bytes.data(), &v, sizeof v);
  return bytes;
}

}  // namespace

std::string pickle_int(int64_t v) {
  if (v >= INT32_MIN && v <= INT32_MAX) return "J" + little(static_cast<int32_t>(v));
  return std::string("\x8a\x08", 2) + little(v);
}

std::string pickle_text(const std::string& text) { return "X" + little(static_cast<uint32_t>(text.size())) + text; }

std::string pickle_tuple(const std::vector<int64_t>& values) {
  std::string bytes = "(";
  for (int64_t v : values) bytes += pickle_int(v);
  return bytes + "t";
}

std::string pickle_global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}

std::string pickle_tensor(const PthTensor& t) {
  std::string storage = "(" + pickle_text("storage") + pickle_global("torch", t.storage_type) + pickle_text(t.key) +
                        pickle_text("cpu") + pickle_int(t.storage_numel) + "tQ";
  std::string bytes = pickle_global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + pickle_int(t.offset) +
                      pickle_tuple(t.sizes) + pickle_tuple(t.strides) + "\x89" +
                      pickle_global("collections", "OrderedDict") + ")RtR";
  if (!t.parameter) return bytes;
  return pickle_global("torch._utils", "_rebuild_parameter") + "(" + bytes + "\x88" +
         pickle_global("collections", "OrderedDict") + ")RtR";
}

std::string pickle_dict(const std::vector<PthTensor>& tensors) {
  std::string bytes = pickle_global("collections", "OrderedDict") + ")Rq\x01(";
  for (const PthTensor& t : tensors) bytes += pickle_text(t.name) + pickle_tensor(t);
  // _metadata: OrderedDict([('', {'version': 1})]) set by BUILD.
  bytes += "u}" + pickle_text("_metadata") + pickle_global("collections", "OrderedDict") + ")R" + pickle_text("") +
           "}" + pickle_text("version") + "K\x01" + "sssb";
  return bytes;
}

std::string pickle_whole(const std::string& object) { return "\x80\x02" + object + "."; }

std::string stored_zip(const Members& members) {
  std::string file, directory;
  for (const auto& [name, content] : members) {
    const auto size = little(static_cast<uint32_t>(content.size()));
    const auto name_size = little(static_cast<uint16_t>(name.size()));
    const std::string common = little<uint16_t>(20) + little<uint16_t>(0) + little<uint16_t>(0) +
                               little<uint32_t>(0) + little<uint32_t>(0) + size + size + name_size +
                               little<uint16_t>(0);
    const auto offset = little(static_cast<uint32_t>(file.size()));
    file += "PK\x03\x04" + common + name + content;
    directory += "PK\x01\x02" + little<uint16_t>(20) + common + little<uint16_t>(0) + little<uint16_t>(0) +
                 little<uint16_t>(0) + little<uint32_t>(0) + offset + name;
  }
  const auto count = little(static_cast<uint16_t>(members.size()));
  const auto at = little(static_cast<uint32_t>(file.size())), size = little(static_cast<uint32_t>(directory.size()));
  return file + directory + "PK\x05\x06" + little<uint32_t>(0) + count + count + size + at + little<uint16_t>(0);
}

std::string zip_checkpoint(const std::string& object, const Members& storages) {
  Members members = {{"archive/data.pkl", pickle_whole(object)}, {"archive/byteorder", "little"}};
  for (const auto& [key, bytes] : storages) members.emplace_back("archive/data/" + key, bytes);
  members.emplace_back("archive/version", "3\n");
  return stored_zip(members);
}

std::string legacy_checkpoint(const std::string& object, const Members& storages, int64_t width) {
  const std::string magic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12);
  std::string file = pickle_whole(magic) + pickle_whole("M" + little<uint16_t>(1001)) +
                     pickle_whole("}(" + pickle_text("protocol_version") + "M" + little<uint16_t>(1001) +
                                  pickle_text("little_endian") + "\x88" + pickle_text("type_sizes") + "}u") +
                     pickle_whole(object);
  std::string keys = "](";
  for (const auto& [key, bytes] : storages) keys += pickle_text(key);
  file += pickle_whole(keys + "e");
  for (const auto& [key, bytes] : storages) file += little(static_cast<int64_t>(bytes.size()) / width) + bytes;
  return file;
}

std::string float_bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

}  // namespace octet::test
