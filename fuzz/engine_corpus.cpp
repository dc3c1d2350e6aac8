// Writes the first inputs of octet_fuzz_engine: the small networks of tests/engine with every convolution kernel.
#include <cstdio>

#include "engine/test_programs.h"
#include "kernels/cpu/features.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: octet_engine_corpus FOLDER\n");
    return 2;
  }
  const std::string folder = argv[1];
  octet::Status status;
  const auto save = [&](octet::test::ProgramBuilder builder, const std::string& name) {
    if (status.is_ok()) status = octet::engine::save_program(builder.finish(), folder + "/" + name + ".octet");
  };
  for (const octet::cpu::ConvKernel* kernel : octet::cpu::conv_kernels())
    if ((kernel->features() & ~octet::cpu::cpu_features()) == 0)
      save(octet::test::residual_network(std::string(kernel->name())), std::string(kernel->name()));
  save(octet::test::island_network(false), "island");
  save(octet::test::island_network(true), "island_heavy");
  save(octet::test::attention_network(), "attention");
  if (!status.is_ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.is_ok() ? 0 : 1;
}
