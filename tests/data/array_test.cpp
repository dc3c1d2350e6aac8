#include <gtest/gtest.h>

#include <numeric>

#include "test_files.h"

namespace octet::test {
namespace {

std::vector<float> ramp(size_t n) {
  std::vector<float> v(n);
  std::iota(v.begin(), v.end(), 0.5f);
  return v;
}

template <class T>
std::vector<T> values(const Tensor& t) {
  return {t.data<T>(), t.data<T>() + t.numel()};
}

Tensor first_input(const std::string& text, const std::vector<InputInfo>& inputs, int64_t index = 0) {
  const auto set = open_dataset(spec_of(text), inputs);
  EXPECT_TRUE(set.is_ok()) << set.status().message();
  if (!set.is_ok()) return {};
  const auto sample = (*set)->get(index);
  EXPECT_TRUE(sample.is_ok()) << sample.status().message();
  return sample.is_ok() ? sample->inputs[0] : Tensor();
}

const std::vector<InputInfo> kTwoByTwo = {input("x", {-1, 2, 2})};

TEST(Npy, RowsOfEveryVersion) {
  const TempFolder folder;
  for (int version : {1, 2, 3}) {
    const std::string path =
        folder.write("a.npy", npy_file("<f4", "(3, 2, 2)", bytes_of(ramp(12)), "False", version));
    const Tensor t = first_input("npy:" + path, kTwoByTwo, 2);
    EXPECT_EQ(t.dims(), (Dims{2, 2}));
    EXPECT_EQ(values<float>(t), (std::vector<float>{8.5, 9.5, 10.5, 11.5}));
  }
}

TEST(Npy, LabelsFromTextAndNpy) {
  const TempFolder folder;
  const std::string path = folder.write("a.npy", npy_file("<f4", "(3, 2, 2)", bytes_of(ramp(12))));
  for (const std::string& labels :
       {folder.write("l.txt", "4\n5\r\n6\n"),
        folder.write("l.npy", npy_file("<i8", "(3, 1)", bytes_of(std::vector<int64_t>{4, 5, 6})))}) {
    const auto set = open_dataset(spec_of("npy:" + path + "?labels=" + labels), kTwoByTwo);
    ASSERT_TRUE(set.is_ok()) << set.status().message();
    EXPECT_TRUE((*set)->has_labels());
    EXPECT_EQ((*set)->get(2)->label, 6);
  }
  folder.write("l.txt", "4\nfive\n6\n");
  EXPECT_NE(
      open_error("npy:" + path + "?labels=" + (folder / "l.txt"), kTwoByTwo).find("l.txt:2: expected one whole"),
      std::string::npos);
  folder.write("l.txt", "4\n6\n");
  EXPECT_NE(open_error("npy:" + path + "?labels=" + (folder / "l.txt"), kTwoByTwo).find("3 samples but there are 2"),
            std::string::npos);
}

TEST(Npy, ConvertsWhatFits) {
  const TempFolder folder;
  const std::string u1 = folder.write("u1.npy", npy_file("|u1", "(1, 2)", {'\x05', '\xff'}));
  EXPECT_EQ(values<float>(first_input("npy:" + u1, {input("x", {1, 2})})), (std::vector<float>{5, 255}));
  EXPECT_EQ(values<uint8_t>(first_input("npy:" + u1, {})), (std::vector<uint8_t>{5, 255}));
  const std::string i8 =
      folder.write("i8.npy", npy_file("<i8", "(1, 2)", bytes_of(std::vector<int64_t>{-7, 1LL << 40})));
  EXPECT_EQ(values<int64_t>(first_input("npy:" + i8, {input("x", {1, 2}, DType::kInt64)})),
            (std::vector<int64_t>{-7, 1LL << 40}));
  EXPECT_NE(open_error("npy:" + i8, {input("x", {1, 2}, DType::kInt32)}).find("does not fit into int32"),
            std::string::npos);
  const std::string f8 = folder.write("f8.npy", npy_file("<f8", "(1, 2)", bytes_of(std::vector<double>{0.1, -3})));
  EXPECT_EQ(values<float>(first_input("npy:" + f8, {input("x", {1, 2})})), (std::vector<float>{0.1f, -3}));
  EXPECT_NE(open_error("npy:" + f8, {input("x", {1, 2}, DType::kInt8)}).find("takes int8"), std::string::npos);
  const std::string f2 =
      folder.write("f2.npy", npy_file("<f2", "(1, 2)", bytes_of(std::vector<uint16_t>{0x3c00, 0xc100})));
  EXPECT_EQ(values<float>(first_input("npy:" + f2, {input("x", {1, 2})})), (std::vector<float>{1, -2.5}));
  EXPECT_EQ(values<uint16_t>(first_input("npy:" + f8, {input("x", {1, 2}, DType::kFloat16)})),
            (std::vector<uint16_t>{0x2e66, 0xc200}));
  const std::string b1 = folder.write("b1.npy", npy_file("|b1", "(1, 2)", {'\x02', '\0'}));
  EXPECT_EQ(values<uint8_t>(first_input("npy:" + b1, {input("x", {1, 2}, DType::kBool)})),
            (std::vector<uint8_t>{1, 0}));
}

// Element [i, j, k] of a Fortran array of shape [3, 2, 2] stands at i + 3 j + 6 k.
TEST(Npy, FortranOrderIsTurned) {
  const TempFolder folder;
  const std::string path = folder.write("f.npy", npy_file("<f4", "(3, 2, 2)", bytes_of(ramp(12)), "True"));
  const auto set = open_dataset(spec_of("npy:" + path), kTwoByTwo);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  for (int64_t i = 0; i < 3; ++i) {
    std::vector<float> want;
    for (const int64_t at : {i, i + 6, i + 3, i + 9}) want.push_back(ramp(12)[static_cast<size_t>(at)]);
    EXPECT_EQ(values<float>((*set)->get(i)->inputs[0]), want);
  }
}

TEST(Npy, FloatLabelsAreAcceptedWhenWhole) {
  const TempFolder folder;
  const std::string x = folder.write("x.npy", npy_file("<f4", "(3, 2, 2)", bytes_of(ramp(12))));
  const auto labels = [&](std::vector<double> y) {
    return "npy:" + x + "?labels=" + folder.write("y.npy", npy_file("<f8", "(3,)", bytes_of(y)));
  };
  const auto set = open_dataset(spec_of(labels({2, 0, 1})), kTwoByTwo);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_EQ((*set)->get(0)->label, 2);
  EXPECT_NE(open_error(labels({2, 0.5, 1}), kTwoByTwo).find("label 0.500000 of sample 1"), std::string::npos);
}

TEST(Npy, ScaleMeanStd) {
  const TempFolder folder;
  const std::string path = folder.write("a.npy", npy_file("|u1", "(1, 2, 2)", {'\0', '\x0a', '\x14', '\x1e'}));
  EXPECT_EQ(values<float>(first_input("npy:" + path + "?scale=0.5&mean=1,2&std=1,4", kTwoByTwo)),
            (std::vector<float>{-1, 4, 2, 3.25}));
  EXPECT_EQ(values<float>(first_input("npy:" + path + "?scale=0.5&mean=1,2&std=1,4&layout=nhwc", kTwoByTwo)),
            (std::vector<float>{-1, 0.75, 9, 3.25}));
  EXPECT_NE(open_error("npy:" + path + "?scale=1&mean=1,2,3", kTwoByTwo).find("3 values for 2 channels"),
            std::string::npos);
  EXPECT_NE(open_error("npy:" + path + "?resize=stretch", kTwoByTwo).find("resize the images before"),
            std::string::npos);
}

TEST(Npy, DamagedFilesGetASentence) {
  const TempFolder folder;
  const std::string good = npy_file("<f4", "(3, 2, 2)", bytes_of(ramp(12)));
  const auto error = [&](const std::string& b) { return open_error("npy:" + folder.write("b.npy", b), kTwoByTwo); };
  EXPECT_EQ(error(good), "");
  EXPECT_NE(error("").find("header is damaged"), std::string::npos);
  EXPECT_NE(error(good.substr(0, 40)).find("header is damaged"), std::string::npos);
  EXPECT_NE(error(good.substr(0, good.size() - 1)).find("does not fit its 47 bytes"), std::string::npos);
  EXPECT_NE(error(good + good).find("something appended"), std::string::npos);
  EXPECT_NE(error(npy_file(">f4", "(1, 2)", "12345678")).find("big-endian"), std::string::npos);
  EXPECT_NE(error(npy_file("|O", "(1, 2)", "12345678")).find("never loaded"), std::string::npos);
  EXPECT_NE(error(npy_file("<c8", "(1,)", "12345678")).find("'<c8'"), std::string::npos);
  EXPECT_NE(error(npy_file("<f4", "()", "1234")).find("first axis"), std::string::npos);
  EXPECT_NE(error(npy_file("<f4", "(0, 2, 2)", "")).find("at least one value"), std::string::npos);
  EXPECT_NE(error(npy_file("<f4", "(-1, 2)", "")).find("header is damaged"), std::string::npos);
  EXPECT_NE(error(npy_file("<f4", "(9223372036854775807, 4)", "")).find("64 bits"), std::string::npos);
  EXPECT_NE(error(npy_file("<f4", "(99999999999999999999,)", "")).find("header is damaged"), std::string::npos);
  EXPECT_NE(
      error(npy_file("<f4", "(3, 4)", bytes_of(ramp(12)))).find("[4] but input 'x' of the network takes [2, 2]"),
      std::string::npos);
  EXPECT_NE(open_error("npy:/nowhere.npy", kTwoByTwo).find("there is no file"), std::string::npos);
  EXPECT_NE(open_error("npy:" + (folder / "b.npy"), {kTwoByTwo[0], kTwoByTwo[0]}).find("kind npz"),
            std::string::npos);
}

std::string npz(bool deflated) {
  return zip_file({{"image.npy", npy_file("<f4", "(2, 3)", bytes_of(ramp(6)))},
                   {"tokens.npy", npy_file("<i8", "(2, 1)", bytes_of(std::vector<int64_t>{11, 12}))},
                   {"y.npy", npy_file("|u1", "(2,)", {'\x01', '\x09'})},
                   {"names.npy", npy_file("|O", "(2,)", "12345678")},  // not asked for, so it does not hurt
                   {"README", "not an array"}},
                  deflated);
}

TEST(Npz, SeveralInputsByName) {
  const TempFolder folder;
  const std::vector<InputInfo> inputs = {input("tokens", {-1, 1}, DType::kInt32), input("image", {-1, 3})};
  for (bool deflated : {false, true}) {
    const auto set = open_dataset(spec_of("npz:" + folder.write("a.npz", npz(deflated))), inputs);
    ASSERT_TRUE(set.is_ok()) << set.status().message();
    const auto s = (*set)->get(1);
    ASSERT_TRUE(s.is_ok()) << s.status().message();
    EXPECT_EQ(s->label, 9);
    EXPECT_EQ(values<int32_t>(s->inputs[0]), (std::vector<int32_t>{12}));
    EXPECT_EQ(values<float>(s->inputs[1]), (std::vector<float>{3.5, 4.5, 5.5}));
  }
}

TEST(Npz, RolesByMapUsualNameOrBeingTheOnlyOne) {
  const TempFolder folder;
  const std::string path = folder.write("a.npz", npz(true));
  const auto mapped = open_dataset(spec_of("npz:" + path + "?inputs.net_in=tokens&labels=y"),
                                   {input("net_in", {-1, 1}, DType::kInt64)});
  ASSERT_TRUE(mapped.is_ok()) << mapped.status().message();
  EXPECT_EQ(values<int64_t>((*mapped)->get(0)->inputs[0]), (std::vector<int64_t>{11}));
  EXPECT_EQ(values<float>(first_input("npz:" + path, {input("input.1", {-1, 3})})),
            (std::vector<float>{.5, 1.5, 2.5}));
  const std::string one = folder.write("b.npz", zip_file({{"foo.npy", npy_file("<f4", "(2, 3)", bytes_of(ramp(6)))},
                                                          {"y.npy", npy_file("|u1", "(2,)", "ab")}},
                                                         false));
  EXPECT_EQ(first_input("npz:" + one, {input("input.1", {-1, 3})}).numel(), 3);
  // An array called like the labels is an input when the network calls its input so.
  EXPECT_EQ(values<uint8_t>(first_input("npz:" + one, {input("y", {-1}, DType::kUint8)})),
            (std::vector<uint8_t>{'a'}));
}

TEST(Npz, MistakesGetASentence) {
  const TempFolder folder;
  const std::string text = "npz:" + folder.write("a.npz", npz(false));
  const std::vector<InputInfo> two = {input("imgae", {-1, 3}), input("tokens", {-1, 1}, DType::kInt64)};
  EXPECT_NE(open_error(text, two).find("Did you mean 'image'"), std::string::npos);
  EXPECT_NE(open_error(text + "?inputs.nope=image", {input("x", {-1, 3})}).find("'nope', which is not an input"),
            std::string::npos);
  EXPECT_NE(open_error(text + "?labels=z", {input("image", {-1, 3})}).find("no array 'z' for the labels"),
            std::string::npos);
  EXPECT_NE(open_error(text + "?labels=image", {input("tokens", {-1, 1}, DType::kInt64)}).find("one whole number"),
            std::string::npos);
  const std::string uneven = folder.write(
      "u.npz",
      zip_file({{"a.npy", npy_file("|u1", "(2, 1)", "ab")}, {"b.npy", npy_file("|u1", "(3, 1)", "abc")}}, false));
  EXPECT_NE(open_error("npz:" + uneven, {input("a", {-1, 1}), input("b", {-1, 1})}).find("has 2 samples but"),
            std::string::npos);
  EXPECT_NE(open_error("npz:" + folder.write("n.npz", zip_file({{"r", "x"}}, false)), {}).find("holds no .npy array"),
            std::string::npos);
}

TEST(Npz, DamagedFilesGetASentence) {
  const TempFolder folder;
  const std::vector<InputInfo> inputs = {input("image", {-1, 3})};
  const auto error = [&](const std::string& b) { return open_error("npz:" + folder.write("b.npz", b), inputs); };
  const std::string good = npz(true);
  EXPECT_EQ(error(good), "");
  EXPECT_NE(error("").find("no directory"), std::string::npos);
  EXPECT_NE(error(good.substr(0, good.size() - 30)).find("no directory"), std::string::npos);
  EXPECT_NE(error(good.substr(50)).find("not a sound ZIP"), std::string::npos);
  std::string flipped = good;
  flipped[60] ^= 0x10;  // inside of the first member's packed bytes
  EXPECT_NE(error(flipped).find("does not decompress"), std::string::npos);
}

}  // namespace
}  // namespace octet::test
