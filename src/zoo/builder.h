// The blocks that networks of the zoo are made of. A path is the name of a module in the state dict of the library
// whose weights shall load ("layer1.0.conv1"): the node gets it, and its constants are called path + ".weight" and so
// on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "octet/graph.h"
#include "octet/zoo.h"
#include "zoo/initialize.h"

namespace octet::zoo {

enum class Activation { kNone, kRelu, kRelu6, kSilu, kHardSwish };

struct ConvSpec {
  int64_t channels = 0;  // of the output
  int64_t kernel = 1;    // odd; padded by kernel / 2, so that stride 1 keeps the size
  int64_t stride = 1;
  int64_t groups = 1;
  bool bias = false;
};

// As PyTorch counts: running = (1 - momentum) * running + momentum * batch. ONNX has 1 - momentum.
struct NormSpec {
  float epsilon = 1e-5F;
  float momentum = 0.1F;
};

// How one family of networks starts and normalises.
struct Manner {
  Init conv = kHeFanOut;
  Init conv_bias = kZeros;
  Init linear{Init::Kind::kNormal, 0.01};
  Init linear_bias = kZeros;
  NormSpec norm;
};

class Builder {
 public:
  // with_values = false: weights are allocated and not filled (for counting).
  Builder(std::string name, const ZooOptions& options, bool with_values);

  Manner manner;

  const ZooOptions& options() const { return options_; }
  int64_t channels(ValueId x) const { return dim(x, 1); }
  // Length of an axis other than the batch.
  int64_t dim(ValueId x, size_t axis) const;

  ValueId input();
  // x: [N, c, h, w] for all but linear (rank 2) and what says otherwise.
  ValueId conv(const std::string& path, ValueId x, const ConvSpec& spec);
  // kernel = stride = 2: twice the height and width. Weight [in, channels, 2, 2].
  ValueId up_conv(const std::string& path, ValueId x, int64_t channels);
  ValueId batch_norm(const std::string& path, ValueId x);
  // [N, in] to [N, out]; weight [out, in].
  ValueId linear(const std::string& path, ValueId x, int64_t out);
  ValueId activate(const std::string& path, ValueId x, Activation activation);
  // path.0 convolution, path.1 batch norm, path.2 activation: torchvision's Conv2dNormActivation.
  ValueId conv_norm(const std::string& path, ValueId x, const ConvSpec& spec, Activation activation);
  // Squeeze and excitation (Hu et al., arXiv 1709.01507) with convolutions path.fc1 and path.fc2; `inner` after the
  // first, `gate` ("Sigmoid" or "HardSigmoid") after the second.
  ValueId squeeze_excite(const std::string& path, ValueId x, int64_t squeezed, Activation inner, const char* gate);
  ValueId max_pool(const std::string& path, ValueId x, int64_t kernel, int64_t stride, int64_t pad);
  ValueId average_pool(const std::string& path, ValueId x, int64_t kernel);
  ValueId global_average(const std::string& path, ValueId x);            // [N, c, 1, 1]
  ValueId upsample(const std::string& path, ValueId x, int64_t factor);  // nearest neighbour
  ValueId flatten(const std::string& path, ValueId x);
  ValueId dropout(const std::string& path, ValueId x, float ratio);
  ValueId add(const std::string& path, ValueId a, ValueId b);                  // equal shapes
  ValueId concat(const std::string& path, const std::vector<ValueId>& parts);  // along the channels

  // Any other operator with one output, whose shape without the batch axis is `tail`.
  ValueId op(const std::string& op_type, const std::string& path, std::vector<ValueId> inputs, const Dims& tail,
             Attributes attributes = {});
  // A trained tensor.
  ValueId weight(const std::string& name, const Dims& dims, const Init& init);
  // Shared constants that are not trained.
  ValueId scalar(float value);
  ValueId integers(const std::string& name, const std::vector<int64_t>& values);
  ValueId integer(const std::string& name, int64_t value);  // of rank 0
  // Declares the whole shape of a value that has no batch axis.
  void unbatched(ValueId x, const Dims& dims);

  // Remembers the first error; building goes on with meaningless values until finish().
  void fail(Status status);
  void output(ValueId x, const std::string& name);
  Result<Graph> finish();

 private:
  int64_t shrunk(int64_t size, int64_t kernel, int64_t stride, int64_t pad) const;

  Graph graph_;
  ZooOptions options_;
  bool with_values_;
  Status status_;
  std::map<float, ValueId> scalars_;
};

}  // namespace octet::zoo
