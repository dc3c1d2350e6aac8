// A web server for one person on one machine: two paths, no writing, one request at a time. It listens on 127.0.0.1
// and answers only requests that name this machine as their host, so that no other site can read it through the
// browser.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "octet/report.h"

namespace octet {
namespace {

constexpr int kWaitMs = 200;       // between looks at the cancel flag
constexpr int kPatienceMs = 5000;  // for a browser that does not finish its request or its reading
constexpr size_t kMostHead = 16384;

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

bool ready(int descriptor, short events, int ms) {
  pollfd p{descriptor, events, 0};
  return ::poll(&p, 1, ms) > 0 && (p.revents & events) != 0;
}

std::string read_head(int client) {
  std::string head;
  char buffer[2048];
  while (head.find("\r\n\r\n") == std::string::npos && head.size() < kMostHead) {
    if (!ready(client, POLLIN, kPatienceMs)) return {};
    const ssize_t n = ::recv(client, buffer, sizeof buffer, 0);
    if (n <= 0) return {};
    head.append(buffer, static_cast<size_t>(n));
  }
  return head;
}

void send_all(int client, std::string_view bytes) {
  while (!bytes.empty()) {
    if (!ready(client, POLLOUT, kPatienceMs)) return;
    const ssize_t n = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void answer(int client, const char* status, const char* type, const std::string& body) {
  send_all(client, "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: " + type +
                       "; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
  send_all(client, body);
}

std::string header_of(const std::string& head, const std::string& lower_name) {
  for (size_t line = head.find("\r\n"); line != std::string::npos && line + 2 < head.size();) {
    const size_t begin = line + 2, end = head.find("\r\n", begin);
    const std::string_view text = std::string_view(head).substr(begin, end == std::string::npos ? end : end - begin);
    const size_t colon = text.find(':');
    if (colon == lower_name.size()) {
      bool same = true;
      for (size_t i = 0; i < colon; ++i)
        same = same && std::tolower(static_cast<unsigned char>(text[i])) == lower_name[i];
      const size_t value = text.find_first_not_of(" \t", colon + 1);
      if (same) return value == std::string_view::npos ? std::string() : std::string(text.substr(value));
    }
    line = end;
  }
  return {};
}

void respond(int client, const ReportOptions& options, const std::string& port) {
  const std::string head = read_head(client);
  if (head.empty()) return;
  const std::string host = header_of(head, "host");
  if (host != "127.0.0.1:" + port && host != "localhost:" + port)
    return answer(client, "403 Forbidden", "text/plain", "this server answers its own machine only\n");
  const bool page = head.starts_with("GET / "), data = head.starts_with("GET /data.json ");
  if (!page && !data) return answer(client, "404 Not Found", "text/plain", "there is only / and /data.json\n");
  const Result<Report> report = make_report(options);
  if (!report.is_ok())
    return answer(client, "503 Service Unavailable", "text/plain", report.status().message() + "\n");
  answer(client, "200 OK", page ? "text/html" : "application/json", page ? report->html : report->data);
}

Status failed(const std::string& what) { return io_error(what + ": " + std::strerror(errno)); }

}  // namespace

Status serve_report(const ReportOptions& options, int port,
                    const std::function<void(const std::string& url)>& on_ready, const CancelFlag* cancel) {
  OCTET_RETURN_IF_ERROR(make_report(options).status());  // a wrong folder is told at once
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (listener.get() < 0) return failed("no socket could be opened");
  const int yes = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), 16) != 0)
    return failed("port " + std::to_string(port) + " of 127.0.0.1 cannot be used; give another with --port");
  socklen_t length = sizeof address;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
  const std::string number = std::to_string(ntohs(address.sin_port));
  if (on_ready) on_ready("http://127.0.0.1:" + number + "/");
  ReportOptions live = options;
  live.live = true;
  while (cancel == nullptr || !*cancel) {
    if (!ready(listener.get(), POLLIN, kWaitMs)) continue;
    const Socket client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.get() >= 0) respond(client.get(), live, number);
  }
  return Status::ok();
}

}  // namespace octet
