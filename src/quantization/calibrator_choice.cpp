#include "quantization/calibrator_choice.h"

namespace octet {
namespace {

DType signed_counterpart(DType t) {
  switch (t) {
    case DType::kUint4: return DType::kInt4;
    case DType::kUint8: return DType::kInt8;
    case DType::kUint16: return DType::kInt16;
    default: return t;
  }
}

}  // namespace

Result<CalibratorOptions> calibrator_options(const TensorPlan& tensor, bool has_negative) {
  CalibratorOptions options;
  OCTET_ASSIGN(options.method, calibration_method_from_name(tensor.calibrator));
  options.percentile = tensor.percentile;
  options.dtype = tensor.symmetric && has_negative ? signed_counterpart(tensor.dtype) : tensor.dtype;
  options.symmetric = tensor.symmetric;
  options.narrow_range = tensor.narrow_range;
  return options;
}

}  // namespace octet
