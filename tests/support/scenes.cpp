#include "support/scenes.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/counter_random.h"
#include "data/image.h"
#include "octet/data.h"

namespace octet::test {
namespace {

namespace fs = std::filesystem;

constexpr uint8_t kForeground = 40;  // an article's pixels that are brighter belong to it

// Brightness of the thing in its own rectangle, 0 where the canvas shows.
struct Thing {
  Image pixels;  // gray
  int64_t label = 0;
  bool covers(int x, int y) const { return pixels.row(y)[x] > kForeground; }
};

Thing draw_shape(int side, CounterRandom& random) {
  const auto length = [&] { return side / 4 + static_cast<int>(random.below(static_cast<uint64_t>(side / 4 + 1))); };
  Thing thing;
  thing.label = static_cast<int64_t>(random.below(2));
  const int w = length(), h = thing.label == 0 ? w : length();
  const auto shade = static_cast<uint8_t>(140 + random.below(100));
  thing.pixels = Image::filled(w, h, 1, shade);
  if (thing.label == 1) return thing;
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      const double dx = (x + 0.5) / w - 0.5, dy = (y + 0.5) / h - 0.5;
      if (dx * dx + dy * dy > 0.25) thing.pixels.row(y)[x] = 0;
    }
  return thing;
}

Result<Thing> draw_article(const Dataset& articles, CounterRandom& random) {
  const auto index = static_cast<int64_t>(random.below(static_cast<uint64_t>(articles.size())));
  OCTET_ASSIGN(const Sample sample, articles.get(index));
  Image image = Image::filled(28, 28, 1);
  std::copy_n(sample.inputs[0].data<uint8_t>(), 28 * 28, image.pixels.begin());
  const int side = 28 + static_cast<int>(random.below(29));
  return Thing{resize_image(image, side, side, Interpolation::kBilinear), sample.label};
}

struct Rectangle {
  int left, top, width, height;
  bool meets(const Rectangle& o) const {
    return left < o.left + o.width && o.left < left + width && top < o.top + o.height && o.top < top + height;
  }
};

// One picture, its mask and its label lines.
struct Scene {
  Image picture, mask;
  std::string labels;
};

Image noisy_canvas(int side, CounterRandom& random) {
  Image canvas = Image::filled(side, side, 3);
  const double base[3] = {random.uniform(20, 90), random.uniform(20, 90), random.uniform(20, 90)};
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      for (int c = 0; c < 3; ++c) canvas.row(y)[3 * x + c] = static_cast<uint8_t>(base[c] + random.uniform(-20, 20));
  return canvas;
}

void put(const Thing& thing, int left, int top, bool class_masks, Scene* scene) {
  int x0 = thing.pixels.width, x1 = 0, y0 = thing.pixels.height, y1 = 0;
  for (int y = 0; y < thing.pixels.height; ++y)
    for (int x = 0; x < thing.pixels.width; ++x) {
      if (!thing.covers(x, y)) continue;
      std::fill_n(scene->picture.row(top + y) + 3 * (left + x), 3, thing.pixels.row(y)[x]);
      scene->mask.row(top + y)[left + x] = static_cast<uint8_t>(class_masks ? 1 + thing.label : 1);
      x0 = std::min(x0, x);
      x1 = std::max(x1, x + 1);
      y0 = std::min(y0, y);
      y1 = std::max(y1, y + 1);
    }
  if (x1 <= x0) return;
  const double side = scene->picture.width;
  char line[128];
  std::snprintf(line, sizeof line, "%d %.6f %.6f %.6f %.6f\n", static_cast<int>(thing.label),
                (left + (x0 + x1) / 2.0) / side, (top + (y0 + y1) / 2.0) / side, (x1 - x0) / side, (y1 - y0) / side);
  scene->labels += line;
}

Result<Scene> draw_scene(const SceneOptions& o, const Dataset* articles, CounterRandom random) {
  Scene scene{noisy_canvas(o.side, random), Image::filled(o.side, o.side, 1), ""};
  std::vector<Rectangle> taken;
  const auto things = 1 + random.below(static_cast<uint64_t>(o.most_things));
  for (uint64_t i = 0; i < things; ++i) {
    Thing thing;
    if (articles == nullptr) thing = draw_shape(o.side, random);
    else {
      OCTET_ASSIGN(thing, draw_article(*articles, random));
    }
    for (int attempt = 0; attempt < 20; ++attempt) {
      const int w = thing.pixels.width, h = thing.pixels.height;
      if (w > o.side || h > o.side) break;
      const Rectangle at{static_cast<int>(random.below(static_cast<uint64_t>(o.side - w + 1))),
                         static_cast<int>(random.below(static_cast<uint64_t>(o.side - h + 1))), w, h};
      if (std::any_of(taken.begin(), taken.end(), [&](const Rectangle& other) { return at.meets(other); })) continue;
      taken.push_back(at);
      put(thing, at.left, at.top, o.class_masks, &scene);
      break;
    }
  }
  return scene;
}

Status write_png(const fs::path& path, const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format =
      image.channels == 1 ? static_cast<png_uint_32>(PNG_FORMAT_GRAY) : static_cast<png_uint_32>(PNG_FORMAT_RGB);
  if (png_image_write_to_file(&png, path.c_str(), 0, image.pixels.data(), 0, nullptr) == 0)
    return io_error("cannot write '" + path.string() + "'");
  return Status::ok();
}

}  // namespace

Status write_scenes(const std::string& folder, const std::string& split, const SceneOptions& o) {
  std::unique_ptr<Dataset> articles;
  if (!o.articles.empty()) {
    OCTET_ASSIGN(const DataSpec spec, load_data_spec("idx:" + o.articles + "?dtype=uint8&split=" + o.split));
    OCTET_ASSIGN(articles, open_dataset(spec, {{"x", DType::kUint8, {}}}));
  }
  const fs::path root(folder);
  std::error_code error;
  for (const char* kind : {"images", "labels", "masks"}) fs::create_directories(root / kind / split, error);
  for (int64_t i = 0; i < o.images; ++i) {
    OCTET_ASSIGN(const Scene scene, draw_scene(o, articles.get(), CounterRandom({o.seed, static_cast<uint64_t>(i)})));
    char name[16];
    std::snprintf(name, sizeof name, "%06d", static_cast<int>(i));
    OCTET_RETURN_IF_ERROR(write_png(root / "images" / split / (std::string(name) + ".png"), scene.picture));
    OCTET_RETURN_IF_ERROR(write_png(root / "masks" / split / (std::string(name) + ".png"), scene.mask));
    std::ofstream labels(root / "labels" / split / (std::string(name) + ".txt"));
    labels << scene.labels;
    if (!labels.good()) return io_error("cannot write the labels of '" + folder + "'");
  }
  return Status::ok();
}

}  // namespace octet::test
