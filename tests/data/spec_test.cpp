#include <gtest/gtest.h>

#include "test_files.h"

namespace octet::test {
namespace {

std::string spec_error(const std::string& text) {
  const auto spec = load_data_spec(text);
  return spec.is_ok() ? "" : spec.status().message();
}

TEST(Spec, InlineFormWithKeys) {
  const DataSpec s =
      spec_of("cifar10:/d/c?split=train&scale=1/255&mean=0.5,0.25,0&std=1&subset=64&seed=9&shuffle=true");
  EXPECT_EQ(s.kind, DataKind::kCifar10);
  EXPECT_EQ(s.path, "/d/c");
  EXPECT_EQ(s.split, "train");
  EXPECT_DOUBLE_EQ(*s.preprocess.scale, 1.0 / 255);
  EXPECT_EQ(s.preprocess.mean, (std::vector<double>{0.5, 0.25, 0}));
  EXPECT_EQ(s.subset, 64);
  EXPECT_EQ(s.seed, 9u);
  EXPECT_TRUE(s.shuffle);
  EXPECT_EQ(spec_of("npz:a.npz?inputs.image=x0").inputs.at("image"), "x0");
  const DataSpec y =
      spec_of("yolo:d?decoder=fastestdet&nms_iou=0.5&confidence=0.1&crop=20,10&resize=letterbox_centre");
  EXPECT_EQ(y.detection.decoder, Decoder::kFastestDet);
  EXPECT_DOUBLE_EQ(*y.detection.nms_iou, 0.5);
  EXPECT_EQ(*y.preprocess.crop_width, 20);
  EXPECT_EQ(*y.preprocess.crop_height, 10);
}

TEST(Spec, YamlFormMeansTheSame) {
  const TempFolder folder;
  const std::string path = folder.write("d.yaml",
                                        "kind: folder\npath: val\nsplit: test\nlabels: l.txt\nsubset: 5\n"
                                        "preprocess:\n  resize: shorter_side\n  size: 40\n  crop: [32, 24]\n"
                                        "  interpolation: nearest\n  scale: 1/255\n  mean: [0.1, 0.2, 0.3]\n"
                                        "  std: 0.5\n  order: bgr\n  layout: nhwc\n  dtype: uint8\n  fill: 7\n"
                                        "inputs: {a: b}\ndetection: {decoder: yolox, max_detections: 3}\n");
  const DataSpec s = spec_of(path);
  EXPECT_EQ(s.kind, DataKind::kFolder);
  EXPECT_EQ(s.path, folder / "val");
  EXPECT_EQ(s.labels, folder / "l.txt");
  EXPECT_EQ(*s.preprocess.resize, ResizeMode::kShorterSide);
  EXPECT_EQ(*s.preprocess.size, 40);
  EXPECT_EQ(*s.preprocess.crop_width, 32);
  EXPECT_EQ(*s.preprocess.crop_height, 24);
  EXPECT_EQ(*s.preprocess.interpolation, Interpolation::kNearest);
  EXPECT_EQ(s.preprocess.std, (std::vector<double>{0.5}));
  EXPECT_EQ(*s.preprocess.order, ChannelOrder::kBgr);
  EXPECT_EQ(*s.preprocess.layout, Layout::kNhwc);
  EXPECT_EQ(s.preprocess.dtype, DType::kUint8);
  EXPECT_EQ(*s.preprocess.fill, 7);
  EXPECT_EQ(s.inputs.at("a"), "b");
  EXPECT_EQ(s.detection.decoder, Decoder::kYolox);
  EXPECT_EQ(s.detection.max_detections, 3);
  // In an npz the labels name an array, not a file beside the YAML.
  EXPECT_EQ(spec_of(folder.write("n.yaml", "kind: npz\npath: /a.npz\nlabels: y\n")).labels, "y");
}

TEST(Spec, UnknownKeysNameFileLineAndNearMisses) {
  const TempFolder folder;
  const std::string path = folder.write("d.yaml", "kind: folder\npath: x\npreprocess:\n  resise: stretch\n");
  EXPECT_EQ(spec_error(path), path + ":4: unknown key 'resise'. Did you mean 'resize'?");
  const std::string top = folder.write("t.yaml", "kind: folder\npth: x\n");
  EXPECT_NE(spec_error(top).find(top + ":2: unknown key 'pth'. Did you mean 'path'"), std::string::npos);
  const std::string null = folder.write("e.yaml", "kind: folder\npath: x\nlabels: ~\nlabel: ~\n");
  EXPECT_NE(spec_error(null).find(":4: unknown key 'label'. Did you mean 'labels'"), std::string::npos);
  const std::string map = folder.write("p.yaml", "kind: folder\npath: x\npreproc: {scale: 1}\n");
  EXPECT_NE(spec_error(map).find(":3: unknown key 'preproc'. Did you mean 'preprocess'"), std::string::npos);
  EXPECT_EQ(load_data_spec("cifar10:/x?sclae=1").status().code(), load_data_spec(map).status().code());
  EXPECT_EQ(load_data_spec(map).status().code(), StatusCode::kInvalidArgument);
  const std::string misplaced = folder.write("m.yaml", "kind: folder\npath: x\nscale: 2\n");
  EXPECT_NE(spec_error(misplaced).find(":3: the key 'scale' belongs under 'preprocess'"), std::string::npos);
  EXPECT_NE(spec_error("cifar10:/x?sclae=1").find("Did you mean 'scale'"), std::string::npos);
}

struct BadSpec {
  const char* text;
  const char* part;
};

class BadSpecs : public testing::TestWithParam<BadSpec> {};

TEST_P(BadSpecs, AreRefusedWithASentence) {
  const std::string message = spec_error(GetParam().text);
  EXPECT_NE(message.find(GetParam().part), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(
    Spec, BadSpecs,
    testing::Values(BadSpec{"", "there is no data spec"}, BadSpec{"/tmp", "is a folder; say what it holds"},
                    BadSpec{"cifar:/x", "Did you mean 'cifar10'"}, BadSpec{"a.npz", "write 'npz:a.npz'"},
                    BadSpec{"nowhere", "there is no data spec 'nowhere'"},
                    BadSpec{"none.yaml", "there is no file 'none.yaml'"}, BadSpec{"folder:", "has no 'path'"},
                    BadSpec{"folder:x?mean=0.5", "without 'scale'"},
                    BadSpec{"folder:x?scale=1&std=0", "'std' must not be 0"},
                    BadSpec{"folder:x?scale=1/0", "expected a number or a fraction"},
                    BadSpec{"folder:x?scale=nan", "expected a number or a fraction"},
                    BadSpec{"folder:x?crop=0", "from 1 to 16384"}, BadSpec{"folder:x?width=99999", "from 1 to 16384"},
                    BadSpec{"folder:x?crop=1,2,3", "expected one side or [width, height]"},
                    BadSpec{"folder:x?subset=-1", "whole number"}, BadSpec{"folder:x?seed=1x", "whole number"},
                    BadSpec{"folder:x?shuffle=maybe", "expected true or false"},
                    BadSpec{"folder:x?fill=256", "from 0 to 255"}, BadSpec{"folder:x?dtype=float33", "float32"},
                    BadSpec{"folder:x?dtype=int4", "is not one of"},
                    BadSpec{"folder:x?resize=strech", "Did you mean 'stretch'"},
                    BadSpec{"folder:x?resize=stretch&size=4", "'size' is only for"},
                    BadSpec{"yolo:x?confidence=2", "from 0 to 1"}, BadSpec{"yolo:x?decoder=yolov5", "is not one of"},
                    BadSpec{"folder:x?split", "not of the form key=value"}));

TEST(Spec, YamlThatIsNoMapOrLacksKind) {
  const TempFolder folder;
  EXPECT_NE(spec_error(folder.write("l.yaml", "- a\n")).find("must be a map"), std::string::npos);
  EXPECT_NE(spec_error(folder.write("k.yaml", "path: a\n")).find("has no 'kind'"), std::string::npos);
  EXPECT_NE(spec_error(folder.write("b.yaml", "kind: [\n")).find("not valid YAML"), std::string::npos);
  EXPECT_NE(spec_error(folder.write("n.yaml", "kind: folder\npath: {a: b}\n")).find(":2: "), std::string::npos);
}

}  // namespace
}  // namespace octet::test
