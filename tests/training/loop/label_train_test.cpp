// Detectors and segmentation networks trained and fine-tuned on labels: pictures of discs and rectangles.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "data/image.h"
#include "octet/train.h"
#include "support/compare.h"
#include "support/label_networks.h"
#include "support/scenes.h"

namespace octet {
namespace {

namespace fs = std::filesystem;
using test::constant_bytes;
using test::small_detector;
using test::small_segmenter;

class LabelTrain : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("octet-labels-" + std::to_string(::getpid()) + "-" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    write("train", 24, 1);
    write("val", 12, 2);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& split, int64_t images, uint64_t seed) const {
    test::SceneOptions options;
    options.images = images;
    options.seed = seed;
    options.most_things = 2;
    const Status status = test::write_scenes(folder_.string(), split, options);
    ASSERT_TRUE(status.is_ok()) << status.message();
  }

  DataSpec spec(Task task, const std::string& split) const {
    const std::string text = task == Task::kDetection
                                 ? "yolo:" + folder_.string() + "?decoder=yolox&scale=1/255&split=" + split
                                 : "masks:" + folder_.string() + "?scale=1/255&split=" + split;
    const auto s = load_data_spec(text);
    EXPECT_TRUE(s.is_ok()) << s.status().message();
    return s.is_ok() ? *s : DataSpec{};
  }

  TrainJob job(const Graph& graph, Task task, int epochs) const {
    TrainJob j;
    j.graph = &graph;
    TrainingRecipe& r = j.recipe;
    r.source = "t.yaml";
    r.task = task;
    r.train_data = spec(task, "train");
    r.val_data = spec(task, "val");
    r.batch_size = 8;
    r.val_batch_size = 8;
    r.max_epochs = epochs;
    r.optimizer.kind = OptimizerKind::kAdamW;
    r.lr.initial_lr = task == Task::kDetection ? 0.004 : 0.01;
    r.lr.mode = LrMode::kCosine;
    r.clip_grad_norm = 10;
    r.tensorboard = false;
    r.augmentation.horizontal_flip = 0.5;
    j.run.threads = 1;
    return j;
  }

  EvalReport evaluated(const Graph& graph, Task task, const std::string& split) const {
    const DataSpec s = spec(task, split);
    const auto data = open_dataset(s, network_inputs(graph));
    EvalOptions options;
    options.detection = s.detection;
    options.run.threads = 1;
    const auto report = evaluate(graph, **data, options);
    EXPECT_TRUE(report.is_ok()) << report.status().message();
    return report.is_ok() ? *report : EvalReport{};
  }

  std::string refusal(const TrainJob& j) const {
    const auto r = train_network(j);
    return r.is_ok() ? "" : r.status().message();
  }

  fs::path folder_;
};

TEST_F(LabelTrain, ADetectorLearnsThingsItHasNotSeen) {
  write("train", 64, 1);
  const Graph g = small_detector(false, 2, 64);
  TrainJob j = job(g, Task::kDetection, 60);
  j.recipe.augmentation.scale_low = 0.8;
  j.recipe.augmentation.scale_high = 1.25;
  j.recipe.augmentation.translate = 0.1;
  j.recipe.augmentation.mosaic = 0.3;
  j.recipe.augmentation.mosaic_epochs = 40;
  const auto r = train_network(j);
  ASSERT_TRUE(r.is_ok()) << r.status().message();
  EXPECT_EQ(r->score_name, "val_map50");
  const EpochRecord& best = r->epochs[static_cast<size_t>(r->best_epoch) - 1];
  EXPECT_GT(*best.val_map50, 75);
  EXPECT_LT(r->epochs.back().train_loss, 0.5 * r->epochs.front().train_loss);
  // What the loop validated is what anybody measures with the exported network.
  const EvalReport report = evaluated(r->graph, Task::kDetection, "val");
  EXPECT_EQ(report.task, "detection");
  EXPECT_NEAR(report.map50, *best.val_map50, 1);
  EXPECT_NEAR(report.map, *best.val_map, 1);
}

TEST_F(LabelTrain, RowsOfProbabilitiesLearnAsMapsOfScoresDo) {
  std::vector<double> losses[2];
  for (bool rows : {false, true}) {
    const Graph g = small_detector(rows, 2, 64);
    const auto r = train_network(job(g, Task::kDetection, 3));
    ASSERT_TRUE(r.is_ok()) << r.status().message();
    for (const EpochRecord& e : r->epochs) losses[rows ? 1 : 0].push_back(e.train_loss);
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(losses[0][i], losses[1][i], 0.02 * losses[0][i]) << i;
}

TEST_F(LabelTrain, ASegmentationNetworkLearnsPixels) {
  for (bool half : {false, true}) {
    const Graph g = small_segmenter(2, 64, half);
    TrainJob j = job(g, Task::kSegmentation, 10);
    j.recipe.loss_options.dice_weight = half ? 1 : 0;
    j.recipe.augmentation.scale_low = 0.7;
    const auto r = train_network(j);
    ASSERT_TRUE(r.is_ok()) << r.status().message();
    EXPECT_EQ(r->score_name, "val_miou");
    const EpochRecord& best = r->epochs[static_cast<size_t>(r->best_epoch) - 1];
    EXPECT_GT(*best.val_miou, 85) << half;
    const EvalReport report = evaluated(r->graph, Task::kSegmentation, "val");
    EXPECT_EQ(report.task, "segmentation");
    EXPECT_NEAR(report.miou, *best.val_miou, 0.1);
    EXPECT_GT(report.pixel_accuracy, report.miou);
    EXPECT_EQ(report.score(), report.miou);
  }
}

TEST_F(LabelTrain, FineTuningOnLabelsInBothTasks) {
  for (Task task : {Task::kDetection, Task::kSegmentation}) {
    const bool detection = task == Task::kDetection;
    const Graph start = detection ? small_detector(true, 2, 64) : small_segmenter(2, 64);
    const auto trained = train_network(job(start, task, detection ? 40 : 4));
    ASSERT_TRUE(trained.is_ok()) << trained.status().message();
    const auto data = open_dataset(spec(task, "train"), network_inputs(start));
    const auto val = open_dataset(spec(task, "val"), network_inputs(start));
    QuantizationOptions options;
    options.regime = Regime::kNaive;
    for (bool distill : {false, true}) {
      QatJob q;
      q.quantize.calibration = data->get();
      q.quantize.evaluation = val->get();
      q.quantize.run.threads = q.quantize.eval.run.threads = 1;
      q.quantize.eval.detection = spec(task, "val").detection;
      q.train = job(start, task, 2);
      q.train.recipe.lr.initial_lr = 1e-4;
      q.train.recipe.distillation.enabled = distill;
      const auto r = quantization_aware_training(trained->graph, SelectiveQuantizer(options), q);
      ASSERT_TRUE(r.is_ok()) << r.status().message();
      ASSERT_TRUE(r->qat_eval.has_value());
      EXPECT_EQ(r->qat_eval->task, detection ? "detection" : "segmentation");
      EXPECT_GE(r->qat_eval->score(), r->ptq.quantized_eval->score() - 3);
      EXPECT_EQ(r->trained.score_name, detection ? "val_map50" : "val_miou");
      for (const EpochRecord& e : r->trained.epochs) EXPECT_LT(e.train_loss, 20) << "quantized chances of 0 and 1";
    }
  }
}

TEST_F(LabelTrain, TheSameBytesWithAnyNumberOfWorkersAndResumed) {
  const Graph g = small_detector(true, 2, 64);
  TrainJob j = job(g, Task::kDetection, 2);
  j.recipe.augmentation.mosaic = 0.5;
  std::string first;
  for (int workers : {0, 3}) {
    j.recipe.workers = workers;
    const auto r = train_network(j);
    ASSERT_TRUE(r.is_ok()) << r.status().message();
    if (first.empty()) first = constant_bytes(r->graph);
    EXPECT_EQ(constant_bytes(r->graph), first);
  }
  fs::create_directories(folder_ / "run");
  j.folder = (folder_ / "run").string();
  CancelFlag cancel{false};
  int seen = 0;
  j.run.cancel = &cancel;
  j.run.progress = [&](const std::string&, int64_t, int64_t) { cancel = ++seen == 2; };
  EXPECT_EQ(train_network(j).status().code(), StatusCode::kCancelled);
  j.run.cancel = nullptr;
  j.resume = true;
  const auto resumed = train_network(j);
  ASSERT_TRUE(resumed.is_ok()) << resumed.status().message();
  EXPECT_EQ(constant_bytes(resumed->graph), first);
}

TEST_F(LabelTrain, PicturesWithoutThingsAreBackground) {
  for (const auto& file : fs::directory_iterator(folder_ / "labels/train")) std::ofstream(file.path()) << "";
  const Graph g = small_detector(false, 2, 64);
  const auto r = train_network(job(g, Task::kDetection, 2));
  ASSERT_TRUE(r.is_ok()) << r.status().message();
  EXPECT_GT(r->epochs[0].train_loss, r->epochs[1].train_loss) << "objectness falls";
}

TEST_F(LabelTrain, MistakesInDetectionGetASentence) {
  const Graph two = small_detector(false, 2, 64), one = small_detector(false, 1, 64);
  EXPECT_NE(refusal(job(one, Task::kDetection, 1)).find("has class 1, and the network knows the classes 0 to 0"),
            std::string::npos)
      << refusal(job(one, Task::kDetection, 1));
  const Graph segmenter = small_segmenter(2, 64);
  EXPECT_NE(refusal(job(segmenter, Task::kDetection, 1)).find("is not that of a detector"), std::string::npos);
  TrainJob wrong_task = job(two, Task::kDetection, 1);
  wrong_task.recipe.task = Task::kClassification;
  EXPECT_NE(refusal(wrong_task).find("set 'task: detection'"), std::string::npos) << refusal(wrong_task);
  TrainJob fastest = job(two, Task::kDetection, 1);
  fastest.recipe.train_data->detection.decoder = Decoder::kFastestDet;
  EXPECT_NE(refusal(fastest).find("YOLOX's form only"), std::string::npos) << refusal(fastest);
  fs::remove_all(folder_ / "labels/val");
  EXPECT_NE(refusal(job(two, Task::kDetection, 1)).find("the validation data has no labels for detection"),
            std::string::npos);
  fs::remove_all(folder_ / "labels/train");
  EXPECT_NE(refusal(job(two, Task::kDetection, 1)).find("the training data has no labels"), std::string::npos);
}

TEST_F(LabelTrain, MistakesInSegmentationGetASentence) {
  const Graph two = small_segmenter(2, 64);
  const Graph detector = small_detector(true, 2, 64);
  EXPECT_NE(refusal(job(detector, Task::kSegmentation, 1)).find("[batch, classes, height, width]"),
            std::string::npos);
  const Graph one = small_segmenter(1, 64);
  EXPECT_NE(refusal(job(one, Task::kSegmentation, 1)).find("two or more classes"), std::string::npos);
  // A mask of another size, and one with a class too many.
  test::SceneOptions options;
  options.images = 1;
  options.side = 32;
  const fs::path mask = folder_ / "masks/train/000003.png";
  ASSERT_TRUE(test::write_scenes((folder_ / "other").string(), "x", options).is_ok());
  fs::copy_file(folder_ / "other/masks/x/000000.png", mask, fs::copy_options::overwrite_existing);
  EXPECT_NE(refusal(job(two, Task::kSegmentation, 1)).find("the mask of image '000003.png' has 32 x 32"),
            std::string::npos)
      << refusal(job(two, Task::kSegmentation, 1));
  options.side = 64;
  options.class_masks = true;
  options.most_things = 1;
  for (options.seed = 1; options.seed < 50; ++options.seed) {
    ASSERT_TRUE(test::write_scenes((folder_ / "other").string(), "x", options).is_ok());
    std::ifstream labels(folder_ / "other/labels/x/000000.txt");
    if (labels.get() == '1') break;  // a rectangle: class 2 in the mask
  }
  fs::copy_file(folder_ / "other/masks/x/000000.png", mask, fs::copy_options::overwrite_existing);
  EXPECT_NE(refusal(job(two, Task::kSegmentation, 1))
                .find("'000003.png' holds class 2, and the network knows the classes 0 to 1"),
            std::string::npos)
      << refusal(job(two, Task::kSegmentation, 1));
}

}  // namespace
}  // namespace octet
