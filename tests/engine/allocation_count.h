// Counts what operator new hands out in this process.
#pragma once

#include <cstdint>

namespace octet::test {

int64_t allocation_count();

}  // namespace octet::test
