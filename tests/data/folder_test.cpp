#include <gtest/gtest.h>

#include <thread>

#include "test_files.h"

namespace octet::test {
namespace {

const std::vector<InputInfo> kNetwork = {input("x", {-1, 3, 8, 8})};

std::string flat(int side, uint8_t value) { return png_file(Image::filled(side, side, 3, value)); }

TEST(Folder, ClassPerFolder) {
  const TempFolder folder;
  folder.write("dog/b.PNG", flat(10, 2));
  folder.write("dog/a.jpeg", jpeg_file(Image::filled(10, 12, 3, 1)));
  folder.write("cat/z.png", flat(10, 3));
  folder.write("cat/notes.txt", "skip me");
  folder.write("cat/deeper/q.png", flat(10, 4));  // one level only
  folder.write(".hidden/q.png", flat(10, 4));
  folder.write("emu/none.gif", "skip me");
  const auto set = open_dataset(spec_of("folder:" + folder.path()), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_EQ((*set)->size(), 3);
  EXPECT_EQ((*set)->class_names(), (std::vector<std::string>{"cat", "dog", "emu"}));
  EXPECT_EQ((*set)->num_classes(), 3);
  const char* names[] = {"cat/z.png", "dog/a.jpeg", "dog/b.PNG"};
  const int64_t labels[] = {0, 1, 1};
  for (int64_t i = 0; i < 3; ++i) {
    const auto s = (*set)->get(i);
    ASSERT_TRUE(s.is_ok()) << s.status().message();
    EXPECT_EQ(s->name, names[i]);
    EXPECT_EQ(s->label, labels[i]);
  }
  EXPECT_EQ((*set)->get(2)->inputs[0].data<float>()[0], static_cast<float>((2 / 255.0 - 0.485) / 0.229));
  EXPECT_NE((*set)->describe().find("2 other files skipped"), std::string::npos);
}

TEST(Folder, LabelsFile) {
  const TempFolder folder;
  folder.write("a b.png", flat(9, 1));
  folder.write("c.png", flat(9, 2));
  folder.write("unused.png", flat(9, 3));
  for (const char* lines :
       {"filename,label\nc.png,2\na b.png,0\n", "# comment\nc.png 2\na b.png\t0\n\n", "c.png,two\na b.png,one\n"}) {
    const auto set =
        open_dataset(spec_of("folder:" + folder.path() + "?labels=" + folder.write("l", lines)), kNetwork);
    ASSERT_TRUE(set.is_ok()) << set.status().message();
    ASSERT_EQ((*set)->size(), 2);
    EXPECT_EQ((*set)->get(0)->name, "c.png");
    EXPECT_EQ((*set)->get(1)->name, "a b.png");
    EXPECT_EQ((*set)->get(1)->label, 0);
    EXPECT_EQ((*set)->get(0)->label, (*set)->class_names().empty() ? 2 : 1);
  }
  const auto error = [&](const std::string& lines, const std::string& more = "") {
    return open_error("folder:" + folder.path() + "?labels=" + folder.write("l", lines) + more, kNetwork);
  };
  EXPECT_NE(error("c.png 1\nd.png 2\n").find("l:2: there is no image 'd.png'"), std::string::npos);
  EXPECT_NE(error("c.png 1\n../d.png 2\n").find("leaves the folder"), std::string::npos);
  EXPECT_NE(error("c.png\n").find("expected 'name label'"), std::string::npos);
  EXPECT_NE(error("").find("names no image"), std::string::npos);
  EXPECT_NE(error("c.png -1\n").find(":1: the label -1 is negative"), std::string::npos);
  const std::string names = "&class_names=" + folder.write("names", "one\ntwo\n");
  EXPECT_NE(error("c.png,tow\n", names).find("Did you mean 'two'"), std::string::npos);
  EXPECT_NE(error("c.png,2\n", names).find("2 names for 3 classes"), std::string::npos);
  EXPECT_EQ(error("c.png,two\n", names), "");
  folder.write("labels.txt", "c.png 4\n");  // the usual name needs no key
  EXPECT_EQ((*open_dataset(spec_of("folder:" + folder.path()), kNetwork))->get(0)->label, 4);
}

TEST(Folder, ImagesWithoutALineAreCounted) {
  const TempFolder folder;
  for (const char* name : {"a.png", "b.png", "in/c.png", "in/d.png", "out/e.png"}) folder.write(name, flat(9, 1));
  const std::string labels = folder.write("labels.txt", "a.png 0\nin/c.png 1\n");
  const auto some = open_dataset(spec_of("folder:" + folder.path()), kNetwork);
  ASSERT_TRUE(some.is_ok()) << some.status().message();
  ASSERT_EQ((*some)->notes().size(), 1u);
  EXPECT_EQ((*some)->notes()[0].find("2 images of '"), 0u) << (*some)->notes()[0];
  folder.write("labels.txt", "a.png 0\nb.png 1\n");
  EXPECT_TRUE((*open_dataset(spec_of("folder:" + folder.path()), kNetwork))->notes().empty());
}

TEST(Folder, FlatWithoutLabelsAndSplit) {
  const TempFolder folder;
  folder.write("val/a.png", flat(9, 1));
  const auto set = open_dataset(spec_of("folder:" + folder.path() + "?split=val"), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_FALSE((*set)->has_labels());
  EXPECT_EQ((*set)->get(0)->label, -1);
}

TEST(Folder, MistakesGetASentence) {
  const TempFolder empty, mixed, broken;
  EXPECT_NE(open_error("folder:" + empty.path(), kNetwork).find("holds no JPEG or PNG"), std::string::npos);
  EXPECT_NE(open_error("folder:/nowhere", kNetwork).find("there is no folder '/nowhere'"), std::string::npos);
  mixed.write("a.png", flat(9, 1));
  EXPECT_NE(open_error("folder:" + (mixed / "a.png"), kNetwork).find("is not a folder"), std::string::npos);
  mixed.write("c/b.png", flat(9, 1));
  EXPECT_NE(open_error("folder:" + mixed.path(), kNetwork).find("holds both images"), std::string::npos);
  const std::string path = broken.write("c/b.png", flat(9, 1).substr(0, 60));
  EXPECT_NE(open_error("folder:" + broken.path(), kNetwork).find(path), std::string::npos);
  broken.write("c/b.png", flat(9, 1));
  const InputInfo x = input("x", {1, 3, 8, 8});
  EXPECT_NE(open_error("folder:" + broken.path(), {x, x}).find("2 inputs"), std::string::npos);
  EXPECT_NE(open_error("folder:" + broken.path() + "?dtype=uint8", {x}).find("takes float32"), std::string::npos);
  EXPECT_NE(open_error("folder:" + broken.path() + "?resize=none", {x}).find("[3, 9, 9]"), std::string::npos);
}

TEST(Folder, ThreadsSeeTheSameSamples) {
  const TempFolder folder;
  for (int i = 0; i < 8; ++i) folder.write("c/" + std::to_string(i) + ".jpg", jpeg_file(noise_image(40 + i, 30, 3)));
  const auto set = open_dataset(spec_of("folder:" + folder.path() + "?shuffle=true&seed=5"), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  std::vector<Sample> alone;
  for (int64_t i = 0; i < 8; ++i) alone.push_back(*(*set)->get(i));
  std::vector<int> same(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 8; ++i)
        same[t] += same_bits((*set)->get(i)->inputs[0], alone[static_cast<size_t>(i)].inputs[0]) ? 1 : 0;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(same, (std::vector<int>{8, 8, 8, 8}));
}

}  // namespace
}  // namespace octet::test
