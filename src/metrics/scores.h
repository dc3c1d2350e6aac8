// Reading network outputs as rows of scores.
#pragma once

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

struct ScoreRows {
  Tensor values;  // float32 [rows, columns]
  int64_t rows = 0, columns = 0;
  const float* row(int64_t i) const { return values.data<float>() + i * columns; }
};

// float32 or float64 [N, C] with trailing axes of length 1; kInvalidArgument otherwise.
Result<ScoreRows> as_score_rows(const Tensor& t);
// The same elements as float32; kInvalidArgument for types other than float32 and float64.
Result<Tensor> as_float32(const Tensor& t);

}  // namespace octet
