// Recipes: the original project's blocks as they are, Octet's own keys, and every mistake with its line.
#include "octet/recipe.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace octet {
namespace {

QuantizationOptions read(const std::string& text) {
  const auto options = parse_recipe(text, "r.yaml");
  EXPECT_TRUE(options.is_ok()) << options.status().message();
  return options.is_ok() ? *options : QuantizationOptions{};
}

std::string error(const std::string& text) {
  const auto options = parse_recipe(text, "r.yaml");
  EXPECT_FALSE(options.is_ok()) << text;
  return options.status().message();
}

bool any_note(const QuantizationOptions& o, const std::string& words) {
  for (const std::string& note : o.notes)
    if (note.find(words) != std::string::npos) return true;
  return false;
}

TEST(Recipe, TheFineTuningKeysLoadWithoutTheirList) {
  const std::string keys =
      "batch_size_divisor: 4\nmax_epochs_divisor: 5\nlr_decay_factor: 0.1\nwarmup_epochs_divisor: 7\n"
      "cosine_final_lr_ratio: 0.2\ndisable_phase_callbacks: False\ndisable_augmentations: True\n";
  std::string nested = "QATRecipeModificationCallback:\n";
  std::string line;
  for (std::istringstream in(keys); std::getline(in, line);) nested += "  " + line + "\n";
  for (const std::string& text : {keys, nested}) {
    const QuantizationOptions o = read(text);
    ASSERT_TRUE(o.qat.has_value()) << text;
    EXPECT_EQ(*o.qat, (QatOptions{4, 5, 0.1, 7, 0.2, false, true}));
    EXPECT_TRUE(any_note(o, "fine-tuning"));
  }
  EXPECT_TRUE(read("QATRecipeModificationCallback:\n").qat.has_value());
  EXPECT_NE(error("batch_size_divisor: 0\n").find("r.yaml:1"), std::string::npos);
  EXPECT_NE(error("batch_size_diviser: 2\n").find("batch_size_divisor"), std::string::npos);
}

TEST(Recipe, RepairIsAListOrAMap) {
  const RepairOptions list = read("repair: [cross_layer_equalization, bias_correction]\n").repair;
  EXPECT_TRUE(list.cross_layer_equalization && list.bias_correction);
  EXPECT_FALSE(list.smooth_quant || list.bias_absorption || list.adaround || list.gptq);
  EXPECT_TRUE(read("repair: gptq\n").repair.gptq.has_value());
  const RepairOptions map = read(
                                "repair:\n  adaround: {iterations: 50, regularization: 0.5}\n"
                                "  bias_correction: {method: analytic}\n  smooth_quant:\n  bias_absorption: false\n"
                                "  cross_layer_equalization: true\n  images: 7\n")
                                .repair;
  ASSERT_TRUE(map.adaround && map.bias_correction && map.smooth_quant && map.cross_layer_equalization);
  EXPECT_FALSE(map.bias_absorption.has_value());
  EXPECT_EQ(map.adaround->iterations, 50);
  EXPECT_EQ(map.adaround->regularization, 0.5);
  EXPECT_EQ(map.adaround->warm_start, AdaRoundOptions{}.warm_start);
  EXPECT_TRUE(map.bias_correction->analytic);
  EXPECT_EQ(map.images, 7);
  EXPECT_FALSE(read("repair:\n").repair.any());
}

TEST(Recipe, RepairMistakesHaveTheirLine) {
  const auto expect = [](const std::string& text, const std::string& place, const std::string& words) {
    const std::string message = error(text);
    EXPECT_NE(message.find(place), std::string::npos) << message;
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  expect("repair: [cross_layer_equalisation]\n", "r.yaml:1", "cross_layer_equalization");
  expect("repair:\n  gptq: {dampning: 1}\n", "r.yaml:2", "damping");
  expect("repair:\n  gptq: {damping: 0}\n", "r.yaml", "damping");
  expect("repair:\n  gptq: maybe\n", "r.yaml:2", "true or false");
  expect("repair:\n  gptq: [1]\n", "r.yaml:2", "map");
  expect("repair:\n  adaruond: true\n", "r.yaml:2", "adaround");
  expect("repair: [gptq, adaround]\n", "r.yaml", "name one of them");
  expect("repair:\n  adaround: {iterations: 0}\n", "r.yaml", "iterations");
  expect("repair:\n  adaround: {iterations: 99999999999}\n", "r.yaml:2", "too large");
  expect("repair:\n  smooth_quant: {alpha: -0.1}\n", "r.yaml", "alpha");
  expect("repair:\n  bias_correction: {method: magic}\n", "r.yaml:2", "empirical or analytic");
  expect("repair:\n  images: -1\n", "r.yaml:2", "negative");
  expect("repair: [{a: b}]\n", "r.yaml", "text");
}

TEST(Recipe, RepairSurvivesTheRoundTrip) {
  const std::string text =
      "repair: {smooth_quant: {alpha: 0.7}, cross_layer_equalization: {max_clipped: 0.02}, bias_absorption: "
      "{deviations: 2},"
      " adaround: {iterations: 9, warm_start: 0.1, beta_start: 10, beta_end: 3}, bias_correction: {method: "
      "analytic}, images: 3}\n";
  const RepairOptions once = read(text).repair;
  EXPECT_EQ(read(recipe_to_yaml(read(text))).repair, once);
  const RepairOptions gptq = read("repair: {gptq: {damping: 0.1, act_order: false}}\n").repair;
  EXPECT_FALSE(gptq.gptq->act_order);
  EXPECT_EQ(read("repair: {gptq: {damping: 0.1, act_order: false}}\n").repair, gptq);
  EXPECT_EQ(recipe_to_yaml(read("regime: naive\n")).find("repair"), std::string::npos);
}

TEST(Recipe, AWholeTrainingRecipeIsReadForItsQuantizationBlock) {
  const std::string training = "defaults:\n  - training_hyperparams: x\n  - _self_\narchitecture: resnet18\n";
  const QuantizationOptions o = read(training + "quantization_params:\n  ptq_only: True\n");
  EXPECT_TRUE(o.ptq_only);
  EXPECT_TRUE(any_note(o, "defaults, architecture")) << o.notes.size();
  const std::string alone = error(training);
  EXPECT_NE(alone.find("r.yaml:"), std::string::npos);
  EXPECT_NE(alone.find("quantization_params"), std::string::npos) << alone;
  EXPECT_NE(error(training + "quantization_params:\n  ptq_only: True\nrulez: []\n").find("rules"), std::string::npos);
}

TEST(Recipe, HistogramOfWeightsMeansTheHistogramMethod) {
  const QuantizationOptions o =
      read("selective_quantizer_params: {calibrator_w: histogram}\ncalib_params: {histogram_calib_method: mse}\n");
  EXPECT_EQ(o.calibrator_w, "histogram");
  EXPECT_TRUE(any_note(o, "histogram means mse"));
  EXPECT_NE(error("calib_params: {histogram_calib_method: histogram}\n").find("name a method"), std::string::npos);
}

TEST(Recipe, TheOriginalBlockLoadsAsItIs) {
  const char* body =
      "ptq_only: True              # whether to launch QAT, or leave PTQ only\n"
      "selective_quantizer_params:\n"
      "  calibrator_w: \"max\"       # calibrator type for weights\n"
      "  calibrator_i: \"histogram\" # calibrator type for inputs\n"
      "  per_channel: True\n"
      "  learn_amax: False\n"
      "  skip_modules: [\"backbone.stem\", \"*.head\"]\n"
      "calib_params:\n"
      "  histogram_calib_method: \"percentile\"\n"
      "  percentile: 99.99\n"
      "  num_calib_batches: 16\n"
      "  verbose: False\n";
  std::string nested = "quantization_params:\n";
  std::string line;
  for (std::istringstream in(body); std::getline(in, line);) nested += "  " + line + "\n";
  for (const std::string& text : {std::string(body), nested}) {
    const QuantizationOptions o = read(text);
    EXPECT_TRUE(o.ptq_only);
    EXPECT_EQ(o.calibrator_w, "max");
    EXPECT_EQ(o.calibrator_i, "histogram");
    EXPECT_TRUE(o.per_channel);
    EXPECT_FALSE(o.learn_amax);
    EXPECT_EQ(o.skip_modules, (std::vector<std::string>{"backbone.stem", "*.head"}));
    EXPECT_EQ(o.histogram_calib_method, "percentile");
    EXPECT_EQ(o.percentile, 99.99);
    EXPECT_EQ(o.num_calib_batches, 16);
    EXPECT_FALSE(o.verbose);
    EXPECT_TRUE(o.notes.empty());
  }
}

TEST(Recipe, EmptySkipModulesAndMissingBlocksMeanDefaults) {
  const QuantizationOptions o =
      read("selective_quantizer_params:\n  calibrator_w: max\n  skip_modules:\ncalib_params:\n");
  EXPECT_TRUE(o.skip_modules.empty());
  EXPECT_EQ(o.percentile, 99.99);
  EXPECT_EQ(read("").regime, Regime::kSelective);
}

TEST(Recipe, TheFineTuningCallbackIsKeptAndNoted) {
  const QuantizationOptions o = read(
      "pre_launch_callbacks_list:\n"
      "    - QATRecipeModificationCallback:\n"
      "        batch_size_divisor: 2\n"
      "        max_epochs_divisor: 10\n"
      "        lr_decay_factor: 0.01\n"
      "        warmup_epochs_divisor: 10\n"
      "        cosine_final_lr_ratio: 0.01\n"
      "        disable_phase_callbacks: True\n"
      "        disable_augmentations: False\n"
      "quantization_params:\n"
      "  selective_quantizer_params: {learn_amax: true}\n");
  ASSERT_TRUE(o.qat.has_value());
  EXPECT_EQ(*o.qat, QatOptions{});
  EXPECT_TRUE(o.learn_amax);
  EXPECT_EQ(o.notes.size(), 2u);
  EXPECT_NE(error("pre_launch_callbacks_list:\n  - OtherCallback:\n      a: 1\n").find("r.yaml:2"),
            std::string::npos);
}

TEST(Recipe, OctetsOwnKeys) {
  const QuantizationOptions o = read(
      "regime: hybrid\ntarget: tensorrt\nbias: int32\nweights: int4\nactivations: int8\nsymmetric: true\n"
      "calibration: {images: 500, batch_size: 8}\n"
      "mappings: {residual_add: quantize_skip, Sigmoid: quantize}\n"
      "rules:\n"
      "  - {name: conv1, skip: true}\n"
      "  - op: Conv\n"
      "    structure: last 2\n"
      "    precision: w4a8\n"
      "    group_size: 32\n"
      "    calibrator_i: histogram\n"
      "    percentile: 99.9\n");
  EXPECT_EQ(o.regime, Regime::kHybrid);
  EXPECT_EQ(o.weights, "int4");
  EXPECT_EQ(o.activations, "int8");
  EXPECT_EQ(o.calib_images, 500);
  EXPECT_EQ(o.mappings.at("Sigmoid"), "quantize");
  ASSERT_EQ(o.rules.size(), 2u);
  EXPECT_EQ(o.rules[0].name, "conv1");
  EXPECT_EQ(o.rules[0].skip, true);
  EXPECT_EQ(o.rules[0].place, "r.yaml:10");
  EXPECT_EQ(o.rules[1].place, "r.yaml:11");
  EXPECT_EQ(o.rules[1].structure, "last 2");
  EXPECT_EQ(o.rules[1].precision, "w4a8");
  EXPECT_EQ(o.rules[1].group_size, 32);
}

struct Mistake {
  const char* text;
  const char* place;
  const char* hint;
};

class Mistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, AreErrorsWithFileAndLine) {
  const std::string said = error(GetParam().text);
  EXPECT_NE(said.find(GetParam().place), std::string::npos) << said;
  EXPECT_NE(said.find(GetParam().hint), std::string::npos) << said;
}

INSTANTIATE_TEST_SUITE_P(
    All, Mistakes,
    ::testing::Values(
        Mistake{"ptq_only: true\nselective_quantiser_params: {}\n", "r.yaml:2", "'selective_quantizer_params'"},
        Mistake{"selective_quantizer_params:\n  calibrator_w: max\n  skip_module: [a]\n", "r.yaml:3",
                "'skip_modules'"},
        Mistake{"selective_quantizer_params:\n  calibrator_i: histgram\n", "r.yaml:2", "'histogram'"},
        Mistake{"selective_quantizer_params:\n  per_channel: maybe\n", "r.yaml:2", "maybe"},
        Mistake{"calib_params:\n  histogram_calib_method: entrophy\n", "r.yaml:2", "'entropy'"},
        Mistake{"calib_params:\n  percentile: 120\n", "r.yaml:2", "100"},
        Mistake{"calib_params:\n  num_calib_batches: 0\n", "r.yaml:2", "one batch"},
        Mistake{"calib_params:\n  num_calib_batches: many\n", "r.yaml:2", "many"},
        Mistake{"regime: selectiv\n", "r.yaml:1", "'selective'"},
        Mistake{"\ntarget: tensorr\n", "r.yaml:2", "'tensorrt'"},
        Mistake{"mappings:\n  residual_ad: float\n", "r.yaml:2", "'residual_add'"},
        Mistake{"mappings:\n  concat: shared\n", "r.yaml:2", "shared_scale"},
        Mistake{"rules:\n  - {op: Conv}\n", "r.yaml:2", "does nothing"},
        Mistake{"rules:\n  - {skip: true}\n", "r.yaml:2", "where it holds"},
        Mistake{"rules:\n  - {op: Conv, skp: true}\n", "r.yaml:2", "'skip'"},
        Mistake{"rules:\n  - {op: Conv, skip: true}\n  - {op: Conv, precision: int9}\n", "r.yaml:3", "'int8'"},
        Mistake{"rules:\n  - {op: Conv, calibrator_w: maxx}\n", "r.yaml:2", "'max'"},
        Mistake{"rules:\n  - {op: Conv, group_size: -4}\n", "r.yaml:2", "group_size"},
        Mistake{"rules: {op: Conv}\n", "r.yaml:1", "list"}, Mistake{"bias: int33\n", "r.yaml:1", "int32"},
        Mistake{"weights: int5\n", "r.yaml", "int4"},
        Mistake{"regime: naive\nrules:\n  - {op: Conv, skip: true}\n", "r.yaml", "naive"},
        Mistake{"quantization_params:\n  calib_param: {}\n", "r.yaml:2", "'calib_params'"},
        Mistake{"a: [1, 2\n", "r.yaml", "YAML"}));

TEST(Recipe, WritesWhatItReads) {
  QuantizationOptions o = read(
      "regime: hybrid\ntarget: onnxruntime\nselective_quantizer_params: {calibrator_i: mse, skip_modules: "
      "[\"it's\"]}\n"
      "mappings: {concat: separate}\nsymmetric: false\nweights: int4\n"
      "rules:\n  - {glob: '*.head', precision: float16, percentile: 99.5}\n  - {structure: stem, mapping: float}\n"
      "pre_launch_callbacks_list: [QATRecipeModificationCallback: {lr_decay_factor: 0.02}]\n");
  const std::string text = recipe_to_yaml(o);
  const QuantizationOptions back = read(text);
  EXPECT_EQ(recipe_to_yaml(back), text);
  EXPECT_EQ(back.skip_modules, o.skip_modules);
  EXPECT_EQ(back.qat->lr_decay_factor, 0.02);
  ASSERT_EQ(back.rules.size(), 2u);
  EXPECT_EQ(back.rules[0].percentile, 99.5);
  EXPECT_EQ(back.symmetric, false);
  EXPECT_EQ(back.weights, "int4");
  EXPECT_EQ(back.calibrator_w, std::nullopt);
}

TEST(Recipe, ShippedRecipesLoadByNameAndByPath) {
  EXPECT_EQ(recipe_names(), (std::vector<std::string>{"default", "hybrid_example", "naive", "selective"}));
  for (const std::string& name : recipe_names()) {
    const auto built_in = load_recipe(name);
    ASSERT_TRUE(built_in.is_ok()) << built_in.status().message();
    const auto file = load_recipe(std::string(OCTET_SOURCE_DIR) + "/recipes/" + name + ".yaml");
    ASSERT_TRUE(file.is_ok()) << file.status().message();
    EXPECT_EQ(recipe_to_yaml(*built_in), recipe_to_yaml(*file));
  }
  const auto missing = load_recipe("defalt");
  ASSERT_FALSE(missing.is_ok());
  EXPECT_NE(missing.status().message().find("'default'"), std::string::npos);
  EXPECT_FALSE(load_recipe("no/such.yaml").is_ok());
}

}  // namespace
}  // namespace octet
