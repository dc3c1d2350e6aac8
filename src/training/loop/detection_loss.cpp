// The loss of YOLOX (Ge et al. 2021, arXiv 2107.08430): SimOTA says which cells are responsible for which box; their
// boxes are compared with the annotated ones, their class chances with the overlap in the annotated class, and every
// cell's objectness with whether it is responsible. All divided by the number of responsible cells.
#include <algorithm>

#include "training/loop/box_losses.h"
#include "training/loop/detector_head.h"
#include "training/loop/label_loss.h"

namespace octet::training {
namespace {

at::Tensor on_host(const at::Tensor& x) { return x.detach().to(at::kCPU, at::kFloat).contiguous(); }

// What the responsible cells of a batch learn.
struct Assignment {
  std::vector<int64_t> rows;     // of [n * cells]
  std::vector<float> boxes;      // [rows, 4]
  std::vector<int64_t> classes;  // [rows]
  std::vector<float> ious;       // [rows]
  int64_t count() const { return static_cast<int64_t>(rows.size()); }
};

Assignment assign(const RawPredictions& raw, const at::Tensor& boxes, const std::vector<std::vector<Box>>& targets) {
  const at::NoGradGuard no_grad;
  const auto chance = [&](const at::Tensor& x) { return on_host(raw.is_logits ? x.detach().sigmoid() : x); };
  const at::Tensor corners = on_host(boxes), objectness = chance(raw.objectness), classes = chance(raw.classes);
  const auto cells = static_cast<int64_t>(raw.cells.size());
  Assignment out;
  for (size_t i = 0; i < targets.size(); ++i) {
    const auto n = static_cast<int64_t>(i);
    const CellPredictions predicted{corners.data_ptr<float>() + n * cells * 4,
                                    objectness.data_ptr<float>() + n * cells,
                                    classes.data_ptr<float>() + n * cells * classes.size(2), classes.size(2)};
    for (const CellMatch& match : sim_ota(raw.cells, predicted, targets[i])) {
      const Box& box = targets[i][static_cast<size_t>(match.target)];
      out.rows.push_back(n * cells + match.cell);
      out.boxes.insert(out.boxes.end(), {box.x1, box.y1, box.x2, box.y2});
      out.classes.push_back(box.label);
      out.ious.push_back(match.iou);
    }
  }
  return out;
}

template <class T>
at::Tensor tensor_of(const std::vector<T>& values, at::ScalarType type, at::Device device) {
  at::Tensor host = at::empty({static_cast<int64_t>(values.size())}, type);
  std::copy(values.begin(), values.end(), host.data_ptr<T>());
  return host.to(device);
}

class DetectionLoss : public LabelLoss {
 public:
  DetectionLoss(DetectorHead head, const TrainingRecipe& recipe)
      : head_(std::move(head)), options_(recipe.loss_options) {
    if (recipe.val_data) spec_ = recipe.val_data->detection;
    if (spec_.decoder == Decoder::kNone) spec_.decoder = Decoder::kYolox;
  }

  std::vector<std::string> kept_names() const override {
    std::vector<std::string> names;
    for (const auto& level : head_.logits) names.insert(names.end(), level.begin(), level.end());
    return names;
  }
  const char* score_name() const override { return "val_map50"; }

  Result<std::vector<LossTerm>> terms(const NetworkOutput& output, const TrainingBatch& batch, bool) override {
    OCTET_RETURN_IF_ERROR(check_labels(batch));
    if (batch.placements.empty()) return internal_error("a batch for a detector has no images");
    const ImagePlacement& canvas = batch.placements[0];
    OCTET_ASSIGN(const RawPredictions raw,
                 read_predictions(head_, output, canvas.canvas_width, canvas.canvas_height));
    const at::Tensor boxes = decode_boxes(raw);
    const Assignment own = assign(raw, boxes, batch.targets);
    return std::vector<LossTerm>{{loss_of(raw, boxes, own), static_cast<double>(own.count()), false}};
  }

  Status score(const NetworkOutput& output, const TrainingBatch& batch, ValidationScore* score) override {
    std::vector<Tensor> outputs;
    for (const at::Tensor& x : output.outputs) {
      OCTET_ASSIGN(Tensor host, from_torch(on_host(x)));
      outputs.push_back(std::move(host));
    }
    for (size_t i = 0; i < batch.samples.size(); ++i) {
      std::vector<Tensor> rows;
      for (const Tensor& all : outputs) {
        Dims dims = all.dims();
        dims[0] = 1;
        Tensor row(all.dtype(), dims);
        std::copy_n(all.data<char>() + static_cast<int64_t>(i) * row.nbytes(), row.nbytes(), row.data<char>());
        rows.push_back(std::move(row));
      }
      OCTET_ASSIGN(std::vector<Box> found, detect(spec_, rows, batch.placements[i]));
      score->boxes[batch.samples[i]] = {std::move(found), batch.boxes[i]};
    }
    return Status::ok();
  }

 private:
  Status check_labels(const TrainingBatch& batch) const {
    for (size_t i = 0; i < batch.targets.size(); ++i)
      for (const Box& box : batch.targets[i])
        if (box.label >= head_.classes)
          return invalid_argument("a box of image '" + batch.names[i] + "' has class " + std::to_string(box.label) +
                                  ", and the network knows the classes 0 to " + std::to_string(head_.classes - 1));
    return Status::ok();
  }

  at::Tensor loss_of(const RawPredictions& raw, const at::Tensor& boxes, const Assignment& own) const {
    const at::Device device = boxes.device();
    const at::Tensor rows = tensor_of(own.rows, at::kLong, device);
    at::Tensor responsible = at::zeros({raw.objectness.numel()}, raw.objectness.options());
    responsible.index_fill_(0, rows, 1);
    at::Tensor loss = binary_loss(raw.objectness.reshape({-1}), responsible, raw.is_logits).sum();
    if (own.count() == 0) return loss;
    const at::Tensor wanted = tensor_of(own.boxes, at::kFloat, device).view({-1, 4}).to(boxes.scalar_type());
    const at::Tensor found = boxes.reshape({-1, 4}).index_select(0, rows);
    loss = loss + box_loss(found, wanted, options_.box_loss).sum() * options_.box_weight;
    const at::Tensor chances = raw.classes.reshape({-1, raw.classes.size(2)}).index_select(0, rows);
    at::Tensor truth = at::zeros(chances.sizes(), chances.options());
    truth.scatter_(1, tensor_of(own.classes, at::kLong, device).unsqueeze(1),
                   tensor_of(own.ious, at::kFloat, device).to(chances.scalar_type()).unsqueeze(1));
    return loss + binary_loss(chances, truth, raw.is_logits).sum();
  }

  DetectorHead head_;
  LossOptions options_;
  DetectionSpec spec_;
};

}  // namespace

Result<std::unique_ptr<LabelLoss>> make_detection_loss(const TrainJob& job, const Dataset& data) {
  for (const std::optional<DataSpec>* spec : {&job.recipe.train_data, &job.recipe.val_data})
    if (*spec && (*spec)->detection.decoder == Decoder::kFastestDet)
      return unsupported(
          "detectors are trained on labels in YOLOX's form only, and the data says 'decoder: fastestdet'; 'octet qat "
          "--distill' works for it");
  OCTET_ASSIGN(DetectorHead head, find_detector_head(*job.graph));
  if (data.num_classes() > head.classes)
    return invalid_argument("the network knows " + std::to_string(head.classes) + " classes and the data has " +
                            std::to_string(data.num_classes()) +
                            "; train a network with as many classes as the data has");
  return std::unique_ptr<LabelLoss>(std::make_unique<DetectionLoss>(std::move(head), job.recipe));
}

}  // namespace octet::training
