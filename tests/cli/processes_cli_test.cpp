// Two processes of one job on the loopback: they come to what one process comes to, and end when one is lost.
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli_fixture.h"
#include "support/label_networks.h"
#include "support/scenes.h"

namespace octet::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

int free_port() {
  const int s = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(s, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(s, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    address.sin_port = htons(29500);
  ::close(s);
  return ntohs(address.sin_port);
}

class ProcessesCli : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    ASSERT_TRUE(save_onnx(network_with_norm(), path("norm.onnx")).is_ok());
    write_npz_pair(50, 4);
  }

  // The fixture's network with batch normalization behind the convolution.
  static Graph network_with_norm() {
    Graph g = network();
    const auto constant = [&](const char* name, float value) {
      return g.add_constant(name, Tensor::from<float>({16}, std::vector<float>(16, value)));
    };
    const ValueId gamma = constant("gamma", 1), beta = constant("beta", 0), mean = constant("mean", 0),
                  variance = constant("variance", 1);
    const ValueId c = g.find_value("c");
    g.add_node("BatchNormalization", {c, gamma, beta, mean, variance}, {"n"}, {}, "stem/norm");
    const ValueId n = g.find_value("n");
    for (Node& node : g.nodes)
      if (node.is("Relu")) node.inputs[0] = n;
    EXPECT_TRUE(g.sort_topologically().is_ok());
    return g;
  }

  // 50 images in batches of 7: the last batch is one image, which two processes cannot share evenly.
  std::string recipe(int epochs, const std::string& more = "") const {
    write("r.yaml",
          "network: {onnx: norm.onnx}\n"
          "train_data: 'npy:x.npy?labels=y.npy'\nval_data: 'npy:x.npy?labels=y.npy'\n"
          "train_dataloader_params: {batch_size: 7, num_workers: 1, drop_last: false}\n"
          "val_dataloader_params: {batch_size: 7}\n"
          "augmentation: {horizontal_flip: 0.5}\nseed: 3\n"
          "training_hyperparams:\n  max_epochs: " +
              std::to_string(epochs) +
              "\n  initial_lr: 0.02\n  clip_grad_norm: 5\n  optimizer_params: {momentum: 0.9}\n" + more);
    return path("r.yaml");
  }

  std::string log(int rank) const { return path("log" + std::to_string(rank)); }

  pid_t start(const std::vector<std::string>& arguments, int rank, int size, int port) const {
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int out = ::open(log(rank).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::setenv("RANK", std::to_string(rank).c_str(), 1);
    ::setenv("WORLD_SIZE", std::to_string(size).c_str(), 1);
    ::setenv("MASTER_ADDR", "127.0.0.1", 1);
    ::setenv("MASTER_PORT", std::to_string(port).c_str(), 1);
    ::setenv("OCTET_PROCESS_TIMEOUT", "20", 1);
    std::vector<char*> argv = {const_cast<char*>(OCTET_BINARY)};
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::execv(OCTET_BINARY, argv.data());
    ::_exit(127);
  }

  std::vector<pid_t> start_two(const std::vector<std::string>& arguments) const {
    const int port = free_port();
    return {start(arguments, 0, 2, port), start(arguments, 1, 2, port)};
  }

  static int code_of(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // Both ran through, and only the first one spoke.
  void expect_two(const std::vector<std::string>& arguments) const {
    const std::vector<pid_t> both = start_two(arguments);
    EXPECT_EQ(code_of(both[0]), 0) << read_text(log(0));
    EXPECT_EQ(code_of(both[1]), 0) << read_text(log(1));
    EXPECT_EQ(read_text(log(1)), "");
  }

  bool wait_for_file(const std::string& name) const {
    for (int i = 0; i < 2000 && !fs::exists(path(name)); ++i) std::this_thread::sleep_for(10ms);
    return fs::exists(path(name));
  }

  void expect_same_epochs(const std::string& a, const std::string& b, double tolerance) const {
    const json one = json::parse(read_text(path(a + "/run.json")))["epochs"];
    const json two = json::parse(read_text(path(b + "/run.json")))["epochs"];
    ASSERT_EQ(one.size(), two.size());
    for (size_t i = 0; i < one.size(); ++i)
      for (const char* figure : {"train_loss", "val_loss"}) {
        const double x = one[i].at(figure).get<double>(), y = two[i].at(figure).get<double>();
        EXPECT_NEAR(x, y, tolerance * std::abs(x)) << figure << " of epoch " << i + 1;
      }
  }
};

TEST_F(ProcessesCli, CalibrationGivesTheSameBytes) {
  const std::vector<std::string> job = {
      "quantize",     path("norm.onnx"), "--data",   "npy:" + path("x.npy") + "?labels=" + path("y.npy"),
      "--calibrator", "entropy",         "--images", "33"};
  std::string line;
  for (const std::string& word : job) line += "'" + word + "' ";
  ASSERT_EQ(octet(line + "-q -o " + path("one")).code, 0);
  std::vector<std::string> shared = job;
  shared.insert(shared.end(), {"-o", path("two")});
  expect_two(shared);
  for (const char* name : {"ranges.json", "plan.json", "model_int8.onnx"})
    EXPECT_TRUE(read_text(path("one/") + name) == read_text(path("two/") + name)) << name;
  const json one = json::parse(read_text(path("one/run.json"))), two = json::parse(read_text(path("two/run.json")));
  EXPECT_EQ(one["quantized"]["top1"], two["quantized"]["top1"]);
  EXPECT_EQ(one["agreement"], two["agreement"]);
}

TEST_F(ProcessesCli, TrainingGivesTheSameLosses) {
  const std::string r = recipe(3);
  ASSERT_EQ(octet("train " + r + " -q -o " + path("one")).code, 0);
  expect_two({"train", r, "-o", path("two")});
  expect_same_epochs("one", "two", 1e-5);
  const json one = json::parse(read_text(path("one/run.json"))), two = json::parse(read_text(path("two/run.json")));
  EXPECT_EQ(one["eval"]["top1"], two["eval"]["top1"]);
}

TEST_F(ProcessesCli, FineTuningGivesTheSameLosses) {
  const std::string r = recipe(20, "batch_norm: {mode: live}\n");
  const std::string data = "npy:" + path("x.npy") + "?labels=" + path("y.npy");
  const Outcome alone =
      octet("qat " + path("norm.onnx") + " --data '" + data + "' --recipe " + r + " -q -o " + path("one"));
  ASSERT_EQ(alone.code, 0) << alone.text;
  expect_two({"qat", path("norm.onnx"), "--data", data, "--recipe", r, "-o", path("two")});
  // A sum that is rounded otherwise may turn a code by one.
  expect_same_epochs("one", "two", 1e-3);
  const json one = json::parse(read_text(path("one/run.json"))), two = json::parse(read_text(path("two/run.json")));
  EXPECT_EQ(one["ptq"]["top1"], two["ptq"]["top1"]);
}

// What the loss is divided by, responsible cells and pixels with a class, is counted over all processes; 19 pictures
// in batches of 7 leave parts of different sizes.
TEST_F(ProcessesCli, LabelsOfBoxesAndMasksGiveTheSameLosses) {
  SceneOptions scenes;
  scenes.images = 19;
  ASSERT_TRUE(write_scenes(path("scenes"), "all", scenes).is_ok());
  ASSERT_TRUE(save_onnx(small_detector(true, 2, 64), path("d.onnx")).is_ok());
  ASSERT_TRUE(save_onnx(small_segmenter(2, 64, true), path("s.onnx")).is_ok());
  for (bool detection : {true, false}) {
    const std::string name = detection ? "d" : "s";
    const std::string data = detection
                                 ? "'yolo:scenes?split=all&scale=1/255&decoder=yolox'"
                                 : "'masks:scenes?split=all&scale=1/255&resize=letterbox_centre&width=64&height=64'";
    write(name + ".yaml", "task: " + std::string(detection ? "detection" : "segmentation") +
                              "\nnetwork: {onnx: " + name + ".onnx}\ntrain_data: " + data + "\nval_data: " + data +
                              "\ntrain_dataloader_params: {batch_size: 7, num_workers: 1, drop_last: false}\n"
                              "val_dataloader_params: {batch_size: 7}\nseed: 3\n"
                              "augmentation: {random_affine: {scale: [0.5, 1.2], translate: 0.3}}\n"
                              "training_hyperparams: {max_epochs: 3, initial_lr: 0.01, clip_grad_norm: 5, "
                              "criterion_params: {dice_weight: 0.5}}\n");
    ASSERT_EQ(octet("train " + path(name + ".yaml") + " -q -o " + path(name + "1")).code, 0);
    expect_two({"train", path(name + ".yaml"), "-o", path(name + "2")});
    expect_same_epochs(name + "1", name + "2", 2e-5);
    const json one = json::parse(read_text(path(name + "1/run.json"))),
               two = json::parse(read_text(path(name + "2/run.json")));
    for (size_t i = 0; i < 3; ++i) {
      const std::string figure = detection ? "val_map50" : "val_miou";
      EXPECT_NEAR(one["epochs"][i][figure].get<double>(), two["epochs"][i][figure].get<double>(), 0.05);
    }
  }
}

TEST_F(ProcessesCli, ALostProcessEndsTheJobAndTheCheckpointStays) {
  const std::string r = recipe(100000, "checkpoints: {every_epochs: 1, tensorboard: false}\n");
  const std::vector<pid_t> both = start_two({"train", r, "-o", path("o"), "-q"});
  ASSERT_TRUE(wait_for_file("o/checkpoint.bin")) << read_text(log(0));
  ::kill(both[1], SIGKILL);
  const auto begin = Clock::now();
  EXPECT_EQ(code_of(both[0]), 6);
  EXPECT_LT(Clock::now() - begin, 15s);
  (void)code_of(both[1]);
  const std::string said = read_text(log(0));
  EXPECT_LE(std::count(said.begin(), said.end(), '\n'), 1) << said;
  for (const char* word : {"process 1 of 2 was lost", "--resume"})
    EXPECT_NE(said.find(word), std::string::npos) << said;
  // One process goes on from it.
  const std::vector<pid_t> rest = {start({"train", r, "-o", path("o"), "--resume"}, 0, 1, 1)};
  for (int i = 0; i < 1000 && read_text(log(0)).find("epoch") == std::string::npos; ++i)
    std::this_thread::sleep_for(10ms);
  ::kill(rest[0], SIGINT);
  EXPECT_EQ(code_of(rest[0]), 130);
  EXPECT_EQ(read_text(log(0)).find("epoch 1/"), std::string::npos) << read_text(log(0));
}

TEST_F(ProcessesCli, TheFirstProcessLostIsNamedToo) {
  const std::vector<pid_t> both = start_two({"train", recipe(100000), "-o", path("o"), "-q"});
  ASSERT_TRUE(wait_for_file("o/checkpoint.bin")) << read_text(log(0));
  ::kill(both[0], SIGKILL);
  EXPECT_EQ(code_of(both[1]), 6);
  (void)code_of(both[0]);
  EXPECT_NE(read_text(log(1)).find("process 0 of 2 was lost"), std::string::npos) << read_text(log(1));
}

TEST_F(ProcessesCli, AnInterruptionOfAllIsOneCheckpointThatTwoResume) {
  const std::string r = recipe(6, "checkpoints: {every_epochs: 100}\n");
  ASSERT_EQ(octet("train " + r + " -q -o " + path("one")).code, 0);
  const std::vector<pid_t> both = start_two({"train", r, "-o", path("two")});
  for (int i = 0; i < 2000 && read_text(log(0)).find("epoch 1/") == std::string::npos; ++i)
    std::this_thread::sleep_for(2ms);
  for (pid_t child : both) ::kill(child, SIGINT);
  EXPECT_EQ(code_of(both[0]), 130) << read_text(log(0));
  EXPECT_EQ(code_of(both[1]), 130) << read_text(log(1));
  EXPECT_NE(read_text(log(0)).find("interrupted in epoch"), std::string::npos) << read_text(log(0));
  EXPECT_EQ(read_text(log(1)), "");
  expect_two({"train", r, "-o", path("two"), "--resume"});
  expect_same_epochs("one", "two", 1e-5);
}

TEST_F(ProcessesCli, WrongVariablesAndErrorsAreOneSentence) {
  const std::string train = "train " + recipe(2) + " -o " + path("o");
  expect_refusal(octet(train, "RANK=2 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=1"), 2, {"RANK=2"});
  expect_refusal(octet(train, "RANK=0 WORLD_SIZE=2"), 2, {"MASTER_ADDR"});
  expect_refusal(octet("quantize " + model_ + " -o " + path("o"), "RANK=0"), 2, {"WORLD_SIZE"});
  const std::string lonely = "RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 OCTET_PROCESS_TIMEOUT=1 MASTER_PORT=";
  expect_refusal(octet(train, lonely + std::to_string(free_port())), 6, {"within 1 s", "MASTER_ADDR"});
  // What goes wrong everywhere is said once.
  const std::vector<pid_t> both = start_two({"train", path("missing.yaml"), "-o", path("o")});
  EXPECT_EQ(code_of(both[0]), 3);
  EXPECT_EQ(code_of(both[1]), 3);
  EXPECT_NE(read_text(log(0)).find("missing.yaml"), std::string::npos);
  EXPECT_EQ(read_text(log(1)), "");
}

}  // namespace
}  // namespace octet::test
