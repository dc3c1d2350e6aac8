// Data sets: what a data spec says, and the samples a network is fed with.
//
// A spec is either a YAML file or one line, `kind:PATH[?key=value&key=value]`, with the same keys in both:
//
//   kind: folder                 # idx, cifar10, folder, npy, npz, yolo, masks
//   path: val                    # relative to the YAML's folder
//   split: test                  # train or test; for folder, yolo and masks the name of a subfolder
//   labels: val.txt              # label file; for npz the name of the label array
//   class_names: classes.txt     # one name a line
//   inputs: {image: x0, mask: x1}  # network input -> array of the npz
//   subset: 512                  # number of samples, 0 = all
//   seed: 7                      # which samples; 0 = the first ones
//   shuffle: true
//   preprocess: {resize: shorter_side, size: 256, crop: 224, scale: 1/255, mean: [...], std: [...], order: rgb}
//   detection: {decoder: yolox, confidence: 0.001, nms_iou: 0.65, max_detections: 100}
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

enum class DataKind { kIdx, kCifar10, kFolder, kNpy, kNpz, kYolo, kMasks };

enum class ResizeMode {
  kNone,              // "none": images keep their size
  kStretch,           // "stretch": to width x height, whatever the aspect ratio
  kShorterSide,       // "shorter_side": the shorter side becomes `size`, the aspect ratio stays
  kLetterboxTopLeft,  // "letterbox_top_left": fits into width x height, the rest right and below is `fill`
  kLetterboxCentre,   // "letterbox_centre": the same with the image in the middle
};

enum class Interpolation {
  kBilinear,        // "bilinear": triangle filter widened when shrinking (antialias), integer-exact like Pillow's
  kBilinearOpencv,  // "bilinear_opencv": two taps per axis, no antialias
  kNearest,         // "nearest"
};

enum class ChannelOrder { kRgb, kBgr, kGray };
enum class Layout { kNchw, kNhwc };

// From an 8-bit image to a network input: channels, resize, crop or letterbox, then (pixel * scale - mean) / std in
// the order of the network's channels, layout, dtype. What is not given is chosen when the data set is opened:
//   cifar10   no resize, scale 1/255, ImageNet mean and std (RGB)
//   idx       no resize, one gray channel, scale 1/255
//   folder    shorter side to 256/224 of the network's size, centre crop, scale 1/255, ImageNet mean and std
//   yolo      as the decoder's network was trained: yolox: letterbox_top_left, BGR, 0..255; fastestdet: stretch, BGR,
//             scale 1/255; both with bilinear_opencv
//   masks     stretched to the network's size, scale 1/255, ImageNet mean and std
//   npy, npz  the arrays as they are
// A network whose input is an integer type gets the pixels 0..255 by default.
struct Preprocess {
  std::optional<ResizeMode> resize;
  std::optional<int> width, height;  // of the resized image; the network's size when absent
  std::optional<int> size;           // kShorterSide only
  std::optional<Interpolation> interpolation;
  std::optional<int> fill;  // letterbox padding, 0..255; 114 when absent
  std::optional<int> crop_width, crop_height;
  std::optional<ChannelOrder> order;
  std::optional<double> scale;      // required as soon as mean or std is given
  std::vector<double> mean, std;    // one value or one per channel
  std::optional<Layout> layout;     // read off the network's shape when absent
  DType dtype = DType::kUndefined;  // the network's when undefined
};

enum class Decoder { kNone, kYolox, kFastestDet };

// How the output of a detector becomes boxes.
struct DetectionSpec {
  Decoder decoder = Decoder::kNone;
  double confidence = 0.001;      // boxes with a lower score are dropped before suppression
  std::optional<double> nms_iou;  // 0.65 for YOLOX, 0.45 for FastestDet, as their authors evaluate
  int max_detections = 100;       // per image, as COCO counts
};

struct DataSpec {
  DataKind kind = DataKind::kFolder;
  std::string path;
  std::string split;  // empty: "test" for idx and cifar10, the folder itself for folder, yolo and masks
  std::string labels;
  std::string class_names;
  Preprocess preprocess;
  DetectionSpec detection;
  std::map<std::string, std::string> inputs;
  int64_t subset = 0;
  uint64_t seed = 0;
  bool shuffle = false;
  std::string source;  // the spec as the user wrote it, for messages
};

const char* data_kind_name(DataKind kind);

// `text` is the path of a YAML file or an inline form. Errors name file and line; an unknown key gets near misses.
Result<DataSpec> load_data_spec(const std::string& text);

// One input of a network. `dims` includes the batch axis first; -1 is a dimension that the model leaves open.
struct InputInfo {
  std::string name;
  DType dtype = DType::kFloat32;
  Dims dims;
};

// An axis-aligned box in pixels, corners (x1, y1) top-left and (x2, y2) bottom-right.
struct Box {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  int64_t label = 0;
  float score = 1;
};

// Where the image went on the network's canvas: canvas = image * scale + offset, per axis, in pixels.
struct ImagePlacement {
  int64_t image_width = 0, image_height = 0;
  int64_t canvas_width = 0, canvas_height = 0;
  double scale_x = 1, scale_y = 1;
  double offset_x = 0, offset_y = 0;
};

// The value of a mask's pixel that has no class, as in Cityscapes and VOC.
constexpr int kIgnoredPixel = 255;

struct Sample {
  std::vector<Tensor> inputs;  // one per network input, without the batch axis
  int64_t label = -1;          // -1: unlabelled
  std::vector<Box> boxes;      // yolo: the annotated boxes in pixels of the original image
  ImagePlacement placement;    // image kinds only
  // masks: uint8 [height, width] of the prepared image, the class of each pixel; kIgnoredPixel: none. Else empty.
  Tensor mask;
  std::string name;  // file name or "#index"
};

// Every method is const and safe to call from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // kInvalidArgument when index is outside 0..size()-1; otherwise the reader's own error, naming the file.
  virtual Result<Sample> get(int64_t index) const = 0;
  // One line for reports: source, count, and the preprocessing that was chosen.
  virtual std::string describe() const = 0;
  // What a person should know of the data, one sentence each.
  virtual std::vector<std::string> notes() const { return {}; }
  virtual int64_t num_classes() const { return 0; }  // 0: unknown
  virtual std::vector<std::string> class_names() const { return {}; }
  virtual bool has_labels() const { return false; }
  virtual bool has_boxes() const { return false; }
  virtual bool has_masks() const { return false; }
};

// Opens the data and prepares its first sample, so that a wrong shape is reported here and not in the middle of a
// run. Pass the network's inputs in its own order; with an empty list the data is prepared without a network to fit.
Result<std::unique_ptr<Dataset>> open_dataset(const DataSpec& spec, const std::vector<InputInfo>& network_inputs);

// min(n, size) different indices below `size`. Seed 0: the first n. Any other seed: a sample without replacement in
// the order it was drawn, by a partial Fisher-Yates shuffle over SplitMix64 (Steele, Lea, Flood 2014) whose numbers
// are brought below the bound by rejection; the same on every machine.
std::vector<int64_t> deterministic_subset(int64_t size, int64_t n, uint64_t seed);

}  // namespace octet
