#include "engine/runtime/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <thread>

namespace octet::engine {
namespace {

void spin(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

TEST(ThreadPool, RunsEveryTaskOnceWithWorkersInRange) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.threads(), threads);
    for (int64_t count : {0, 1, 2, 7, 64, 1000}) {
      std::vector<int> runs(static_cast<size_t>(count), 0);  // no atomics: the pool must order them before its return
      std::vector<int64_t> by_worker(static_cast<size_t>(threads), 0);
      ASSERT_TRUE(pool.parallel_for(count, [&](int64_t task, int worker) {
        ++runs[static_cast<size_t>(task)];
        ++by_worker.at(static_cast<size_t>(worker));
      }));
      EXPECT_EQ(runs, std::vector<int>(static_cast<size_t>(count), 1))
          << threads << " threads, " << count << " tasks";
      EXPECT_EQ(std::accumulate(by_worker.begin(), by_worker.end(), int64_t{0}), count);
    }
  }
}

TEST(ThreadPool, ManyShortCallsInARow) {
  ThreadPool pool(3);
  int64_t sum[4] = {};  // one for each task, written by different threads in turn
  for (int call = 0; call < 20000; ++call)
    ASSERT_TRUE(pool.parallel_for(1 + call % 4, [&](int64_t task, int) { sum[task] += call; }));
  int64_t expected[4] = {};
  for (int call = 0; call < 20000; ++call)
    for (int task = 0; task <= call % 4; ++task) expected[task] += call;
  for (int task = 0; task < 4; ++task) EXPECT_EQ(sum[task], expected[task]);
}

TEST(ThreadPool, CallsAfterPausesFindSleepingWorkers) {
  ThreadPool pool(4);
  for (int call = 0; call < 50; ++call) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int> ran{0};
    ASSERT_TRUE(pool.parallel_for(5, [&](int64_t, int) { ++ran; }));
    EXPECT_EQ(ran, 5);
  }
}

TEST(ThreadPool, UnevenTasksAreSharedOut) {
  ThreadPool pool(2);
  // One task of 20 ms and twenty of 1 ms: whoever has the long one must not also get half of the others.
  int on_worker_of_long_task[2] = {};
  int long_worker = -1;
  ASSERT_TRUE(pool.parallel_for(21, [&](int64_t task, int worker) {
    if (task == 0) long_worker = worker;
    else ++on_worker_of_long_task[worker];
    if (task == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    else std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }));
  ASSERT_GE(long_worker, 0);
  EXPECT_LT(on_worker_of_long_task[long_worker], on_worker_of_long_task[1 - long_worker]);
}

TEST(ThreadPool, RefusesNestedAndConcurrentCalls) {
  ThreadPool pool(2);
  ThreadPool other(2);
  std::atomic<int> refused{0}, inner{0};
  ASSERT_TRUE(pool.parallel_for(4, [&](int64_t, int) {
    if (!pool.parallel_for(2, [&](int64_t, int) { ADD_FAILURE() << "a nested call ran"; })) ++refused;
  }));
  EXPECT_EQ(refused, 4);
  // Another pool is no nesting.
  ASSERT_TRUE(pool.parallel_for(
      1, [&](int64_t, int) { EXPECT_TRUE(other.parallel_for(3, [&](int64_t, int) { ++inner; })); }));
  EXPECT_EQ(inner, 3);
  std::atomic<bool> inside{false}, leave{false};
  std::thread first([&] {
    EXPECT_TRUE(pool.parallel_for(1, [&](int64_t, int) {
      inside = true;
      while (!leave) std::this_thread::yield();
    }));
  });
  while (!inside) std::this_thread::yield();
  EXPECT_FALSE(pool.parallel_for(1, [&](int64_t, int) { ADD_FAILURE() << "a concurrent call ran"; }));
  leave = true;
  first.join();
  EXPECT_TRUE(pool.parallel_for(1, [](int64_t, int) {}));
  EXPECT_FALSE(pool.parallel_for(int64_t{1} << 40, [](int64_t, int) {}));
}

TEST(ThreadPool, ManyPoolsAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> total{0};
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        ThreadPool pool(3, round % 2 == 0);
        for (int call = 0; call < 20; ++call)
          EXPECT_TRUE(pool.parallel_for(6, [&](int64_t, int) { total.fetch_add(1, std::memory_order_relaxed); }));
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total, 4 * 20 * 20 * 6);
}

TEST(ThreadPool, DiesCleanlyWithoutOrRightAfterUse) {
  for (int round = 0; round < 100; ++round) {
    ThreadPool pool(4);
    ASSERT_TRUE(pool.parallel_for(round % 2 * 8, [](int64_t, int) { spin(std::chrono::microseconds(2)); }));
  }
}

// With more threads than cores the caller has to wait for workers that do not run; it must not wait for idle ones.
TEST(ThreadPool, MoreThreadsThanCoresDoNotCollapse) {
  ThreadPool pool(4 * ThreadPool::available_cores());
  const auto begin = std::chrono::steady_clock::now();
  for (int call = 0; call < 200; ++call)
    ASSERT_TRUE(pool.parallel_for(4, [](int64_t, int) { spin(std::chrono::microseconds(20)); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
}

}  // namespace
}  // namespace octet::engine
