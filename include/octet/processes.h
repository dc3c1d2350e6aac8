// Several processes that do one job together: they share the images of calibration, evaluation and training, and come
// to the same results. Functions are collective: every process calls the same ones in the same order.
#pragma once

#include <string>
#include <vector>

#include "octet/status.h"

namespace octet {

// A process alone; join_processes (octet/train.h) gives one that has company.
class Processes {
 public:
  Processes() = default;
  virtual ~Processes() = default;
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }
  virtual int local_size() const { return 1; }  // processes on this machine
  bool is_first() const { return rank() == 0; }

  // What everybody brings, in the order of ranks. When one brings an error all get that of the lowest rank that has
  // one (any other error before kCancelled), and say_nothing() says who tells the user. kIoError when a process is
  // lost or does not answer in time; every later call then gives the same error at once.
  virtual Result<std::vector<std::string>> all_gather(const Result<std::string>& mine);
  // Sum over the processes, added in the order of ranks: the same bits everywhere.
  virtual Result<double> sum(const Result<double>& mine) { return mine; }
  // What process 0 brings. Errors of the others count as in all_gather.
  virtual Result<std::string> from_first(const Result<std::string>& mine) { return mine; }
  // The lost connection, or ok.
  virtual Status failure() const { return {}; }

  // Closes the connections without the others' consent: they see a lost process, and this one a failure.
  virtual void leave() {}

  Status agree(const Status& mine);
  // The last call gave an error that process 0 has too, and this is another one.
  bool say_nothing() const { return !is_first() && shared_error_ && failure().is_ok(); }
  bool has_shared_error() const { return shared_error_; }

 protected:
  bool shared_error_ = false;
};

}  // namespace octet
