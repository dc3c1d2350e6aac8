// The page: hostile text stays text, nothing is asked of a network, the size keeps its bound.
#include "report/page.h"

#include "report/folder.h"

namespace octet::testing {
namespace {

class ReportPage : public ReportFolder {};

const std::string kHostile = "</script><script>alert(1)</script><!--\"'`&\\\x01\x7f\n\xe2\x80\xa8@DATA@";

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(ReportPage, NamesCannotLeaveTheirPlace) {
  write("run.json", run(90, 90));
  const auto plain = make_report({path(), "", false});
  ASSERT_TRUE(plain.is_ok());
  quantize(network(kHostile));
  json r = run(90, 90);
  r["model"] = r["recipe"] = kHostile;
  r["notes"] = json::array({kHostile});
  write("run.json", r);
  const auto report = make_report({path(), "", false});
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  for (const char* part : {"<script", "</script", "<!--"})
    EXPECT_EQ(count(report->html, part), count(plain->html, part)) << part;
  EXPECT_EQ(report->html.find("alert(1)</script>"), std::string::npos);
  const json doc = json::parse(report->data);
  EXPECT_EQ(doc["runs"][0]["network"]["names"][0], "conv1" + kHostile);
  EXPECT_EQ(doc["runs"][0]["notes"][0], kHostile);
  for (const char c : report->data) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << static_cast<int>(c);
}

TEST_F(ReportPage, NamesThatAreNotUnicode) {
  write("run.json",
        "{\"model\": \"a\xff\xfe"
        "b\", \"notes\": [\"\xc3\x28\"]}");
  EXPECT_TRUE(make_report({path(), "", false}).is_ok());
  EXPECT_EQ(report::html_text("<a href='x'>&\"\x1f"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\xef\xbf\xbd");
}

TEST_F(ReportPage, StandsAloneAndIsTheSameEveryTime) {
  quantize(network());
  write("run.json", run(90, 90));
  const auto report = make_report({path(), "", false}), again = make_report({path(), "", false});
  ASSERT_TRUE(report.is_ok() && again.is_ok());
  EXPECT_EQ(report->html, again->html);
  const std::string& html = report->html;
  EXPECT_LT(html.size(), 900u * 1000);
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(html.find("connect-src 'none'"), std::string::npos);
  for (const char* part : {"<link rel=\"stylesheet\"", " src=", "@import", "sourceMappingURL"})
    EXPECT_EQ(html.find(part), std::string::npos) << part;
  for (const char* mark : {"@DATA@", "@APP@", "@CHARTS@", "@STYLE@", "@TITLE@", "@CONNECT@"})
    EXPECT_EQ(html.find(mark), std::string::npos) << mark;
  EXPECT_NE(html.find("BSD-3-Clause"), std::string::npos) << "the chart library's licence must go with it";
}

TEST_F(ReportPage, OnlyTheServedPageMayAskForNews) {
  write("run.json", run(90, 90));
  const auto live = make_report({path(), "", true});
  ASSERT_TRUE(live.is_ok());
  EXPECT_NE(live->html.find("connect-src 'self'"), std::string::npos);
}

}  // namespace
}  // namespace octet::testing
