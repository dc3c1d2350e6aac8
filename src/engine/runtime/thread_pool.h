// Threads that share the tasks of one call after another, made for operations of a few microseconds.
//
// Tasks are claimed one by one from an atomic word, so that a worker that another process keeps from running holds
// up nobody: the others take its share, and the caller waits only for tasks that somebody has begun. Between two
// calls workers spin for a moment, then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace octet::engine {

class ThreadPool {
 public:
  // `threads` workers, the caller included: threads - 1 are started, fewer when the system refuses. `pin` binds them
  // to the cores that this process may use, from the second on; the caller stays free.
  explicit ThreadPool(int threads, bool pin = false);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs fn(task, worker) for every task in [0, count), worker in [0, threads()), and returns when all are done.
  // fn must not throw. Allocates nothing. False, and nothing has run: called from inside a task of this pool, while
  // another call is under way, or with more than 2^31 tasks.
  template <class F>
  [[nodiscard]] bool parallel_for(int64_t count, F&& fn) {
    using Function = std::remove_reference_t<F>;
    const auto call = [](void* object, int64_t task, int worker) { (*static_cast<Function*>(object))(task, worker); };
    return run(count, call, const_cast<void*>(static_cast<const void*>(&fn)));
  }

  // Cores that this process may use.
  static int available_cores();

 private:
  using Call = void (*)(void* object, int64_t task, int worker);

  bool run(int64_t count, Call call, void* object);
  // Claims and runs tasks until none is left.
  void work(int worker);
  void worker_main(int worker);
  void wait_for_tasks();
  void wake(int64_t wanted);
  void wait_until_done(uint32_t count);

  // Count of tasks and the next one, in one word: adding one claims a task of whatever call is under way. call_ and
  // object_ may be read only by who has claimed a task: its call cannot end before it reports.
  alignas(64) std::atomic<uint64_t> tickets_{0};
  alignas(64) std::atomic<uint32_t> done_{0};
  std::atomic<bool> caller_sleeps_{false};
  alignas(64) std::atomic<uint32_t> alarm_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> busy_{false};
  Call call_ = nullptr;
  void* object_ = nullptr;
  std::vector<std::thread> workers_;
};

}  // namespace octet::engine
