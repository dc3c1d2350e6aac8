// The C API: a thin layer over Engine and Session. Exceptions and Statuses become codes and octet_error().
#include <atomic>
#include <exception>
#include <string>
#include <vector>

#include "octet/octet.h"
#include "octet/runtime.h"

struct octet_engine {
  std::shared_ptr<const octet::Engine> engine;
};

struct octet_session {
  std::unique_ptr<octet::Session> session;
  size_t inputs = 0;
  size_t outputs = 0;
  // Kept between runs, so that a run allocates nothing.
  std::vector<const void*> in;
  std::vector<void*> out;
  std::atomic<bool> running{false};  // whoever set it owns `in` and `out`
};

namespace {

thread_local std::string t_error;

// The exit codes of the command `octet`: src/cli/console.h has the same list.
int exit_code(octet::StatusCode code) {
  switch (code) {
    case octet::StatusCode::kOk: return 0;
    case octet::StatusCode::kInvalidArgument: return 2;
    case octet::StatusCode::kNotFound: return 3;
    case octet::StatusCode::kUnsupported: return 4;
    case octet::StatusCode::kDataCorrupt: return 5;
    case octet::StatusCode::kIoError: return 6;
    case octet::StatusCode::kResourceLimit: return 7;
    case octet::StatusCode::kCancelled: return 130;
    case octet::StatusCode::kInternal: return 1;
  }
  return 1;
}

int report(const octet::Status& status) {
  if (status.is_ok()) return 0;
  try {
    t_error = status.message();
  } catch (const std::exception&) {
    t_error.clear();
  }
  return exit_code(status.code());
}

// body() returns a Status; nothing thrown gets out.
template <class F>
int guarded(F&& body) {
  try {
    return report(body());
  } catch (const std::bad_alloc&) {
    return report(octet::resource_limit("not enough memory"));
  } catch (const std::exception& error) {
    return report(octet::internal_error(error.what()));
  }
}

octet_engine* load(octet::Result<std::shared_ptr<const octet::Engine>> engine) {
  if (!engine.is_ok()) {
    report(engine.status());
    return nullptr;
  }
  return new octet_engine{*std::move(engine)};
}

const octet::TensorDesc* find(const octet_engine* engine, int i, bool input) {
  if (engine == nullptr) return nullptr;
  const auto& list = input ? engine->engine->inputs() : engine->engine->outputs();
  return i >= 0 && static_cast<size_t>(i) < list.size() ? &list[static_cast<size_t>(i)] : nullptr;
}

int copy_dims(const octet::TensorDesc* desc, int64_t* dims, int capacity) {
  if (desc == nullptr) return -1;
  for (int d = 0; dims != nullptr && d < capacity && static_cast<size_t>(d) < desc->dims.size(); ++d)
    dims[d] = desc->dims[static_cast<size_t>(d)];
  return static_cast<int>(desc->dims.size());
}

}  // namespace

extern "C" {

octet_engine* octet_load(const char* path) {
  octet_engine* engine = nullptr;
  guarded([&] {
    if (path == nullptr) return octet::invalid_argument("octet_load got no path");
    engine = load(octet::Engine::load(path));
    return octet::Status::ok();
  });
  return engine;
}

octet_engine* octet_load_bytes(const void* bytes, size_t size) {
  octet_engine* engine = nullptr;
  guarded([&] {
    if (bytes == nullptr) return octet::invalid_argument("octet_load_bytes got no bytes");
    engine = load(octet::Engine::from_bytes(std::string(static_cast<const char*>(bytes), size)));
    return octet::Status::ok();
  });
  return engine;
}

void octet_unload(octet_engine* engine) { delete engine; }

int octet_input_count(const octet_engine* engine) {
  return engine == nullptr ? -1 : static_cast<int>(engine->engine->inputs().size());
}
int octet_output_count(const octet_engine* engine) {
  return engine == nullptr ? -1 : static_cast<int>(engine->engine->outputs().size());
}
const char* octet_input_name(const octet_engine* engine, int i) {
  const octet::TensorDesc* desc = find(engine, i, true);
  return desc == nullptr ? nullptr : desc->name.c_str();
}
const char* octet_output_name(const octet_engine* engine, int i) {
  const octet::TensorDesc* desc = find(engine, i, false);
  return desc == nullptr ? nullptr : desc->name.c_str();
}
const char* octet_input_type(const octet_engine* engine, int i) {
  const octet::TensorDesc* desc = find(engine, i, true);
  return desc == nullptr ? nullptr : octet::dtype_name(desc->dtype);
}
const char* octet_output_type(const octet_engine* engine, int i) {
  const octet::TensorDesc* desc = find(engine, i, false);
  return desc == nullptr ? nullptr : octet::dtype_name(desc->dtype);
}
int octet_input_dims(const octet_engine* engine, int i, int64_t* dims, int capacity) {
  return copy_dims(find(engine, i, true), dims, capacity);
}
int octet_output_dims(const octet_engine* engine, int i, int64_t* dims, int capacity) {
  return copy_dims(find(engine, i, false), dims, capacity);
}

octet_session* octet_open(octet_engine* engine, int threads) {
  octet_session* session = nullptr;
  guarded([&]() -> octet::Status {
    if (engine == nullptr) return octet::invalid_argument("octet_open got no engine");
    OCTET_ASSIGN(auto made, octet::Session::create(engine->engine, {.threads = threads}));
    const size_t inputs = engine->engine->inputs().size();
    const size_t outputs = engine->engine->outputs().size();
    session = new octet_session{std::move(made), inputs, outputs, std::vector<const void*>(inputs),
                                std::vector<void*>(outputs), false};
    return octet::Status::ok();
  });
  return session;
}

void octet_close(octet_session* session) { delete session; }

int octet_run(octet_session* session, int64_t batch, const void* const* inputs, void* const* outputs) {
  return guarded([&]() -> octet::Status {
    if (session == nullptr) return octet::invalid_argument("octet_run got no session");
    if ((inputs == nullptr && session->inputs != 0) || outputs == nullptr)
      return octet::invalid_argument("octet_run got no inputs or no outputs");
    if (session->running.exchange(true))
      return octet::invalid_argument("the session is running already; make one for each caller");
    struct Done {
      std::atomic<bool>& flag;
      ~Done() { flag = false; }
    } done{session->running};
    session->in.assign(inputs, inputs + session->inputs);
    session->out.assign(outputs, outputs + session->outputs);
    return session->session->run(batch, session->in, session->out);
  });
}

const char* octet_error(void) { return t_error.c_str(); }

}  // extern "C"
