// NumPy's .npy array files (format versions 1 to 3, NEP 1), read row by row from the disk.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "data/random_access.h"
#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

class NpyArray {
 public:
  // Reads the header only. Little-endian f2 f4 f8 u1 u2 u4 u8 i1 i2 i4 i8 b1 in C or Fortran order; `what` names the
  // array in errors. Pickled objects are never loaded.
  static Result<NpyArray> open(ByteWindow bytes, const std::string& what);

  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  // Length of the first axis; a scalar has none, 0.
  int64_t rows() const { return dims_.empty() ? 0 : dims_[0]; }
  // One entry of the first axis, without that axis.
  Result<Tensor> read_row(int64_t index) const;
  Result<Tensor> read_all() const;
  const std::string& what() const { return what_; }

 private:
  NpyArray(ByteWindow bytes, std::string what) : bytes_(std::move(bytes)), what_(std::move(what)) {}
  Result<Tensor> read_elements(int64_t first_byte, Dims dims) const;
  Result<Tensor> read_fortran() const;

  ByteWindow bytes_;
  std::string what_;
  DType dtype_ = DType::kUndefined;
  Dims dims_;
  int64_t data_at_ = 0;
  // Fortran order spreads a row over the whole file, so such an array is read and turned around once.
  bool fortran_ = false;
  struct Turned {
    std::once_flag once;
    Result<Tensor> all = Tensor();
  };
  std::shared_ptr<Turned> turned_;
};

}  // namespace octet
