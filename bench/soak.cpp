// Many sessions of one engine at once, for a long time: every result is compared with the first one of its batch, and
// the memory of the process is printed once a minute.
// usage: octet_soak MODEL.octet [SESSIONS=8] [MINUTES=30] [THREADS=2]
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "octet/runtime.h"

using namespace octet;

namespace {

long resident_kib() {
  std::ifstream statm("/proc/self/statm");
  long pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

std::vector<Tensor> inputs_of(const Engine& engine, int64_t batch) {
  std::vector<Tensor> inputs;
  uint32_t state = 12345;
  for (const TensorDesc& desc : engine.inputs()) {
    Dims dims = desc.dims;
    if (dims[0] < 0) dims[0] = batch;
    Tensor t(desc.dtype, dims);
    if (desc.dtype == DType::kFloat32)
      for (int64_t i = 0; i < t.numel(); ++i)
        t.data<float>()[i] = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1.0f;
    else
      for (int64_t i = 0; i < t.nbytes(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(i);
    inputs.push_back(t);
  }
  return inputs;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: octet_soak MODEL.octet [SESSIONS] [MINUTES] [THREADS]\n"), 2;
  const int sessions = argc > 2 ? std::atoi(argv[2]) : 8;
  const double minutes = argc > 3 ? std::atof(argv[3]) : 30;
  const int threads = argc > 4 ? std::atoi(argv[4]) : 2;
  auto engine = Engine::load(argv[1]);
  if (!engine) return std::fprintf(stderr, "octet_soak: %s\n", engine.status().message().c_str()), 1;
  const bool batched = (*engine)->inputs()[0].dims[0] < 0;
  const std::vector<int64_t> batches = batched ? std::vector<int64_t>{1, 3, 2} : std::vector<int64_t>{1};
  std::vector<std::vector<Tensor>> inputs, expected;
  auto first = Session::create(*engine, {.threads = 1});
  for (int64_t batch : batches) {
    inputs.push_back(inputs_of(**engine, batch));
    auto out = (*first)->run(inputs.back());
    if (!out) return std::fprintf(stderr, "octet_soak: %s\n", out.status().message().c_str()), 1;
    expected.push_back(*out);
  }
  std::atomic<long> runs{0}, wrong{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
  for (int s = 0; s < sessions; ++s)
    workers.emplace_back([&, s] {
      for (long turn = s; !stop; ++turn) {
        auto session = Session::create(*engine, {.threads = threads});  // sessions come and go, too
        for (int i = 0; i < 500 && !stop; ++i) {
          const size_t b = static_cast<size_t>(turn + i) % batches.size();
          auto out = (*session)->run(inputs[b]);
          bool equal = out.is_ok() && out->size() == expected[b].size();
          for (size_t o = 0; equal && o < out->size(); ++o) equal = same_bits((*out)[o], expected[b][o]);
          wrong += !equal;
          ++runs;
        }
      }
    });
  const auto begin = std::chrono::steady_clock::now();
  for (double at = 0; at < minutes;) {
    std::this_thread::sleep_for(std::chrono::seconds(at + 1 <= minutes ? 60 : static_cast<int>((minutes - at) * 60)));
    at = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 60;
    std::printf("%5.1f min: %ld runs, %ld wrong, %ld KiB resident\n", at, runs.load(), wrong.load(), resident_kib());
    std::fflush(stdout);
  }
  stop = true;
  for (std::thread& w : workers) w.join();
  return wrong == 0 ? 0 : 1;
}
