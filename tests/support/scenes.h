// Pictures with known contents, made when a test runs: things on a noisy canvas, their boxes and their pixels.
#pragma once

#include <cstdint>
#include <string>

#include "octet/status.h"

namespace octet::test {

struct SceneOptions {
  int64_t images = 16;
  int side = 64;
  int most_things = 3;
  uint64_t seed = 1;
  // Folder of Fashion-MNIST, whose articles (10 classes, in their own size up to twice of it) are the things; empty:
  // discs and rectangles of a quarter to half of the side, classes 0 and 1.
  std::string articles;
  std::string split = "test";  // of the articles
  bool class_masks = false;    // masks hold 1 + class instead of 1; 0 is the canvas in both
};

// Writes NAME.png to FOLDER/images/SPLIT and FOLDER/masks/SPLIT and NAME.txt to FOLDER/labels/SPLIT: data of the
// kinds yolo and masks. Things do not overlap. The same options give the same bytes.
Status write_scenes(const std::string& folder, const std::string& split, const SceneOptions& options);

}  // namespace octet::test
