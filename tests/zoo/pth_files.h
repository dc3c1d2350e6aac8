// PyTorch's checkpoints written by hand, byte by byte, so that the reader is not tested against itself.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace octet::test {

struct PthTensor {
  std::string name;
  std::string storage_type = "FloatStorage";
  std::string key;  // of the storage
  int64_t storage_numel = 0;
  int64_t offset = 0;
  std::vector<int64_t> sizes, strides;
  bool parameter = false;  // wrapped by _rebuild_parameter
};

// Instructions, each as protocol 2 writes it.
std::string pickle_int(int64_t v);  // LONG1 beyond 32 bits
std::string pickle_text(const std::string& text);
std::string pickle_tuple(const std::vector<int64_t>& values);
std::string pickle_global(const std::string& module, const std::string& name);
std::string pickle_tensor(const PthTensor& tensor);
// OrderedDict of tensors with PyTorch's _metadata attribute; without the protocol and the final STOP.
std::string pickle_dict(const std::vector<PthTensor>& tensors);
std::string pickle_whole(const std::string& object);  // protocol 2, the object, STOP

using Members = std::vector<std::pair<std::string, std::string>>;
// Stored members, with a directory.
std::string stored_zip(const Members& members);
// archive/data.pkl, archive/byteorder and archive/data/KEY.
std::string zip_checkpoint(const std::string& object, const Members& storages);
// The form before PyTorch 1.6; storages: key, bytes, with the element width.
std::string legacy_checkpoint(const std::string& object, const Members& storages, int64_t width);

std::string float_bytes(const std::vector<float>& values);

}  // namespace octet::test
