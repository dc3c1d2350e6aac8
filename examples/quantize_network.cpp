// Post-training quantization step by step with Octet's library.
// usage: quantize_network MODEL.onnx DATA OUT.onnx [IMAGES]      (DATA as for the command: idx:DIR, folder:DIR, ...)
#include <cstdio>
#include <cstdlib>

#include "octet/onnx.h"
#include "octet/pipeline.h"

using namespace octet;

// The training part of DATA gives the ranges, its test part the accuracy.
Result<std::unique_ptr<Dataset>> open_split(const char* data, const char* split, const Graph& graph) {
  OCTET_ASSIGN(DataSpec spec, load_data_spec(data));
  spec.split = split;
  return open_dataset(spec, network_inputs(graph));
}

Status quantize_file(const char* model, const char* data, const char* output, int64_t images) {
  OCTET_ASSIGN(const Graph original, load_onnx(model));
  OCTET_ASSIGN(const Graph graph, simplify_network(original));  // folds batch norm, constants, ...
  OCTET_ASSIGN(const auto train, open_split(data, "train", graph));
  OCTET_ASSIGN(const auto test, open_split(data, "test", graph));

  QuantizationOptions options;  // what a recipe says; load_recipe() reads one
  options.regime = Regime::kHybrid;
  options.target = "onnxruntime";
  options.calibrator_i = "mse";
  SelectiveQuantizer quantizer(options);
  OCTET_RETURN_IF_ERROR(quantizer.register_skip_quantization("linear*"));  // the classifier stays in float
  OCTET_RETURN_IF_ERROR(quantizer.register_quantization_mapping("residual_add", "quantize_both"));

  OCTET_ASSIGN(const QuantizationPlan decisions, quantizer.prepare(graph));
  OCTET_ASSIGN(const auto statistics,
               QuantizationCalibrator().collect_stats(graph, decisions.tensors_to_observe(), *train,
                                                      deterministic_subset(train->size(), images, 0)));
  OCTET_ASSIGN(const Ranges ranges, quantizer.calibrate(graph, decisions, statistics));
  OCTET_ASSIGN(const QuantizationPlan plan, quantizer.finish(graph, ranges));
  OCTET_ASSIGN(const Graph quantized, quantizer.quantize_module(graph, plan));
  OCTET_RETURN_IF_ERROR(save_onnx(quantized, output));

  EvalOptions eval;
  eval.max_images = images;
  OCTET_ASSIGN(const EvalReport before, evaluate(original, *test, eval));
  OCTET_ASSIGN(const EvalReport after, evaluate(quantized, *test, eval));
  std::printf("top-1: float %.2f %%, int8 %.2f %%, equal predictions %.2f %% (%lld images)\n", before.top1,
              after.top1, agreement(before.predictions, after.predictions), static_cast<long long>(after.count));
  return Status::ok();
}

int main(int argc, char** argv) {
  if (argc < 4) return std::fprintf(stderr, "usage: quantize_network MODEL.onnx DATA OUT.onnx [IMAGES]\n"), 2;
  const Status status = quantize_file(argv[1], argv[2], argv[3], argc > 4 ? std::atoll(argv[4]) : 512);
  if (!status) std::fprintf(stderr, "quantize_network: %s\n", status.message().c_str());
  return status ? 0 : 1;
}
