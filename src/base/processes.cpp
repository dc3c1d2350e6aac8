#include "octet/processes.h"

namespace octet {

Result<std::vector<std::string>> Processes::all_gather(const Result<std::string>& mine) {
  if (!mine.is_ok()) return mine.status();
  return std::vector<std::string>{*mine};
}

Status Processes::agree(const Status& mine) {
  const Result<std::string> bytes = mine.is_ok() ? Result<std::string>(std::string()) : Result<std::string>(mine);
  return all_gather(bytes).status();
}

}  // namespace octet
