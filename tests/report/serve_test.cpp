// `octet report --serve`: what it answers, to whom, and that it ends.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <thread>

#include "report/folder.h"

namespace octet::testing {
namespace {

class ReportServer : public ReportFolder {
 protected:
  void start() {
    std::promise<std::string> url;
    auto found = url.get_future();
    thread_ = std::thread([this, &url] {
      status_ = serve_report(
          {path(), "", false}, 0, [&](const std::string& u) { url.set_value(u); }, &cancel_);
    });
    const std::string text = found.get();  // http://127.0.0.1:PORT/
    port_ = std::stoi(text.substr(text.rfind(':') + 1));
  }
  void TearDown() override {
    cancel_ = true;
    if (thread_.joinable()) thread_.join();
    EXPECT_TRUE(status_.is_ok()) << status_.message();
    ReportFolder::TearDown();
  }

  std::string ask(const std::string& request) const {
    const int s = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port_));
    EXPECT_EQ(::connect(s, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::send(s, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    ::shutdown(s, SHUT_WR);
    std::string all;
    char buffer[65536];
    for (ssize_t n = 0; (n = ::recv(s, buffer, sizeof buffer, 0)) > 0;) all.append(buffer, static_cast<size_t>(n));
    ::close(s);
    return all;
  }
  std::string get(const std::string& target, const std::string& host = "") const {
    return ask("GET " + target +
               " HTTP/1.1\r\nHost: " + (host.empty() ? "127.0.0.1:" + std::to_string(port_) : host) + "\r\n\r\n");
  }

  std::thread thread_;
  CancelFlag cancel_{false};
  Status status_;
  int port_ = 0;
};

TEST_F(ReportServer, AnswersWithTheFilesAsTheyAre) {
  write("metrics.jsonl", "{\"step\": 1, \"train/loss\": 2.5}\n");
  start();
  const std::string page = get("/");
  EXPECT_TRUE(page.starts_with("HTTP/1.1 200")) << page.substr(0, 100);
  EXPECT_NE(page.find("connect-src 'self'"), std::string::npos);
  write("metrics.jsonl", "{\"step\": 1, \"train/loss\": 2.5}\n{\"step\": 2, \"train/loss\": 1.25}\n");
  const std::string data = get("/data.json", "localhost:" + std::to_string(port_));
  const json doc = json::parse(data.substr(data.find("\r\n\r\n") + 4));
  EXPECT_EQ(doc["runs"][0]["training"]["series"][0]["values"], json({2.5, 1.25}));
}

TEST_F(ReportServer, RefusesOtherHostsPathsAndNoise) {
  write("run.json", run(90, 90));
  start();
  EXPECT_TRUE(get("/", "evil.example").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(ask("GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(get("/../etc/passwd").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(get("/run.json").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(
      ask("POST / HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port_) + "\r\n\r\n").starts_with("HTTP/1.1 404"));
  EXPECT_EQ(ask(std::string(40000, 'x')).find("200"), std::string::npos);
  EXPECT_EQ(ask(std::string("\0\r\n", 3)), "");
  EXPECT_TRUE(get("/").starts_with("HTTP/1.1 200"));
}

TEST(ReportServerStart, ToldAtOnce) {
  const Status absent = serve_report({"/nonexistent", "", false}, 0, {}, nullptr);
  EXPECT_EQ(absent.code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace octet::testing
