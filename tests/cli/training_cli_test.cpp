// octet train and octet qat as processes: killed, interrupted and resumed; wrong input; the files they write.
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli_fixture.h"

namespace octet::test {
namespace {

using namespace std::chrono_literals;

class TrainingCli : public Cli {
 protected:
  std::string recipe(const std::string& name, const std::string& more, int epochs) const {
    write(name,
          "network: {onnx: net.onnx}\n"
          "train_data: 'npy:x.npy?labels=y.npy'\nval_data: 'npy:x.npy?labels=y.npy'\n"
          "train_dataloader_params: {batch_size: 8, num_workers: 1}\n"
          "augmentation: {horizontal_flip: 0.5}\nseed: 3\n"
          "training_hyperparams:\n  max_epochs: " +
              std::to_string(epochs) +
              "\n  initial_lr: 0.05\n  lr_mode: cosine\n  ema: true\n  optimizer_params: {momentum: 0.9}\n" + more);
    return path(name);
  }

  // Waits until the checkpoint is new, then sends the signal; the status of the process.
  int stop_after_checkpoint(pid_t child, const std::string& folder, int signal) const {
    const fs::path file = folder + "/checkpoint.bin";
    const auto before = fs::exists(file) ? fs::last_write_time(file) : fs::file_time_type::min();
    for (int i = 0; i < 3000; ++i) {
      std::error_code error;
      const auto now = fs::last_write_time(file, error);
      if (!error && now > before) break;
      std::this_thread::sleep_for(10ms);
    }
    ::kill(child, signal);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
};

TEST_F(TrainingCli, KilledAndInterruptedRunsResumeToTheSameBytes) {
  const std::string r = recipe("r.yaml", "checkpoints: {every_epochs: 2, every_steps: 3}\n", 120);
  const Outcome whole = octet("train " + r + " -o " + path("whole") + " --threads 1 -q");
  ASSERT_EQ(whole.code, 0) << whole.text;
  const std::string expected = read_text(path("whole/model.onnx"));
  ASSERT_GT(expected.size(), 1000u);
  const std::vector<std::string> arguments = {"train", r, "-o", path("cut"), "--threads", "1", "-q", "--resume"};
  const int killed = stop_after_checkpoint(start(arguments), path("cut"), SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(killed));
  EXPECT_FALSE(fs::exists(path("cut/model.onnx"))) << "it was through before it could be killed";
  const int interrupted = stop_after_checkpoint(start(arguments), path("cut"), SIGINT);
  ASSERT_TRUE(WIFEXITED(interrupted));
  EXPECT_EQ(WEXITSTATUS(interrupted), 130);
  const int terminated = stop_after_checkpoint(start(arguments), path("cut"), SIGTERM);
  ASSERT_TRUE(WIFEXITED(terminated)) << "schedulers send SIGTERM before SIGKILL";
  EXPECT_EQ(WEXITSTATUS(terminated), 130);
  (void)stop_after_checkpoint(start(arguments), path("cut"), SIGKILL);
  const Outcome rest = octet("train " + r + " -o " + path("cut") + " --threads 1 --resume");
  ASSERT_EQ(rest.code, 0) << rest.text;
  EXPECT_NE(rest.text.find("resumed after"), std::string::npos) << rest.text;
  EXPECT_TRUE(read_text(path("cut/model.onnx")) == expected);
  const auto run = nlohmann::json::parse(read_text(path("cut/run.json")));
  EXPECT_EQ(run["epochs"].size(), 120u);
}

// --data in another place keeps the recipe's preprocessing, unless it has its own.
TEST_F(TrainingCli, OtherDataOfTheSameKindIsPreparedAsTheRecipeSays) {
  const std::string plain = recipe("plain.yaml", "", 2);
  const std::string scaled = recipe("scaled.yaml", "", 2);
  std::string text = read_text(scaled);
  const std::string from = "train_data: 'npy:x.npy?labels=y.npy'",
                    to = from.substr(0, from.size() - 1) + "&scale=0.5'";
  ASSERT_NE(text.find(from), std::string::npos);
  write("scaled.yaml", text.replace(text.find(from), from.size(), to));
  fs::copy_file(path("x.npy"), path("elsewhere.npy"));
  const std::string moved = " --data '" + std::string("npy:") + path("elsewhere.npy") + "?labels=" + path("y.npy");
  const auto trained = [&](const std::string& arguments, const std::string& folder) {
    const Outcome outcome = octet("train " + arguments + " --threads 1 -q -o " + path(folder));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return read_text(path(folder + "/model.onnx"));
  };
  const std::string expected = trained(scaled, "a");
  EXPECT_TRUE(trained(scaled + moved + "'", "b") == expected);
  EXPECT_FALSE(trained(scaled + moved + "&scale=1'", "c") == expected);
  EXPECT_TRUE(trained(plain + moved + "&scale=0.5'", "d") == expected);
  expect_refusal(octet("train fashion_mnist_resnet20 --epochs 1 --data idx:/nowhere -o " + path("p")), 3,
                 {"nowhere"});
}

// The same for octet qat: a network of pixels 0..1 must not be fine-tuned on others because the data lies elsewhere.
TEST_F(TrainingCli, FineTuningOnOtherDataOfTheSameKindPreparesItAsTheRecipeSays) {
  (void)recipe("r.yaml", "", 20);
  std::string text = read_text(path("r.yaml"));
  for (const std::string key : {"train_data", "val_data"}) {
    const std::string from = key + ": 'npy:x.npy?labels=y.npy'";
    ASSERT_NE(text.find(from), std::string::npos);
    text.replace(text.find(from), from.size(), key + ": 'npy:x.npy?labels=y.npy&scale=0.5'");
  }
  write("scaled.yaml", text);
  fs::copy_file(path("x.npy"), path("elsewhere.npy"));
  const std::string moved = "'npy:" + path("elsewhere.npy") + "?labels=" + path("y.npy");
  const auto tuned = [&](const std::string& arguments, const std::string& folder) {
    const Outcome outcome = octet("qat " + model_ + " --recipe " + path("scaled.yaml") +
                                  " --regime naive --threads 1 -q " + arguments + " -o " + path(folder));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    const auto run = nlohmann::json::parse(read_text(path(folder + "/run.json")));
    return read_text(path(folder + "/model_int8.onnx")) + run["epochs"][0]["train_loss"].dump() +
           run["epochs"][0]["val_loss"].dump() + run["float"]["top1"].dump();
  };
  const std::string expected = tuned("", "a");
  EXPECT_TRUE(tuned("--data " + moved + "'", "b") == expected);
  EXPECT_TRUE(tuned("--data " + moved + "' --eval-data " + moved + "'", "c") == expected);
  EXPECT_FALSE(tuned("--data " + moved + "&scale=1' --eval-data " + moved + "&scale=1'", "d") == expected);
}

TEST_F(TrainingCli, WrongInputIsRefusedInASentence) {
  const std::string good = recipe("good.yaml", "", 2);
  ASSERT_EQ(octet("train " + good + " -o " + path("o") + " -q").code, 0);
  write("typo.yaml", "network: {onnx: net.onnx}\ntraining_hyperparams:\n  max_epoch: 3\n");
  expect_refusal(octet("train " + path("typo.yaml") + " -o " + path("p")), 2, {"typo.yaml:3", "max_epochs"});
  write("none.yaml", "training_hyperparams: {max_epochs: 3}\n");
  expect_refusal(octet("train " + path("none.yaml") + " -o " + path("p")), 2, {"names no network"});
  write("nodata.yaml", "network: {onnx: net.onnx}\n");
  expect_refusal(octet("train " + path("nodata.yaml") + " -o " + path("p")), 2, {"no training data"});
  expect_refusal(octet("train " + path("missing.yaml") + " -o " + path("p")), 3, {"missing.yaml"});
  expect_refusal(octet("train fashion_mnist_resnet2O -o " + path("p")), 3, {"fashion_mnist_resnet20"});
  expect_refusal(octet("train " + good + " --device gpu -o " + path("p")), 2, {"cuda:N"});
  write_npz_pair(40, 6);
  expect_refusal(octet("train " + good + " -q -o " + path("p")), 2, {"4 classes", "label"});
  write_npz_pair(40, 4, 1e30);
  expect_refusal(octet("train " + good + " -q -o " + path("p")), 2, {"the loss became", "initial_lr"});
}

// One folder with both splits: what --data says counts for both, what it leaves open is the recipe's.
TEST_F(TrainingCli, OneFolderIsPreparedAlikeForTrainingAndProof) {
  fs::create_directory(path("cifar"));
  Random random(5);
  for (int file = 0; file < 6; ++file) {
    std::string bytes;
    for (int i = 0; i < 16; ++i) {
      bytes += static_cast<char>(i % 4);
      for (int k = 0; k < 3072; ++k) bytes += static_cast<char>(random.integer(0, 255));
    }
    write(file == 0 ? "cifar/test_batch.bin" : "cifar/data_batch_" + std::to_string(file) + ".bin", bytes);
  }
  const std::string head =
      "network: {zoo: resnet20_cifar, classes: 10}\ntraining_hyperparams: {max_epochs: 1, initial_lr: 0.001}\n"
      "train_dataloader_params: {batch_size: 16}\n";
  const auto both = [&](const std::string& keys) {
    return head + "train_data: 'cifar10:cifar?split=train" + keys + "'\nval_data: 'cifar10:cifar?split=test" + keys +
           "'\n";
  };
  write("right.yaml", both("&scale=1/128&mean=1&std=1"));
  write("other.yaml", both("&scale=1&mean=9&std=3"));
  write("alone.yaml", head + "train_data: 'cifar10:cifar?split=train'\n");
  const auto losses = [&](const std::string& arguments) {
    const Outcome out = octet("train " + arguments + " --threads 1 -q -o " + path("o"));
    EXPECT_EQ(out.code, 0) << out.text;
    const auto run = nlohmann::json::parse(read_text(path("o/run.json")));
    return run["epochs"][0]["train_loss"].dump() + " " + run["epochs"][0]["val_loss"].dump();
  };
  const std::string expected = losses(path("right.yaml")), data = " --data 'cifar10:" + path("cifar");
  EXPECT_EQ(losses(path("other.yaml") + data + "?scale=1/128&mean=1&std=1'"), expected);
  EXPECT_EQ(losses(path("alone.yaml") + data + "?scale=1/128&mean=1&std=1'"), expected);
  fs::remove(path("cifar/test_batch.bin"));
  EXPECT_NE(losses(path("alone.yaml") + data + "?scale=1/128&mean=1&std=1'"), expected);
}

// Ranges may come from the images of the proof; fine-tuned weights may not, unless somebody says so.
TEST_F(TrainingCli, FineTuningNeedsImagesOfItsOwn) {
  fs::create_directory(path("cifar"));
  write("cifar/test_batch.bin", std::string(3073, '\1'));
  const std::string data = " --data 'cifar10:" + path("cifar") + "?resize=stretch' -q -o " + path("p");
  EXPECT_EQ(octet("quantize " + model_ + data).code, 0);
  expect_refusal(octet("qat " + model_ + data), 3, {"no training images", "--eval-data"});
}

TEST_F(TrainingCli, ACheckpointOfAnotherNetworkIsRefused) {
  const std::string r = recipe("r.yaml", "", 2);
  ASSERT_EQ(octet("train " + r + " -o " + path("o") + " -q").code, 0);
  ASSERT_TRUE(save_onnx(network(0.25f), model_).is_ok());
  expect_refusal(octet("train " + r + " -o " + path("o") + " -q --resume"), 2, {"another network"});
}

TEST_F(TrainingCli, FineTuningWritesWhatQuantizeWrites) {
  const std::string r = recipe("r.yaml", "", 20);
  const Outcome out =
      octet("qat " + model_ + " --data " + data() + " --recipe " + r + " --regime naive --report -o " + path("q"));
  ASSERT_EQ(out.code, 0) << out.text;
  for (const char* word : {"max_epochs", "20", "0.0005", "calibrated", "fine-tuned"})
    EXPECT_NE(out.text.find(word), std::string::npos) << word << " not in " << out.text;
  for (const char* name :
       {"model_int8.onnx", "ranges.json", "plan.json", "statistics.json", "run.json", "report.html"})
    EXPECT_TRUE(fs::exists(path("q/" + std::string(name)))) << name;
  EXPECT_NE(read_text(path("q/metrics.jsonl")).find("\"range/"), std::string::npos)
      << "learned ranges are not logged";
  const auto run = nlohmann::json::parse(read_text(path("q/run.json")));
  EXPECT_EQ(run["epochs"].size(), 2u);
  EXPECT_FALSE(run["recipe_changes"].empty());
  EXPECT_TRUE(run.contains("ptq") && run.contains("float"));
  const Outcome eval = octet("eval " + path("q/model_int8.onnx") + " --data " + data() + " --json -q");
  ASSERT_EQ(eval.code, 0) << eval.text;
  EXPECT_EQ(nlohmann::json::parse(eval.text)["top1"], run["quantized"]["top1"]);
  // The plan is that of the trained network: quantize makes the same file from it and the ranges.
  const Outcome unlabelled =
      octet("qat " + model_ + " --data " + data_of("x.npy") + " --distill --epochs 1 -q -o " + path("d"));
  EXPECT_EQ(unlabelled.code, 0) << unlabelled.text;
  EXPECT_TRUE(fs::exists(path("d/model_int8.onnx")));
  expect_refusal(octet("qat " + model_ + " --data " + data_of("x.npy") + " --epochs 1 -q -o " + path("e")), 2,
                 {"no labels", "--distill"});
}

// Whether the file has float biases is a matter of the network and of what the target says about biases.
TEST_F(TrainingCli, FloatBiasesAreSaid) {
  const auto says = [&](const std::string& target) {
    const Outcome out = octet("qat " + model_ + " --data " + data_of("x.npy") + " --distill --epochs 1 --target " +
                              target + " -o " + path("q"));
    EXPECT_EQ(out.code, 0) << out.text;
    return out.text.find("the file has float biases") != std::string::npos;
  };
  EXPECT_FALSE(says("octet")) << "there are no biases";
  Graph g = network();
  for (Node& node : g.nodes)
    if (node.is("Conv"))
      node.inputs.push_back(g.add_constant("b", Tensor::from<float>({16}, std::vector<float>(16, 0.1F))));
  ASSERT_TRUE(save_onnx(g, model_).is_ok());
  EXPECT_TRUE(says("octet"));
  EXPECT_TRUE(says("openvino"));
  EXPECT_FALSE(says("onnxruntime"));
}

}  // namespace
}  // namespace octet::test
