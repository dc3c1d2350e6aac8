// octet train and octet qat where octet-training is not: one sentence, exit code 4.
#include "cli_fixture.h"

namespace octet::test {
namespace {

TEST_F(Cli, WithoutLibTorchTrainingSaysHowToGetIt) {
  const std::string alone = path("octet");
  fs::copy_file(OCTET_BINARY, alone);
  for (const char* arguments :
       {" train fashion_mnist_resnet20 -o x", " qat net.onnx --data idx:x", " train --help"}) {
    Outcome out;
    FILE* pipe = popen((alone + arguments + " 2>&1").c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::array<char, 4096> buffer{};
    for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) out.text.append(buffer.data(), n);
    out.code = WEXITSTATUS(pclose(pipe));
    expect_refusal(out, 4, {"LibTorch", "libtorch-dev", "OCTET_TRAINING=ON"});
  }
  EXPECT_NE(octet("--help").text.find("train"), std::string::npos);
}

}  // namespace
}  // namespace octet::test
