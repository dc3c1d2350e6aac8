#include "engine/runtime/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <system_error>

namespace octet::engine {
namespace {

// Longer than the serial operations between two parallel ones, shorter than anybody would notice as load.
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr int kPausesBetweenLooks = 32;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// Spins until `ready()` or for kSpin; what ready() said last.
template <class F>
bool spin_until(F&& ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesBetweenLooks; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

// A ticket: the number of tasks in the upper half, the next one in the lower. Threads that come too late count on
// past the end, each by one, which is harmless.
uint32_t next_of(uint64_t ticket) { return static_cast<uint32_t>(ticket); }
uint32_t count_of(uint64_t ticket) { return static_cast<uint32_t>(ticket >> 32); }
bool has_tasks(uint64_t ticket) { return next_of(ticket) < count_of(ticket); }

// The pool whose task this thread is running.
thread_local const ThreadPool* t_inside = nullptr;

std::vector<int> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cores.push_back(cpu);
  return cores;
}

void pin_to(std::thread& thread, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(core), &set);
  // A refusal costs speed at most.
  (void)pthread_setaffinity_np(thread.native_handle(), sizeof(set), &set);
}

}  // namespace

int ThreadPool::available_cores() { return std::max(1, static_cast<int>(allowed_cores().size())); }

ThreadPool::ThreadPool(int threads, bool pin) {
  const std::vector<int> cores = pin ? allowed_cores() : std::vector<int>();
  workers_.reserve(static_cast<size_t>(std::max(0, threads - 1)));
  for (int worker = 1; worker < threads; ++worker) {
    try {
      workers_.emplace_back([this, worker] { worker_main(worker); });
    } catch (const std::system_error&) {
      break;
    }
    if (!cores.empty()) pin_to(workers_.back(), cores[static_cast<size_t>(worker) % cores.size()]);
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  alarm_.fetch_add(1);
  alarm_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::run(int64_t count, Call call, void* object) {
  if (count <= 0) return count == 0;
  if (count > INT32_MAX || t_inside == this || busy_.exchange(true, std::memory_order_acquire)) return false;
  call_ = call;
  object_ = object;
  done_.store(0, std::memory_order_relaxed);
  tickets_.store(static_cast<uint64_t>(count) << 32);  // sequentially consistent: see wait_for_tasks
  if (count > 1 && !workers_.empty()) wake(count - 1);
  work(0);
  wait_until_done(static_cast<uint32_t>(count));
  busy_.store(false, std::memory_order_release);
  return true;
}

void ThreadPool::work(int worker) {
  uint32_t finished = 0;
  uint32_t count = 0;
  const ThreadPool* outer = t_inside;
  t_inside = this;
  while (has_tasks(tickets_.load(std::memory_order_relaxed))) {
    const uint64_t ticket = tickets_.fetch_add(1, std::memory_order_acq_rel);
    if (!has_tasks(ticket)) break;
    call_(object_, next_of(ticket), worker);
    count = count_of(ticket);  // the same for all: no call ends before its finished tasks are reported below
    ++finished;
  }
  t_inside = outer;
  if (finished == 0) return;
  const bool last = done_.fetch_add(finished) + finished == count;
  if (last && caller_sleeps_.load()) done_.notify_one();
}

void ThreadPool::worker_main(int worker) {
  while (!stop_.load(std::memory_order_acquire)) {
    work(worker);
    wait_for_tasks();
  }
}

void ThreadPool::wait_for_tasks() {
  const auto ready = [this] {
    return has_tasks(tickets_.load(std::memory_order_relaxed)) || stop_.load(std::memory_order_relaxed);
  };
  if (spin_until(ready)) return;
  // Either this thread sees the new tickets, or the caller sees this sleeper and rings.
  const uint32_t heard = alarm_.load();
  sleepers_.fetch_add(1);
  if (!has_tasks(tickets_.load()) && !stop_.load()) alarm_.wait(heard);
  sleepers_.fetch_sub(1);
}

void ThreadPool::wake(int64_t wanted) {
  const int sleepers = sleepers_.load();
  if (sleepers == 0) return;
  alarm_.fetch_add(1);
  if (wanted >= sleepers) {
    alarm_.notify_all();
  } else {
    for (int64_t i = 0; i < wanted; ++i) alarm_.notify_one();
  }
}

void ThreadPool::wait_until_done(uint32_t count) {
  if (done_.load(std::memory_order_acquire) == count) return;
  if (spin_until([&] { return done_.load(std::memory_order_acquire) == count; })) return;
  caller_sleeps_.store(true);
  for (uint32_t done = done_.load(); done != count; done = done_.load()) done_.wait(done);
  caller_sleeps_.store(false);
}

}  // namespace octet::engine
