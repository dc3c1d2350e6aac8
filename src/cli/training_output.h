// What training shows on the terminal.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "octet/train.h"

namespace octet::cli {

// A line to stdout for each epoch, unless --json or --quiet.
std::function<void(const EpochRecord&)> epoch_printer(const Common& common, int epochs);
void print_changes(const ModifiedRecipe& modified);
void print_notes(const std::vector<std::string>& notes);

}  // namespace octet::cli
