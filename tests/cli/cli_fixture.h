// Starts the command in a folder of its own, with a small network and data in it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "octet/onnx.h"
#include "support/random_graph.h"

namespace octet::test {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string text;  // stdout and stderr
};

inline Outcome octet(const std::string& arguments, const std::string& prefix = "") {
  const std::string command = "( " + prefix + " " + OCTET_BINARY + " " + arguments + " ) 2>&1";
  Outcome out;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  std::array<char, 4096> buffer{};
  for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) out.text.append(buffer.data(), n);
  const int status = pclose(pipe);
  out.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return out;
}

// One plain sentence, not a stack trace, with the words a person needs.
inline void expect_refusal(const Outcome& out, int code, const std::vector<std::string>& words) {
  EXPECT_EQ(out.code, code) << out.text;
  EXPECT_LE(std::count(out.text.begin(), out.text.end(), '\n'), 2) << out.text;
  for (const std::string& word : words)
    EXPECT_NE(out.text.find(word), std::string::npos) << "'" << word << "' not in: " << out.text;
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class Cli : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("octet-cli-" + std::to_string(::getpid()) + "-" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    model_ = path("net.onnx");
    ASSERT_TRUE(save_onnx(network(), model_).is_ok());
    write_npz_pair(40, 4);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A process that runs the command; its output is thrown away.
  pid_t start(const std::vector<std::string>& arguments) const {
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, 1);
    ::dup2(nothing, 2);
    std::vector<char*> argv = {const_cast<char*>(OCTET_BINARY)};
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::execv(OCTET_BINARY, argv.data());
    ::_exit(127);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string data() const { return "'npy:" + path("x.npy") + "?labels=" + path("y.npy") + "'"; }
  std::string data_of(const std::string& images) const { return "npy:" + path(images); }

  // 3x8x8 -> conv, relu, pool -> 4 classes, weights from a seed.
  static Graph network(float weight_fill = 0) {
    Graph g;
    g.name = "cli";
    Random random(4);
    const ValueId x = g.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(3), Dim::of(8), Dim::of(8)});
    g.inputs = {x};
    Tensor w = random_tensor(random, {16, 3, 3, 3});
    if (weight_fill != 0) w.data<float>()[5] = weight_fill;
    const ValueId wid = g.add_constant("w", w), fc = g.add_constant("fc", random_tensor(random, {4, 16}));
    const auto node = [&](const char* op, std::vector<ValueId> in, const char* out, Attributes a = {},
                          const char* name = "") {
      g.add_node(op, std::move(in), {out}, std::move(a), name);
      return g.find_value(out);
    };
    const ValueId c = node("Conv", {x, wid}, "c", {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}, "stem/conv");
    const ValueId r = node("Relu", {c}, "r");
    const ValueId p = node("GlobalAveragePool", {r}, "p");
    const ValueId f = node("Flatten", {p}, "f");
    const ValueId y = node("Gemm", {f, fc}, "y", {{"transB", int64_t{1}}}, "head/fc");
    g.value(y).dtype = DType::kFloat32;
    g.outputs = {y};
    return g;
  }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
  }

  void write_npy(const std::string& name, const std::string& descr, const std::string& shape,
                 const std::string& bytes) const {
    std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
    header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
    header += '\n';
    std::string file("\x93NUMPY\x01\x00", 8);
    file += static_cast<char>(header.size() & 0xff);
    file += static_cast<char>(header.size() >> 8);
    write(name, file + header + bytes);
  }

  void write_npz_pair(int64_t count, int64_t classes, double scale = 1) const {
    Random random(9);
    const Tensor x = random_tensor(random, {count, 3, 8, 8}, -scale, scale);
    write_npy("x.npy", "<f4", "(" + std::to_string(count) + ", 3, 8, 8)",
              {x.data<char>(), static_cast<size_t>(x.nbytes())});
    std::string labels;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t v = i % classes;
      labels.append(reinterpret_cast<const char*>(&v), 8);
    }
    write_npy("y.npy", "<i8", "(" + std::to_string(count) + ",)", labels);
  }

  fs::path folder_;
  std::string model_;
};

}  // namespace octet::test
