// What differs between LibTorch 1.13 and 2: there a backend is no process group any more. The only file that includes
// c10d's backends; OCTET_GLOO and OCTET_NCCL say which of them this LibTorch has headers for.
#pragma once

#ifdef OCTET_GLOO
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#ifdef OCTET_NCCL
#ifndef USE_C10D_NCCL
#define USE_C10D_NCCL
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#if __has_include(<torch/version.h>)
#include <torch/version.h>
#else
#include <torch/csrc/api/include/torch/version.h>
#endif

#include <chrono>
#include <cstdlib>
#include <string>

namespace octet::training {

#if TORCH_VERSION_MAJOR >= 2
using Backend = c10d::Backend;
#else
using Backend = c10d::ProcessGroup;
#endif
using BackendPtr = c10::intrusive_ptr<Backend>;
using StorePtr = c10::intrusive_ptr<c10d::Store>;

// Null where this LibTorch has no Gloo. `loopback`: all processes are on this machine.
inline BackendPtr make_gloo([[maybe_unused]] const StorePtr& store, [[maybe_unused]] int rank,
                            [[maybe_unused]] int size, [[maybe_unused]] std::chrono::milliseconds timeout,
                            [[maybe_unused]] bool loopback) {
#ifdef OCTET_GLOO
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface != nullptr ? Gloo::createDeviceForInterface(interface)
                             : loopback           ? Gloo::createDeviceForHostname("127.0.0.1")
                                                  : Gloo::createDefaultDevice());
  return c10::make_intrusive<Gloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store), rank, size, options);
#else
  return {};
#endif
}

// Null where this LibTorch has no NCCL.
inline BackendPtr make_nccl([[maybe_unused]] const StorePtr& store, [[maybe_unused]] int rank,
                            [[maybe_unused]] int size, [[maybe_unused]] std::chrono::milliseconds timeout) {
#ifdef OCTET_NCCL
  // LibTorch would end this process without a word when another is lost; ProcessGroup waits and says who it was.
  ::setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 0);
  using Nccl = c10d::ProcessGroupNCCL;
  auto options = Nccl::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<Nccl>(c10::make_intrusive<c10d::PrefixStore>("nccl", store), rank, size, options);
#else
  return {};
#endif
}

}  // namespace octet::training
