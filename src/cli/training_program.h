// The commands that need LibTorch are a program of their own beside this one: loading LibTorch takes half a second
// and 200 MB, which no other command should pay.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

namespace octet::cli {

// Lists the commands in `octet --help`.
void add_training_commands(CLI::App& app);

// Becomes octet-training when the command line asks for one of its commands, or for `quantize` as one process of
// several, and does not return then; without that
// program says so and gives kNotSupported. nullopt for all other commands.
std::optional<int> run_training_program(int argc, char** argv);

}  // namespace octet::cli
