// Whole training runs on tiny networks: they learn, they resume bit for bit, they refuse what is wrong.
#include "octet/train.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "octet/onnx.h"
#include "support/compare.h"
#include "support/random_graph.h"

namespace octet {
namespace {

namespace fs = std::filesystem;
using test::constant_bytes;
using test::Random;

// conv, batch norm, relu, pool, classifier; `softmax` ends it with probabilities.
Graph small_network(int64_t channels, int64_t size, int64_t classes, bool softmax = false) {
  Graph g;
  Random random(5);
  const ValueId x =
      g.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(channels), Dim::of(size), Dim::of(size)});
  g.inputs = {x};
  const auto constant = [&](const char* name, Tensor t) { return g.add_constant(name, std::move(t)); };
  const auto node = [&](const char* op, std::vector<ValueId> in, const char* out, Attributes a = {}) {
    g.add_node(op, std::move(in), {out}, std::move(a), std::string("node_") + out);
    return g.find_value(out);
  };
  const int64_t width = 16;
  const ValueId c =
      node("Conv", {x, constant("w1", test::random_tensor(random, {width, channels, 3, 3}, -0.4, 0.4))}, "conv",
           {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"strides", std::vector<int64_t>{2, 2}}});
  const std::vector<float> ones(width, 1), zeros(width, 0);
  const ValueId b = node(
      "BatchNormalization",
      {c, constant("gamma", Tensor::from<float>({width}, ones)),
       constant("beta", Tensor::from<float>({width}, zeros)), constant("mean", Tensor::from<float>({width}, zeros)),
       constant("var", Tensor::from<float>({width}, ones))},
      "norm");
  const ValueId r = node("Relu", {b}, "relu");
  const ValueId c2 = node("Conv", {r, constant("w2", test::random_tensor(random, {width, width, 3, 3}, -0.1, 0.1))},
                          "conv2", {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  const ValueId r2 = node("Relu", {c2}, "relu2");
  const ValueId f = node("Flatten", {node("GlobalAveragePool", {r2}, "pool")}, "flat");
  ValueId y = node("Gemm",
                   {f, constant("fc", test::random_tensor(random, {classes, width}, -0.3, 0.3)),
                    constant("fc_bias", Tensor::from<float>({classes}, std::vector<float>(classes, 0)))},
                   "y", {{"transB", int64_t{1}}});
  if (softmax) y = node("Softmax", {y}, "p", {{"axis", int64_t{1}}});
  g.value(y).dtype = DType::kFloat32;
  g.outputs = {y};
  return g;
}

std::string npy(const std::string& descr, const std::string& shape, const std::string& bytes) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  return file + header + bytes;
}

class Train : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("octet-train-" + std::to_string(::getpid()) + "-" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "a");
    fs::create_directories(folder_ / "b");
    write_data("train", 96, 1);
    write_data("val", 40, 2);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Noise, brighter in the channel that is the class: easy, but not at once.
  void write_data(const std::string& name, int64_t n, uint64_t seed, int64_t classes = 3, float poison = 0) const {
    Random random(seed);
    std::vector<float> x;
    std::string labels;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t label = i % classes;
      for (int64_t p = 0; p < 3 * 64; ++p)
        x.push_back(static_cast<float>(random.real(-1, 1) + (p / 64 == label ? 0.7 : 0)));
      labels.append(reinterpret_cast<const char*>(&label), 8);
    }
    if (poison != 0) x[x.size() / 2] = poison;
    std::ofstream(folder_ / (name + ".npy"), std::ios::binary)
        << npy("<f4", "(" + std::to_string(n) + ", 3, 8, 8)",
               {reinterpret_cast<const char*>(x.data()), x.size() * sizeof(float)});
    std::ofstream(folder_ / (name + "_labels.npy"), std::ios::binary)
        << npy("<i8", "(" + std::to_string(n) + ",)", labels);
  }

  DataSpec spec(const std::string& name, bool labels = true) const {
    const std::string base = (folder_ / name).string();
    const auto s = load_data_spec("npy:" + base + ".npy" + (labels ? "?labels=" + base + "_labels.npy" : ""));
    EXPECT_TRUE(s.is_ok()) << s.status().message();
    return s.is_ok() ? *s : DataSpec{};
  }

  TrainJob job(const Graph& graph, const std::string& sub = "") const {
    TrainJob j;
    j.graph = &graph;
    j.recipe.source = "t.yaml";
    j.recipe.train_data = spec("train");
    j.recipe.val_data = spec("val");
    j.recipe.batch_size = 16;
    j.recipe.val_batch_size = 16;
    j.recipe.max_epochs = 4;
    j.recipe.lr.initial_lr = 0.1;
    j.recipe.lr.mode = LrMode::kCosine;
    j.recipe.tensorboard = false;
    j.recipe.augmentation.horizontal_flip = 0.5;
    j.recipe.augmentation.crop_padding = 1;
    j.run.threads = 1;
    if (!sub.empty()) j.folder = (folder_ / sub).string();
    return j;
  }

  // Interrupts after `steps` steps, and resumes until it is through; the weights at the end.
  std::string in_pieces(TrainJob j, int64_t steps) const {
    for (int piece = 0; piece < 50; ++piece) {
      CancelFlag cancel{false};
      int64_t seen = 0;
      j.run.cancel = &cancel;
      j.run.progress = [&](const std::string&, int64_t, int64_t) {
        if (++seen == steps) cancel = true;
      };
      j.resume = piece > 0;
      const auto result = train_network(j);
      if (result.is_ok()) {
        EXPECT_GT(piece, 2);
        return constant_bytes(result->graph);
      }
      EXPECT_EQ(result.status().code(), StatusCode::kCancelled) << result.status().message();
      EXPECT_NE(result.status().message().find("--resume"), std::string::npos);
    }
    ADD_FAILURE() << "never through";
    return "";
  }

  fs::path folder_;
};

TEST_F(Train, LearnsAndReportsEachEpoch) {
  const Graph g = small_network(3, 8, 3);
  TrainJob j = job(g, "a");
  j.recipe.max_epochs = 8;
  std::vector<EpochRecord> seen;
  j.on_epoch = [&](const EpochRecord& e) { seen.push_back(e); };
  const auto r = train_network(j);
  ASSERT_TRUE(r.is_ok()) << r.status().message();
  ASSERT_EQ(seen.size(), 8u);
  EXPECT_EQ(r->epochs.size(), 8u);
  EXPECT_LT(seen.back().train_loss, 0.6 * seen.front().train_loss);
  EXPECT_GT(*seen.back().val_top1, 80);
  EXPECT_EQ(r->score_name, "val_top1");
  double best = 0;
  for (const EpochRecord& e : seen) best = std::max(best, *e.val_top1);
  EXPECT_EQ(*seen[static_cast<size_t>(r->best_epoch) - 1].val_top1, best);
  EXPECT_TRUE(fs::exists(folder_ / "a/checkpoint.bin"));
  EXPECT_TRUE(fs::exists(folder_ / "a/metrics.jsonl"));
}

TEST_F(Train, TheSameJobGivesTheSameBytesWithAnyNumberOfWorkers) {
  const Graph g = small_network(3, 8, 3);
  TrainJob j = job(g);
  j.recipe.max_epochs = 2;
  j.recipe.augmentation.mixup = 0.2;
  j.recipe.label_smoothing = 0.1;
  std::string first;
  for (int workers : {0, 1, 4}) {
    j.recipe.workers = workers;
    const auto r = train_network(j);
    ASSERT_TRUE(r.is_ok()) << r.status().message();
    if (first.empty()) first = constant_bytes(r->graph);
    EXPECT_EQ(constant_bytes(r->graph), first);
  }
  EXPECT_NE(first, constant_bytes(g));
}

TEST_F(Train, ResumedRunsEndInTheSameBytes) {
  const Graph g = small_network(3, 8, 3);
  for (OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    TrainJob j = job(g, "a");
    j.recipe.optimizer.kind = kind;
    j.recipe.lr.initial_lr = kind == OptimizerKind::kSgd ? 0.1 : 0.01;
    j.recipe.ema.enabled = true;
    j.recipe.clip_grad_norm = 1;
    j.recipe.lr.warmup_epochs = 1;
    j.recipe.augmentation.mixup = 0.2;
    const auto whole = train_network(j);
    ASSERT_TRUE(whole.is_ok()) << whole.status().message();
    j.folder = (folder_ / "b").string();
    // 6 batches and 3 of validation an epoch: 5 stops in both.
    EXPECT_EQ(in_pieces(j, 5), constant_bytes(whole->graph));
  }
}

TEST_F(Train, GradientsOfSeveralBatchesResumeAtTheirBoundary) {
  const Graph g = small_network(3, 8, 3);
  TrainJob j = job(g, "a");
  j.recipe.batch_accumulate = 4;  // 6 batches an epoch: groups of 4 and 2
  j.recipe.checkpoint_every_steps = 2;
  const auto whole = train_network(j);
  ASSERT_TRUE(whole.is_ok()) << whole.status().message();
  j.folder = (folder_ / "b").string();
  EXPECT_EQ(in_pieces(j, 5), constant_bytes(whole->graph));
}

TEST_F(Train, ACheckpointOfSomethingElseIsRefused) {
  const Graph g = small_network(3, 8, 3);
  TrainJob j = job(g, "a");
  j.recipe.max_epochs = 1;
  ASSERT_TRUE(train_network(j).is_ok());
  const Graph other = small_network(3, 8, 4);
  TrainJob k = j;
  k.resume = true;
  k.graph = &other;
  const auto refused = train_network(k);
  ASSERT_FALSE(refused.is_ok());
  EXPECT_NE(refused.status().message().find("another network"), std::string::npos) << refused.status().message();
  k.graph = &g;
  k.recipe.lr.initial_lr = 0.2;
  EXPECT_NE(train_network(k).status().message().find("lr:"), std::string::npos);
  std::ofstream(folder_ / "a/checkpoint.bin", std::ios::binary) << "OCTETCK1 and rubbish";
  k.recipe.lr.initial_lr = 0.1;
  EXPECT_EQ(train_network(k).status().code(), StatusCode::kDataCorrupt);
}

TEST_F(Train, LabelsWithoutAClassAreRefused) {
  write_data("train", 48, 1, 3);
  const Graph two = small_network(3, 8, 2);
  const auto r = train_network(job(two));
  ASSERT_FALSE(r.is_ok());
  EXPECT_EQ(r.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(r.status().message().find("2 classes"), std::string::npos) << r.status().message();
  EXPECT_NE(r.status().message().find("label 2"), std::string::npos) << r.status().message();
  TrainJob none = job(two);
  none.recipe.train_data = spec("train", false);
  EXPECT_NE(train_network(none).status().message().find("no labels"), std::string::npos);
}

TEST_F(Train, ALossThatIsNotFiniteNamesWhereItBegan) {
  const Graph g = small_network(3, 8, 3);
  write_data("train", 96, 1, 3, std::numeric_limits<float>::quiet_NaN());
  const auto bad_data = train_network(job(g));
  ASSERT_FALSE(bad_data.is_ok());
  EXPECT_NE(bad_data.status().message().find("NaN"), std::string::npos) << bad_data.status().message();
  write_data("train", 96, 1);
  Graph broken = small_network(3, 8, 3);
  broken.value(broken.find_value("w2")).constant->data<float>()[7] = std::numeric_limits<float>::infinity();
  const auto bad_weight = train_network(job(broken));
  ASSERT_FALSE(bad_weight.is_ok());
  EXPECT_NE(bad_weight.status().message().find("w2"), std::string::npos) << bad_weight.status().message();
  TrainJob wild = job(g, "a");
  wild.recipe.lr.initial_lr = 1e30;
  const auto exploded = train_network(wild);
  ASSERT_FALSE(exploded.is_ok());
  EXPECT_NE(exploded.status().message().find("initial_lr"), std::string::npos) << exploded.status().message();
}

TEST_F(Train, ProbabilitiesAtTheEndAreLookedBehind) {
  const Graph logits = small_network(3, 8, 3), probabilities = small_network(3, 8, 3, true);
  TrainJob a = job(logits), b = job(probabilities);
  a.recipe.max_epochs = b.recipe.max_epochs = 1;
  const auto ra = train_network(a), rb = train_network(b);
  ASSERT_TRUE(ra.is_ok() && rb.is_ok()) << rb.status().message();
  EXPECT_EQ(constant_bytes(ra->graph), constant_bytes(rb->graph));
}

TEST_F(Train, DevicesAndTasksThatAreNotThereAreRefused) {
  const Graph g = small_network(3, 8, 3);
  TrainJob j = job(g);
  j.device = "gpu";
  EXPECT_EQ(train_network(j).status().code(), StatusCode::kInvalidArgument);
  j.device = "cuda:99";
  EXPECT_EQ(train_network(j).status().code(), StatusCode::kUnsupported);
  j = job(g);
  j.recipe.task = Task::kDetection;
  EXPECT_NE(train_network(j).status().message().find("labelled for classification"), std::string::npos);
  j = job(g);
  j.recipe.batch_size = 97;
  EXPECT_NE(train_network(j).status().message().find("drop_last"), std::string::npos);
}

TEST_F(Train, StatisticsAreReestimatedBeforeExport) {
  const Graph g = small_network(3, 8, 3);
  TrainJob j = job(g);
  const auto plain = train_network(j);
  j.recipe.batch_norm.mode = BatchNormPolicy::kReestimated;
  j.recipe.batch_norm.reestimate_batches = 6;
  const auto again = train_network(j);
  ASSERT_TRUE(plain.is_ok() && again.is_ok()) << again.status().message();
  const auto constant = [](const Graph& graph, const char* name) {
    return *graph.value(graph.find_value(name)).constant;
  };
  EXPECT_TRUE(same_bits(constant(plain->graph, "w1"), constant(again->graph, "w1")));
  EXPECT_FALSE(same_bits(constant(plain->graph, "mean"), constant(again->graph, "mean")));
}

TEST_F(Train, QuantizationAwareTrainingWithAndWithoutLabels) {
  const Graph start = small_network(3, 8, 3);
  TrainJob j = job(start);
  j.recipe.max_epochs = 6;
  const auto trained = train_network(j);
  ASSERT_TRUE(trained.is_ok()) << trained.status().message();
  for (bool labels : {true, false}) {
    const auto data = open_dataset(spec("train", labels), network_inputs(trained->graph));
    const auto val = open_dataset(spec("val"), network_inputs(trained->graph));
    ASSERT_TRUE(data.is_ok() && val.is_ok());
    QuantizationOptions options;
    options.regime = Regime::kNaive;
    QatJob q;
    q.quantize.calibration = data->get();
    q.quantize.evaluation = val->get();
    q.quantize.run.threads = q.quantize.eval.run.threads = 1;
    q.train = job(start, labels ? "a" : "b");
    q.train.recipe.train_data = spec("train", labels);
    q.train.recipe.distillation.enabled = !labels;
    q.train.recipe.max_epochs = 2;
    q.train.recipe.lr.initial_lr = 0.005;
    const auto r = quantization_aware_training(trained->graph, SelectiveQuantizer(options), q);
    ASSERT_TRUE(r.is_ok()) << r.status().message();
    ASSERT_TRUE(r->qat_eval.has_value());
    EXPECT_EQ(r->qat_eval->arithmetic, "integer");
    EXPECT_GE(r->qat_eval->score(), r->ptq.float_eval->score() - 10);
    EXPECT_EQ(r->trained.score_name, labels ? "val_top1" : "val_loss");
    // What training validated with fake quantization is what the integers of the exported network give.
    if (labels && r->trained.best_epoch > 0) {
      const EpochRecord& best = r->trained.epochs[static_cast<size_t>(r->trained.best_epoch) - 1];
      EXPECT_NEAR(*best.val_top1, r->qat_eval->top1, 2.6) << "one of 40 images";
    }
  }
}

TEST_F(Train, FineTuningThatRuinsTheNetworkKeepsTheCalibratedOne) {
  const Graph start = small_network(3, 8, 3);
  TrainJob j = job(start);
  j.recipe.max_epochs = 6;
  const auto trained = train_network(j);
  ASSERT_TRUE(trained.is_ok()) << trained.status().message();
  const auto data = open_dataset(spec("train"), network_inputs(start));
  const auto val = open_dataset(spec("val"), network_inputs(start));
  QuantizationOptions options;
  options.regime = Regime::kNaive;
  QatJob q;
  q.quantize.calibration = data->get();
  q.quantize.evaluation = val->get();
  q.quantize.run.threads = q.quantize.eval.run.threads = 1;
  q.train = job(start);
  q.train.recipe.max_epochs = 1;
  q.train.recipe.lr.mode = LrMode::kConstant;
  q.train.recipe.lr.initial_lr = 5;
  q.train.recipe.clip_grad_norm = 1;
  const auto r = quantization_aware_training(trained->graph, SelectiveQuantizer(options), q);
  ASSERT_TRUE(r.is_ok()) << r.status().message();
  EXPECT_EQ(r->trained.best_epoch, 0);
  EXPECT_EQ(r->qat_eval->score(), r->ptq.quantized_eval->score());
  bool said = false;
  for (const std::string& note : r->trained.notes) said = said || note.find("initial_lr") != std::string::npos;
  EXPECT_TRUE(said);
}

TEST_F(Train, FineTuningKeepsBatchNormsWhenTheRecipeSaysSo) {
  const Graph start = small_network(3, 8, 3);
  TrainJob j = job(start);
  j.recipe.max_epochs = 6;
  const auto trained = train_network(j);
  ASSERT_TRUE(trained.is_ok()) << trained.status().message();
  const auto data = open_dataset(spec("train"), network_inputs(start));
  const auto val = open_dataset(spec("val"), network_inputs(start));
  QuantizationOptions options;
  options.regime = Regime::kNaive;
  std::string folded;
  for (const BatchNormOptions& norms : {BatchNormOptions{}, BatchNormOptions{true, BatchNormPolicy::kLive, 0, 1},
                                        BatchNormOptions{true, BatchNormPolicy::kReestimated, 0, 6}}) {
    QatJob q;
    q.quantize.calibration = data->get();
    q.quantize.evaluation = val->get();
    q.quantize.run.threads = q.quantize.eval.run.threads = 1;
    q.train = job(start);
    q.train.recipe.batch_norm = norms;
    q.train.recipe.max_epochs = 2;
    q.train.recipe.lr.initial_lr = 0.005;
    const auto r = quantization_aware_training(trained->graph, SelectiveQuantizer(options), q);
    ASSERT_TRUE(r.is_ok()) << r.status().message();
    for (const Node& node : r->trained.graph.nodes) EXPECT_NE(node.op_type, "BatchNormalization");
    EXPECT_EQ(r->qat_eval->arithmetic, "integer");
    EXPECT_GE(r->qat_eval->score(), r->ptq.float_eval->score() - 10);
    if (r->trained.best_epoch == 0) continue;
    if (folded.empty()) folded = constant_bytes(r->trained.graph);
    else EXPECT_NE(constant_bytes(r->trained.graph), folded);
  }
}

// Pixels from 0 to 255 instead of numbers around 1: the same training, to the bit, since the factor is a power of
// two. First weights are as much smaller, or, where batch norms are kept, the norm behind them has the statistics of
// that.
class LargeInputs : public Train {
 protected:
  Result<QatResult> fine_tuned(float factor, OptimizerKind kind, const BatchNormOptions& norm) const {
    Graph graph = small_network(3, 8, 3);
    const auto multiply = [&](const char* name, float by) {
      Tensor& t = *graph.value(graph.find_value(name)).constant;
      for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] *= by;
    };
    if (norm.given) {
      multiply("mean", factor);
      multiply("var", factor * factor);
      for (Node& node : graph.nodes)
        if (node.is("BatchNormalization")) node.attributes["epsilon"] = 1e-5F * factor * factor;
    } else {
      multiply("w1", 1 / factor);
    }
    DataSpec images = spec("train"), val_images = spec("val");
    images.preprocess.scale = val_images.preprocess.scale = 1.5 * static_cast<double>(factor);
    const auto data = open_dataset(images, network_inputs(graph)),
               val = open_dataset(val_images, network_inputs(graph));
    EXPECT_TRUE(data.is_ok() && val.is_ok());
    QuantizationOptions options;
    options.regime = Regime::kNaive;
    QatJob q;
    q.quantize.calibration = data->get();
    q.quantize.evaluation = val->get();
    q.quantize.run.threads = q.quantize.eval.run.threads = 1;
    q.train = job(graph);
    q.train.recipe.train_data = images;
    q.train.recipe.val_data = val_images;
    q.train.recipe.optimizer.kind = kind;
    q.train.recipe.optimizer.weight_decay = 0.01;
    q.train.recipe.batch_norm = norm;
    q.train.recipe.clip_grad_norm = 1;
    q.train.recipe.ema.enabled = true;
    q.train.recipe.lr.initial_lr = kind == OptimizerKind::kSgd ? 0.1 : 0.01;
    return quantization_aware_training(graph, SelectiveQuantizer(options), q);
  }

  void expect_the_same(OptimizerKind kind, const BatchNormOptions& norm) const {
    const auto small = fine_tuned(1, kind, norm), large = fine_tuned(128, kind, norm);
    ASSERT_TRUE(small.is_ok()) << small.status().message();
    ASSERT_TRUE(large.is_ok()) << large.status().message();
    EXPECT_GT(small->trained.best_epoch, 0);
    EXPECT_EQ(small->trained.best_epoch, large->trained.best_epoch);
    ASSERT_EQ(small->trained.epochs.size(), large->trained.epochs.size());
    for (size_t e = 0; e < small->trained.epochs.size(); ++e)
      EXPECT_EQ(small->trained.epochs[e].train_loss, large->trained.epochs[e].train_loss) << "epoch " << e + 1;
    EXPECT_EQ(small->qat_eval->predictions, large->qat_eval->predictions);
    EXPECT_EQ(small->trained.notes.size() + 1, large->trained.notes.size()) << "one that says so";
  }
};

TEST_F(LargeInputs, AreFineTunedLikeSmallOnes) {
  for (OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdam, OptimizerKind::kAdamW})
    expect_the_same(kind, BatchNormOptions{});
}

TEST_F(LargeInputs, InFrontOfANormAreFineTunedLikeSmallOnes) {
  for (BatchNormPolicy mode : {BatchNormPolicy::kLive, BatchNormPolicy::kFrozen})
    expect_the_same(OptimizerKind::kSgd, BatchNormOptions{true, mode, 0, 1});
}

TEST_F(Train, TwoEpochsOfFashionMnistLowerTheLoss) {
  const std::string path = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(path)) GTEST_SKIP() << "Debian's package dataset-fashion-mnist is not installed";
  const Graph g = small_network(1, 28, 10);
  TrainJob j = job(g);
  const auto data = load_data_spec("idx:" + path + "?split=train&subset=512&seed=3");
  ASSERT_TRUE(data.is_ok());
  j.recipe.train_data = *data;
  j.recipe.val_data.reset();
  j.recipe.max_epochs = 2;
  j.recipe.lr.mode = LrMode::kConstant;
  const auto r = train_network(j);
  ASSERT_TRUE(r.is_ok()) << r.status().message();
  EXPECT_LT(r->epochs[0].train_loss, 2.4);
  EXPECT_LT(r->epochs[1].train_loss, 0.97 * r->epochs[0].train_loss);
  EXPECT_EQ(r->score_name, "train_loss");
}

}  // namespace
}  // namespace octet
