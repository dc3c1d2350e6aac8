// A training run on disk: everything that makes the next step the same as if the run had never stopped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "octet/train.h"
#include "training/module.h"

namespace octet::training {

struct Checkpoint {
  // What it belongs to.
  std::string network;  // fingerprint of the graph that training began with, and of the plan
  std::string recipe;   // describe_training(), and the size of the data
  // Where it stands.
  int64_t step = 0;  // batches done
  int64_t optimizer_steps = 0, averaged_updates = 0;
  double loss_sum = 0;  // of the current epoch
  int64_t loss_count = 0;
  double seconds = 0;
  int best_epoch = 0;
  double best_score = 0;
  std::vector<EpochRecord> epochs;
  // What it holds.
  std::string module;       // TrainableModule::save_state()
  std::string best_module;  // of the best epoch; empty before the first
  std::vector<NamedTensor> optimizer, averaged;
};

Result<std::string> encode_checkpoint(const Checkpoint& checkpoint);
// Damaged bytes are kDataCorrupt; nothing is allocated that the file does not hold.
Result<Checkpoint> decode_checkpoint(std::string_view bytes);

// kInvalidArgument, in one sentence, when a checkpoint belongs to another network or recipe.
Status check_belongs(const Checkpoint& checkpoint, const std::string& network, const std::string& recipe);

}  // namespace octet::training
