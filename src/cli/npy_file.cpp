#include "cli/npy_file.h"

#include "base/files.h"

namespace octet::cli {
namespace {

const char* numpy_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "<f4";
    case DType::kFloat64: return "<f8";
    case DType::kFloat16: return "<f2";
    case DType::kInt8:
    case DType::kInt4: return "|i1";
    case DType::kUint8:
    case DType::kUint4: return "|u1";
    case DType::kInt16: return "<i2";
    case DType::kUint16: return "<u2";
    case DType::kInt32: return "<i4";
    case DType::kUint32: return "<u4";
    case DType::kInt64: return "<i8";
    case DType::kUint64: return "<u8";
    case DType::kBool: return "|b1";
    default: return nullptr;
  }
}

}  // namespace

Status write_npy(const std::string& path, const Tensor& tensor) {
  const char* type = numpy_type(tensor.dtype());
  if (type == nullptr) return unsupported(std::string("NumPy has no type for ") + dtype_name(tensor.dtype()));
  std::string shape;
  for (int64_t d : tensor.dims()) shape += std::to_string(d) + ", ";
  std::string header = std::string("{'descr': '") + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (header.size() + 10) % 64, ' ');  // so that the elements begin at a multiple of 64
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.nbytes()));
  return write_file_atomically(path, bytes);
}

}  // namespace octet::cli
