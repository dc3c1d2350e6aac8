#include "training/loop/process_group.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <future>
#include <set>
#include <thread>

#include "octet/train.h"
#include "training/loop/c10d_backends.h"
#include "training/loop/device.h"

namespace octet::training {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string place(const Launch& l) { return l.address + ":" + std::to_string(l.port); }

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "localhost" || address == "::1";
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Runs f; what LibTorch or Gloo throws is written to `what`.
bool works(const std::function<void()>& f, std::string* what) {
  try {
    f();
    return true;
  } catch (const c10::Error& e) {
    *what = first_line(e.what_without_backtrace());
  } catch (const std::exception& e) {
    *what = first_line(e.what());
  }
  return false;
}

std::string list_of(const std::vector<int>& ranks) {
  std::string text;
  for (size_t i = 0; i < ranks.size(); ++i)
    text += (i == 0 ? "" : i + 1 == ranks.size() ? " and " : ", ") + std::to_string(ranks[i]);
  return (ranks.size() == 1 ? "process " : "processes ") + text;
}

// Somebody listens where process 0 should, before the timeout. LibTorch would look too, and log its despair.
bool answers_at(const Launch& launch) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  for (const auto end = Clock::now() + launch.timeout; Clock::now() < end;) {
    if (::getaddrinfo(launch.address.c_str(), std::to_string(launch.port).c_str(), &hints, &found) == 0) {
      bool met = false;
      for (const addrinfo* a = found; a != nullptr && !met; a = a->ai_next) {
        const int s = ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        met = s >= 0 && ::connect(s, a->ai_addr, a->ai_addrlen) == 0;
        if (s >= 0) ::close(s);
      }
      ::freeaddrinfo(found);
      if (met) return true;
    }
    std::this_thread::sleep_for(milliseconds(100));
  }
  return false;
}

// Whoever is still there says so in the store of process 0 and waits a little for the others. The ranks that do not
// answer.
std::vector<int> roll_call(const StorePtr& store, const Launch& launch) {
  constexpr milliseconds kPatience{3000}, kFarewell{1000}, kPause{50};
  const auto say = [&](const std::string& stage) {
    store->set(stage + std::to_string(launch.rank), std::vector<uint8_t>{1});
  };
  const auto wait_for = [&](std::set<int> ranks, const std::string& stage, milliseconds patience) {
    for (const auto end = Clock::now() + patience; !ranks.empty() && Clock::now() < end;) {
      std::erase_if(ranks, [&](int r) { return store->check({stage + std::to_string(r)}); });
      if (!ranks.empty()) std::this_thread::sleep_for(kPause);
    }
    return ranks;
  };
  std::set<int> others, missing;
  for (int r = 0; r < launch.size; ++r)
    if (r != launch.rank) others.insert(r);
  std::string what;
  const bool asked = works(
      [&] {
        say("here/");
        missing = wait_for(others, "here/", kPatience);
      },
      &what);
  if (!asked) return {0};
  // The store lives in process 0, which leaves last.
  for (int r : missing) others.erase(r);
  works(
      [&] {
        say("gone/");
        if (launch.rank == 0) (void)wait_for(others, "gone/", kFarewell);
      },
      &what);
  return {missing.begin(), missing.end()};
}

// The same in bounded time: a store that hangs does not answer at all.
std::vector<int> bounded_roll_call(const StorePtr& store, const Launch& launch) {
  std::packaged_task<std::vector<int>()> task([store, launch] { return roll_call(store, launch); });
  std::future<std::vector<int>> answer = task.get_future();
  std::thread(std::move(task)).detach();
  if (answer.wait_for(std::chrono::seconds(8)) != std::future_status::ready) return {0};
  return answer.get();
}

// NCCL's own wait returns at once and lets the GPU wait: for ever, when a process was lost. Batch norms meet many
// times in a step, so this one is impatient at first.
void wait_on_host(c10d::Work& work, milliseconds timeout) {
  constexpr milliseconds kImpatient{5};
  for (const auto begin = Clock::now(); !work.isCompleted();) {
    const auto waited = Clock::now() - begin;
    TORCH_CHECK(waited < timeout, "no answer in time");
    if (waited < kImpatient) std::this_thread::yield();
    else std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  // An operation that failed is complete, too.
  if (const std::exception_ptr error = work.exception()) std::rethrow_exception(error);
}

// Ends what the GPU waits for; LibTorch before 2.6 cannot.
template <class B>
void abort_collectives(B& backend) {
  if constexpr (requires { backend.abort(); }) backend.abort();
}

// A header of all_gather: how a process does, how many bytes it brings, and a number.
struct Header {
  StatusCode code = StatusCode::kOk;
  int64_t size = 0;
  double value = 0;
};

}  // namespace

struct ProcessGroup::Impl {
  Launch launch;
  at::Device device = at::kCPU;
  StorePtr store;
  BackendPtr gloo, nccl;
  int local_size = 1;
  Status failure;

  Status connect();
  Status collective(const std::function<c10::intrusive_ptr<c10d::Work>(Backend&)>& start, bool on_gpu);
  Status lost(const std::string& what);

  bool gathers_on_gpu() const { return !gloo; }
  Result<std::vector<at::Tensor>> gather(at::Tensor mine);
  Result<std::vector<Header>> headers(const Header& mine);
  Result<std::vector<std::string>> payloads(const std::string& mine, const std::vector<Header>& headers);
  Status first_error(const Status& mine, const std::vector<Header>& headers);
};

Status ProcessGroup::Impl::connect() {
  const milliseconds timeout = launch.timeout;
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(launch.port);
  options.isServer = launch.rank == 0;
  options.numWorkers = static_cast<std::size_t>(launch.size);
  options.timeout = timeout;
  std::string what;
  const auto meet = [&] {
    store = c10::make_intrusive<c10d::TCPStore>(launch.address, options);
    gloo = make_gloo(store, launch.rank, launch.size, timeout, is_loopback(launch.address));
    if (device.is_cuda()) nccl = make_nccl(store, launch.rank, launch.size, timeout);
  };
  const bool connected = (launch.rank == 0 || answers_at(launch)) && works(meet, &what);
  if (!connected && what.find("in use") != std::string::npos)
    return io_error("process 0 cannot listen at " + place(launch) +
                    ", because the port is in use; give another MASTER_PORT");
  if (!connected) {
    const bool late =
        what.empty() || what.find("imeout") != std::string::npos || what.find("timed out") != std::string::npos;
    return io_error("process " + std::to_string(launch.rank) + " did not meet the other " +
                    std::to_string(launch.size - 1) + " at " + place(launch) + " within " +
                    std::to_string(launch.timeout.count()) +
                    " s; start all with the same MASTER_ADDR, MASTER_PORT and number of processes" +
                    (late ? "" : " (LibTorch says: " + what + ")"));
  }
  if (device.is_cpu() && !gloo)
    return unsupported(
        "several processes on the CPU need Gloo, and this Octet was built without its headers; "
        "install Debian's libgloo-dev and build again");
  if (!gloo && !nccl)
    return unsupported("this Octet was built without NCCL and Gloo, so it runs as one process only");
  return Status::ok();
}

Status ProcessGroup::Impl::collective(const std::function<c10::intrusive_ptr<c10d::Work>(Backend&)>& start,
                                      bool on_gpu) {
  if (!failure.is_ok()) return failure;
  Backend& backend = on_gpu && nccl ? *nccl : *gloo;
  std::string what;
  const bool done = works(
      [&] {
        const c10::intrusive_ptr<c10d::Work> work = start(backend);
        if (&backend == nccl.get()) wait_on_host(*work, launch.timeout);
        TORCH_CHECK(work->wait(), "the operation did not end");
      },
      &what);
  return done ? Status::ok() : lost(what);
}

Status ProcessGroup::Impl::lost(const std::string& what) {
  failure = io_error("the connection between the processes was lost");  // nothing below may begin anew
  std::string ignored;
  works([&] { gloo.reset(); }, &ignored);  // closes its connections, so that the others do not wait any longer
  if (nccl) works([&] { abort_collectives(*nccl); }, &ignored);
  const std::vector<int> missing = bounded_roll_call(store, launch);
  if (missing.empty())
    failure = io_error("the connection between the processes was lost (LibTorch says: " + what + ")");
  else
    failure =
        io_error(list_of(missing) + " of " + std::to_string(launch.size) + (missing.size() == 1 ? " was" : " were") +
                 " lost (killed, crashed, or no answer within " + std::to_string(launch.timeout.count()) + " s)");
  return failure;
}

Result<std::vector<at::Tensor>> ProcessGroup::Impl::gather(at::Tensor mine) {
  const bool gpu = gathers_on_gpu();
  if (gpu) mine = mine.to(device);
  std::vector<std::vector<at::Tensor>> all(1);
  for (int r = 0; r < launch.size; ++r) all[0].push_back(at::empty_like(mine));
  std::vector<at::Tensor> inputs = {mine};
  OCTET_RETURN_IF_ERROR(collective([&](Backend& b) { return b.allgather(all, inputs); }, gpu));
  for (at::Tensor& t : all[0]) t = t.to(at::kCPU);
  return std::move(all[0]);
}

Result<std::vector<Header>> ProcessGroup::Impl::headers(const Header& mine) {
  const at::Tensor t = at::empty({3}, at::kLong);
  t.data_ptr<int64_t>()[0] = static_cast<int64_t>(mine.code);
  t.data_ptr<int64_t>()[1] = mine.size;
  t.data_ptr<int64_t>()[2] = std::bit_cast<int64_t>(mine.value);
  OCTET_ASSIGN(const std::vector<at::Tensor> all, gather(t));
  std::vector<Header> headers;
  for (const at::Tensor& theirs : all) {
    const int64_t* v = theirs.data_ptr<int64_t>();
    headers.push_back({static_cast<StatusCode>(v[0]), v[1], std::bit_cast<double>(v[2])});
  }
  return headers;
}

Result<std::vector<std::string>> ProcessGroup::Impl::payloads(const std::string& mine,
                                                              const std::vector<Header>& headers) {
  int64_t most = 0;
  for (const Header& h : headers) most = std::max(most, h.size);
  std::vector<std::string> out(headers.size());
  if (most == 0) return out;
  const at::Tensor padded = at::zeros({most}, at::kByte);
  std::memcpy(padded.data_ptr(), mine.data(), mine.size());
  OCTET_ASSIGN(const std::vector<at::Tensor> all, gather(padded));
  for (size_t r = 0; r < out.size(); ++r)
    out[r].assign(static_cast<const char*>(all[r].data_ptr()), static_cast<size_t>(headers[r].size));
  return out;
}

// Ok when all headers are; else everybody exchanges the sentences and takes the same one.
Status ProcessGroup::Impl::first_error(const Status& mine, const std::vector<Header>& headers) {
  const auto bad = [](const Header& h) { return h.code != StatusCode::kOk; };
  if (std::none_of(headers.begin(), headers.end(), bad)) return Status::ok();
  std::vector<Header> sizes = headers;
  for (Header& h : sizes)
    if (!bad(h)) h.size = 0;
  OCTET_ASSIGN(const std::vector<std::string> sentences, payloads(mine.message(), sizes));
  auto chosen = std::find_if(headers.begin(), headers.end(),
                             [&](const Header& h) { return bad(h) && h.code != StatusCode::kCancelled; });
  if (chosen == headers.end()) chosen = std::find_if(headers.begin(), headers.end(), bad);
  const auto rank = static_cast<size_t>(chosen - headers.begin());
  const Status error(chosen->code, sentences[rank]);
  return rank == 0 || chosen->code == StatusCode::kCancelled ? error : error.at("process " + std::to_string(rank));
}

ProcessGroup::ProcessGroup(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ProcessGroup::~ProcessGroup() {
  std::string ignored;
  if (!failure().is_ok()) (void)impl_->nccl.release();  // its end would wait for what never comes
  works([&] { impl_->nccl.reset(); }, &ignored);
  works([&] { impl_->gloo.reset(); }, &ignored);
  works([&] { impl_->store.reset(); }, &ignored);
}

Result<std::unique_ptr<ProcessGroup>> ProcessGroup::join(const Launch& launch, at::Device device) {
  auto impl = std::make_unique<Impl>();
  impl->launch = launch;
  impl->device = device;
  OCTET_RETURN_IF_ERROR(impl->connect());
  std::unique_ptr<ProcessGroup> group(new ProcessGroup(std::move(impl)));
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  OCTET_ASSIGN(const std::vector<std::string> hosts, group->all_gather(std::string(host)));
  group->impl_->local_size = static_cast<int>(std::count(hosts.begin(), hosts.end(), std::string(host)));
  return group;
}

int ProcessGroup::rank() const { return impl_->launch.rank; }
int ProcessGroup::size() const { return impl_->launch.size; }
int ProcessGroup::local_size() const { return impl_->local_size; }
Status ProcessGroup::failure() const { return impl_->failure; }

void ProcessGroup::leave() {
  if (failure().is_ok()) impl_->failure = io_error("this process has left the others");
  std::string ignored;
  works([&] { impl_->gloo.reset(); }, &ignored);
}

Result<std::vector<std::string>> ProcessGroup::all_gather(const Result<std::string>& mine) {
  const Status status = mine.status();
  const std::string& bytes = mine.is_ok() ? *mine : status.message();
  OCTET_ASSIGN(const std::vector<Header> headers,
               impl_->headers({status.code(), static_cast<int64_t>(bytes.size()), 0}));
  const Status error = impl_->first_error(status, headers);
  shared_error_ = !error.is_ok() && failure().is_ok();
  if (!error.is_ok()) return error;
  return impl_->payloads(bytes, headers);
}

Result<double> ProcessGroup::sum(const Result<double>& mine) {
  const Status status = mine.status();
  OCTET_ASSIGN(
      const std::vector<Header> headers,
      impl_->headers({status.code(), static_cast<int64_t>(status.message().size()), mine.is_ok() ? *mine : 0.0}));
  const Status error = impl_->first_error(status, headers);
  shared_error_ = !error.is_ok() && failure().is_ok();
  if (!error.is_ok()) return error;
  double total = 0;
  for (const Header& h : headers) total += h.value;
  return total;
}

Result<std::string> ProcessGroup::from_first(const Result<std::string>& mine) {
  const Result<std::string> brought = mine.is_ok() && !is_first() ? Result<std::string>(std::string()) : mine;
  OCTET_ASSIGN(std::vector<std::string> all, all_gather(brought));
  return std::move(all[0]);
}

Status ProcessGroup::add_up(at::Tensor& tensor) {
  const bool gpu = impl_->gathers_on_gpu() || (tensor.is_cuda() && impl_->nccl);
  std::vector<at::Tensor> list = {gpu ? tensor.to(impl_->device) : tensor.to(at::kCPU)};
  OCTET_RETURN_IF_ERROR(impl_->collective([&](Backend& b) { return b.allreduce(list); }, gpu));
  if (!list[0].is_same(tensor)) tensor.copy_(list[0]);
  return Status::ok();
}

}  // namespace octet::training

namespace octet {

Result<std::unique_ptr<Processes>> join_processes(std::string* device) {
  OCTET_ASSIGN(const Launch launch, read_launch());
  if (launch.is_alone()) return std::make_unique<Processes>();
  if (*device == "cuda") *device += ":" + std::to_string(launch.local_rank);
  OCTET_ASSIGN(const at::Device where, training::parse_device(*device));
  OCTET_ASSIGN(std::unique_ptr<training::ProcessGroup> group, training::ProcessGroup::join(launch, where));
  return std::unique_ptr<Processes>(std::move(group));
}

}  // namespace octet
