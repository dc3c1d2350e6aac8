#include "cli/training_output.h"

#include <fmt/format.h>

namespace octet::cli {

std::function<void(const EpochRecord&)> epoch_printer(const Common& common, int epochs) {
  if (!common.talks()) return {};
  return [epochs](const EpochRecord& e) {
    std::string line = fmt::format("epoch {}/{}  lr {:.3g}  loss {:.4f}", e.epoch, epochs, e.lr, e.train_loss);
    if (e.val_loss) line += fmt::format("  val loss {:.4f}", *e.val_loss);
    if (e.val_top1) line += fmt::format("  top-1 {:.2f} %", *e.val_top1);
    if (e.val_map50) line += fmt::format("  mAP@0.5 {:.2f} %", *e.val_map50);
    if (e.val_map) line += fmt::format("  mAP@[.5:.95] {:.2f} %", *e.val_map);
    if (e.val_miou) line += fmt::format("  mIoU {:.2f} %", *e.val_miou);
    fmt::print("{}  {:.0f} images/s  {:.1f} s{}\n", line, e.images_per_second, e.seconds, e.best ? "  *" : "");
    std::fflush(stdout);
  };
}

void print_changes(const ModifiedRecipe& modified) {
  Table table({"recipe for fine-tuning", "<was", "<is", "<why"});
  for (const RecipeChange& c : modified.changes) table.add({c.key, c.before, c.after, c.why});
  fmt::print("{}", table.to_string());
  print_notes(modified.notes);
  fmt::print("\n");
}

void print_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) fmt::print("note: {}\n", note);
}

}  // namespace octet::cli
