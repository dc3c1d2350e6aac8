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

uint32_t unclaimed(uint64_t tickets) { return static_cast<uint32_t>(tickets); }
uint64_t call_number(uint64_t tickets) { return tickets >> 32; }

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
  count_ = static_cast<uint32_t>(count);
  done_.store(0, std::memory_order_relaxed);
  const uint64_t next = call_number(tickets_.load(std::memory_order_relaxed)) + 1;
  tickets_.store(next << 32 | count_);  // sequentially consistent: see wait_for_tasks
  if (count > 1 && !workers_.empty()) wake(count - 1);
  work(0);
  wait_until_done(count_);
  busy_.store(false, std::memory_order_release);
  return true;
}

void ThreadPool::work(int worker) {
  uint64_t tickets = tickets_.load(std::memory_order_acquire);
  while (unclaimed(tickets) != 0) {
    if (!tickets_.compare_exchange_weak(tickets, tickets - 1, std::memory_order_acq_rel, std::memory_order_acquire))
      continue;
    const uint32_t count = count_;
    const ThreadPool* outer = t_inside;
    t_inside = this;
    call_(object_, static_cast<int64_t>(count - unclaimed(tickets)), worker);
    t_inside = outer;
    // From the last task's increment on, the caller may begin the next call: nothing of this one is touched after it
    // but the two flags of the waiting.
    const bool last = done_.fetch_add(1) + 1 == count;
    if (last && caller_sleeps_.load()) done_.notify_one();
    tickets = tickets_.load(std::memory_order_acquire);
  }
}

void ThreadPool::worker_main(int worker) {
  while (!stop_.load(std::memory_order_acquire)) {
    work(worker);
    wait_for_tasks();
  }
}

void ThreadPool::wait_for_tasks() {
  const auto ready = [this] {
    return unclaimed(tickets_.load(std::memory_order_relaxed)) != 0 || stop_.load(std::memory_order_relaxed);
  };
  if (spin_until(ready)) return;
  // Either this thread sees the new tickets, or the caller sees this sleeper and rings.
  const uint32_t heard = alarm_.load();
  sleepers_.fetch_add(1);
  if (unclaimed(tickets_.load()) == 0 && !stop_.load()) alarm_.wait(heard);
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
