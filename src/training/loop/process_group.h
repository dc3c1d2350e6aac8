// The processes of a job on LibTorch's c10d: Gloo carries what lies in memory, NCCL what lies on GPUs.
#pragma once

#include <memory>
#include <string>

#include "base/launch.h"
#include "octet/processes.h"
#include "training/torch.h"

namespace octet::training {

class ProcessGroup : public Processes {
 public:
  // Waits until all processes are there. kIoError when one does not come in time, kUnsupported when this LibTorch has
  // no backend for the device.
  static Result<std::unique_ptr<ProcessGroup>> join(const Launch& launch, at::Device device);
  ~ProcessGroup() override;

  int rank() const override;
  int size() const override;
  int local_size() const override;
  Result<std::vector<std::string>> all_gather(const Result<std::string>& mine) override;
  Result<double> sum(const Result<double>& mine) override;
  Result<std::string> from_first(const Result<std::string>& mine) override;
  Status failure() const override;
  void leave() override;

  // Adds up a tensor over all processes, in place: the same bits everywhere. kIoError as all_gather.
  Status add_up(at::Tensor& tensor);

 private:
  struct Impl;
  explicit ProcessGroup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace octet::training
