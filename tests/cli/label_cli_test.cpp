// Detection and segmentation from the command line: train, fine-tune, evaluate, and what is said of mistakes.
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli_fixture.h"
#include "support/label_networks.h"
#include "support/scenes.h"

namespace octet::test {
namespace {

using nlohmann::json;

class LabelCli : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    SceneOptions scenes;
    scenes.images = 16;
    for (const char* split : {"train", "val"}) {
      ASSERT_TRUE(write_scenes(path("scenes"), split, scenes).is_ok());
      ++scenes.seed;
    }
    ASSERT_TRUE(save_onnx(small_detector(true, 2, 64), path("detector.onnx")).is_ok());
    ASSERT_TRUE(save_onnx(small_segmenter(2, 64), path("segmenter.onnx")).is_ok());
  }
  static std::string keys(bool detection) {
    return detection ? "preprocess: {scale: 1/255}, detection: {decoder: yolox}" : "preprocess: {scale: 1/255}";
  }
  std::string recipe(bool detection, const std::string& network, int epochs = 3) const {
    const std::string kind = detection ? "yolo" : "masks";
    write("r.yaml", "task: " + std::string(detection ? "detection" : "segmentation") +
                        "\nnetwork: {onnx: " + network + "}\ntrain_data: {kind: " + kind +
                        ", path: scenes, split: train, " + keys(detection) + "}\nval_data: {kind: " + kind +
                        ", path: scenes, split: val, " + keys(detection) +
                        "}\ntrain_dataloader_params: {batch_size: 8, num_workers: 1}\n"
                        "val_dataloader_params: {batch_size: 8}\n"
                        "training_hyperparams: {optimizer: AdamW, initial_lr: 0.003, max_epochs: " +
                        std::to_string(epochs) + "}\n");
    return path("r.yaml");
  }
  json document(const std::string& file) const {
    std::ifstream in(path(file));
    return json::parse(in, nullptr, false);
  }
  std::string scenes(const std::string& kind, const std::string& split) const {
    const std::string decoder = kind == "yolo" ? "&decoder=yolox" : "";
    return "'" + kind + ":" + path("scenes") + "?scale=1/255&split=" + split + decoder + "'";
  }
};

TEST_F(LabelCli, TrainEvaluateAndFineTune) {
  for (bool detection : {true, false}) {
    const std::string out = path(detection ? "d" : "s"), figure = detection ? "mAP@0.5" : "mIoU";
    const Outcome trained =
        octet("train " + recipe(detection, detection ? "detector.onnx" : "segmenter.onnx") + " -o " + out);
    ASSERT_EQ(trained.code, 0) << trained.text;
    EXPECT_NE(trained.text.find("loss"), std::string::npos);
    EXPECT_NE(trained.text.find(figure), std::string::npos) << trained.text;
    const std::string key = detection ? "map50" : "miou";
    const json run = document((detection ? "d" : "s") + std::string("/run.json"));
    EXPECT_EQ(run["best_by"], "val_" + key);
    EXPECT_TRUE(run["epochs"][0].contains("val_" + key));
    EXPECT_EQ(run["eval"]["task"], detection ? "detection" : "segmentation");
    const std::string lines = read_text(out + "/metrics.jsonl");
    EXPECT_NE(lines.find("val/" + key), std::string::npos) << lines;
    const std::string data = scenes(detection ? "yolo" : "masks", "val");
    const Outcome eval = octet("eval " + out + "/model.onnx --json --data " + data);
    ASSERT_EQ(eval.code, 0) << eval.text;
    EXPECT_NEAR(json::parse(eval.text)[key].get<double>(), run["eval"][key].get<double>(), 1e-3);
    // Without a recipe the data says what the task is.
    const Outcome tuned =
        octet("qat " + out + "/model.onnx --epochs 1 --regime naive --data " +
              scenes(detection ? "yolo" : "masks", "train") + " --eval-data " + data + " -o " + out + "q");
    ASSERT_EQ(tuned.code, 0) << tuned.text;
    EXPECT_NE(tuned.text.find(figure), std::string::npos) << tuned.text;
    EXPECT_TRUE(document((detection ? "dq" : "sq") + std::string("/run.json"))["epochs"][0].contains("val_" + key));
  }
}

TEST_F(LabelCli, EvaluationOfMasksInTheEngine) {
  const Outcome quantized = octet("quantize " + path("segmenter.onnx") + " --data " + scenes("masks", "train") +
                                  " --eval-data " + scenes("masks", "val") + " -o " + path("q"));
  ASSERT_EQ(quantized.code, 0) << quantized.text;
  for (const char* word : {"mIoU %", "pixel accuracy %"})
    EXPECT_NE(quantized.text.find(word), std::string::npos) << quantized.text;
  const Outcome eval = octet("eval " + path("q/model_int8.onnx") + " --data " + scenes("masks", "val"));
  ASSERT_EQ(eval.code, 0) << eval.text;
  EXPECT_NE(eval.text.find("mIoU"), std::string::npos) << eval.text;
  expect_refusal(octet("eval " + path("detector.onnx") + " --data " + scenes("masks", "val")), 2,
                 {"[batch, classes, height, width]"});
  expect_refusal(octet("eval " + path("segmenter.onnx") + " --data " + scenes("yolo", "val")), 2, {"YOLOX"});
}

TEST_F(LabelCli, MistakesAreOneSentence) {
  expect_refusal(octet("train " + recipe(true, "segmenter.onnx") + " -o " + path("o")), 2,
                 {"is not that of a detector"});
  expect_refusal(octet("train " + recipe(false, "detector.onnx") + " -o " + path("o")), 2, {"segmentation needs"});
  ASSERT_TRUE(save_onnx(small_detector(false, 1, 64), path("one.onnx")).is_ok());
  expect_refusal(octet("train " + recipe(true, "one.onnx") + " -o " + path("o")), 2, {"has class 1", "0 to 0"});
  fs::remove_all(path("scenes/labels"));
  expect_refusal(octet("train " + recipe(true, "detector.onnx") + " -o " + path("o")), 2, {"no labels"});
}

}  // namespace
}  // namespace octet::test
