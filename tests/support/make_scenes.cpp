// Writes pictures of scenes.h to a folder, to train on by hand:
//   octet_make_scenes FOLDER SPLIT IMAGES SIDE SEED [FASHION_MNIST_FOLDER train|test [classes]]
#include <cstdio>
#include <cstdlib>

#include "support/scenes.h"

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: %s FOLDER SPLIT IMAGES SIDE SEED [FASHION_MNIST_FOLDER train|test [classes]]\n",
                 argv[0]);
    return 2;
  }
  octet::test::SceneOptions options;
  options.images = std::atoll(argv[3]);
  options.side = std::atoi(argv[4]);
  options.seed = std::strtoull(argv[5], nullptr, 10);
  if (argc > 7) {
    options.articles = argv[6];
    options.split = argv[7];
  }
  options.class_masks = argc > 8;
  const octet::Status status = octet::test::write_scenes(argv[1], argv[2], options);
  if (!status.is_ok()) std::fprintf(stderr, "error: %s\n", status.message().c_str());
  return status.is_ok() ? 0 : 1;
}
