// One small graph or more for every operator, in the text form.
#pragma once

#include <string>
#include <vector>

namespace octet::test {

struct OpCase {
  int opset;
  std::string body;  // without header and outputs: those of the last node count
};

// Symbols N, H and S stand for 2, 6 and 4.
std::vector<OpCase> every_op();

}  // namespace octet::test
