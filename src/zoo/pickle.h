// The part of Python's pickle format that PyTorch's state dicts use, read by a machine that executes nothing: the
// only objects it can make are numbers, strings, tuples, lists, dicts and descriptions of tensors. Everything else is
// refused by name.
//
// Source: the instructions as documented in CPython's Lib/pickletools.py; protocols 2 to 5, binary instructions only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet::zoo {

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kLong,   // an integer of more than 8 bytes; text: its little-endian bytes
    kFloat,  // the value is not kept
    kString,
    kBytes,  // not kept
    kTuple,
    kList,
    kDict,     // items: key, value, key, value, ...
    kGlobal,   // text: "module.name", one of those that are known
    kStorage,  // text: key of the storage; number: index in Pickle::storages
    kTensor,   // number: index in Pickle::tensors
  };
  Kind kind = Kind::kNone;
  int64_t number = 0;
  std::string text;
  std::vector<uint32_t> items;  // indices into Pickle::values; they may form cycles
};

// Elements of a storage, as the file claims; nothing is checked but the types of the fields.
struct PickledStorage {
  std::string key;
  DType dtype = DType::kUndefined;
  int64_t numel = 0;
};
struct PickledTensor {
  size_t storage = 0;
  int64_t offset = 0;  // elements
  Dims dims, strides;
};

struct Pickle {
  std::vector<PickleValue> values;
  std::vector<PickledStorage> storages;
  std::vector<PickledTensor> tensors;
  size_t copied = 0;  // items of dicts that were made from lists
  uint32_t root = 0;
  size_t end = 0;  // behind the last byte that was read

  const PickleValue& at(uint32_t id) const { return values[id]; }
  const PickleValue& top() const { return values[root]; }
};

// Reads one pickle from bytes[begin...]. Memory is bounded by the number of bytes. Errors: kDataCorrupt (truncated,
// malformed), kUnsupported (an object or instruction that no state dict needs, by name), kResourceLimit.
Result<Pickle> read_pickle(std::string_view bytes, size_t begin = 0);

}  // namespace octet::zoo
